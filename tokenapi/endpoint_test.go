package tokenapi_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"latchkey/identity"
	"latchkey/resource"
)

func (w *world) addIdentity(t *testing.T) identity.ManagedIdentity {
	t.Helper()
	m, _, err := w.CreateIdentity(t.Context(), identity.ManagedIdentity{
		ResourceID: resource.New(w.Subscription(), "g1", "Microsoft.ManagedIdentity", "userAssignedIdentities", "id1"), Location: "westus2",
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

type granted struct{ Endpoint, Header, PodHost, ClientID, TenantID string }

func (w *world) mustGrant(t *testing.T, name string) granted {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"identity": name})
	got := send(t, http.MethodPost, w.local.URL+"/local/identity", map[string]string{
		"Authorization": "Bearer " + w.Bootstrap().Secret, "Content-Type": "application/json",
	}, string(body))
	if got.status != http.StatusOK {
		t.Fatalf("POST /local/identity: %d %v", got.status, got.body)
	}
	return granted{got.text("endpoint"), got.text("header"), got.text("podHost"), got.text("clientId"), got.text("tenantId")}
}

func TestEveryClientsFormGetsAToken(t *testing.T) {
	t.Parallel()
	w := setup(t, resource.Azure())
	m := w.addIdentity(t)
	g := w.mustGrant(t, "id1")
	if g.ClientID != m.ClientID || g.TenantID != w.Tenant() {
		t.Errorf("got %+v, want %+v", g, m)
	}
	if again := w.mustGrant(t, m.ResourceID); again != g {
		t.Errorf("the second grant is %+v, want the first: %+v", again, g)
	}
	header := map[string]string{"X-IDENTITY-HEADER": g.Header}
	imds := map[string]string{"Metadata": "true"}
	const vault = "resource=https%3A%2F%2Fvault.azure.net"
	form := map[string]string{"Metadata": "true", "Content-Type": "application/x-www-form-urlencoded"}
	for name, c := range map[string]struct {
		method, address string
		header          map[string]string
		body            string
	}{
		"App Service":                   {"GET", g.Endpoint + "?api-version=2019-08-01&" + vault, header, ""},
		"App Service, slash at the end": {"GET", g.Endpoint + "/?api-version=2019-08-01&" + vault, header, ""},
		"App Service, by client id":     {"GET", g.Endpoint + "?api-version=2019-08-01&" + vault + "&client_id=" + m.ClientID, header, ""},
		"App Service, by object id":     {"GET", g.Endpoint + "?api-version=2019-08-01&" + vault + "&object_id=" + m.PrincipalID, header, ""},
		"App Service, by principal id":  {"GET", g.Endpoint + "?api-version=2019-08-01&" + vault + "&principal_id=" + m.PrincipalID, header, ""},
		"App Service, by resource id":   {"GET", g.Endpoint + "?api-version=2019-08-01&" + vault + "&mi_res_id=" + url.QueryEscape(strings.ToLower(m.ResourceID)), header, ""},
		"2017":                          {"GET", g.Endpoint + "?" + vault + "&api-version=2017-09-01&clientid=" + m.ClientID, map[string]string{"secret": g.Header}, ""},
		"the form of az 2.45":           {"POST", g.Endpoint, form, vault + "&client_id=" + m.ClientID},
		"virtual machine":               {"GET", g.PodHost + "/metadata/identity/oauth2/token?api-version=2018-02-01&" + vault, imds, ""},
		"virtual machine, by MSAL":      {"GET", g.PodHost + "//metadata/identity/oauth2/token/?api-version=2018-02-01&" + vault + "&msi_res_id=" + url.QueryEscape(m.ResourceID), imds, ""},
		"virtual machine, folded":       {"GET", strings.ToLower(g.PodHost) + "/metadata/identity/oauth2/token?api%2Dversion=2018-02-01&" + vault, imds, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := send(t, c.method, c.address, c.header, c.body)
			if got.status != http.StatusOK {
				t.Fatalf("got %d %v", got.status, got.body)
			}
			for _, field := range []string{"expires_in", "expires_on", "ext_expires_in", "not_before"} {
				if _, err := strconv.ParseInt(got.text(field), 10, 64); err != nil {
					t.Errorf("%s = %v, want digits in a string", field, got.body[field])
				}
			}
			if got.text("resource") != "https://vault.azure.net" || got.text("token_type") != "Bearer" || got.text("client_id") != m.ClientID {
				t.Errorf("got %v", got.body)
			}
			who, err := w.Authenticate(t.Context(), "Bearer "+got.text("access_token"), []string{"https://vault.azure.net"})
			if err != nil || who.ObjectID != m.PrincipalID {
				t.Errorf("the token is %+v's, %v, want %s", who, err, m.PrincipalID)
			}
		})
	}
}

