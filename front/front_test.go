package front_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/fault"
	"latchkey/front"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// A house is a running front whose doors say their names.
type house struct {
	*front.Front
	ca  *front.Authority
	log *buffer
	// stop ends Run and returns what it returned.
	stop func() error
}

// buffer is a log that a test reads while the service writes it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func says(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s", name, r.Method, r.URL.Path)
	})
}

func allDoors() front.Doors {
	return front.Doors{
		Management: says("management"), Login: says("login"), Graph: says("graph"),
		Vault: says("vault"), Batch: says("batch"), Portal: says("portal"), Local: says("local"),
	}
}

func setup(t *testing.T, doors front.Doors, adjust ...func(*front.Config)) *house {
	t.Helper()
	log := &buffer{}
	logger := slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := front.Config{
		Cloud: resource.Azure(), Logger: logger,
		Listen: "127.0.0.1:0", Proxy: "127.0.0.1:0", Portal: "127.0.0.1:0",
		Upstream: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
	for _, a := range adjust {
		a(&cfg)
	}
	ca, err := front.OpenAuthority(t.TempDir(), cfg.Cloud, logger)
	if err != nil {
		t.Fatal(err)
	}
	cfg.CA = ca
	f, err := front.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, doors) }()
	h := &house{Front: f, ca: ca, log: log}
	h.stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() {
		if err := h.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return h
}

// get reads a URL and returns status and body.
func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestHostNameChoosesTheDoor(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	c := h.Client()
	for url, want := range map[string]string{
		"https://management.azure.com/subscriptions":              "management GET /subscriptions",
		"https://MANAGEMENT.azure.com/x":                          "management GET /x",
		"https://login.microsoftonline.com/t/oauth2/v2.0/token":   "login GET /t/oauth2/v2.0/token",
		"https://login.windows.net/common":                        "login GET /common",
		"https://graph.microsoft.com/v1.0/me":                     "graph GET /v1.0/me",
		"https://v1.vault.azure.net/keys":                         "vault GET /keys",
		"https://a1.westeurope.batch.azure.com/jobs":              "batch GET /jobs",
		"https://portal.azure.com/":                               "portal GET /",
		"https://v1.vault.azure.net//keys/k/":                     "vault GET //keys/k/",
		"https://management.azure.com//metadata/endpoints":        "management GET //metadata/endpoints",
		"https://a1.westeurope.batch.azure.com/files/a/../b%2F.c": "batch GET /files/a/../b/.c",
	} {
		if status, got := get(t, c, url); status != 200 || got != want {
			t.Errorf("GET %s = %d %q, want 200 %q", url, status, got, want)
		}
	}
}

func TestUnknownNamesAreMisdirected(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	for _, host := range []string{"example.com", "vault.azure.net", "a.b.vault.azure.net", "noregion.batch.azure.com", ""} {
		req, _ := http.NewRequest("GET", "https://management.azure.com/", nil)
		req.Host = host
		if host == "" {
			req.Host = "127.0.0.1" // reached without a name, and not one of the paths that need none
		}
		resp, err := h.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var body struct {
			Error struct{ Code, Message, RequestID string }
		}
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatalf("host %q: %v", host, err)
		}
		if resp.StatusCode != 421 || body.Error.Code != "MisdirectedRequest" || body.Error.Message == "" || body.Error.RequestID != resp.Header.Get("x-ms-request-id") {
			t.Errorf("host %q = %d %+v, want 421 MisdirectedRequest with the reply's request id", host, resp.StatusCode, body)
		}
	}
}

func TestLoopbackAnswersWhatNeedsNoName(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	c := trusting(h)
	for path, want := range map[string]string{
		"/metadata/endpoints": "management", "//metadata/endpoints": "management",
		"/healthz": "portal", "/readyz": "portal",
		"/subscriptions": "", "/metrics": "", "/": "",
	} {
		for _, host := range []string{"127.0.0.1", "localhost"} {
			url := "https://" + host + ":" + portOf(h.Addr()) + path
			status, body := get(t, c, url)
			if want == "" && status != 421 {
				t.Errorf("GET %s = %d %s, want 421", url, status, body)
			}
			if want != "" && (status != 200 || !strings.HasPrefix(body, want)) {
				t.Errorf("GET %s = %d %s, want the %s door's 200", url, status, body, want)
			}
		}
	}
}

func TestMissingDoorSaysSo(t *testing.T) {
	t.Parallel()
	h := setup(t, front.Doors{})
	status, body := get(t, h.Client(), "https://graph.microsoft.com/")
	if status != 404 || !strings.Contains(body, "no graph door") {
		t.Errorf("missing door = %d %s, want 404 with a sentence", status, body)
	}
}

