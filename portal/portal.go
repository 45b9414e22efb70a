// Package portal is the page that a person opens in a browser, on the plain loopback
// listener, with the two addresses that machines ask whether the service is well.
//
// Its one idea is to be useful at the first look: where everything is, what to type
// next, how tasks are kept apart on this host. It shows nothing that a customer
// wrote and offers nothing to change, because nobody has signed in here.
package portal

import (
	"embed"
	"html/template"
	"net"
	"net/http"
	"strings"
)

// Facts are what the page shows.
type Facts struct {
	Version, Data, CAFile              string
	TenantID, SubscriptionID, ClientID string
	Management, Login, Vault, Batch    string
	Proxy                              string
	Isolation                          []string
}

// Config says what the portal shows and asks.
type Config struct {
	Facts Facts
	// Ready returns nil when the service can do its work, or what is missing.
	Ready func() error
}

//go:embed page.html style.css
var files embed.FS

var page = template.Must(template.ParseFS(files, "page.html"))

// New returns the portal.
func New(cfg Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		// A page that breaks off has already sent its head: there is nobody to tell.
		_ = page.Execute(w, cfg.Facts)
	})
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, files, "style.css")
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	// Some clients ask for a managed identity's token here first, without the path and
	// the header that they were given, to see whether anybody is in. They wait long
	// for a 404 to become something else.
	mux.HandleFunc("/metadata/identity/oauth2/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_request","error_description":"Required metadata header not specified"}`))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := cfg.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})
	return local(mux)
}

// local refuses requests that a page of another site could make through the
// browser: a name that only resolves to this machine (DNS rebinding) is not ours.
func local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		ip := net.ParseIP(strings.Trim(host, "[]"))
		if !strings.EqualFold(host, "localhost") && (ip == nil || !ip.IsLoopback()) {
			http.Error(w, "this page answers on loopback names only", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
