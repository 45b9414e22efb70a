package tokenapi

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// EndpointConfig is what NewIdentityEndpoint needs. Directory and Base must be set.
type EndpointConfig struct {
	Directory *identity.Directory
	// Base is the address under which clients reach the handler, such as
	// http://127.0.0.1:8080, without a slash at the end.
	Base string
	Log  *slog.Logger
}

type endpoint struct{ EndpointConfig }

// NewIdentityEndpoint returns the handler of everything below /identity/ and /local/:
// where programs on this machine get tokens of a managed identity, and where they
// learn how.
//
//	POST /local/identity                                       who may be whom: a grant
//	GET  /identity/GRANT/token                                 as App Service has it
//	GET  /identity/GRANT/metadata/identity/oauth2/token        as a virtual machine has it
//
// A grant is one user-assigned identity and a secret that stands in the path, because
// the older clients send nothing else that could tell who they are. Where the protocol
// has a header, it is asked for as well: it keeps out whoever can only make a program
// follow a link.
func NewIdentityEndpoint(c EndpointConfig) http.Handler {
	e := &endpoint{c}
	tokens := rest.NewDoor(rest.Config{Style: style, MaxBody: maxForm, Log: c.Log})
	tokens.Open("GET /identity/{grant}/token", e.appService)
	tokens.Open("POST /identity/{grant}/token", e.metadata)
	tokens.Open("GET /identity/{grant}/metadata/identity/oauth2/token", e.metadata)
	tokens.Open("POST /identity/{grant}/metadata/identity/oauth2/token", e.metadata)
	grants := rest.NewDoor(rest.Config{Style: rest.ARM, MaxBody: maxForm, Authenticate: e.authenticate, Log: c.Log})
	grants.Handle("POST /local/identity", e.grant)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(strings.TrimLeft(r.URL.Path, "/"), "identity/") {
			tokens.ServeHTTP(w, r)
			return
		}
		grants.ServeHTTP(w, r)
	})
}

// authenticate knows applications by their secret alone: it comes from a file that
// only the user who runs the service can read.
func (e *endpoint) authenticate(r *http.Request) (identity.Caller, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return identity.Caller{}, fault.AuthenticationFailed.New("")
	}
	p, err := e.Directory.OwnerSecret(r.Context(), strings.TrimSpace(secret))
	if errors.Is(err, identity.ErrWrongSecret) {
		return identity.Caller{}, fault.AuthenticationFailed.New("The secret is not that of an application.")
	}
	return identity.Caller{Tenant: e.Directory.Tenant(), ObjectID: p.ObjectID, AppID: p.ClientID, Name: p.Name, Kind: p.Kind, Address: r.RemoteAddr}, err
}

type grantOut struct {
	Endpoint string `json:"endpoint"`
	Header   string `json:"header"`
	PodHost  string `json:"podHost"`
	ClientID string `json:"clientId"`
	TenantID string `json:"tenantId"`
}

// grant gives out the way to be an identity, to those who may give it to a resource.
func (e *endpoint) grant(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in struct {
		Identity string `json:"identity"`
	}
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Identity == "" {
		return rest.Reply{}, fault.InvalidParameter.New("The property 'identity' must name a user-assigned identity.")
	}
	m, ok, err := e.Directory.FindIdentity(r.Context(), in.Identity)
	if err != nil {
		return rest.Reply{}, err
	}
	if !ok || m.System {
		return rest.Reply{}, fault.NotFound.New("There is no user-assigned identity '%s', or more than one has this name.", in.Identity)
	}
	if err := e.Directory.Require(r.Context(), who, identity.UserAssignedType+"/assign/action", m.ResourceID); err != nil {
		return rest.Reply{}, err
	}
	g, err := e.Directory.GrantIdentity(r.Context(), m.ResourceID)
	if err != nil {
		return rest.Reply{}, err
	}
	host := strings.TrimRight(e.Base, "/") + "/identity/" + g.Secret
	return private(rest.OK(grantOut{
		Endpoint: host + "/token", Header: g.Secret, PodHost: host, ClientID: m.ClientID, TenantID: m.TenantID,
	})), nil
}

// appService answers as App Service does: 2019-08-01 with X-IDENTITY-HEADER, and
// 2017-09-01 with a header called secret.
func (e *endpoint) appService(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	header := r.Header.Get("X-IDENTITY-HEADER")
	if header == "" {
		header = r.Header.Get("secret")
	}
	if header == "" {
		return rest.Reply{}, badIdentityRequest("Required header X-IDENTITY-HEADER not specified")
	}
	if header != r.PathValue("grant") {
		return rest.Reply{}, badIdentityRequest("Identity not found")
	}
	return e.token(r, r.URL.Query())
}

// metadata answers as a virtual machine's metadata service does, and as the endpoint
// that came before it: a form instead of a query.
func (e *endpoint) metadata(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	if !strings.EqualFold(r.Header.Get("Metadata"), "true") {
		return rest.Reply{}, badIdentityRequest("Required metadata header not specified")
	}
	asked := r.URL.Query()
	if r.Method == http.MethodPost {
		form, err := readForm(r)
		if err != nil {
			return rest.Reply{}, err
		}
		for name, values := range form {
			asked[name] = values
		}
	}
	return e.token(r, asked)
}

// badIdentityRequest is the failure of a managed-identity endpoint. It is never a 404,
// which clients take for an endpoint that is about to come up and ask again.
func badIdentityRequest(text string) error { return fault.OAuthInvalidRequest.New("%s", text) }

// token issues a token to the identity of the grant. A selector, under any of the names
// that it has had, must mean that identity.
func (e *endpoint) token(r *http.Request, asked url.Values) (rest.Reply, error) {
	m, ok, err := e.Directory.GrantedIdentity(r.Context(), r.PathValue("grant"))
	if err != nil {
		return rest.Reply{}, err
	}
	if !ok {
		return rest.Reply{}, badIdentityRequest("Identity not found")
	}
	for name, is := range map[string]string{
		"client_id": m.ClientID, "clientid": m.ClientID, "object_id": m.PrincipalID, "principal_id": m.PrincipalID,
		"mi_res_id": m.ResourceID, "msi_res_id": m.ResourceID,
	} {
		if want := asked.Get(name); want != "" && !resource.Equal(want, is) {
			return rest.Reply{}, badIdentityRequest("Identity not found")
		}
	}
	audience := asked.Get("resource")
	if audience == "" {
		return rest.Reply{}, badIdentityRequest("Required query variable 'resource' is missing")
	}
	if !e.Directory.KnowsAudience(audience) {
		return rest.Reply{}, unknownResource(audience, e.Directory.TenantName())
	}
	t, err := e.Directory.ManagedToken(r.Context(), m.PrincipalID, audience)
	if errors.Is(err, fault.FailedIdentityOperation) {
		return rest.Reply{}, badIdentityRequest("Identity not found")
	}
	if err != nil {
		return rest.Reply{}, err
	}
	out := resourceToken(t)
	out.ClientID = m.ClientID
	return private(rest.OK(out)), nil
}