func TestPanicIsAnsweredAndLogged(t *testing.T) {
	t.Parallel()
	h := setup(t, front.Doors{
		Management: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the customer's words") }),
		Batch: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("request-id", "r-1")
			var none []int
			_ = none[len(w.Header())]
		}),
		Vault: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			panic("late")
		}),
	})
	resp, err := h.Client().Get("https://management.azure.com/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if id := resp.Header.Get("x-ms-request-id"); resp.StatusCode != 500 || id == "" || !strings.Contains(string(body), `"InternalError"`) || !strings.Contains(string(body), id) {
		t.Errorf("panic = %d %s, want 500 InternalError with request id %q", resp.StatusCode, body, id)
	}
	if status, body := get(t, h.Client(), "https://a.r.batch.azure.com/"); status != 500 || !strings.HasPrefix(body, `{"code":"InternalError","message":{"lang":"en-US"`) || !strings.Contains(body, "RequestId:r-1") {
		t.Errorf("panic of the Batch door = %d %s, want its own envelope and id", status, body)
	}
	resp, err = h.Client().Get("https://v.vault.azure.net/")
	if err == nil {
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
	}
	if err == nil {
		t.Error("a reply that broke off in the middle looked whole")
	}
	log := h.log.String()
	if !strings.Contains(log, `"msg":"panic"`) || !strings.Contains(log, "index out of range") {
		t.Errorf("log does not tell of the panic:\n%s", log)
	}
	if strings.Contains(log, "customer's words") {
		t.Errorf("log repeats the panic's words:\n%s", log)
	}
}

func TestLogLineHasTheRouteAndNotThePath(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /jobs/{job}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("request-id", "r-2")
		w.WriteHeader(http.StatusTeapot)
	})
	door := rest.NewDoor(rest.Config{Style: rest.Vault, Log: slog.New(slog.DiscardHandler)})
	door.Open("GET /keys/{key}", func(r *http.Request, _ identity.Caller) (rest.Reply, error) {
		return rest.Reply{}, fault.KeyNotFound.New("There is no key %q.", r.PathValue("key"))
	})
	h := setup(t, front.Doors{Batch: mux, Vault: door})
	get(t, h.Client(), "https://canary.westeurope.batch.azure.com/jobs/canary-job?canary=1")
	get(t, h.Client(), "https://v.vault.azure.net/keys/canary")
	if err := h.stop(); err != nil { // all lines are written
		t.Fatal(err)
	}
	log := h.log.String()
	for _, want := range []string{
		`"method":"GET","door":"batch","route":"GET /jobs/{job}","status":418,`, `"id":"r-2"`,
		`"method":"GET","door":"vault","route":"GET /keys/{key}","status":404,"code":"KeyNotFound",`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("log lacks %s:\n%s", want, log)
		}
	}
	if strings.Contains(log, "canary") {
		t.Errorf("log has what the customer wrote:\n%s", log)
	}
}

func TestPortalListenerServesThisMachineOnly(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	for path, want := range map[string]string{
		"/":                  "portal GET /",
		"/local/identity":    "local GET /local/identity",
		"//identity/t/x":     "local GET //identity/t/x",
		"/identity":          "portal GET /identity",
		"/localities/europe": "portal GET /localities/europe",
	} {
		if status, got := get(t, http.DefaultClient, "http://"+h.PortalAddr()+path); status != 200 || got != want {
			t.Errorf("GET %s = %d %q, want 200 %q", path, status, got, want)
		}
	}
	req, _ := http.NewRequest("GET", "http://"+h.PortalAddr()+"/", nil)
	req.Host = "rebound.example.com"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 421 {
		t.Errorf("foreign host name = %d, want 421", resp.StatusCode)
	}
}

func TestStopEndsWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 2)
	h := setup(t, front.Doors{
		Management: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { // a long poll
			entered <- struct{}{}
			<-r.Context().Done()
		}),
		Vault: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { // short work
			entered <- struct{}{}
			time.Sleep(500 * time.Millisecond)
			io.WriteString(w, "done")
		}),
	})
	short := make(chan string, 1)
	go func() {
		if resp, err := h.Client().Get("https://management.azure.com/"); err == nil {
			resp.Body.Close()
		}
	}()
	go func() {
		resp, err := h.Client().Get("https://v.vault.azure.net/")
		if err != nil {
			short <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		short <- string(body)
	}()
	<-entered
	<-entered
	began := time.Now()
	if err := h.stop(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %s, want at most 5 s", took)
	}
	if got := <-short; got != "done" {
		t.Errorf("a request under way ended with %q, want its answer", got)
	}
}

func TestUsedPortIsAnError(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	_, err := front.New(front.Config{Cloud: resource.Azure(), CA: h.ca, Listen: "127.0.0.1:0", Proxy: h.ProxyAddr()})
	if err == nil || !strings.Contains(err.Error(), "opening the proxy") || !strings.Contains(err.Error(), h.ProxyAddr()) {
		t.Errorf("New on a used port = %v, want an error that names it", err)
	}
}
