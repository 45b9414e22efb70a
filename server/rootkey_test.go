package server_test

import (
	"context"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"latchkey/server"
)

// start runs a service on a directory until it is ready, and returns why it was not.
func start(t *testing.T, dir string) error {
	t.Helper()
	s, err := server.New(server.Config{
		Data: dir, Listen: "127.0.0.1:0", Proxy: "127.0.0.1:0", Portal: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	return s.Run(ctx, func(server.Info) error { cancel(); return nil })
}

func TestStartRefusesAWrongRootKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := start(t, dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "root", "platform.key")
	right, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		spoil func() error
		says  string
	}{
		{"missing", func() error { return os.Remove(path) }, "is missing"},
		{"not a key", func() error { return os.WriteFile(path, []byte("x\n"), 0o600) }, "is not 32 bytes in base64"},
		{"another", func() error {
			return os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600)
		}, "is not the one that this directory was sealed under"},
		{"readable", func() error { return os.Chmod(path, 0o644) }, "can be read by others"},
	} {
		if err := c.spoil(); err != nil {
			t.Fatal(err)
		}
		if err := start(t, dir); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: start = %v, want a sentence with the file and %q", c.name, err, c.says)
		}
	}
	if err := os.WriteFile(path, right, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(t, dir); err != nil {
		t.Errorf("with the right key back: %v", err)
	}
}
