// Package fault is the catalogue of failures that a caller may be told.
//
// Every row has the code that Azure uses (or ours, where Azure publishes none) and
// the HTTP status that goes with it, once. Services return rows with New; doors
// render them in their own envelope. Anything that is not a fault is our own
// failure: the caller reads InternalError and a request id, the log has the rest.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// A Code is one row of the catalogue. It is an error itself, so that
// errors.Is(err, fault.PoolNotFound) holds for every failure made from the row.
type Code struct {
	// Name is the code as it travels on the wire.
	Name string
	// Status is the HTTP status that goes with it.
	Status int
	// Text is the sentence used when a failure gives none of its own.
	Text string
}

// Error returns the code's name.
func (c *Code) Error() string { return c.Name }

// New makes a failure of this row. With no format the row's own text is used.
func (c *Code) New(format string, args ...any) *Fault {
	text := c.Text
	if format != "" {
		text = fmt.Sprintf(format, args...)
	}
	return &Fault{Code: c, Message: text}
}

// A Detail is one machine-readable fact about a failure, such as the name of the
// property that was wrong.
type Detail struct{ Key, Value string }

// A Fault is one failure: a row of the catalogue, a sentence for a person, and facts
// for a program.
type Fault struct {
	Code    *Code
	Message string
	Details []Detail
	// Inner is the code of Key Vault's innererror; empty elsewhere.
	Inner string
	// RetryAfter asks the caller to wait; zero means that nothing is said.
	RetryAfter time.Duration
}

// With adds a detail and returns the same fault.
func (f *Fault) With(key, value string) *Fault {
	f.Details = append(f.Details, Detail{key, value})
	return f
}

// Because sets the inner code that Key Vault clients look at, and returns the same
// fault.
func (f *Fault) Because(inner string) *Fault {
	f.Inner = inner
	return f
}

// After sets RetryAfter and returns the same fault.
func (f *Fault) After(d time.Duration) *Fault {
	f.RetryAfter = d
	return f
}

// Error returns code and message.
func (f *Fault) Error() string { return f.Code.Name + ": " + f.Message }

// Is reports whether target is the row that this failure was made from.
func (f *Fault) Is(target error) bool {
	code, ok := target.(*Code)
	return ok && code == f.Code
}

// From returns the fault in err's chain. A bare row counts as a failure with the
// row's own text.
func From(err error) (*Fault, bool) {
	var f *Fault
	if errors.As(err, &f) {
		return f, true
	}
	var c *Code
	if errors.As(err, &c) {
		return c.New(""), true
	}
	return nil, false
}
