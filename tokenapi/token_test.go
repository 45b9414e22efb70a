package tokenapi_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"latchkey/resource"
)

// audienceOf returns who a token is for.
func audienceOf(t *testing.T, token string) any {
	t.Helper()
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		t.Fatal(err)
	}
	return claims["aud"]
}

func TestTokensAreGivenForTheSecret(t *testing.T) {
	t.Parallel()
	w := setup(t, resource.Azure())
	b := w.Bootstrap()
	scope := func(s string) func(url.Values) { return func(f url.Values) { f.Set("scope", s) } }
	name := func(s string) func(url.Values) {
		return func(f url.Values) { f.Del("scope"); f.Set("resource", s) }
	}
	v2, v1 := "/"+b.TenantID+"/oauth2/v2.0/token", "/"+b.TenantID+"/oauth2/token"
	for what, c := range map[string]struct {
		path     string
		change   func(url.Values)
		audience string
	}{
		"Resource Manager, two slashes":  {v2, scope("https://management.core.windows.net//.default"), "https://management.core.windows.net/"},
		"Resource Manager, one slash":    {v2, scope("https://management.azure.com/.default"), "https://management.azure.com"},
		"vault":                          {v2, scope("https://vault.azure.net/.default"), "https://vault.azure.net"},
		"Batch":                          {v2, scope("https://batch.core.windows.net//.default"), "https://batch.core.windows.net/"},
		"Graph":                          {v2, scope("https://graph.microsoft.com/.default"), "https://graph.microsoft.com"},
		"old Graph":                      {v2, scope("https://graph.windows.net//.default"), "https://graph.windows.net/"},
		"other words in the scope":       {v2, scope("openid offline_access https://vault.azure.net/.default profile"), "https://vault.azure.net"},
		"the same scope twice":           {v2, scope("https://vault.azure.net/.default https://vault.azure.net/.default"), "https://vault.azure.net"},
		"double slash in the path":       {"/" + v2, scope("https://vault.azure.net/.default"), "https://vault.azure.net"},
		"slash at the end of the path":   {v2 + "/", scope("https://vault.azure.net/.default"), "https://vault.azure.net"},
		"tenant by its domain":           {"/Latchkey.Local/oauth2/v2.0/token", scope("https://vault.azure.net/.default"), "https://vault.azure.net"},
		"tenant in capitals":             {strings.ToUpper("/" + b.TenantID), nil, ""},
		"common":                         {"/common/oauth2/v2.0/token", scope("https://vault.azure.net/.default"), "https://vault.azure.net"},
		"organizations":                  {"/organizations/oauth2/v2.0/token", scope("https://vault.azure.net/.default"), "https://vault.azure.net"},
		"adfs with a scope":              {"/adfs/oauth2/token", scope("https://management.azure.com//.default"), "https://management.azure.com/"},
		"v1":                             {v1, name("https://management.azure.com/"), "https://management.azure.com/"},
		"v1 without a slash":             {v1, name("https://vault.azure.net"), "https://vault.azure.net"},
		"id of the request in the query": {v2 + "?client-request-id=" + resource.NewGUID(), scope("https://vault.azure.net/.default"), "https://vault.azure.net"},
		"what az adds": {v2, func(f url.Values) {
			f.Set("client_info", "1")
			f.Set("claims", `{"access_token":{"nbf":{"essential":true,"value":"1"},"xms_cc":{"values":["CP1"]}}}`)
		}, "https://management.azure.com/"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			path := c.path
			if c.change == nil {
				path, c.change, c.audience = c.path+"/oauth2/v2.0/token", func(url.Values) {}, "https://management.azure.com/"
			}
			form := w.form()
			c.change(form)
			got := w.post(t, path, nil, form)
			if got.status != http.StatusOK || got.text("token_type") != "Bearer" {
				t.Fatalf("got %d %v", got.status, got.body)
			}
			if cache := got.header.Get("Cache-Control"); cache != "no-store" {
				t.Errorf("Cache-Control = %q, want no-store", cache)
			}
			if aud := audienceOf(t, got.text("access_token")); aud != c.audience {
				t.Errorf("aud = %v, want %s", aud, c.audience)
			}
			if _, err := w.Authenticate(t.Context(), "Bearer "+got.text("access_token"), []string{c.audience}); err != nil {
				t.Errorf("the token does not work: %v", err)
			}
		})
	}
}

