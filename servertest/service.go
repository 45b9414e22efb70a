// Package servertest runs a whole service in a test: the real store, the real vault,
// real processes, reached only as a client would.
package servertest

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"latchkey/client"
	"latchkey/server"
)

// A Service is a running service.
type Service struct {
	server.Info
	*client.Client
	// Log is where the service writes its log.
	Log string

	stop func()
}

// Start runs a service in this process on a data directory, which may be empty, and
// stops it when the test ends. Options change its configuration.
func Start(t testing.TB, dir string, options ...func(*server.Config)) *Service {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cfg := server.Config{
		Data: dir, Listen: "127.0.0.1:0", Proxy: "127.0.0.1:0", Portal: "127.0.0.1:0",
		CheckInterval: time.Second,
		Logger:        slog.New(slog.NewTextHandler(io.Writer(log), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, option := range options {
		option(&cfg)
	}
	s, err := server.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan server.Info, 1), make(chan error, 1)
	go func() {
		done <- s.Run(ctx, func(info server.Info) error { ready <- info; return nil })
	}()
	service := &Service{Log: log.Name()}
	select {
	case service.Info = <-ready:
	case err := <-done:
		cancel()
		t.Fatalf("the service did not start: %v", err)
	case <-time.After(30 * time.Second):
		cancel()
		t.Fatal("the service was not ready after 30 s")
	}
	stopped := false
	service.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopping the service: %v", err)
		}
		log.Close()
		if t.Failed() {
			if b, err := os.ReadFile(log.Name()); err == nil {
				t.Logf("the service's log ends:\n%s", b[max(0, len(b)-6000):])
			}
		}
	}
	t.Cleanup(service.stop)
	if service.Client, err = Connect(service.Info); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Client.Close)
	return service
}

// Stop stops the service before the test ends.
func (s *Service) Stop() { s.stop() }

// Connect returns a client for a running service, as its first application.
func Connect(info server.Info) (*client.Client, error) {
	creds, err := server.Layout(info.Data).Credentials()
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{
		Proxy: info.Proxy, CAFile: info.CAFile, Login: info.Endpoints.Login,
		TenantID: creds.TenantID, ClientID: creds.ClientID, Secret: creds.ClientSecret,
	})
}
