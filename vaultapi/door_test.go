package vaultapi_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"latchkey/resource"
	"latchkey/vault"
)

const (
	audience = "https://vault.azure.net"
	version  = "?api-version=7.4"
)

func TestChallengeComesBeforeEverything(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "c1x", "all")
	want := `Bearer authorization="https://login.microsoftonline.com/` + w.directory.Tenant() + `", resource="https://vault.azure.net"`
	for name, url := range map[string]string{
		"a key":             "https://c1x.vault.azure.net/keys/k/" + version,
		"no api-version":    "https://c1x.vault.azure.net/keys/k",
		"an unknown path":   "https://c1x.vault.azure.net/",
		"an unknown vault":  "https://nobody.vault.azure.net/keys/k" + version,
		"a broken path":     "https://c1x.vault.azure.net/keys/%20/x/y/z",
		"contacts":          "https://c1x.vault.azure.net//certificates/contacts" + version,
		"an unknown method": "https://c1x.vault.azure.net/keys",
	} {
		for _, method := range []string{"GET", "POST", "PUT"} {
			got := w.do(t, method, url, "", `{"broken`)
			if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != want {
				t.Errorf("%s %s: got %d with %q, want 401 with %q", method, name, got.status, got.header.Get("WWW-Authenticate"), want)
			}
			if got.body != `{"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}` {
				t.Errorf("%s %s: got %s", method, name, got.body)
			}
		}
	}
}

func TestTokensThatAreNotForAVaultAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "c2x", "all")
	const url = "https://c2x.vault.azure.net/keys" + version
	good := w.mustToken(t, audience)
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	for name, c := range map[string]struct{ token, says string }{
		"for Resource Manager": {w.mustToken(t, "https://management.azure.com/"), "AKV10022: Invalid audience"},
		"with another body":    {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{}`)) + "." + parts[2], "Error validating token"},
		"unsigned":             {none, "Error validating token"},
		"garbage":              {"garbage", "Error validating token"},
	} {
		got := w.do(t, "GET", url, c.token, "")
		if got.status != http.StatusUnauthorized || !strings.Contains(got.body, c.says) ||
			!strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("%s: got %d %s with %q, want 401 and %q", name, got.status, got.body, got.header.Get("WWW-Authenticate"), c.says)
		}
	}
	for _, aud := range []string{audience, audience + "/"} {
		if got := w.do(t, "GET", url, w.mustToken(t, aud), ""); got.status != http.StatusOK {
			t.Errorf("with a token for %s: got %d %s", aud, got.status, got.body)
		}
	}
	// A token of an earlier life of the service: the client is told to take a new one.
	stale := setup(t).mustToken(t, audience)
	if got := w.do(t, "GET", url, stale, ""); !strings.Contains(got.header.Get("WWW-Authenticate"), `error="insufficient_claims", claims="`) {
		t.Errorf("got %d %s with %v, want a claims challenge", got.status, got.body, got.header)
	}
}

func TestPathsComeAsClientsSendThem(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "c3x", "all")
	key, err := w.vaults.Create(t.Context(), w.owner, vault.Ref{Vault: "c3x", Key: "k"}, vault.Draft{Type: vault.RSA})
	if err != nil {
		t.Fatal(err)
	}
	token := w.mustToken(t, audience)
	for _, path := range []string{
		"/keys/k" + version, "/keys/k/" + version, "//keys/k/" + version, "/KEYS/K" + version, "/keys/k/" + key.ID + version,
		"/keys/k?api%2Dversion=2025-07-01", "/keys/k?api-version=7.6-preview.2", "/keys/k?api-version=7.0", "/keys/k?API-Version=7.5",
		"/keys/k?api-version=2026-01-01-preview",
	} {
		got := w.do(t, "GET", "https://C3X.vault.azure.net"+path, token, "", "x-ms-client-request-id", "id-1")
		if got.status != http.StatusOK || !strings.Contains(got.body, `"kid":"https://c3x.vault.azure.net/keys/k/`+key.ID+`"`) {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
		for name, want := range map[string]string{"x-ms-client-request-id": "id-1", "x-ms-keyvault-region": "westus2"} {
			if h := got.header.Get(name); h != want {
				t.Errorf("%s: got header %s %q, want %q", path, name, h, want)
			}
		}
		if got.header.Get("x-ms-request-id") == "" || got.header.Get("x-ms-keyvault-service-version") == "" {
			t.Errorf("%s: got headers %v", path, got.header)
		}
	}
	for _, op := range []string{"wrapkey", "wrapKey", "WRAPKEY"} {
		got := w.do(t, "POST", "https://c3x.vault.azure.net//keys/k/"+op+version, token, `{"alg":"RSA-OAEP","value":"YQ=="}`)
		if got.status != http.StatusOK {
			t.Errorf("%s: got %d %s", op, got.status, got.body)
		}
	}
	patch := w.do(t, "PATCH", "https://c3x.vault.azure.net/keys/k/"+version, token, `{"attributes":{"enabled":true,"nbf":"10"},"tags":{"x":"y"}}`)
	if patch.status != http.StatusOK || !strings.Contains(patch.body, `"nbf":10`) || !strings.Contains(patch.body, `"tags":{"x":"y"}`) {
		t.Errorf("got %d %s", patch.status, patch.body)
	}
}