func TestTheFirstVersionWritesNumbersAsStrings(t *testing.T) {
	t.Parallel()
	w := setup(t, resource.Azure())
	form := w.form()
	form.Del("scope")
	form.Set("resource", "https://vault.azure.net")
	got := w.post(t, "/"+w.Tenant()+"/oauth2/token", nil, form)
	on, err := strconv.ParseInt(got.text("expires_on"), 10, 64)
	if err != nil || time.Until(time.Unix(on, 0)) < 55*time.Minute {
		t.Errorf("expires_on = %q", got.text("expires_on"))
	}
	if n, err := strconv.Atoi(got.text("expires_in")); err != nil || n < 3590 || n > 3600 {
		t.Errorf("expires_in = %q", got.text("expires_in"))
	}
	if _, err := strconv.Atoi(got.text("not_before")); err != nil || got.text("resource") != "https://vault.azure.net" {
		t.Errorf("got %v", got.body)
	}
	got = w.post(t, "/"+w.Tenant()+"/oauth2/v2.0/token", nil, w.form())
	if n, ok := got.body["expires_in"].(float64); !ok || n < 3590 || n > 3600 {
		t.Errorf("second version: expires_in = %v, want a number", got.body["expires_in"])
	}
}

func TestTheSecretMayComeInTheHeader(t *testing.T) {
	t.Parallel()
	w := setup(t, resource.Azure())
	b := w.Bootstrap()
	basic := func(user, password string) map[string]string {
		return map[string]string{"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
	}
	form := w.form()
	form.Del("client_secret")
	if got := w.post(t, "/common/oauth2/v2.0/token", basic(b.ClientID, b.Secret), form); got.status != http.StatusOK {
		t.Errorf("with client_id in the body too: got %d %v", got.status, got.body)
	}
	form.Set("client_id", resource.NewGUID())
	if got := w.post(t, "/common/oauth2/v2.0/token", basic(b.ClientID, b.Secret), form); got.status != http.StatusBadRequest {
		t.Errorf("with another client_id in the body: got %d %v", got.status, got.body)
	}
	form.Del("client_id")
	if got := w.post(t, "/common/oauth2/v2.0/token", basic(url.QueryEscape(b.ClientID), url.QueryEscape(b.Secret)), form); got.status != http.StatusOK {
		t.Errorf("header alone: got %d %v", got.status, got.body)
	}
	if got := w.post(t, "/common/oauth2/v2.0/token", basic(b.ClientID, "wrong"), form); got.status != http.StatusUnauthorized {
		t.Errorf("wrong secret: got %d %v", got.status, got.body)
	}
	if got := w.post(t, "/common/oauth2/v2.0/token", map[string]string{"Authorization": "Basic ?"}, form); got.status != http.StatusBadRequest {
		t.Errorf("broken header: got %d %v", got.status, got.body)
	}
}

func TestBadTokenRequestsAreRefusedAsAzureDoes(t *testing.T) {
	t.Parallel()
	w := setup(t, resource.Azure())
	m := func(name, value string) func(url.Values) { return func(f url.Values) { f.Set(name, value) } }
	without := func(names ...string) func(url.Values) {
		return func(f url.Values) {
			for _, n := range names {
				f.Del(n)
			}
		}
	}
	v2, v1 := "/"+w.Tenant()+"/oauth2/v2.0/token", "/"+w.Tenant()+"/oauth2/token"
	for name, c := range map[string]struct {
		path   string
		change func(url.Values)
		status int
		error  string
		number float64
	}{
		"wrong secret":               {v2, m("client_secret", "wrong"), 401, "invalid_client", 7000215},
		"no secret":                  {v2, without("client_secret"), 401, "invalid_client", 7000218},
		"an assertion":               {v2, func(f url.Values) { f.Del("client_secret"); f.Set("client_assertion", "a.b.c") }, 401, "invalid_client", 70021},
		"unknown client":             {v2, m("client_id", resource.NewGUID()), 400, "unauthorized_client", 700016},
		"client id is no GUID":       {v2, m("client_id", "me"), 400, "unauthorized_client", 700016},
		"no client":                  {v2, without("client_id"), 400, "invalid_request", 900144},
		"no grant type":              {v2, without("grant_type"), 400, "invalid_request", 900144},
		"nothing":                    {v2, func(f url.Values) { clear(f) }, 400, "invalid_request", 900144},
		"password":                   {v2, m("grant_type", "password"), 400, "unsupported_grant_type", 70003},
		"refresh token":              {v2, m("grant_type", "refresh_token"), 400, "unsupported_grant_type", 70003},
		"unknown resource":           {v2, m("scope", "https://elsewhere.example/.default"), 400, "invalid_resource", 500011},
		"a vault for a resource":     {v2, m("scope", "https://v1.vault.azure.net/.default"), 400, "invalid_resource", 500011},
		"no scope":                   {v2, without("scope"), 400, "invalid_request", 900144},
		"scope without default":      {v2, m("scope", "https://vault.azure.net/keys"), 400, "invalid_scope", 1002012},
		"only openid":                {v2, m("scope", "openid"), 400, "invalid_scope", 1002012},
		"empty resource in scope":    {v2, m("scope", "/.default"), 400, "invalid_scope", 1002012},
		"two resources":              {v2, m("scope", "https://vault.azure.net/.default https://graph.microsoft.com/.default"), 400, "invalid_scope", 28000},
		"no resource":                {v1, without("scope"), 400, "invalid_request", 900144},
		"unknown resource, v1":       {v1, m("resource", "x"), 400, "invalid_resource", 500011},
		"unknown tenant":             {"/" + resource.NewGUID() + "/oauth2/v2.0/token", without(), 400, "invalid_tenant", 90002},
		"unknown domain":             {"/contoso.example/oauth2/v2.0/token", without(), 400, "invalid_tenant", 90002},
		"wrong secret and resource":  {v2, func(f url.Values) { f.Set("client_secret", "x"); f.Set("scope", "https://x.example/.default") }, 401, "invalid_client", 7000215},
		"strange letters everywhere": {v2, func(f url.Values) { f.Set("client_id", "\x00\xff'\"<>"); f.Set("client_secret", "\r\n") }, 400, "unauthorized_client", 700016},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form := w.form()
			c.change(form)
			got := w.post(t, c.path, nil, form)
			codes, _ := got.body["error_codes"].([]any)
			if got.status != c.status || got.text("error") != c.error || len(codes) != 1 || codes[0] != c.number {
				t.Fatalf("got %d %v, want %d %s %v", got.status, got.body, c.status, c.error, c.number)
			}
			want := "AADSTS" + strconv.Itoa(int(c.number)) + ": "
			if !strings.HasPrefix(got.text("error_description"), want) {
				t.Errorf("error_description = %q, want it to begin with %q", got.text("error_description"), want)
			}
			for _, field := range []string{"timestamp", "trace_id", "correlation_id"} {
				if got.text(field) == "" {
					t.Errorf("%s is missing", field)
				}
			}
		})
	}
}

