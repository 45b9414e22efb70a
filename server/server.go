// Package server builds a whole service from a Config, runs every loop of it, and
// stops them in reverse.
//
// It is the only package that knows all the others. What the rest of the house takes
// as an argument is made here: the data directory, the authority, the client that
// finds our own names, the services, their doors.
package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"latchkey/front"
	"latchkey/portal"
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
	services, err := build(ctx, s.cfg, data, f)
	if err != nil {
		f.Close()
		return err
	}
	defer services.close()
	info := s.info(data, f, services)
	info.StartedMS = time.Since(began).Milliseconds()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var work sync.WaitGroup
	// The doors close after the loops have been told to end: a long poll that waits
	// for work is answered, not cut off.
	work.Go(func() {
		if err := services.run(ctx); err != nil {
			cancel(err)
		}
	})
	work.Go(func() {
		if err := f.Run(ctx, services.doors(facts(info))); err != nil {
			cancel(err)
		}
	})
	defer os.Remove(data.RunFile())
	if err := WriteInfo(data.RunFile(), info); err != nil {
		cancel(fmt.Errorf("saying where the service is: %w", err))
	} else if ready != nil {
		if err := ready(info); err != nil {
			cancel(err)
		}
	}
	work.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (s *Server) info(data *Data, f *front.Front, services *services) Info {
	first := services.directory.Bootstrap()
	return Info{
		Version: s.cfg.Version, PID: os.Getpid(), Data: string(data.Layout), Cloud: cloudName(s.cfg.Cloud),
		Listen: f.Addr(), Proxy: f.ProxyAddr(), Portal: f.PortalAddr(), CAFile: data.CAFile(),
		TenantID: first.TenantID, SubscriptionID: first.SubscriptionID, ClientID: first.ClientID,
		SecretFile: data.CredentialsFile(), Endpoints: endpointsOf(s.cfg.Cloud),
		Isolation: services.nodes.Isolation(),
	}
}

// facts are what the portal shows.
func facts(i Info) portal.Facts {
	return portal.Facts{
		Version: i.Version, Data: i.Data, CAFile: i.CAFile,
		TenantID: i.TenantID, SubscriptionID: i.SubscriptionID, ClientID: i.ClientID,
		Management: i.Endpoints.Management, Login: i.Endpoints.Login, Vault: i.Endpoints.Vault, Batch: i.Endpoints.Batch,
		Proxy: i.Proxy, Isolation: i.Isolation,
	}
}