func TestBadInputGetsAnAnswerInKeyVaultsShape(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "c4x", "all")
	if _, err := w.vaults.Create(t.Context(), w.owner, vault.Ref{Vault: "c4x", Key: "k"}, vault.Draft{Type: vault.RSA}); err != nil {
		t.Fatal(err)
	}
	token := w.mustToken(t, audience)
	const host = "https://c4x.vault.azure.net"
	for name, c := range map[string]struct {
		method, url, body string
		status            int
		code              string
	}{
		"no api-version":            {"GET", host + "/keys", "", 400, "BadParameter"},
		"an old api-version":        {"GET", host + "/keys?api-version=2015-06-01", "", 400, "BadParameter"},
		"a newer api-version":       {"GET", host + "/keys?api-version=7.9", "", 400, "BadParameter"},
		"nonsense for a version":    {"GET", host + "/keys?api-version=x", "", 400, "BadParameter"},
		"no such path":              {"GET", host + "/nothing" + version, "", 404, "ResourceNotFound"},
		"no such method":            {"PUT", host + "/keys" + version, "", 405, "MethodNotAllowed"},
		"no such vault":             {"GET", "https://c5x.vault.azure.net/keys" + version, "", 404, "VaultNotFound"},
		"no vault's name":           {"GET", "https://a.b.vault.azure.net/keys" + version, "", 404, "VaultNotFound"},
		"no such key":               {"GET", host + "/keys/none" + version, "", 404, "KeyNotFound"},
		"no such version":           {"GET", host + "/keys/k/0" + version, "", 404, "KeyNotFound"},
		"a name that is none":       {"GET", host + "/keys/a_b" + version, "", 400, "BadParameter"},
		"a name with a slash":       {"GET", host + "/keys/a%2Fb" + version, "", 400, "BadParameter"},
		"a name that is no text":    {"GET", host + "/keys/%00%ff" + version, "", 400, "BadParameter"},
		"a page that is too large":  {"GET", host + "/keys" + version + "&maxresults=26", "", 400, "BadParameter"},
		"a page of nothing":         {"GET", host + "/keys" + version + "&maxresults=0", "", 400, "BadParameter"},
		"a page of words":           {"GET", host + "/keys" + version + "&maxresults=ten", "", 400, "BadParameter"},
		"a token of somebody":       {"GET", host + "/keys" + version + "&$skiptoken=zz", "", 400, "BadParameter"},
		"no body":                   {"POST", host + "/keys/n/create" + version, "", 400, "BadParameter"},
		"no JSON":                   {"POST", host + "/keys/n/create" + version, "{", 400, "BadParameter"},
		"a list for a body":         {"POST", host + "/keys/n/create" + version, "[]", 400, "BadParameter"},
		"a number for a type":       {"POST", host + "/keys/n/create" + version, `{"kty":7}`, 400, "BadParameter"},
		"no type":                   {"POST", host + "/keys/n/create" + version, `{}`, 400, "BadParameter"},
		"a type that is not made":   {"POST", host + "/keys/n/create" + version, `{"kty":"oct"}`, 400, "BadParameter"},
		"a size that is not made":   {"POST", host + "/keys/n/create" + version, `{"kty":"RSA","key_size":2047}`, 400, "BadParameter"},
		"an endless size":           {"POST", host + "/keys/n/create" + version, `{"kty":"RSA","key_size":4294969344}`, 400, "BadParameter"},
		"a size beyond numbers":     {"POST", host + "/keys/n/create" + version, `{"kty":"RSA","key_size":1e99}`, 400, "BadParameter"},
		"a date before all dates":   {"POST", host + "/keys/n/create" + version, `{"kty":"RSA","attributes":{"nbf":-1}}`, 400, "BadParameter"},
		"a date after all dates":    {"POST", host + "/keys/n/create" + version, `{"kty":"RSA","attributes":{"exp":999999999999999}}`, 400, "BadParameter"},
		"tags that are numbers":     {"POST", host + "/keys/n/create" + version, `{"kty":"RSA","tags":{"a":1}}`, 400, "BadParameter"},
		"too large":                 {"POST", host + "/keys/n/create" + version, `{"kty":"` + strings.Repeat("R", 9<<20) + `"}`, 413, "RequestBodyTooLarge"},
		"no algorithm":              {"POST", host + "/keys/k/wrapkey" + version, `{"value":"YQ"}`, 400, "BadParameter"},
		"another algorithm":         {"POST", host + "/keys/k/wrapkey" + version, `{"alg":"A256KW","value":"YQ"}`, 400, "BadParameter"},
		"no value":                  {"POST", host + "/keys/k/wrapkey" + version, `{"alg":"RSA-OAEP"}`, 400, "BadParameter"},
		"a value in plain base64":   {"POST", host + "/keys/k/wrapkey" + version, `{"alg":"RSA-OAEP","value":"+/+/"}`, 400, "BadParameter"},
		"a value of another key":    {"POST", host + "/keys/k/unwrapkey" + version, `{"alg":"RSA-OAEP","value":"YQ"}`, 400, "BadParameter"},
		"an operation on no key":    {"POST", host + "/keys/none/unwrapkey" + version, `{"alg":"RSA-OAEP","value":"YQ"}`, 404, "KeyNotFound"},
		"changes that are no list":  {"PATCH", host + "/keys/k/" + version, `{"key_ops":"wrapKey"}`, 400, "BadParameter"},
		"a deleted key that is not": {"GET", host + "/deletedkeys/k" + version, "", 404, "KeyNotFound"},
		"a recovery of a live key":  {"POST", host + "/deletedkeys/k/recover" + version, "", 404, "KeyNotFound"},
		"a purge of a live key":     {"DELETE", host + "/deletedkeys/k" + version, "", 404, "KeyNotFound"},
		"a secret":                  {"GET", host + "/secrets/s/" + version, "", 404, "SecretNotFound"},
		"contacts":                  {"GET", host + "/certificates/contacts" + version, "", 404, "CertificateNotFound"},
		"a certificate":             {"GET", host + "/certificates/c/" + version, "", 404, "CertificateNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.do(t, c.method, c.url, token, c.body)
			var body struct {
				Error struct{ Code, Message string } `json:"error"`
			}
			if err := json.Unmarshal([]byte(got.body), &body); err != nil {
				t.Fatalf("got %d %s", got.status, got.body)
			}
			if got.status != c.status || body.Error.Code != c.code || body.Error.Message == "" {
				t.Errorf("got %d %s, want %d %s", got.status, got.body, c.status, c.code)
			}
		})
	}
	if got := w.do(t, "POST", host+"/keys/n/create"+version, token, "kty=RSA", "Content-Type", "application/x-www-form-urlencoded"); got.status != http.StatusUnsupportedMediaType {
		t.Errorf("a form: got %d %s", got.status, got.body)
	}
}

