package store

import (
	"context"
	"errors"
)

// A Driver is an ordered space of rows. It knows nothing of accounts, records or
// seals. Conformance says what every driver must do.
type Driver interface {
	// Get returns the row at key; ok is false if there is none.
	Get(ctx context.Context, key []byte) (row Row, ok bool, err error)
	// Scan returns the rows with from <= key < to in order of their keys, at most
	// limit of them.
	Scan(ctx context.Context, from, to []byte, limit int) ([]Row, error)
	// Commit does all of c or nothing. It returns when the change survives a power
	// cut, and fails with ErrConflict if a row in c.Reads is not as it was read.
	Commit(ctx context.Context, c *Commit) error
	// DeleteRange removes the rows with from <= key < to, durably.
	DeleteRange(ctx context.Context, from, to []byte) error
	// Close ends the driver. No other call may be in progress.
	Close() error
}

// ErrConflict means that a row has moved since it was read.
var ErrConflict = errors.New("a record changed since it was read")

// A Row is one entry of the space. Version is chosen by who writes it and never
// zero; it changes with every write of the row.
type Row struct {
	Key     []byte
	Value   []byte
	Version uint64
}

// A Commit is one atomic change.
type Commit struct {
	// Reads are the preconditions.
	Reads []Read
	// Puts are rows to write, Deletes keys to remove.
	Puts    []Row
	Deletes [][]byte
	// Adds change counters. They need no precondition: additions commute.
	Adds []Add
}

// A Read says that a row had this version when it was read; zero says that there was
// no row.
type Read struct {
	Key     []byte
	Version uint64
}

// An Add changes the counter at Key by Delta. A counter is a row whose value is eight
// bytes, big endian, two's complement; one that was never written is zero, and one
// that comes back to zero is removed.
type Add struct {
	Key   []byte
	Delta int64
}
