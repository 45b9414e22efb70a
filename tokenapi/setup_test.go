package tokenapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"latchkey/envelope"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
	"latchkey/tokenapi"
)

// A world is a directory with the door of the authority and the identity endpoint.
type world struct {
	*identity.Directory
	login, local *httptest.Server
}

func setup(t *testing.T, cloud resource.Cloud) *world {
	t.Helper()
	driver, err := store.OpenPebble(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { driver.Close() })
	d, err := identity.Open(t.Context(), identity.Config{
		Store: store.New(driver, keyring.Fixed(envelope.NewSecret(), "test")), Cloud: cloud,
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Directory: d}
	w.login = httptest.NewServer(tokenapi.New(tokenapi.Config{Directory: d, Cloud: cloud}))
	t.Cleanup(w.login.Close)
	// The endpoint must know its own address, which a test server has once it runs.
	var endpoint http.Handler
	w.local = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { endpoint.ServeHTTP(rw, r) }))
	t.Cleanup(w.local.Close)
	endpoint = tokenapi.NewIdentityEndpoint(tokenapi.EndpointConfig{Directory: d, Base: w.local.URL})
	return w
}

// An answer is a reply whose body is a JSON object.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) text(name string) string { s, _ := a.body[name].(string); return s }

func send(t *testing.T, method, address string, header map[string]string, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	// A redirect would lose the body of a token request: none may come.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: map[string]any{}}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&a.body); err != nil {
		t.Fatalf("%s %s: %d %q: %v", method, address, resp.StatusCode, b, err)
	}
	return a
}

func (w *world) post(t *testing.T, path string, header map[string]string, form url.Values) answer {
	t.Helper()
	if header == nil {
		header = map[string]string{}
	}
	if header["Content-Type"] == "" {
		header["Content-Type"] = "application/x-www-form-urlencoded"
	}
	return send(t, http.MethodPost, w.login.URL+path, header, form.Encode())
}

// form is a good request for a token.
func (w *world) form() url.Values {
	b := w.Bootstrap()
	return url.Values{
		"grant_type": {"client_credentials"}, "client_id": {b.ClientID}, "client_secret": {b.Secret},
		"scope": {"https://management.azure.com//.default"},
	}
}
