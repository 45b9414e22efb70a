// Package rest is what the doors share: routes, replies, bodies, error envelopes.
//
// A door is a table of routes and a style. A handler takes the request and the
// caller and returns a Reply or an error; the door writes either in its style. So no
// handler touches a ResponseWriter, and nobody but the style knows how a failure
// looks on the wire.
package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
)

// A Handler answers one kind of request.
type Handler func(r *http.Request, who identity.Caller) (Reply, error)

// Config says how a door behaves.
type Config struct {
	// Style is how failures look. It must be set.
	Style Style
	// Authenticate finds out who calls. It must be set if a route needs a caller.
	Authenticate func(r *http.Request) (identity.Caller, error)
	// Check refuses a request before its handler and after its authentication, such
	// as for its api-version. Nil checks nothing.
	Check func(r *http.Request) error
	// Unknown says what is missing where a request fits no route; it is asked after
	// authentication. Nil answers with the style's NoRoute.
	Unknown func(r *http.Request) error
	// Failed may add headers to a failure, such as a challenge. Nil adds none.
	Failed func(h http.Header, r *http.Request, f *fault.Fault)
	// MaxBody is the largest body in bytes that Decode reads; zero means 4 MiB.
	MaxBody int64
	Log     *slog.Logger
}

// A Door serves one protocol. Routes are added before it serves.
type Door struct {
	cfg    Config
	routes []route
}

// NewDoor returns a door without routes.
func NewDoor(cfg Config) *Door {
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 4 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Door{cfg: cfg}
}

// Handle adds a route for callers that the door knows. A pattern is a method and a
// path: "GET /jobs/{job}/files/{path...}". Words match without case; {name} takes one
// segment and {name...} any number of them, anywhere in the path; a segment may have
// words around its name, as in certificates({key}). Values come from
// Request.PathValue, decoded. Empty segments count for nothing, so //a/ is /a.
//
// The route with the most words wins. Handle panics if the pattern is not one.
func (d *Door) Handle(pattern string, h Handler) { d.add(pattern, h, false) }

// Open adds a route that needs no caller.
func (d *Door) Open(pattern string, h Handler) { d.add(pattern, h, true) }

// A call is what the door knows about a request while it is answered.
type call struct {
	door *Door
	id   string
}

type callKey struct{}

// RequestID returns the id that the answer to r carries.
func RequestID(r *http.Request) string {
	if c, ok := r.Context().Value(callKey{}).(*call); ok {
		return c.id
	}
	return ""
}

// A Trace is what a door tells about a request for the log: nothing that a customer
// wrote.
type Trace struct{ Route, Code, RequestID string }

type traceKey struct{}

// Traced returns r with a Trace that the door fills in.
func Traced(r *http.Request) (*http.Request, *Trace) {
	t := &Trace{}
	return r.WithContext(context.WithValue(r.Context(), traceKey{}, t)), t
}

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{door: d, id: resource.NewGUID()}
	trace, _ := r.Context().Value(traceKey{}).(*Trace)
	if trace == nil {
		trace = &Trace{}
	}
	trace.RequestID = c.id
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	d.headers(w.Header(), r, c)
	reply, err := d.answer(w, r, trace)
	if err != nil {
		trace.Code = d.fail(w, r, err)
		return
	}
	if err := reply.write(w, r); err != nil {
		// The head is on its way: all that is left is to tell the log.
		d.cfg.Log.Warn("writing a reply", "request", c.id, "route", trace.Route, "err", err)
	}
}

func (d *Door) answer(w http.ResponseWriter, r *http.Request, trace *Trace) (Reply, error) {
	rt, err := d.match(r)
	if err != nil {
		// Who is not known learns nothing about what there is.
		if d.cfg.Authenticate != nil {
			if _, aerr := d.cfg.Authenticate(r); aerr != nil {
				return Reply{}, aerr
			}
		}
		if f, ok := fault.From(err); ok && f.Code.Status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", strings.Join(d.methods(r), ", "))
		} else if d.cfg.Unknown != nil {
			err = d.cfg.Unknown(r)
		}
		return Reply{}, err
	}
	trace.Route = rt.pattern
	var who identity.Caller
	if !rt.open {
		if who, err = d.cfg.Authenticate(r); err != nil {
			return Reply{}, err
		}
	}
	if d.cfg.Check != nil {
		if err := d.cfg.Check(r); err != nil {
			return Reply{}, err
		}
	}
	r.Body = http.MaxBytesReader(w, r.Body, d.cfg.MaxBody)
	return rt.handler(r, who)
}

// headers sets what every answer carries.
func (d *Door) headers(h http.Header, r *http.Request, c *call) {
	for _, name := range d.cfg.Style.RequestID {
		h.Set(name, c.id)
	}
	client := r.Header.Get(d.cfg.Style.ClientRequestID)
	if d.cfg.Style.ClientRequestID != "" && client != "" && len(client) <= 128 &&
		strings.EqualFold(r.Header.Get(d.cfg.Style.ReturnClientRequestID), "true") {
		h.Set(d.cfg.Style.ClientRequestID, client)
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
}

// fail writes an error and returns its code.
func (d *Door) fail(w http.ResponseWriter, r *http.Request, err error) string {
	id := RequestID(r)
	f, ok := fault.From(err)
	if !ok {
		if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
			// The client has gone; nobody reads the answer.
			return "ClientClosedRequest"
		}
		d.cfg.Log.Error("a request failed", "request", id, "err", err)
		f = fault.InternalError.New("")
	}
	h := w.Header()
	if f.RetryAfter > 0 {
		h.Set("Retry-After", fmt.Sprint(int64((f.RetryAfter+time.Second-1)/time.Second)))
	}
	if d.cfg.Failed != nil {
		d.cfg.Failed(h, r, f)
	}
	reply := Reply{Status: f.Code.Status}
	if f.Code.Status != http.StatusNotModified {
		reply.Body = d.cfg.Style.Body(r, f, id)
		reply = reply.With("Content-Type", d.cfg.Style.ContentType)
	}
	if err := reply.write(w, r); err != nil {
		d.cfg.Log.Warn("writing a failure", "request", id, "err", err)
	}
	return f.Code.Name
}
