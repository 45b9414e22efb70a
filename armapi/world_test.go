package armapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"latchkey/account"
	"latchkey/armapi"
	"latchkey/batch"
	"latchkey/envelope"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
	"latchkey/subscription"
	"latchkey/vault"
	"latchkey/vaultapi"
)

// audience is that of Resource Manager's tokens.
const audience = "https://management.azure.com/"

// A world is a door over real services, served over HTTP.
type world struct {
	*httptest.Server
	handler       http.Handler
	directory     *identity.Directory
	subscriptions *subscription.Service
	vaults        *vault.Service
	vaultDoor     http.Handler
	ring          *keyring.Ring
	sub           string
}

// RoundTrip leads the keyring to the vaults' door.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.Host, in.RequestURI = r.URL.Host, r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	w.vaultDoor.ServeHTTP(out, in)
	return out.Result(), nil
}

// credential takes tokens of an identity from the directory.
type credential struct {
	w  *world
	id string
}

func (c credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, expires, err := c.w.directory.IdentityToken(ctx, c.id, strings.TrimSuffix(o.Scopes[0], "/.default"))
	return azcore.AccessToken{Token: token, ExpiresOn: expires}, err
}

// newWorld builds a world of its own and runs what has to run. A cloud other than
// Azure's may be given.
func newWorld(t *testing.T, clouds ...resource.Cloud) *world {
	t.Helper()
	cloud := resource.Azure()
	if len(clouds) > 0 {
		cloud = clouds[0]
	}
	w := &world{}
	w.ring = keyring.New(keyring.Config{
		Platform: envelope.NewSecret(), Cloud: cloud, HTTP: &http.Client{Transport: w},
		Tenant:     func() string { return w.directory.Tenant() },
		Credential: func(_, id string) azcore.TokenCredential { return credential{w, id} },
	})
	records := store.New(openDriver(t), w.ring)
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
	if err := w.ring.Load(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	accounts := account.New(account.Config{
		Store: records, Ring: w.ring, Directory: directory, Cloud: cloud, Usable: subscriptions.Usable,
		Location: func(name string) (string, error) { return subscription.Place(name, account.Type) },
		Usage: func(_ context.Context, _ store.Space, locked bool) (account.Usage, error) {
			state := map[bool]string{true: "unusable", false: "idle"}[locked]
			return account.Usage{Pools: 1, Jobs: 1, Nodes: map[string]int64{state: 2}, Tasks: map[string]int64{"active": 17}}, nil
		},
	})
	w.directory, w.subscriptions, w.vaults, w.sub = directory, subscriptions, vaults, directory.Subscription()
	w.vaultDoor = vaultapi.New(vaultapi.Config{Vaults: vaults, Directory: directory, Cloud: cloud, Log: slog.New(slog.DiscardHandler)})
	work := batch.New(batch.Config{
		Store: records, Directory: directory,
		Accounts: func(ctx context.Context) ([]batch.Account, error) {
			all, err := accounts.Accounts(ctx)
			var out []batch.Account
			for _, a := range all {
				out = append(out, batch.Account{Space: a.Space, ID: a.ID, Name: a.Name, URL: a.URL()})
			}
			return out, err
		},
	})
	w.handler = armapi.New(armapi.Config{
		Accounts: accounts, Batch: work, Vaults: vaults, Directory: directory, Subscriptions: subscriptions, Cloud: cloud,
	})
	w.Server = httptest.NewServer(w.handler)
	t.Cleanup(w.Close)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 2)
	go func() { done <- subscriptions.Run(ctx) }()
	go func() { done <- work.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("running the services: %v", err)
			}
		}
	})
	return w
}

func openStore(t *testing.T, purpose string) *store.Store {
	t.Helper()
	return store.New(openDriver(t), keyring.Fixed(envelope.NewSecret(), purpose))
}

func openDriver(t *testing.T) store.Driver {
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
	return driver
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