func TestTokenRequestsThatAreNoForms(t *testing.T) {
	t.Parallel()
	w := setup(t, resource.Azure())
	address := w.login.URL + "/common/oauth2/v2.0/token"
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for name, c := range map[string]struct {
		method string
		header map[string]string
		body   string
		status int
	}{
		"JSON":             {http.MethodPost, map[string]string{"Content-Type": "application/json"}, `{"grant_type":"client_credentials"}`, 400},
		"no content type":  {http.MethodPost, nil, w.form().Encode(), 400},
		"bad content type": {http.MethodPost, map[string]string{"Content-Type": ";;"}, w.form().Encode(), 400},
		"bad encoding":     {http.MethodPost, form, "grant_type=%zz", 400},
		"semicolons":       {http.MethodPost, form, "grant_type=client_credentials;client_id=x", 400},
		"too large":        {http.MethodPost, form, "a=" + strings.Repeat("a", 1<<20), 413},
		"GET":              {http.MethodGet, nil, "", 405},
		"PUT":              {http.MethodPut, form, w.form().Encode(), 405},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := send(t, c.method, address, c.header, c.body)
			if got.status != c.status || got.text("error") == "" || got.text("error_description") == "" {
				t.Errorf("got %d %v, want %d", got.status, got.body, c.status)
			}
		})
	}
	// Credentials in the query would stand in logs: they do not count.
	if got := send(t, http.MethodPost, address+"?"+w.form().Encode(), form, ""); got.status != http.StatusBadRequest {
		t.Errorf("credentials in the query: got %d %v, want 400", got.status, got.body)
	}
	if got := send(t, http.MethodGet, w.login.URL+"/nothing/here", nil, ""); got.status != http.StatusNotFound || got.text("error") == "" {
		t.Errorf("unknown path: got %d %v, want 404", got.status, got.body)
	}
}
