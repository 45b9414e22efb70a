package vault_test

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
	"latchkey/subscription"
	"latchkey/vault"
)

// A world is a vault service on real stores, with a real directory and a real audit.
type world struct {
	*vault.Service
	directory *identity.Directory
	// owner has Owner on the subscription and no access policy.
	owner identity.Caller

	audit, control, vaults string
	secret                 []byte
	closers                []io.Closer
}

func setup(t testing.TB) *world {
	t.Helper()
	w := &world{audit: t.TempDir(), control: t.TempDir(), vaults: t.TempDir(), secret: envelope.NewSecret()}
	w.open(t)
	t.Cleanup(func() { w.close(t) })
	return w
}

// open starts the service on the world's directories, and again after close.
func (w *world) open(t testing.TB) {
	t.Helper()
	var err error
	w.directory, err = identity.Open(t.Context(), identity.Config{Store: w.mustStore(t, w.control), Cloud: resource.Azure()})
	if err != nil {
		t.Fatal(err)
	}
	audit, err := identity.OpenAudit(identity.AuditConfig{Dir: w.audit})
	if err != nil {
		t.Fatal(err)
	}
	w.closers = append(w.closers, audit)
	w.Service = vault.New(vault.Config{
		Store: w.mustStore(t, w.vaults), Cloud: resource.Azure(), Directory: w.directory, Audit: audit,
		Location: func(name string) (string, error) { return subscription.Place(name, vault.Type) },
		Geography: func(region string) string {
			l, _ := subscription.FindLocation(region)
			return l.Geography
		},
		Log: slog.New(slog.DiscardHandler),
	})
	b := w.directory.Bootstrap()
	w.owner = identity.Caller{
		Tenant: b.TenantID, ObjectID: b.ObjectID, AppID: b.ClientID, Kind: "application", Address: "192.0.2.7", Correlation: "c-1",
	}
}

func (w *world) mustStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	driver, err := store.OpenPebble(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w.closers = append(w.closers, driver)
	return store.New(driver, keyring.Fixed(w.secret, "vaults"))
}

func (w *world) close(t testing.TB) {
	t.Helper()
	for _, c := range w.closers {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	w.closers = nil
}

func (w *world) at(name string) vault.Address {
	return vault.Address{Subscription: w.directory.Subscription(), Group: "g1", Name: name}
}

// guest returns a caller that no policy and no role names yet.
func (w *world) guest() identity.Caller {
	return identity.Caller{Tenant: w.directory.Tenant(), ObjectID: resource.NewGUID(), AppID: resource.NewGUID(), Kind: "managed identity"}
}

func (w *world) settings(policies ...vault.Policy) vault.Settings {
	tenant := w.directory.Tenant()
	if policies == nil {
		policies = []vault.Policy{}
	}
	return vault.Settings{
		Location: "West US 2", Tenant: &tenant, SKU: &vault.SKU{Family: "A", Name: "standard"}, Policies: &policies,
	}
}

// policy lets a caller use keys.
func (w *world) policy(who identity.Caller, permissions ...string) vault.Policy {
	return vault.Policy{Tenant: w.directory.Tenant(), ObjectID: who.ObjectID, Keys: permissions}
}

// mustVault makes a vault in which the owner may do everything with keys.
func (w *world) mustVault(t testing.TB, name string, change ...func(*vault.Settings)) vault.Vault {
	t.Helper()
	in := w.settings(w.policy(w.owner, "all"))
	for _, c := range change {
		c(&in)
	}
	v, _, err := w.Put(t.Context(), w.owner, w.at(name), in)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (w *world) mustKey(t testing.TB, ref vault.Ref, change ...func(*vault.Draft)) vault.Version {
	t.Helper()
	in := vault.Draft{Type: vault.RSA}
	for _, c := range change {
		c(&in)
	}
	key, err := w.Create(t.Context(), w.owner, ref, in)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// allow gives a caller these permissions to keys, and no others.
func (w *world) allow(t testing.TB, vaultName string, who identity.Caller, permissions ...string) {
	t.Helper()
	if _, err := w.ChangePolicies(t.Context(), w.owner, w.at(vaultName), vault.ReplacePolicies, []vault.Policy{w.policy(who, permissions...)}); err != nil {
		t.Fatal(err)
	}
}

// audited returns what the audit holds.
func (w *world) audited(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(w.audit, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wants checks that err is the failure wanted, with its inner code; nil wants none.
func wants(t testing.TB, err error, code *fault.Code, inner string) {
	t.Helper()
	if code == nil {
		if err != nil {
			t.Errorf("got %v, want no error", err)
		}
		return
	}
	f, ok := fault.From(err)
	if !ok || !errors.Is(err, code) {
		t.Errorf("got %v, want %v", err, code)
		return
	}
	if f.Inner != inner {
		t.Errorf("got inner code %q, want %q in %v", f.Inner, inner, err)
	}
}

func ptr[T any](v T) *T { return &v }
