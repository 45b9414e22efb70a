// Package batchapi is the door of Batch's data plane: pools, nodes, jobs, tasks, files
// and certificates, as the SDKs and tools of several generations ask for them.
//
// The host name says which account is meant; the caller proves itself with one of the
// account's keys or with a token. Handlers translate between Azure's words on the wire
// and the service in package batch, which decides.
//
// One file per noun, each with its routes, its handlers and the structs that travel.
package batchapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"latchkey/batch"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// An Account is what the door must know of the account that a request is for.
type Account struct {
	batch.Account
	// Keys are its keys, in base64 as they are given out.
	Keys []string
	// SharedKey and Tokens say how its callers may prove themselves.
	SharedKey, Tokens bool
	// Locked is set, to the failure that every call gets, when its owner took the key
	// away.
	Locked error
}

// Config is what the door leads to. Every field but Log must be set.
type Config struct {
	Batch *batch.Service
	// Find returns the account with a name in a region, or fault.AccountNotFound.
	Find func(ctx context.Context, name, region string) (Account, error)
	// Authenticate reads a bearer token that is for one of the audiences.
	Authenticate func(ctx context.Context, authorization string, audiences []string) (identity.Caller, error)
	Cloud        resource.Cloud
	Log          *slog.Logger
}

// A Door answers the calls of Batch's data plane.
type Door struct {
	Config
	door *rest.Door
}

// New returns the door.
func New(c Config) *Door {
	d := &Door{Config: c}
	d.door = rest.NewDoor(rest.Config{
		Style: rest.Batch, Authenticate: d.authenticate, Check: d.check, Failed: d.challenge, Log: c.Log,
		// A hundred tasks with long command lines and environments.
		MaxBody: 8 << 20,
	})
	d.poolRoutes()
	d.nodeRoutes()
	d.jobRoutes()
	d.taskRoutes()
	d.fileRoutes()
	d.certificateRoutes()
	d.imageRoutes()
	d.unbuiltRoutes()
	return d
}

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Dataserviceversion", "3.0")
	d.door.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, &visit{})))
}

// Routes lists the patterns of the door.
func (d *Door) Routes() []string { return d.door.Routes() }

// A visit is what the door finds out about a request before its handler runs.
type visit struct{ account Account }

type visitKey struct{}

func visitOf(r *http.Request) *visit { return r.Context().Value(visitKey{}).(*visit) }

// account returns the account that a request is for.
func account(r *http.Request) batch.Account { return visitOf(r).account.Account }

// condition holds the request's conditional headers against what is changed.
func condition(r *http.Request) batch.Condition {
	return func(version uint64, modified time.Time) error {
		return rest.Conditions(r, rest.ETag(version), modified)
	}
}

// contentType is that of all answers of this protocol.
const contentType = "application/json;odata=minimalmetadata"

// modified writes the headers that tell one state of a thing from another.
func modified(reply rest.Reply, version uint64) rest.Reply {
	if version == 0 {
		return reply
	}
	at := time.Unix(0, int64(version)).UTC()
	return reply.With("ETag", rest.ETag(version)).With("Last-Modified", at.Format(http.TimeFormat))
}

// changed is the answer to a call that changed or made something: no body, and where
// and what it is now.
func changed(r *http.Request, status int, path string, version uint64) rest.Reply {
	reply := modified(rest.Status(status), version).With("DataServiceId", account(r).URL+path)
	if status == http.StatusCreated {
		reply = reply.With("Location", account(r).URL+path)
	}
	return reply
}

// entity answers with one thing, cut down to what $select names.
func entity(r *http.Request, set string, v any, version uint64) (rest.Reply, error) {
	if version != 0 {
		if err := condition(r)(version, time.Unix(0, int64(version))); err != nil {
			return rest.Reply{}, err
		}
	}
	body, err := selected(r, v)
	if err != nil {
		return rest.Reply{}, err
	}
	body["odata.metadata"] = fmt.Sprintf("%s/$metadata#%s/@Element", account(r).URL, set)
	return modified(rest.OK(body), version).With("Content-Type", contentType), nil
}

// audiences are what tokens for this door are for.
func (d *Door) audiences() []string {
	const public = "https://batch.core.windows.net/"
	if d.Cloud.BatchAudience == public {
		return []string{public}
	}
	// Some SDKs have the public audience built in.
	return []string{d.Cloud.BatchAudience, public}
}

// challenge tells a caller without a proof where tokens come from.
func (d *Door) challenge(h http.Header, r *http.Request, f *fault.Fault) {
	if f.Code.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", fmt.Sprintf(`Bearer authorization_uri="https://%s/common/oauth2/authorize"`, d.Cloud.Login))
	}
}
