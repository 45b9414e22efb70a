package front

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// dialTimeout bounds how long a client waits to hear that a host does not answer.
const dialTimeout = 30 * time.Second

// serveProxy answers CONNECT: our own names end at our own listener, whatever the
// port, and all others are passed through untouched. Plain HTTP requests in absolute
// form are passed on too, since some clients use one proxy for both schemes.
func (f *Front) serveProxy(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	rec := &recorder{ResponseWriter: w}
	led := f.lead(rec, r)
	// Where a client of this machine goes is its own affair, so no host is named.
	f.log.LogAttrs(r.Context(), slog.LevelDebug, "proxy",
		slog.String("method", methodOf(r)),
		slog.String("led", led),
		slog.Int("status", rec.status),
		slog.Int64("ms", time.Since(began).Milliseconds()))
}

// lead takes one request of the proxy where it belongs and returns where that was.
func (f *Front) lead(w http.ResponseWriter, r *http.Request) string {
	if !isLoopback(hostOf(r.RemoteAddr)) {
		http.Error(w, "This proxy serves its own machine only.", http.StatusForbidden)
		return "refused"
	}
	switch {
	case r.Method == http.MethodConnect:
		host, port, err := net.SplitHostPort(r.Host)
		if err != nil || host == "" || port == "" {
			http.Error(w, "CONNECT needs HOST:PORT.", http.StatusBadRequest)
			return "refused"
		}
		if f.names.own(hostOf(r.Host)) {
			if conn := hijack(w); conn != nil {
				f.handed.give(conn)
			}
			return "home"
		}
		return f.tunnel(w, r, net.JoinHostPort(host, port))
	case r.URL.IsAbs() && f.names.own(hostOf(r.URL.Host)):
		http.Error(w, "This name is answered over HTTPS only: use https:// and CONNECT.", http.StatusBadRequest)
		return "refused"
	case r.URL.IsAbs() && (r.URL.Scheme == "http" || r.URL.Scheme == "https"):
		f.forward(w, r)
		return "passed on"
	}
	http.Error(w, "This is Latchkey's proxy, which a browser or program uses by HTTPS_PROXY=http://"+f.ProxyAddr()+". It has no pages of its own.", http.StatusBadRequest)
	return "refused"
}

// tunnel connects a client with a host that is none of ours.
func (f *Front) tunnel(w http.ResponseWriter, r *http.Request, target string) string {
	far, err := f.dialWorld(r.Context(), target)
	if err != nil {
		http.Error(w, explain(target, err), http.StatusBadGateway)
		return "failed"
	}
	defer far.Close()
	near := hijack(w)
	if near == nil {
		return "failed"
	}
	defer near.Close()
	// A hijacked connection is no longer the server's to close.
	if !f.track(near, far) {
		return "failed"
	}
	defer f.untrack(near, far)
	var wg sync.WaitGroup
	wg.Go(func() { pour(near, far) })
	pour(far, near)
	wg.Wait()
	return "passed through"
}

// pour copies until one side is done and tells the other.
func pour(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		half.CloseWrite()
		return
	}
	// Broken, not ended: nothing more will come of the other direction either.
	to.Close()
	from.Close()
}

// hijack takes the connection from the server and tells the client that it is
// through. It returns nil if the client has gone.
func hijack(w http.ResponseWriter) net.Conn {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "CONNECT needs HTTP/1.1.", http.StatusHTTPVersionNotSupported)
		return nil
	}
	// The header's deadline is the server's; what follows has its own.
	conn.SetDeadline(time.Time{})
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		conn.Close()
		return nil
	}
	if rec, ok := w.(*recorder); ok {
		rec.status = http.StatusOK
	}
	if buf.Reader.Buffered() > 0 {
		return &readAhead{Conn: conn, r: buf.Reader}
	}
	return conn
}

func (f *Front) track(conns ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	for _, c := range conns {
		f.tunnels[c] = struct{}{}
	}
	return true
}

func (f *Front) untrack(conns ...net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range conns {
		delete(f.tunnels, c)
	}
}

func (f *Front) closeTunnels() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for c := range f.tunnels {
		c.Close()
	}
}

// forward passes a plain request on as it came.
func (f *Front) forward(w http.ResponseWriter, r *http.Request) {
	proxy := httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		Transport: f.world,
		ErrorLog:  serverLog(slog.New(slog.DiscardHandler)),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, explain(r.URL.Host, err), http.StatusBadGateway)
		},
		FlushInterval: -1,
	}
	proxy.ServeHTTP(w, r)
}

// dialWorld connects to a host outside, through the upstream proxy if there is one
// for it.
func (f *Front) dialWorld(ctx context.Context, target string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var dialer net.Dialer
	up, err := f.upstreamFor(&http.Request{Method: http.MethodConnect, URL: &url.URL{Scheme: "https", Host: target}, Host: target})
	if err != nil {
		return nil, fmt.Errorf("choosing the upstream proxy: %w", err)
	}
	if up == nil {
		return dialer.DialContext(ctx, "tcp", target)
	}
	conn, err := dialUpstream(ctx, &dialer, up)
	if err != nil {
		return nil, fmt.Errorf("reaching the upstream proxy %s: %w", up.Host, err)
	}
	through, err := askUpstream(ctx, conn, up, target)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("asking the upstream proxy %s: %w", up.Host, err)
	}
	return through, nil
}

func dialUpstream(ctx context.Context, dialer *net.Dialer, up *url.URL) (net.Conn, error) {
	port := up.Port()
	switch {
	case up.Scheme == "http" && port == "":
		port = "80"
	case up.Scheme == "https" && port == "":
		port = "443"
	case up.Scheme != "http" && up.Scheme != "https":
		return nil, fmt.Errorf("%s proxies are not supported, only http and https", up.Scheme)
	}
	addr := net.JoinHostPort(up.Hostname(), port)
	if up.Scheme == "https" {
		secure := tls.Dialer{NetDialer: dialer, Config: &tls.Config{MinVersion: tls.VersionTLS12}}
		return secure.DialContext(ctx, "tcp", addr)
	}
	return dialer.DialContext(ctx, "tcp", addr)
}

// askUpstream sends CONNECT over an open connection and returns what is behind it.
func askUpstream(ctx context.Context, conn net.Conn, up *url.URL, target string) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: target}, Host: target, Header: http.Header{}}
	if up.User != nil {
		password, _ := up.User.Password()
		ask.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(up.User.Username()+":"+password)))
	}
	if err := ask.Write(conn); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	reply, err := http.ReadResponse(r, ask)
	if err != nil {
		return nil, err
	}
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answered %s", reply.Status)
	}
	if !stop() {
		return nil, ctx.Err()
	}
	if r.Buffered() > 0 {
		return &readAhead{Conn: conn, r: r}, nil
	}
	return conn, nil
}

// explain tells a client in one sentence why a host could not be reached.
func explain(target string, err error) string {
	var unknown *net.DNSError
	var why string
	switch {
	case errors.As(err, &unknown) && unknown.IsNotFound:
		why = "there is no such host"
	case errors.As(err, &unknown):
		why = "its name cannot be resolved"
	case errors.Is(err, context.DeadlineExceeded):
		why = "it did not answer in time"
	default:
		why = err.Error()
	}
	return fmt.Sprintf("Latchkey's proxy passes %s through, but cannot reach it: %s.", target, strings.TrimSuffix(why, "."))
}
