package rest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// A Reply is a successful answer.
type Reply struct {
	Status int
	Header http.Header
	// Body is written as JSON; nil writes no body.
	Body any
	// Stream, if set, writes the body instead: files. It runs after the head was
	// written, so it can only break off.
	Stream func(w io.Writer) error
}

// OK is 200 with a body.
func OK(body any) Reply { return Reply{Status: http.StatusOK, Body: body} }

// Status is an answer without a body.
func Status(code int) Reply { return Reply{Status: code} }

// With sets a header and returns the reply.
func (r Reply) With(name, value string) Reply {
	h := r.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	// Clients compare the names of some headers letter by letter, so they travel as
	// they are written here.
	h[http.CanonicalHeaderKey(name)] = []string{value}
	r.Header = h
	return r
}

func (r Reply) write(w http.ResponseWriter, req *http.Request) error {
	h := w.Header()
	for name, values := range r.Header {
		h[name] = values
	}
	if r.Stream != nil {
		w.WriteHeader(r.Status)
		if req.Method == http.MethodHead {
			return nil
		}
		return r.Stream(w)
	}
	if r.Body == nil {
		if r.Status != http.StatusNoContent && r.Status != http.StatusNotModified && h.Get("Content-Length") == "" {
			h.Set("Content-Length", "0")
		}
		w.WriteHeader(r.Status)
		return nil
	}
	body, err := json.Marshal(r.Body)
	if err != nil {
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusInternalServerError)
		return fmt.Errorf("encoding a reply: %w", err)
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(r.Status)
	if req.Method == http.MethodHead {
		return nil
	}
	_, err = w.Write(body)
	return err
}
