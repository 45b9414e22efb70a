package tokenapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// configurationOut is the OpenID Connect discovery document.
type configurationOut struct {
	TokenEndpoint      string   `json:"token_endpoint"`
	TokenAuth          []string `json:"token_endpoint_auth_methods_supported"`
	JWKS               string   `json:"jwks_uri"`
	ResponseModes      []string `json:"response_modes_supported"`
	SubjectTypes       []string `json:"subject_types_supported"`
	SigningAlgorithms  []string `json:"id_token_signing_alg_values_supported"`
	ResponseTypes      []string `json:"response_types_supported"`
	Scopes             []string `json:"scopes_supported"`
	Grants             []string `json:"grant_types_supported"`
	Issuer             string   `json:"issuer"`
	Authorization      string   `json:"authorization_endpoint"`
	DeviceCode         string   `json:"device_authorization_endpoint"`
	Claims             []string `json:"claims_supported"`
	RegionScope        *string  `json:"tenant_region_scope"`
	CloudInstance      string   `json:"cloud_instance_name"`
	CloudGraphHost     string   `json:"cloud_graph_host_name"`
	MicrosoftGraphHost string   `json:"msgraph_host"`
}

// configuration serves the discovery document. Its addresses name the tenant by its
// id, whatever the client called it, because some clients take the tenant's id from
// there; only adfs stays adfs, because those clients drop the tenant everywhere.
func (d *door) configuration(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	if err := d.tenantOf(r); err != nil {
		return rest.Reply{}, err
	}
	host := "https://" + d.Cloud.Login + "/"
	base, version := host+d.Directory.Tenant(), ""
	if resource.Equal(r.PathValue("tenant"), "adfs") {
		base = host + "adfs"
	} else if strings.Contains(resource.Fold(r.URL.Path), "/v2.0/") {
		version = "/v2.0"
	}
	return rest.OK(configurationOut{
		TokenEndpoint: base + "/oauth2" + version + "/token",
		TokenAuth:     []string{"client_secret_post", "client_secret_basic"},
		JWKS:          base + "/discovery" + version + "/keys",
		ResponseModes: []string{"query", "fragment", "form_post"}, SubjectTypes: []string{"pairwise"},
		SigningAlgorithms: []string{"RS256"}, ResponseTypes: []string{"code"},
		Scopes: []string{"openid", "profile", "offline_access"}, Grants: []string{"client_credentials"},
		Issuer: d.Directory.Issuer(), Authorization: base + "/oauth2" + version + "/authorize",
		DeviceCode: base + "/oauth2" + version + "/devicecode",
		Claims: []string{
			"sub", "iss", "aud", "exp", "iat", "nbf", "jti", "tid", "oid", "appid", "appidacr", "azp", "azpacr", "idtyp", "name", "ver", "xms_mirid",
		},
		CloudInstance: instanceName(d.Cloud), CloudGraphHost: d.Cloud.Graph, MicrosoftGraphHost: d.Cloud.Graph,
	}), nil
}

// instanceName is the authority's name without its first word, as Azure writes it.
func instanceName(c resource.Cloud) string {
	_, name, _ := strings.Cut(c.Login, ".")
	return name
}

type keyOut struct {
	Type      string `json:"kty"`
	Use       string `json:"use"`
	KID       string `json:"kid"`
	Algorithm string `json:"alg"`
	N         string `json:"n"`
	E         string `json:"e"`
	Issuer    string `json:"issuer"`
}

// keys serves the public halves of the signing keys.
func (d *door) keys(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	if err := d.tenantOf(r); err != nil {
		return rest.Reply{}, err
	}
	all, err := d.Directory.SigningKeys(r.Context())
	if err != nil {
		return rest.Reply{}, err
	}
	out := struct {
		Keys []keyOut `json:"keys"`
	}{}
	for _, k := range all {
		out.Keys = append(out.Keys, keyOut{Type: "RSA", Use: "sig", KID: k.KID, Algorithm: "RS256", N: k.N, E: k.E, Issuer: d.Directory.Issuer()})
	}
	return rest.OK(out), nil
}

type instanceOut struct {
	TenantDiscovery string         `json:"tenant_discovery_endpoint"`
	Version         string         `json:"api-version"`
	Metadata        []aliasesOfOut `json:"metadata"`
}

type aliasesOfOut struct {
	Network string   `json:"preferred_network"`
	Cache   string   `json:"preferred_cache"`
	Aliases []string `json:"aliases"`
}

// aliases are the authority's host names: ours, and for Azure's profile those that its
// own answer lists, the one first under which clients keep tokens.
func (d *door) aliases() aliasesOfOut {
	login := d.Cloud.Login
	if d.Cloud.Name != resource.Azure().Name {
		return aliasesOfOut{login, login, []string{login}}
	}
	return aliasesOfOut{login, "login.windows.net", []string{login, "login.windows.net", "login.microsoft.com", "sts.windows.net"}}
}

// instance tells clients whether an authority may be trusted. They ask it of the public
// cloud's authority whatever their own is, which through the proxy is us.
func (d *door) instance(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	if err := d.tenantOf(r); err != nil {
		return rest.Reply{}, err
	}
	asked := rest.Query(r, "authorization_endpoint")
	if asked == "" {
		return rest.Reply{}, fault.OAuthInvalidRequest.New("The request query must contain the following parameter: 'authorization_endpoint'.").Because("900144")
	}
	names := d.aliases()
	u, err := url.Parse(asked)
	if err != nil || !resource.Equal(u.Scheme, "https") || !slices.ContainsFunc(names.Aliases, func(a string) bool { return resource.Equal(a, u.Host) }) {
		return rest.Reply{}, fault.OAuthInvalidInstance.New("Unknown or invalid instance.").Because("50049")
	}
	tenant, _, _ := strings.Cut(strings.TrimLeft(u.Path, "/"), "/")
	if tenant == "" {
		tenant = "common"
	}
	version := rest.Query(r, "api-version")
	document := "/.well-known/openid-configuration"
	if version != "1.0" {
		version, document = "1.1", "/v2.0"+document
	}
	return rest.OK(instanceOut{
		TenantDiscovery: "https://" + d.Cloud.Login + "/" + url.PathEscape(tenant) + document, Version: version, Metadata: []aliasesOfOut{names},
	}), nil
}

type realmOut struct {
	Version       string `json:"ver"`
	AccountType   string `json:"account_type"`
	Domain        string `json:"domain_name,omitempty"`
	CloudInstance string `json:"cloud_instance_name"`
	CloudAudience string `json:"cloud_audience_urn"`
}

// userRealm says where a user's password would be checked: here, if the domain is the
// tenant's. The token endpoint then says that there are no users.
func (d *door) userRealm(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	if err := d.tenantOf(r); err != nil {
		return rest.Reply{}, err
	}
	out := realmOut{Version: "1.0", AccountType: "Unknown", CloudInstance: instanceName(d.Cloud), CloudAudience: "urn:federation:MicrosoftOnline"}
	if _, domain, ok := strings.Cut(r.PathValue("user"), "@"); ok && resource.Equal(domain, d.Directory.Domain()) {
		out.AccountType, out.Domain = "Managed", d.Directory.Domain()
	}
	return rest.OK(out), nil
}
