// Package server builds a whole service from a Config, runs every loop of it, and
// stops them in reverse.
//
// It is the only package that knows all the others. What the rest of the house takes
// as an argument is made here: the data directory, the authority, the client that
// finds our own names, the services, their doors.
package server

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"latchkey/front"
)

// A Server is one service on one data directory.
type Server struct{ cfg Config }

// New checks the configuration. Nothing is opened before Run.
func New(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	return &Server{cfg: cfg}, nil
}

// Run opens everything, calls ready when requests are answered, and serves until ctx
// ends; then it stops within five seconds and returns nil. An error of ready stops
// the service and is returned.
func (s *Server) Run(ctx context.Context, ready func(Info) error) error {
	began := time.Now()
	data, err := OpenData(s.cfg.Data)
	if err != nil {
		return err
	}
	defer data.Close()
	// What a killed service left behind is not true of this one.
	os.Remove(data.RunFile())
	creds, _, err := data.FirstCredentials()
	if err != nil {
		return err
	}
	ca, err := front.OpenAuthority(data.Root(), s.cfg.Cloud, s.cfg.Logger)
	if err != nil {
		return err
	}
	f, err := front.New(front.Config{
		Cloud: s.cfg.Cloud, CA: ca, Logger: s.cfg.Logger,
		Listen: s.cfg.Listen, Proxy: s.cfg.Proxy, Portal: s.cfg.Portal,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, s.doors()) }()

	info := Info{
		Version: s.cfg.Version, PID: os.Getpid(), Data: string(data.Layout), Cloud: cloudName(s.cfg.Cloud),
		Listen: f.Addr(), Proxy: f.ProxyAddr(), Portal: f.PortalAddr(), CAFile: data.CAFile(),
		TenantID: creds.TenantID, SubscriptionID: creds.SubscriptionID, ClientID: creds.ClientID,
		SecretFile: data.CredentialsFile(), Endpoints: endpointsOf(s.cfg.Cloud),
		StartedMS: time.Since(began).Milliseconds(),
	}
	if err := WriteInfo(data.RunFile(), info); err != nil {
		cancel()
		<-done
		return fmt.Errorf("saying where the service is: %w", err)
	}
	defer os.Remove(data.RunFile())
	if ready != nil {
		if err := ready(info); err != nil {
			cancel()
			<-done
			return err
		}
	}
	return <-done
}

// doors returns what stands behind the host names.
func (s *Server) doors() front.Doors {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return front.Doors{Management: mux}
}
