package front_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"latchkey/front"
)

// trusting returns a client that trusts the house's authority and uses no proxy.
func trusting(h *house) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: h.ca.Pool()}, ForceAttemptHTTP2: true}}
}

// proxied returns a client as latchkey exec makes them: everything through the
// proxy, our authority and other roots trusted.
func proxied(h *house, others ...*x509.Certificate) *http.Client {
	pool := h.ca.Pool()
	for _, c := range others {
		pool.AddCert(c)
	}
	proxy := &url.URL{Scheme: "http", Host: h.ProxyAddr()}
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

func TestProxyLeadsOurNamesHome(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	c := proxied(h)
	for url, want := range map[string]string{
		"https://management.azure.com/x":      "management GET /x",
		"https://v1.vault.azure.net/keys":     "vault GET /keys",
		"https://v1.vault.azure.net:8443/k":   "vault GET /k",
		"https://A1.eu.batch.azure.com/jobs":  "batch GET /jobs",
		"https://login.microsoftonline.com./": "login GET /",
	} {
		if status, got := get(t, c, url); status != 200 || got != want {
			t.Errorf("GET %s = %d %q, want 200 %q", url, status, got, want)
		}
	}
}

func TestProxyPassesOthersThrough(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "outside %s %s%s", r.Method, r.Host, r.URL)
	})
	secure := httptest.NewTLSServer(handler)
	defer secure.Close()
	plain := httptest.NewServer(handler)
	defer plain.Close()
	c := proxied(h, secure.Certificate())
	for _, base := range []string{secure.URL, plain.URL} {
		target, _ := url.Parse(base)
		want := "outside GET " + target.Host + "/a//b?c=d"
		if status, got := get(t, c, base+"/a//b?c=d"); status != 200 || got != want {
			t.Errorf("GET %s = %d %q, want 200 %q", base, status, got, want)
		}
	}
	c.CloseIdleConnections()
}

func TestProxyTunnelsBothWaysAndHalfCloses(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	go func() {
		conn, err := far.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		said, _ := io.ReadAll(conn) // until the other side has closed its half
		fmt.Fprintf(conn, "heard %s", said)
	}()
	conn, err := net.Dial("tcp", h.ProxyAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The first words come together with the request, as some clients send them.
	fmt.Fprintf(conn, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\n\r\nhel", far.Addr())
	r := bufio.NewReader(conn)
	line, err := r.ReadString('\n')
	if err != nil || !strings.Contains(line, " 200 ") {
		t.Fatalf("CONNECT = %q, %v", line, err)
	}
	r.ReadString('\n')
	io.WriteString(conn, "lo")
	conn.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(r); err != nil || string(got) != "heard hello" {
		t.Errorf("tunnel = %q, %v, want %q", got, err, "heard hello")
	}
}

// connect sends one request to the proxy and returns status and body.
func connect(t *testing.T, h *house, request string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", h.ProxyAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(40 * time.Second))
	io.WriteString(conn, request)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

func TestProxyExplainsWhatItCannotDo(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for _, test := range []struct {
		name, request string
		status        int
		says          string
	}{
		{"nobody listens", "CONNECT " + gone.Addr().String() + " HTTP/1.1\r\nHost: x\r\n\r\n", 502, "connection refused"},
		{"no such host", "CONNECT nowhere.invalid:443 HTTP/1.1\r\nHost: x\r\n\r\n", 502, "nowhere.invalid:443"},
		{"no such host, plain", "GET http://nowhere.invalid/ HTTP/1.1\r\nHost: nowhere.invalid\r\n\r\n", 502, "nowhere.invalid"},
		{"no port", "CONNECT example.com HTTP/1.1\r\nHost: x\r\n\r\n", 400, "HOST:PORT"},
		{"not a proxy request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400, "HTTPS_PROXY=http://" + h.ProxyAddr()},
		{"our name in plain HTTP", "GET http://management.azure.com/ HTTP/1.1\r\nHost: management.azure.com\r\n\r\n", 400, "HTTPS only"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if status, body := connect(t, h, test.request); status != test.status || !strings.Contains(body, test.says) {
				t.Errorf("%q = %d %q, want %d and %q", test.request, status, body, test.status, test.says)
			}
		})
	}
}

func TestProxyUsesTheUpstreamProxy(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 4)
	target := httptest.NewTLSServer(says("outside"))
	defer target.Close()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
		if r.Host != "outside.example:443" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		far, err := net.Dial("tcp", target.Listener.Addr().String())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go io.Copy(far, conn)
		go io.Copy(conn, far)
	}))
	defer upstream.Close()
	up, _ := url.Parse(upstream.URL)
	up.User = url.UserPassword("u", "p")
	h := setup(t, allDoors(), func(c *front.Config) {
		c.Upstream = http.ProxyURL(up)
	})
	c := proxied(h)
	c.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true // httptest's certificate has another name
	defer c.CloseIdleConnections()
	if status, got := get(t, c, "https://outside.example/x"); status != 200 || got != "outside GET /x" {
		t.Errorf("through the upstream proxy = %d %q", status, got)
	}
	if got, want := <-asked, "CONNECT outside.example:443 Basic dTpw"; got != want {
		t.Errorf("upstream proxy was asked %q, want %q", got, want)
	}
	if status, body := connect(t, h, "CONNECT refused.example:443 HTTP/1.1\r\nHost: x\r\n\r\n"); status != 502 || !strings.Contains(body, "403 Forbidden") {
		t.Errorf("refused by the upstream proxy = %d %q, want 502 that says so", status, body)
	}
}

func TestProxyThatIsItsOwnUpstreamGoesOut(t *testing.T) {
	t.Parallel()
	var own *url.URL
	h := setup(t, allDoors(), func(c *front.Config) {
		c.Upstream = func(*http.Request) (*url.URL, error) { return own, nil }
	})
	own = &url.URL{Scheme: "http", Host: "localhost:" + portOf(h.ProxyAddr())}
	outside := httptest.NewTLSServer(says("outside"))
	defer outside.Close()
	c := proxied(h, outside.Certificate())
	defer c.CloseIdleConnections()
	if status, got := get(t, c, outside.URL+"/"); status != 200 || got != "outside GET /" {
		t.Errorf("GET = %d %q, want the outside", status, got)
	}
}

func TestTunnelsEndWithTheService(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	conn, err := net.Dial("tcp", h.ProxyAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", far.Addr())
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
		t.Fatalf("CONNECT = %q, %v", line, err)
	}
	began := time.Now()
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("stopping with a silent tunnel took %s", took)
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if rest, err := io.ReadAll(r); err != nil || strings.TrimSpace(string(rest)) != "" {
		t.Errorf("after the stop the tunnel gave %q, %v, want its end", rest, err)
	}
}

func TestClientKeepsOutsideAndInsideApart(t *testing.T) {
	t.Parallel()
	h := setup(t, allDoors())
	// Our own authority must not do for a host outside.
	_, err := h.Client().Get("https://localhost:" + portOf(h.Addr()) + "/healthz")
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an outside host with our certificate: %v, want a certificate error", err)
	}
	if status, got := get(t, h.Client(), "https://v9.vault.azure.net/keys"); status != 200 || got != "vault GET /keys" {
		t.Errorf("our own name = %d %q", status, got)
	}
}
