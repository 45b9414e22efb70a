package front

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Client returns the client for the service's own calls: a name of our cloud is
// answered by our own listener, with our own authority as the only root; every other
// goes out with the system's roots and the proxy of this process's environment. The
// caller bounds each call by its context.
func (f *Front) Client() *http.Client { return &http.Client{Transport: split{f}} }

// split is the round tripper behind Client. Two transports, not one with both roots:
// nobody outside can pass for us, and we cannot pass for anybody outside.
type split struct{ front *Front }

// RoundTrip implements http.RoundTripper.
func (s split) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "https" && s.front.names.own(hostOf(r.URL.Host)) {
		return s.front.ours.RoundTrip(r)
	}
	return s.front.world.RoundTrip(r)
}

func (f *Front) transports() (ours, world *http.Transport) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	ours = &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, f.Addr())
		},
		TLSClientConfig:     &tls.Config{RootCAs: f.ca.Pool(), MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		IdleConnTimeout:     idleTimeout / 2, // before the server's, so that no request meets a closing connection
	}
	world = &http.Transport{
		Proxy:               f.upstreamFor,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // what passes through stays as it was
	}
	return ours, world
}

// upstreamFor returns the proxy through which a request leaves this machine, or nil.
// Our own proxy does not count: a service that was started from a shell prepared by
// `latchkey env` would else ask itself without end.
func (f *Front) upstreamFor(r *http.Request) (*url.URL, error) {
	up, err := f.upstream(r)
	if err != nil || up == nil || f.proxy == nil {
		return up, err
	}
	_, port, _ := net.SplitHostPort(f.ProxyAddr())
	if up.Port() == port && isLoopback(up.Hostname()) {
		return nil, nil
	}
	return up, nil
}
