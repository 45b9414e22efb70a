package graphapi_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"latchkey/envelope"
	"latchkey/graphapi"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
)

// A world is a directory with an application, a user-assigned and a system-assigned
// identity, and the door in front of it.
type world struct {
	*identity.Directory
	door         http.Handler
	user, system identity.ManagedIdentity
}

func setup(t *testing.T) *world {
	t.Helper()
	driver, err := store.OpenPebble(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { driver.Close() })
	cloud := resource.Azure()
	d, err := identity.Open(t.Context(), identity.Config{
		Store: store.New(driver, keyring.Fixed(envelope.NewSecret(), "test")), Cloud: cloud,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Directory: d, door: graphapi.New(graphapi.Config{Directory: d, Cloud: cloud, Log: slog.New(slog.DiscardHandler)})}
	w.user, _, err = d.CreateIdentity(t.Context(), identity.ManagedIdentity{
		ResourceID: resource.New(d.Subscription(), "g1", "Microsoft.ManagedIdentity", "userAssignedIdentities", "id1"), Location: "westus2",
	})
	if err != nil {
		t.Fatal(err)
	}
	w.system, err = d.SystemIdentity(t.Context(), resource.New(d.Subscription(), "g1", "Microsoft.Batch", "batchAccounts", "acct1"))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) send(t *testing.T, audience, method, path, body string) (int, http.Header, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, "https://graph.microsoft.com"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if audience != "" {
		b := w.Bootstrap()
		token, err := w.ApplicationToken(t.Context(), b.ClientID, b.Secret, audience)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token.Value)
	}
	rec := httptest.NewRecorder()
	w.door.ServeHTTP(rec, r)
	out := map[string]any{}
	if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s %s: %d %q: %v", method, path, rec.Code, rec.Body, err)
	}
	return rec.Code, rec.Header(), out
}

// names returns the display names of what was found, of a list or of one.
func names(body map[string]any) string {
	var found []string
	list, ok := body["value"].([]any)
	if !ok {
		list = []any{body}
	}
	for _, o := range list {
		name, _ := o.(map[string]any)["displayName"].(string)
		found = append(found, name)
	}
	return strings.Join(found, " ")
}

func TestPrincipalsAreFoundAsToolsAsk(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := w.Bootstrap()
	query := func(filter string) string { return "/v1.0/servicePrincipals?$filter=" + url.QueryEscape(filter) }
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/v1.0/servicePrincipals", "", "acct1 id1 latchkey-owner"},
		{"GET", query("servicePrincipalNames/any(c:c eq '" + b.ClientID + "')"), "", "latchkey-owner"},
		{"GET", strings.ReplaceAll(query("servicePrincipalNames/any(c:c eq '"+w.user.ClientID+"')"), "+", "%20"), "", "id1"},
		{"GET", query("appId eq '" + w.system.ClientID + "'"), "", "acct1"},
		{"GET", query("id eq '" + w.user.PrincipalID + "'"), "", "id1"},
		{"GET", query("displayName eq 'acct1'"), "", "acct1"},
		{"GET", query("startswith(displayName,'latch')"), "", "latchkey-owner"},
		{"GET", query("displayName eq 'nobody'"), "", ""},
		{"GET", "/v1.0/servicePrincipals/" + w.user.PrincipalID, "", "id1"},
		{"GET", "//v1.0/serviceprincipals/" + strings.ToUpper(w.user.PrincipalID) + "/", "", "id1"},
		{"GET", "/v1.0/servicePrincipals(appId='" + b.ClientID + "')", "", "latchkey-owner"},
		{"GET", "/v1.0/applications?$filter=" + url.QueryEscape("appId eq '"+b.ClientID+"'"), "", "latchkey-owner"},
		{"GET", "/v1.0/applications(appId='" + b.ClientID + "')", "", "latchkey-owner"},
		{"GET", "/v1.0/applications", "", "latchkey-owner"},
		{"GET", "/v1.0/directoryObjects/" + w.system.PrincipalID, "", "acct1"},
		{"POST", "/v1.0/directoryObjects/getByIds", `{"ids":["` + w.system.PrincipalID + `","` + resource.NewGUID() + `","` + b.ObjectID + `"],"types":["user","servicePrincipal"]}`, "acct1 latchkey-owner"},
		{"POST", "/v1.0/directoryObjects/getByIds", `{"ids":["` + w.system.PrincipalID + `"]}`, "acct1"},
		{"POST", "/v1.0/directoryObjects/getByIds", `{"ids":["` + w.system.PrincipalID + `"],"types":["user"]}`, ""},
		{"GET", "/v1.0/users?$filter=" + url.QueryEscape("userPrincipalName eq 'a@b'"), "", ""},
		{"GET", "/v1.0/organization", "", "Latchkey"},
	} {
		status, _, body := w.send(t, "https://graph.microsoft.com/", c.method, c.path, c.body)
		if got := names(body); status != http.StatusOK || got != c.want {
			t.Errorf("%s %s: got %d %q, want %q", c.method, c.path, status, got, c.want)
		}
	}
}

func TestPrincipalsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, _, user := w.send(t, "https://graph.windows.net", "GET", "/v1.0/directoryObjects/"+w.user.PrincipalID, "")
	alternative, _ := user["alternativeNames"].([]any)
	if user["@odata.type"] != "#microsoft.graph.servicePrincipal" || user["servicePrincipalType"] != "ManagedIdentity" || user["id"] != w.user.PrincipalID ||
		user["appId"] != w.user.ClientID || len(alternative) != 2 || alternative[0] != "isExplicit=True" || alternative[1] != w.user.ResourceID {
		t.Errorf("got %v", user)
	}
	_, _, owner := w.send(t, "https://graph.microsoft.com", "GET", "/v1.0/servicePrincipals/"+w.Bootstrap().ObjectID, "")
	if owner["servicePrincipalType"] != "Application" || owner["appId"] != w.Bootstrap().ClientID {
		t.Errorf("got %v", owner)
	}
	// The application is another object than its service principal.
	_, _, app := w.send(t, "https://graph.microsoft.com", "GET", "/v1.0/applications(appId='"+w.Bootstrap().ClientID+"')", "")
	if id, _ := app["id"].(string); !resource.IsGUID(id) || id == owner["id"] {
		t.Errorf("got %v", app)
	}
}

func TestBadGraphRequestsAreRefusedAsAzureDoes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	many := `{"ids":["` + strings.Repeat(`x","`, 1000) + `x"]}`
	for name, c := range map[string]struct {
		audience, method, path, body string
		status                       int
		code                         string
	}{
		"no token":          {"", "GET", "/v1.0/servicePrincipals", "", 401, "InvalidAuthenticationToken"},
		"another audience":  {"https://vault.azure.net", "GET", "/v1.0/servicePrincipals", "", 401, "InvalidAuthenticationToken"},
		"me":                {"https://graph.microsoft.com", "GET", "/v1.0/me", "", 400, "BadRequest"},
		"unknown filter":    {"https://graph.microsoft.com", "GET", "/v1.0/servicePrincipals?$filter=x", "", 400, "BadRequest"},
		"unknown principal": {"https://graph.microsoft.com", "GET", "/v1.0/servicePrincipals/" + resource.NewGUID(), "", 404, "Request_ResourceNotFound"},
		"client id as id":   {"https://graph.microsoft.com", "GET", "/v1.0/servicePrincipals/" + w.user.ClientID, "", 404, "Request_ResourceNotFound"},
		"unknown app":       {"https://graph.microsoft.com", "GET", "/v1.0/applications(appId='x')", "", 404, "Request_ResourceNotFound"},
		"unknown user":      {"https://graph.microsoft.com", "GET", "/v1.0/users/a@b", "", 404, "Request_ResourceNotFound"},
		"no ids":            {"https://graph.microsoft.com", "POST", "/v1.0/directoryObjects/getByIds", `{}`, 400, "BadRequest"},
		"too many ids":      {"https://graph.microsoft.com", "POST", "/v1.0/directoryObjects/getByIds", many, 400, "BadRequest"},
		"ids of wrong type": {"https://graph.microsoft.com", "POST", "/v1.0/directoryObjects/getByIds", `{"ids":[5]}`, 400, "InvalidInput"},
		"not JSON":          {"https://graph.microsoft.com", "POST", "/v1.0/directoryObjects/getByIds", `{`, 400, "InvalidInput"},
		"unknown path":      {"https://graph.microsoft.com", "GET", "/v1.0/nonsense", "", 404, "ResourceNotFound"},
		"wrong method":      {"https://graph.microsoft.com", "DELETE", "/v1.0/organization", "", 405, "MethodNotAllowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, header, body := w.send(t, c.audience, c.method, c.path, c.body)
			failure, _ := body["error"].(map[string]any)
			if status != c.status || failure["code"] != c.code || failure["message"] == "" {
				t.Errorf("got %d %v, want %d %s", status, body, c.status, c.code)
			}
			if challenge := header.Get("WWW-Authenticate"); (challenge != "") != (status == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate = %q", challenge)
			}
		})
	}
}
