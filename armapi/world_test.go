package armapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"latchkey/armapi"
	"latchkey/envelope"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
	"latchkey/subscription"
	"latchkey/vault"
)

// audience is that of Resource Manager's tokens.
const audience = "https://management.azure.com/"

// A world is a door over real services, served over HTTP.
type world struct {
	*httptest.Server
	handler       http.Handler
	directory     *identity.Directory
	subscriptions *subscription.Service
	sub           string
}

// newWorld builds a world of its own and runs what has to run. A cloud other than
// Azure's may be given.
func newWorld(t *testing.T, clouds ...resource.Cloud) *world {
	t.Helper()
	cloud := resource.Azure()
	if len(clouds) > 0 {
		cloud = clouds[0]
	}
	records := openStore(t, "control plane")
	directory, err := identity.Open(t.Context(), identity.Config{Store: records, Cloud: cloud})
	if err != nil {
		t.Fatal(err)
	}
	audit, err := identity.OpenAudit(identity.AuditConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { audit.Close() })
	subscriptions := subscription.New(subscription.Config{
		Store: records, Directory: directory, Members: []subscription.Members{subscription.Identities(directory)},
	})
	vaults := vault.New(vault.Config{
		Store: openStore(t, "vaults"), Cloud: cloud, Directory: directory, Audit: audit,
		Location: func(name string) (string, error) { return subscription.Place(name, vault.Type) },
	})
	w := &world{directory: directory, subscriptions: subscriptions, sub: directory.Subscription()}
	w.handler = armapi.New(armapi.Config{
		Vaults: vaults, Directory: directory, Subscriptions: subscriptions, Cloud: cloud,
	})
	w.Server = httptest.NewServer(w.handler)
	t.Cleanup(w.Close)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- subscriptions.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("running the subscriptions: %v", err)
		}
	})
	return w
}

func openStore(t *testing.T, purpose string) *store.Store {
	t.Helper()
	driver, err := store.OpenPebble(filepath.Join(t.TempDir(), "store"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	})
	return store.New(driver, keyring.Fixed(envelope.NewSecret(), purpose))
}

// owner returns a token of the subscription's owner.
func (w *world) owner(t *testing.T) string {
	t.Helper()
	b := w.directory.Bootstrap()
	token, err := w.directory.ApplicationToken(t.Context(), b.ClientID, b.Secret, audience)
	if err != nil {
		t.Fatal(err)
	}
	return token.Value
}

// caller makes a managed identity with a role at a scope (none if the role is empty)
// and returns it with a token.
func (w *world) caller(t *testing.T, name, role, scope string) (identity.ManagedIdentity, string) {
	t.Helper()
	m, _, err := w.directory.CreateIdentity(t.Context(), identity.ManagedIdentity{
		ResourceID: resource.New(w.sub, "callers", "Microsoft.ManagedIdentity", "userAssignedIdentities", name), Location: "westus2",
	})
	if err != nil {
		t.Fatal(err)
	}
	if role != "" {
		_, _, err := w.directory.AssignRole(t.Context(), w.directory.Bootstrap().ObjectID, identity.RoleAssignment{
			Name: resource.NewGUID(), Scope: scope, RoleID: role, PrincipalID: m.PrincipalID,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	token, _, err := w.directory.IdentityToken(t.Context(), m.PrincipalID, audience)
	if err != nil {
		t.Fatal(err)
	}
	return m, token
}
