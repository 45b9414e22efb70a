package portal_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"latchkey/portal"
)

func TestPortalSaysWhereThingsAre(t *testing.T) {
	t.Parallel()
	var missing error
	h := portal.New(portal.Config{
		Facts: portal.Facts{Data: "/data/<script>", Proxy: "127.0.0.1:1", Isolation: []string{"apart"}},
		Ready: func() error { return missing },
	})
	ask := func(host, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://"+host+path, nil)
		h.ServeHTTP(w, r)
		return w
	}
	page := ask("127.0.0.1:8080", "/")
	for _, want := range []string{"/data/&lt;script&gt;", "http://127.0.0.1:1", "apart"} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if csp := page.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("Content-Security-Policy = %q", csp)
	}
	for _, c := range []struct {
		host, path string
		status     int
	}{
		{"localhost:8080", "/", 200},
		{"[::1]:8080", "/style.css", 200},
		{"127.0.0.1", "/healthz", 200},
		{"127.0.0.1", "/readyz", 200},
		{"127.0.0.1", "/nothing", 404},
		{"127.0.0.1", "/metadata/identity/oauth2/token?resource=x", 400},
		{"evil.example", "/", 421},
	} {
		if got := ask(c.host, c.path); got.Code != c.status {
			t.Errorf("%s%s = %d, want %d", c.host, c.path, got.Code, c.status)
		}
	}
	missing = errors.New("the store is away")
	if got := ask("127.0.0.1", "/readyz"); got.Code != 503 || !strings.Contains(got.Body.String(), "the store is away") {
		t.Errorf("readyz = %d %q, want 503 and why", got.Code, got.Body)
	}
}
