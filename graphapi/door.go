// Package graphapi is the door of the directory: as much of Microsoft Graph as the
// tools ask that give principals access to things.
//
// It reads and never writes. Every caller with a token of the tenant may look
// principals up, as every member of an Azure tenant may.
package graphapi

import (
	"log/slog"
	"net/http"
	"strings"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// Config is what the door leads to. Every field must be set.
type Config struct {
	Directory *identity.Directory
	Cloud     resource.Cloud
	Log       *slog.Logger
}

// A Door answers Graph's calls.
type Door struct {
	Config
	audiences []string
}

// New returns the door.
func New(c Config) http.Handler {
	d := &Door{Config: c, audiences: []string{
		"https://" + c.Cloud.Graph, "https://graph.microsoft.com", "https://graph.windows.net",
		// The id of Graph itself, which some tools ask tokens for.
		"00000003-0000-0000-c000-000000000000",
	}}
	door := rest.NewDoor(rest.Config{Style: rest.Graph, Authenticate: d.authenticate, Failed: d.challenge, Log: c.Log})
	for _, version := range []string{"/v1.0", "/beta"} {
		door.Handle("GET "+version+"/me", d.me)
		door.Handle("GET "+version+"/servicePrincipals", d.servicePrincipals)
		door.Handle("GET "+version+"/servicePrincipals/{id}", d.servicePrincipal)
		door.Handle("GET "+version+"/servicePrincipals(appId='{app}')", d.servicePrincipalOfApp)
		door.Handle("GET "+version+"/applications", d.applications)
		door.Handle("GET "+version+"/applications/{id}", d.application)
		door.Handle("GET "+version+"/applications(appId='{app}')", d.applicationOfApp)
		door.Handle("GET "+version+"/users", d.users)
		door.Handle("GET "+version+"/users/{id}", d.user)
		door.Handle("GET "+version+"/groups", d.users)
		door.Handle("GET "+version+"/groups/{id}", d.user)
		door.Handle("GET "+version+"/directoryObjects/{id}", d.directoryObject)
		door.Handle("POST "+version+"/directoryObjects/getByIds", d.getByIDs)
		door.Handle("GET "+version+"/organization", d.organization)
	}
	return door
}

// authenticate has one code for whatever is wrong with a token, as Graph does; only a
// stale one stays what it is, because its challenge differs.
func (d *Door) authenticate(r *http.Request) (identity.Caller, error) {
	who, err := d.Directory.Authenticate(r.Context(), r.Header.Get("Authorization"), d.audiences)
	if f, ok := fault.From(err); ok && f.Code.Status == http.StatusUnauthorized && f.Code != fault.StaleToken {
		return who, fault.InvalidToken.New("%s", f.Message)
	}
	return who, err
}

func (d *Door) challenge(h http.Header, _ *http.Request, f *fault.Fault) {
	if f.Code.Status != http.StatusUnauthorized {
		return
	}
	value := identity.Challenge(f, d.Cloud.Login, d.Directory.Tenant())
	if value == "" {
		value = `Bearer realm="", authorization_uri="https://` + d.Cloud.Login + `/common/oauth2/authorize"`
	}
	h.Set("WWW-Authenticate", value)
}

// list is a page of Graph's, which here is always the last.
func (d *Door) list(entity string, value any) rest.Reply {
	return rest.OK(map[string]any{"@odata.context": d.context(entity), "value": value})
}

func (d *Door) context(entity string) string {
	return "https://" + d.Cloud.Graph + "/v1.0/$metadata#" + entity
}

func missing(id string) error {
	return fault.RequestResourceNotFound.New("Resource '%s' does not exist or one of its queried reference-property objects are not present.", id)
}

// me is for people. What signs in here is programs, and they get what Azure tells
// them.
func (d *Door) me(*http.Request, identity.Caller) (rest.Reply, error) {
	return rest.Reply{}, fault.GraphBadRequest.New("/me request is only valid with delegated authentication flow.")
}

// users answers for people and their groups: the directory has none.
func (d *Door) users(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	_, entity, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	return d.list(entity, []any{}), nil
}

func (d *Door) user(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	return rest.Reply{}, missing(r.PathValue("id"))
}

func (d *Door) organization(*http.Request, identity.Caller) (rest.Reply, error) {
	type domain struct {
		Name      string `json:"name"`
		IsDefault bool   `json:"isDefault"`
		IsInitial bool   `json:"isInitial"`
	}
	return d.list("organization", []map[string]any{{
		"id": d.Directory.Tenant(), "displayName": d.Directory.TenantName(),
		"verifiedDomains": []domain{{d.Directory.Domain(), true, true}},
	}}), nil
}
