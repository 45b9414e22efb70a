// Package front is where requests come in: one HTTPS listener whose host name
// chooses the door, certificates made on demand, and the proxy that leads the
// cloud's own names to that listener.
//
// A client believes that it talks to management.azure.com or v1.vault.azure.net. The
// CONNECT proxy, on loopback, answers for those names and passes everything else on;
// the local authority vouches for them and can vouch for nothing else. So a client
// needs no change but its environment, and what is not ours still goes where it
// would have gone.
//
// front opens its listeners in New, so that the addresses are known, and serves in
// Run. It writes one log line per request when it ends, without anything that a
// customer wrote.
package front

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"sync"
	"time"

	"latchkey/fault"
	"latchkey/resource"
)

// Limits of every listener. There is no limit on the length of a request or a reply:
// long polls and files take as long as they take.
const (
	readHeaderTimeout = 15 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
	// Stopping takes at most drainTime for requests that end by themselves, and
	// cancelTime for those that end when their context does: together less than the
	// five seconds that latchkey promises.
	drainTime  = 3 * time.Second
	cancelTime = time.Second
)

// A Config says where to listen and for which names to answer.
type Config struct {
	Cloud resource.Cloud
	// CA issues the certificates; it must have been opened for the same Cloud.
	CA     *Authority
	Logger *slog.Logger
	// Listen is the address of the HTTPS listener, Proxy that of the CONNECT proxy and
	// Portal that of the portal's plain listener. Empty Proxy or Portal: none. Port 0
	// takes a free one.
	Listen, Proxy, Portal string
	// Upstream chooses the proxy for what goes out into the world; nil means the one
	// that this process's environment names.
	Upstream func(*http.Request) (*url.URL, error)
}

// Doors are the handlers behind the host names. A nil door is one that this service
// does not have. Doors see paths as they came and clean them themselves: nothing
// here ever redirects.
type Doors struct {
	Management, Login, Graph, Vault, Batch, Portal http.Handler
	// Local answers for /identity/ and /local/ on the portal's plain listener: the
	// managed-identity endpoint and what latchkey's own commands ask.
	Local http.Handler
}

// A Front is the set of listeners of one service.
type Front struct {
	cloud    resource.Cloud
	names    names
	ca       *Authority
	log      *slog.Logger
	upstream func(*http.Request) (*url.URL, error)

	listener, proxy, portal net.Listener
	// handed takes the connections that the proxy accepted for our own names.
	handed *handover
	// ours and world carry the service's own outgoing calls.
	ours, world *http.Transport
	doors       Doors

	mu      sync.Mutex
	tunnels map[net.Conn]struct{}
	closed  bool
}

// New opens the listeners. Nothing is answered before Run; Close gives them back if
// Run is never called.
func New(cfg Config) (*Front, error) {
	f := &Front{
		cloud:   cfg.Cloud,
		names:   cfg.Cloud.Suffixes(),
		ca:      cfg.CA,
		log:     cfg.Logger,
		tunnels: map[net.Conn]struct{}{},
	}
	open := func(what, addr string, into *net.Listener) error {
		if addr == "" {
			return nil
		}
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("opening %s: %w", what, err)
		}
		*into = l
		return nil
	}
	if err := errors.Join(
		open("the HTTPS listener", cfg.Listen, &f.listener),
		open("the proxy", cfg.Proxy, &f.proxy),
		open("the portal", cfg.Portal, &f.portal),
	); err != nil {
		f.Close()
		return nil, err
	}
	f.upstream = cfg.Upstream
	if f.upstream == nil {
		f.upstream = http.ProxyFromEnvironment
	}
	f.handed = newHandover(f.listener.Addr())
	f.ours, f.world = f.transports()
	return f, nil
}

// Addr returns the address of the HTTPS listener.
func (f *Front) Addr() string { return f.listener.Addr().String() }

// ProxyAddr returns the address of the proxy, or "".
func (f *Front) ProxyAddr() string { return addrOf(f.proxy) }

// PortalAddr returns the address of the portal's plain listener, or "".
func (f *Front) PortalAddr() string { return addrOf(f.portal) }

func addrOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// Close closes the listeners of a Front that will not run.
func (f *Front) Close() {
	for _, l := range []net.Listener{f.listener, f.proxy, f.portal} {
		if l != nil {
			l.Close()
		}
	}
}