func TestIdentityRequestsAreRefusedWith400(t *testing.T) {
	t.Parallel()
	w := setup(t, resource.Azure())
	w.addIdentity(t)
	g := w.mustGrant(t, "id1")
	header := map[string]string{"X-IDENTITY-HEADER": g.Header}
	imds := map[string]string{"Metadata": "true"}
	pod := g.PodHost + "/metadata/identity/oauth2/token"
	const vault = "?resource=https://vault.azure.net"
	for name, c := range map[string]struct {
		address string
		header  map[string]string
		says    string
	}{
		"no header":         {g.Endpoint + vault, nil, "Required header X-IDENTITY-HEADER not specified"},
		"wrong header":      {g.Endpoint + vault, map[string]string{"X-IDENTITY-HEADER": "x"}, "Identity not found"},
		"probe":             {pod, nil, "Required metadata header not specified"},
		"metadata is false": {pod + vault, map[string]string{"Metadata": "false"}, "Required metadata header not specified"},
		"no resource":       {g.Endpoint, header, "Required query variable 'resource' is missing"},
		"another client":    {g.Endpoint + vault + "&client_id=" + resource.NewGUID(), header, "Identity not found"},
		"another object":    {pod + vault + "&object_id=" + resource.NewGUID(), imds, "Identity not found"},
		"right and wrong":   {pod + vault + "&client_id=" + g.ClientID + "&object_id=x", imds, "Identity not found"},
		"unknown grant":     {w.local.URL + "/identity/" + strings.Repeat("0", 64) + "/metadata/identity/oauth2/token" + vault, imds, "Identity not found"},
		"unknown resource":  {pod + "?resource=https://elsewhere.example", imds, "AADSTS500011"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := send(t, http.MethodGet, c.address, c.header, "")
			if got.status != http.StatusBadRequest || !strings.HasPrefix(got.text("error_description"), c.says) {
				t.Errorf("got %d %v, want 400 %s", got.status, got.body, c.says)
			}
		})
	}
}

func TestADeletedIdentityGetsNoToken(t *testing.T) {
	t.Parallel()
	w := setup(t, resource.Azure())
	m := w.addIdentity(t)
	g := w.mustGrant(t, "id1")
	if err := w.DeleteIdentity(t.Context(), m.ResourceID); err != nil {
		t.Fatal(err)
	}
	// One of the same name is another identity with another grant.
	w.addIdentity(t)
	got := send(t, http.MethodGet, g.Endpoint+"?resource=https://vault.azure.net", map[string]string{"X-IDENTITY-HEADER": g.Header}, "")
	if got.status != http.StatusBadRequest || !strings.HasPrefix(got.text("error_description"), "Identity not found") {
		t.Errorf("got %d %v", got.status, got.body)
	}
	if again := w.mustGrant(t, "id1"); again.Header == g.Header {
		t.Error("the new identity has the old one's grant")
	}
}

func TestGrantsAreForThoseWhoMayAssign(t *testing.T) {
	t.Parallel()
	w := setup(t, resource.Azure())
	w.addIdentity(t)
	acct := resource.New(w.Subscription(), "g1", "Microsoft.Batch", "batchAccounts", "acct1")
	if _, err := w.SystemIdentity(t.Context(), acct); err != nil {
		t.Fatal(err)
	}
	_, stranger, err := w.CreateApplication(t.Context(), "stranger")
	if err != nil {
		t.Fatal(err)
	}
	owner := w.Bootstrap().Secret
	for name, c := range map[string]struct {
		authorization, contentType, body string
		status                           int
		code                             string
	}{
		"no authorization":  {"", "application/json", `{"identity":"id1"}`, 401, "AuthenticationFailed"},
		"wrong secret":      {"Bearer x", "application/json", `{"identity":"id1"}`, 401, "AuthenticationFailed"},
		"another scheme":    {"Basic " + owner, "application/json", `{"identity":"id1"}`, 401, "AuthenticationFailed"},
		"no role":           {"Bearer " + stranger, "application/json", `{"identity":"id1"}`, 403, "AuthorizationFailed"},
		"unknown":           {"Bearer " + owner, "application/json", `{"identity":"id2"}`, 404, "ResourceNotFound"},
		"a system-assigned": {"Bearer " + owner, "application/json", `{"identity":"` + acct + `"}`, 404, "ResourceNotFound"},
		"nothing named":     {"Bearer " + owner, "application/json", `{}`, 400, "InvalidParameter"},
		"no body":           {"Bearer " + owner, "application/json", ``, 400, "InvalidRequestContent"},
		"not JSON":          {"Bearer " + owner, "application/json", `{`, 400, "InvalidRequestContent"},
		"wrong type":        {"Bearer " + owner, "application/json", `{"identity":5}`, 400, "InvalidRequestContent"},
		"a form":            {"Bearer " + owner, "application/x-www-form-urlencoded", `identity=id1`, 415, "UnsupportedMediaType"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := send(t, http.MethodPost, w.local.URL+"/local/identity", map[string]string{
				"Authorization": c.authorization, "Content-Type": c.contentType,
			}, c.body)
			failure, _ := got.body["error"].(map[string]any)
			if got.status != c.status || failure["code"] != c.code {
				t.Errorf("got %d %v, want %d %s", got.status, got.body, c.status, c.code)
			}
		})
	}
}
