package front

import (
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/resource"
	"latchkey/rest"
)

// doorName is how the log calls a door.
type doorName string

const (
	noDoor     doorName = "none"
	management doorName = "management"
	login      doorName = "login"
	graph      doorName = "graph"
	vault      doorName = "vault"
	batch      doorName = "batch"
	portal     doorName = "portal"
	local      doorName = "local"
)

// serve answers one request and writes its line. The line has the route's shape if
// the door names one, and never the path: ids and file names are the customer's.
func (f *Front) serve(w http.ResponseWriter, r *http.Request, door doorName, h http.Handler) {
	began := time.Now()
	rec := &recorder{ResponseWriter: w}
	r, rec.trace = rest.Traced(r)
	if h == nil {
		h = refuse(fault.NotFound.New("This service has no %s door.", door))
	}
	defer func() {
		if caught := recover(); caught != nil {
			if caught == http.ErrAbortHandler {
				f.line(rec, r, door, began)
				panic(caught)
			}
			id := requestID(rec.Header())
			f.log.Error("panic", "door", string(door), "route", rec.route(r), "id", id, "what", describe(caught), "stack", string(debug.Stack()))
			if rec.status != 0 {
				// Half a reply is out; the only way to say that the rest will not
				// come is to break the connection.
				f.line(rec, r, door, began)
				panic(http.ErrAbortHandler)
			}
			writeFault(rec, door, fault.InternalError.New(""), id)
		}
		f.line(rec, r, door, began)
	}()
	h.ServeHTTP(rec, r)
	if rec.status == 0 {
		rec.status = http.StatusOK // what net/http sends for a handler that says nothing
	}
}

func (f *Front) line(rec *recorder, r *http.Request, door doorName, began time.Time) {
	level := slog.LevelInfo
	if rec.status >= 500 {
		level = slog.LevelError
	}
	f.log.LogAttrs(r.Context(), level, "request",
		slog.String("method", methodOf(r)),
		slog.String("door", string(door)),
		slog.String("route", rec.route(r)),
		slog.Int("status", rec.status),
		slog.String("code", rec.trace.Code),
		slog.Int64("ms", time.Since(began).Milliseconds()),
		slog.Int64("bytes", rec.bytes),
		slog.String("id", idOf(rec.Header())))
}

// methodOf keeps a made-up method out of the log.
func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return r.Method
	}
	return "other"
}

// describe tells what was thrown. Only the runtime's own words are free of what a
// customer wrote.
func describe(caught any) string {
	if err, ok := caught.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a panic with a %T", caught)
}

// idOf returns the request id that the door has put into its reply.
func idOf(h http.Header) string {
	if id := h.Get("x-ms-request-id"); id != "" {
		return id
	}
	return h.Get("request-id")
}

// requestID returns the reply's request id and gives it one if it has none.
func requestID(h http.Header) string {
	if id := idOf(h); id != "" {
		return id
	}
	id := resource.NewGUID()
	h.Set("x-ms-request-id", id)
	h.Set("request-id", id)
	return id
}

// refuse answers every request with one failure.
func refuse(failure *fault.Fault) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeFault(w, noDoor, failure, requestID(w.Header()))
	})
}

// writeFault writes a failure in the envelope of the door's clients. It is for what
// happens before a door is reached or after it has broken; doors write their own.
func writeFault(w http.ResponseWriter, door doorName, failure *fault.Fault, id string) {
	type object map[string]any
	var body object
	if door == batch {
		body = object{"code": failure.Code.Name, "message": object{"lang": "en-US", "value": failure.Message + "\nRequestId:" + id + "\nTime:" + time.Now().UTC().Format("2006-01-02T15:04:05.0000000Z")}}
	} else {
		body = object{"error": object{"code": failure.Code.Name, "message": failure.Message, "requestId": id}}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(failure.Code.Status)
	json.NewEncoder(w).Encode(body)
}

// isLocalPath reports whether a path of the plain listener is for latchkey's own
// commands and for managed identities.
func isLocalPath(p string) bool {
	p = path.Clean("/" + p)
	return strings.HasPrefix(p, "/identity/") || strings.HasPrefix(p, "/local/")
}

// A recorder remembers what the log line needs.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
	trace  *rest.Trace
}

// route returns the shape of the route, such as "GET /jobs/{job}", as the door or
// net/http's mux has it.
func (r *recorder) route(req *http.Request) string {
	if r.trace.Route != "" {
		return r.trace.Route
	}
	return req.Pattern
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Flush implements http.Flusher, for handlers that stream.
func (r *recorder) Flush() {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	http.NewResponseController(r.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// serverLog passes on what net/http has to say about connections, but for the usual
// end of them: clients hang up.
func serverLog(logger *slog.Logger) *log.Logger { return log.New(connectionLog{logger}, "", 0) }

type connectionLog struct{ *slog.Logger }

// Write implements io.Writer for log.Logger, which calls it once per line.
func (l connectionLog) Write(p []byte) (int, error) {
	said := strings.TrimSpace(string(p))
	if !strings.HasSuffix(said, ": EOF") && !strings.HasSuffix(said, "connection reset by peer") && !strings.HasSuffix(said, "use of closed network connection") {
		l.Warn("connection", "said", said)
	}
	return len(p), nil
}
