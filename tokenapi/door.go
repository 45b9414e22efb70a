// Package tokenapi is the door of the authority: where clients find out how to get
// tokens, get them, and fetch the keys to check them with.
//
// There is one tenant, and clients name it by its id, its domain name, "common",
// "organizations" or, in the form that asks nobody else first, "adfs". Whatever the
// name, the answer is about that tenant. There are no users: tokens are for
// applications, by their secret, and for managed identities, whose endpoint is here
// too (endpoint.go) though it is plain HTTP on loopback.
//
// Failures are OAuth's, with Azure's AADSTS numbers, because clients decide by these.
// A client that reads a 5xx or 429 here repeats it to itself for a minute, so bad
// input never earns one.
package tokenapi

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// Config is what the door leads to. Directory and Cloud must be set.
type Config struct {
	Directory *identity.Directory
	Cloud     resource.Cloud
	Log       *slog.Logger
}

type door struct{ Config }

// New returns the door.
func New(c Config) http.Handler {
	d := &door{c}
	r := rest.NewDoor(rest.Config{Style: style, MaxBody: maxForm, Log: c.Log})
	for _, path := range []string{"/{tenant}/.well-known/openid-configuration", "/{tenant}/v2.0/.well-known/openid-configuration"} {
		r.Open("GET "+path, d.configuration)
	}
	for _, path := range []string{"/{tenant}/discovery/keys", "/{tenant}/discovery/v2.0/keys"} {
		r.Open("GET "+path, d.keys)
	}
	r.Open("GET /{tenant}/discovery/instance", d.instance)
	r.Open("GET /{tenant}/userrealm/{user}", d.userRealm)
	r.Open("POST /{tenant}/oauth2/v2.0/token", d.token)
	r.Open("POST /{tenant}/oauth2/token", d.token)
	for _, path := range []string{
		"GET /{tenant}/oauth2/authorize", "GET /{tenant}/oauth2/v2.0/authorize",
		"POST /{tenant}/oauth2/devicecode", "POST /{tenant}/oauth2/v2.0/devicecode",
	} {
		r.Open(path, d.noUsers)
	}
	return r
}

// maxForm is more than any form that a client sends: the longest has an assertion.
const maxForm = 64 << 10

// style is OAuth's way to tell failures (RFC 6749, section 5.2) with Azure's additions.
var style = rest.Style{
	Body: func(r *http.Request, f *fault.Fault, id string) any {
		return oauthFailure(r, f, id)
	},
	ContentType:           "application/json; charset=utf-8",
	RequestID:             []string{"x-ms-request-id"},
	ClientRequestID:       "client-request-id",
	ReturnClientRequestID: "return-client-request-id",
	BadBody:               fault.OAuthInvalidRequest,
	NoRoute:               fault.NotFound,
	NoMethod:              fault.MethodNotAllowed,
}

type failureOut struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes,omitempty"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
}

func oauthFailure(r *http.Request, f *fault.Fault, id string) failureOut {
	at := time.Now().UTC().Format("2006-01-02 15:04:05Z")
	correlation := r.Header.Get("client-request-id")
	if !resource.IsGUID(correlation) {
		correlation = id
	}
	out := failureOut{Error: f.Code.Name, Description: f.Message, Timestamp: at, TraceID: id, CorrelationID: correlation}
	// The managed-identity endpoint has no numbers, and its sentences stand alone.
	if n, err := strconv.Atoi(f.Inner); err == nil {
		out.Description = "AADSTS" + f.Inner + ": " + f.Message + " Trace ID: " + id + " Correlation ID: " + correlation + " Timestamp: " + at
		out.Codes = []int{n}
	}
	return out
}

// tenantOf checks the tenant in the path. Every name that is accepted means the one
// tenant that there is.
func (d *door) tenantOf(r *http.Request) error {
	name := r.PathValue("tenant")
	for _, any := range []string{"common", "organizations", "adfs"} {
		if resource.Equal(name, any) {
			return nil
		}
	}
	if d.Directory.IsTenant(name) {
		return nil
	}
	return fault.OAuthInvalidTenant.New("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. "+
		"Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", name).Because("90002")
}

// noUsers answers who wants to sign in a person.
func (d *door) noUsers(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	if err := d.tenantOf(r); err != nil {
		return rest.Reply{}, err
	}
	return rest.Reply{}, fault.OAuthUnauthorizedClient.New("There are no user accounts in the directory '%s'. "+
		"Sign in as an application with its secret, or as a managed identity.", d.Directory.Tenant()).Because("50034")
}
