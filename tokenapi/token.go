package tokenapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// tokenOut is the answer of the second version of the token endpoint.
type tokenOut struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	ExtExpiresIn int64  `json:"ext_expires_in"`
	AccessToken  string `json:"access_token"`
}

// resourceTokenOut is the answer of the first version and of the managed-identity
// endpoint, where numbers are strings.
type resourceTokenOut struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    string `json:"expires_in"`
	ExtExpiresIn string `json:"ext_expires_in"`
	ExpiresOn    string `json:"expires_on"`
	NotBefore    string `json:"not_before"`
	Resource     string `json:"resource"`
	AccessToken  string `json:"access_token"`
	ClientID     string `json:"client_id,omitempty"`
}

func resourceToken(t identity.Token) resourceTokenOut {
	left := strconv.FormatInt(lifetime(t), 10)
	return resourceTokenOut{
		TokenType: "Bearer", ExpiresIn: left, ExtExpiresIn: left, Resource: t.Audience, AccessToken: t.Value,
		ExpiresOn: strconv.FormatInt(t.Expires.Unix(), 10), NotBefore: strconv.FormatInt(t.NotBefore.Unix(), 10),
	}
}

// lifetime is how many whole seconds a token has left.
func lifetime(t identity.Token) int64 { return int64(time.Until(t.Expires) / time.Second) }

// token answers the token endpoint, both versions.
func (d *door) token(r *http.Request, _ identity.Caller) (rest.Reply, error) {
	if err := d.tenantOf(r); err != nil {
		return rest.Reply{}, err
	}
	form, err := readForm(r)
	if err != nil {
		return rest.Reply{}, err
	}
	grant := form.Get("grant_type")
	if grant == "" {
		return rest.Reply{}, missing("grant_type")
	}
	if grant != "client_credentials" {
		return rest.Reply{}, fault.OAuthUnsupportedGrant.New("The app requested an unsupported grant type '%s'. Only 'client_credentials' is supported.", grant).Because("70003")
	}
	client, secret, err := credentials(r, form)
	if err != nil {
		return rest.Reply{}, err
	}
	old := !strings.Contains(resource.Fold(r.URL.Path), "/v2.0/")
	audience, err := d.audience(form, old)
	if err != nil {
		return rest.Reply{}, err
	}
	t, err := d.applicationToken(r.Context(), client, secret, audience)
	if err != nil {
		return rest.Reply{}, err
	}
	left := lifetime(t)
	var body any = tokenOut{TokenType: "Bearer", ExpiresIn: left, ExtExpiresIn: left, AccessToken: t.Value}
	if old && form.Has("resource") {
		body = resourceToken(t)
	}
	return private(rest.OK(body)), nil
}

func (d *door) applicationToken(ctx context.Context, client, secret, audience string) (identity.Token, error) {
	t, err := d.Directory.ApplicationToken(ctx, client, secret, audience)
	switch {
	case errors.Is(err, identity.ErrNoApplication):
		return t, fault.OAuthUnauthorizedClient.New("Application with identifier '%s' was not found in the directory '%s'. "+
			"This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "+
			"You may have sent your authentication request to the wrong tenant.", client, d.Directory.TenantName()).Because("700016")
	case errors.Is(err, identity.ErrWrongSecret):
		return t, fault.OAuthInvalidClient.New("Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "+
			"not the client secret ID, for a secret added to app '%s'.", client).Because("7000215")
	}
	if err == nil && !d.Directory.KnowsAudience(audience) {
		return t, unknownResource(audience, d.Directory.TenantName())
	}
	return t, err
}

func unknownResource(name, tenant string) error {
	return fault.OAuthInvalidResource.New("The resource principal named %s was not found in the tenant named %s. "+
		"This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. "+
		"You might have sent your authentication request to the wrong tenant.", name, tenant).Because("500011")
}

// private keeps a reply with a token out of caches.
func private(r rest.Reply) rest.Reply {
	return r.With("Cache-Control", "no-store").With("Pragma", "no-cache")
}

// readForm reads the body as a form. What is in the query is not looked at: secrets do
// not belong there.
func readForm(r *http.Request) (url.Values, error) {
	var large *http.MaxBytesError
	if err := r.ParseForm(); errors.As(err, &large) {
		return nil, fault.RequestBodyTooLarge.New("")
	} else if err != nil {
		return nil, fault.OAuthInvalidRequest.New("The request is malformed: its body is not a form.").Because("90014")
	}
	return r.PostForm, nil
}

func missing(name string) error {
	return fault.OAuthInvalidRequest.New("The request body must contain the following parameter: '%s'.", name).Because("900144")
}

// credentials returns who asks and by which secret, from the body or from a Basic
// header (RFC 6749, section 2.3.1).
func credentials(r *http.Request, form url.Values) (client, secret string, err error) {
	client, secret = form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		// Both halves are form-encoded before they are joined; a client that forgot it
		// is understood as well, as long as nothing in there looks encoded.
		if u, err := url.QueryUnescape(user); err == nil {
			user = u
		}
		if p, err := url.QueryUnescape(password); err == nil {
			password = p
		}
		if client != "" && !resource.Equal(client, user) {
			return "", "", fault.OAuthInvalidRequest.New("The client in the 'Authorization' header is not the one in the request body.").Because("90023")
		}
		client = user
		if secret == "" {
			secret = password
		}
	}
	switch {
	case client == "":
		return "", "", missing("client_id")
	case secret != "":
		return client, secret, nil
	case form.Get("client_assertion") != "":
		return "", "", fault.OAuthInvalidClient.New("No matching federated identity record found for presented assertion.").Because("70021")
	}
	return "", "", fault.OAuthInvalidClient.New("The request body must contain the following parameter: 'client_assertion' or 'client_secret'.").Because("7000218")
}

// audience returns the resource that a token is asked for: in the first version by its
// name, in the second by a scope that is its name and /.default. Whatever is in front
// of /.default belongs to the name, a slash at its end included. The first version
// takes a scope too, because clients of the adfs form send one.
func (d *door) audience(form url.Values, old bool) (string, error) {
	if name := form.Get("resource"); old && name != "" {
		return name, nil
	}
	scope := strings.Fields(form.Get("scope"))
	if len(scope) == 0 {
		if old {
			return "", missing("resource")
		}
		return "", missing("scope")
	}
	found := ""
	for _, word := range scope {
		name, ok := strings.CutSuffix(word, "/.default")
		if !ok {
			continue
		}
		if found != "" && found != name {
			return "", fault.OAuthInvalidScope.New("Provided value for the input parameter scope is not valid because it contains more than one resource. Scope %s is not valid.",
				form.Get("scope")).Because("28000")
		}
		found = name
	}
	if found == "" {
		return "", fault.OAuthInvalidScope.New("The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed "+
			"to the resource identifier (application ID URI).", form.Get("scope")).Because("1002012")
	}
	return found, nil
}