func TestInnerErrorSaysWhy(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "c6x", "create")
	token := w.mustToken(t, audience)
	if got := w.do(t, "POST", "https://c6x.vault.azure.net/keys/k/create"+version, token, `{"kty":"RSA","attributes":{"enabled":false}}`); got.status != http.StatusOK {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	got := w.do(t, "GET", "https://c6x.vault.azure.net/keys/k"+version, token, "")
	want := `{"error":{"code":"Forbidden","message":"The user, group or application 'appid=` + w.owner.AppID + `;oid=` + w.owner.ObjectID +
		`;iss=https://sts.windows.net/` + w.owner.Tenant + `/' does not have keys get permission on key vault 'c6x;location=westus2'. ` +
		`For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287","innererror":{"code":"AccessDenied"}}}`
	if got.status != http.StatusForbidden || got.body != want {
		t.Errorf("got %d %s, want %s", got.status, got.body, want)
	}
}

func BenchmarkGetKey(b *testing.B) {
	w := setup(b)
	w.mustVault(b, "b1x", "all")
	if _, err := w.vaults.Create(b.Context(), w.owner, vault.Ref{Vault: "b1x", Key: "k"}, vault.Draft{Type: vault.RSA}); err != nil {
		b.Fatal(err)
	}
	token := w.mustToken(b, "https://"+resource.Azure().Vault)
	for b.Loop() {
		r := httptest.NewRequest("GET", "https://b1x.vault.azure.net/keys/k/"+version, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		out := httptest.NewRecorder()
		if w.handler.ServeHTTP(out, r); out.Code != http.StatusOK {
			b.Fatal(out.Body)
		}
	}
}
