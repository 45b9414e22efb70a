package server_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"latchkey/resource"
	"latchkey/server"
)

func mustOpen(t *testing.T, dir string) *server.Data {
	t.Helper()
	d, err := server.OpenData(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDataDirectoryIsForOneProcess(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "data")
	first := mustOpen(t, dir)
	var inUse *server.InUseError
	if _, err := server.OpenData(dir); !errors.As(err, &inUse) || inUse.PID != os.Getpid() {
		t.Errorf("second OpenData = %v, want an InUseError with pid %d", err, os.Getpid())
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir).Close()
}

func TestDataDirectoryIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	// A backup that was put back may have any mode.
	if err := os.MkdirAll(filepath.Join(dir, "root"), 0o777); err != nil {
		t.Fatal(err)
	}
	d := mustOpen(t, dir)
	defer d.Close()
	top := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		top = 0o711
	}
	for path, want := range map[string]fs.FileMode{
		dir: top, d.Store(): 0o700, d.Vault(): 0o700, d.Root(): 0o700, d.Audit(): 0o700, d.Client(): 0o700, d.Nodes(): 0o711,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

func TestCredentialsAreKeptForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	d := mustOpen(t, t.TempDir())
	defer d.Close()
	if _, err := d.Credentials(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Credentials before the first start = %v, want that they do not exist", err)
	}
	kept := server.Credentials{
		TenantID: resource.NewGUID(), SubscriptionID: resource.NewGUID(), ClientID: resource.NewGUID(), ClientSecret: "s",
	}
	if err := d.KeepCredentials(kept); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Credentials(); err != nil || got != kept {
		t.Errorf("Credentials = %v, want what was kept", err)
	}
	info, err := os.Stat(d.CredentialsFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("credentials file: %v, %v, want mode 0600", info.Mode(), err)
	}
	for _, damaged := range []string{"", "{", "{}", `{"tenantId":"x"}`} {
		if err := os.WriteFile(d.CredentialsFile(), []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Credentials(); err == nil {
			t.Errorf("credentials file %q was accepted, want an error", damaged)
		}
	}
}

func TestRunningTellsWhoRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var nobody *server.NotRunningError
	if _, err := server.Running(dir); !errors.As(err, &nobody) {
		t.Errorf("Running on an empty directory = %v, want a NotRunningError", err)
	}
	d := mustOpen(t, dir)
	if _, err := server.Running(dir); err == nil || errors.As(err, &nobody) {
		t.Errorf("Running on a starting service = %v, want that it is not ready", err)
	}
	want := server.Info{PID: os.Getpid(), Data: dir, Cloud: "azure", Proxy: "127.0.0.1:1"}
	if err := server.WriteInfo(d.RunFile(), want); err != nil {
		t.Fatal(err)
	}
	if got, err := server.Running(dir); err != nil || got.PID != want.PID || got.Proxy != want.Proxy {
		t.Errorf("Running = %+v, %v, want %+v", got, err, want)
	}
	d.Close() // and run.json stays, as after a kill
	if _, err := server.Running(dir); !errors.As(err, &nobody) {
		t.Errorf("Running after a kill = %v, want a NotRunningError", err)
	}
}
