package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"latchkey/fault"
	"latchkey/resource"
)

// Body returns the body of a request, which must be JSON by its content type. It
// fails with a fault if it is too large or of another type.
func Body(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, fault.RequestBodyTooLarge.New("").With("MaxLimit", fmt.Sprint(large.Limit))
	}
	if err != nil {
		return nil, badBody(r).New("the body could not be read: %v", err)
	}
	if kind := r.Header.Get("Content-Type"); kind != "" && len(body) > 0 {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" && media != "text/json" &&
			media != "application/merge-patch+json" {
			return nil, fault.UnsupportedMediaType.New("the content type %q is not supported; send application/json", kind)
		}
	}
	return body, nil
}

// Decode reads the JSON body of a request into v. What is wrong with it becomes a
// fault that names the property.
func Decode(r *http.Request, v any) error {
	body, err := Body(r)
	if err != nil {
		return err
	}
	return Unmarshal(r, body, v)
}

// Unmarshal is Decode for a body that has been read.
func Unmarshal(r *http.Request, body []byte, v any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return badBody(r).New("the request needs a body, and it has none")
	}
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var f *fault.Fault
	switch {
	case errors.As(err, &kind):
		name := kind.Field
		if name == "" {
			return badBody(r).New("the body is a JSON %s, and it cannot be", kind.Value)
		}
		return badBody(r).New("the property '%s' cannot be a JSON %s", name, kind.Value).
			With("PropertyName", name).With("Reason", "a JSON "+kind.Value+" is of the wrong type")
	case errors.As(err, &syntax):
		return badBody(r).New("the body is not JSON: %v at byte %d", syntax, syntax.Offset)
	case errors.As(err, &f):
		return f
	}
	return badBody(r).New("the body cannot be read: %v", err)
}

// badBody is the row with which the request's door refuses a body.
func badBody(r *http.Request) *fault.Code {
	if c, ok := r.Context().Value(callKey{}).(*call); ok {
		return c.door.cfg.Style.BadBody
	}
	return fault.InvalidInput
}

// Query returns a query parameter, whose name may be in any case.
func Query(r *http.Request, name string) string {
	query := r.URL.Query()
	if v, ok := query[name]; ok {
		return v[0]
	}
	for key, v := range query {
		if resource.Equal(key, name) {
			return v[0]
		}
	}
	return ""
}

// Has reports whether the request has a query parameter, whatever its value.
func Has(r *http.Request, name string) bool {
	for key := range r.URL.Query() {
		if resource.Equal(key, name) {
			return true
		}
	}
	return false
}

// A Field tells absent, null and a value apart, for PATCH.
type Field[T any] struct {
	// Set: the property was there. Null: it was there and null.
	Set, Null bool
	Value     T
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Field[T]) UnmarshalJSON(b []byte) error {
	f.Set = true
	if f.Null = string(b) == "null"; f.Null {
		return nil
	}
	return json.Unmarshal(b, &f.Value)
}

// An Int is a whole number that a client may also send as digits in a string, as some
// generations of tools do.
type Int int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *Int) UnmarshalJSON(b []byte) error {
	if len(b) > 2 && b[0] == '"' {
		s := strings.TrimSpace(string(b[1 : len(b)-1]))
		var v int64
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			return &json.UnmarshalTypeError{Value: "string"}
		}
		*n = Int(v)
		return nil
	}
	return json.Unmarshal(b, (*int64)(n))
}
