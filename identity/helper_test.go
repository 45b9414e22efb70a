package identity_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// oneKey seals every space under one key.
type oneKey struct{ *envelope.Key }

func (k oneKey) Sealer(store.Space) (store.Sealer, error) { return k, nil }

func (k oneKey) Names(label []byte) ([][]byte, error) {
	tag, err := k.Name(label)
	return [][]byte{tag}, err
}

func (k oneKey) Fresh([]byte) bool { return true }

// disk is a store that can be closed and opened again.
type disk struct {
	dir    string
	secret []byte
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	return &disk{dir: t.TempDir(), secret: envelope.NewSecret()}
}

// open opens the store; the returned function closes it.
func (d *disk) open(t *testing.T) (*store.Store, func()) {
	t.Helper()
	driver, err := store.OpenPebble(d.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return store.New(driver, oneKey{envelope.NewKey(d.secret, 1)}), func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	}
}

// setup returns a fresh directory.
func setup(t *testing.T) *identity.Directory {
	t.Helper()
	s, done := newDisk(t).open(t)
	t.Cleanup(done)
	return mustOpen(t, s, "")
}

func mustOpen(t *testing.T, s *store.Store, secret string) *identity.Directory {
	t.Helper()
	d, err := identity.Open(context.Background(), identity.Config{Store: s, Cloud: resource.Azure(), Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// arm is the audience of Resource Manager.
const arm = "https://management.azure.com/"

func mustToken(t *testing.T, d *identity.Directory) string {
	t.Helper()
	b := d.Bootstrap()
	token, err := d.ApplicationToken(t.Context(), b.ClientID, b.Secret, arm)
	if err != nil {
		t.Fatal(err)
	}
	return token.Value
}

func mustCaller(t *testing.T, d *identity.Directory) identity.Caller {
	t.Helper()
	who, err := d.Authenticate(t.Context(), "Bearer "+mustToken(t, d), []string{arm})
	if err != nil {
		t.Fatal(err)
	}
	return who
}

func mustIdentity(t *testing.T, d *identity.Directory, name string) identity.ManagedIdentity {
	t.Helper()
	m, _, err := d.CreateIdentity(t.Context(), identity.ManagedIdentity{
		ResourceID: resource.New(d.Subscription(), "g1", "Microsoft.ManagedIdentity", "userAssignedIdentities", name),
		Location:   "westus2",
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// wants checks that err is the failure wanted; nil wants none.
func wants(t *testing.T, err error, code *fault.Code) {
	t.Helper()
	if code == nil {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	if !errors.Is(err, code) {
		t.Errorf("got %v, want %v", err, code)
	}
}