// Run serves until ctx ends, then lets requests finish, cancels those that do not,
// and returns nil: within five seconds in all. It returns early, with an error, if a
// listener fails.
func (f *Front) Run(ctx context.Context, doors Doors) error {
	f.doors = doors
	// Handlers keep their context while the servers drain; it ends when draining has
	// taken long enough.
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	secure := f.server(serving, http.HandlerFunc(f.serveHost))
	secure.TLSConfig = &tls.Config{GetCertificate: f.ca.GetCertificate, MinVersion: tls.VersionTLS12}
	servers := []*http.Server{secure}
	failed := make(chan error, 4)
	serve := func(what string, run func() error) {
		go func() {
			if err := run(); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serving %s: %w", what, err)
			}
		}()
	}
	serve("HTTPS", func() error { return secure.ServeTLS(f.listener, "", "") })
	serve("HTTPS behind the proxy", func() error { return secure.ServeTLS(f.handed, "", "") })
	if f.proxy != nil {
		proxy := f.server(serving, http.HandlerFunc(f.serveProxy))
		servers = append(servers, proxy)
		serve("the proxy", func() error { return proxy.Serve(f.proxy) })
	}
	if f.portal != nil {
		portal := f.server(serving, http.HandlerFunc(f.servePortal))
		servers = append(servers, portal)
		serve("the portal", func() error { return portal.Serve(f.portal) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	f.stop(servers, cancel)
	return err
}

// stop ends the servers, first by asking, then by cancelling, then by closing.
func (f *Front) stop(servers []*http.Server, cancel context.CancelFunc) {
	f.closeTunnels()
	// Our own idle connections to ourselves would be waited for.
	f.ours.CloseIdleConnections()
	f.world.CloseIdleConnections()
	deadline, done := context.WithTimeout(context.Background(), drainTime+cancelTime)
	defer done()
	timer := time.AfterFunc(drainTime, cancel)
	defer timer.Stop()
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			if s.Shutdown(deadline) != nil {
				s.Close()
			}
		})
	}
	wg.Wait()
}

func (f *Front) server(ctx context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          serverLog(f.log),
	}
}

// serveHost sends a request to the door that its host name leads to.
func (f *Front) serveHost(w http.ResponseWriter, r *http.Request) {
	door, h := f.route(r)
	f.serve(w, r, door, h)
}

func (f *Front) route(r *http.Request) (doorName, http.Handler) {
	door, _, _ := f.cloud.Route(r.Host)
	switch door {
	case resource.ManagementDoor:
		return management, f.doors.Management
	case resource.LoginDoor:
		return login, f.doors.Login
	case resource.GraphDoor:
		return graph, f.doors.Graph
	case resource.VaultDoor:
		return vault, f.doors.Vault
	case resource.BatchDoor:
		return batch, f.doors.Batch
	case resource.PortalDoor:
		return portal, f.doors.Portal
	}
	host := hostOf(r.Host)
	if isLoopback(host) {
		// Whoever comes without the proxy gets what has no name in it: where the
		// names are, and whether we are well. The second is the portal's to tell.
		switch path.Clean("/" + r.URL.Path) {
		case "/metadata/endpoints":
			return management, f.doors.Management
		case "/healthz", "/readyz":
			return portal, f.doors.Portal
		}
		return noDoor, refuse(fault.MisdirectedRequest.New(
			"This address answers for the names of a cloud, such as %s. Reach them through the proxy: latchkey exec -- COMMAND.", f.cloud.Management))
	}
	return noDoor, refuse(fault.MisdirectedRequest.New("%q is not a name of this service.", host))
}

// servePortal answers on the portal's plain listener, for this machine only: a page
// of another site whose name was made to point here must not read it.
func (f *Front) servePortal(w http.ResponseWriter, r *http.Request) {
	host := hostOf(r.Host)
	switch {
	case !isLoopback(host) && host != hostOf(f.PortalAddr()) && host != hostOf(f.cloud.Portal):
		f.serve(w, r, noDoor, refuse(fault.MisdirectedRequest.New("%q is not a name of this service.", host)))
	case isLocalPath(r.URL.Path):
		f.serve(w, r, local, f.doors.Local)
	default:
		f.serve(w, r, portal, f.doors.Portal)
	}
}
