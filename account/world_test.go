package account_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"latchkey/account"
	"latchkey/envelope"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
	"latchkey/subscription"
	"latchkey/vault"
	"latchkey/vaultapi"
)

// A world is accounts beside a real vault, each with its own store, and a real
// directory between them.
type world struct {
	t         *testing.T
	driver    *store.Pebble
	store     *store.Store
	ring      *keyring.Ring
	directory *identity.Directory
	vaults    *vault.Service
	door      http.Handler
	accounts  *account.Service
	owner     identity.Caller
	sub       string
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{t: t}
	ctx := t.Context()
	w.driver = w.open()
	w.ring = keyring.New(keyring.Config{
		Platform: envelope.NewSecret(), Cloud: resource.Azure(),
		Tenant:     func() string { return w.directory.Tenant() },
		Credential: func(_, id string) azcore.TokenCredential { return credential{w, id} },
		HTTP:       &http.Client{Transport: w},
	})
	w.store = store.New(w.driver, w.ring)
	var err error
	w.directory, err = identity.Open(ctx, identity.Config{Store: w.store, Cloud: resource.Azure()})
	w.must(err)
	w.must(w.ring.Load(ctx, w.store))
	audit, err := identity.OpenAudit(identity.AuditConfig{Dir: t.TempDir()})
	w.must(err)
	t.Cleanup(func() { audit.Close() })
	w.vaults = vault.New(vault.Config{
		Store: store.New(w.open(), keyring.Fixed(envelope.NewSecret(), "vaults")), Cloud: resource.Azure(), Directory: w.directory,
		Audit: audit, Location: func(name string) (string, error) { return subscription.Place(name, vault.Type) },
		Log: slog.New(slog.DiscardHandler),
	})
	w.door = vaultapi.New(vaultapi.Config{Vaults: w.vaults, Directory: w.directory, Cloud: resource.Azure(), Log: slog.New(slog.DiscardHandler)})
	w.accounts = account.New(account.Config{
		Store: w.store, Ring: w.ring, Directory: w.directory, Cloud: resource.Azure(), Quota: 8,
		Location: func(name string) (string, error) { return subscription.Place(name, account.Type) },
	})
	w.vaults.OnChange(w.ring.Nudge)
	w.directory.OnChange(w.ring.NudgeIdentity)
	b := w.directory.Bootstrap()
	w.owner = identity.Caller{Tenant: b.TenantID, ObjectID: b.ObjectID, AppID: b.ClientID, Kind: "application"}
	w.sub = b.SubscriptionID
	return w
}

func (w *world) open() *store.Pebble {
	w.t.Helper()
	driver, err := store.OpenPebble(w.t.TempDir(), slog.New(slog.DiscardHandler))
	w.must(err)
	w.t.Cleanup(func() { w.must(driver.Close()) })
	return driver
}

// RoundTrip leads to the vault's door without a network, so that fake time does not
// wait for one.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.Host, in.RequestURI = r.URL.Host, r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	w.door.ServeHTTP(out, in)
	resp := out.Result()
	resp.Request = r
	return resp, nil
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

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run runs the ring and the accounts' own work until the test ends.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- w.ring.Run(ctx) }()
	go func() { done <- w.accounts.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				w.t.Error(err)
			}
		}
	})
}

func (w *world) at(name string) account.Address {
	return account.Address{Subscription: w.sub, Group: "g1", Name: name}
}

// create makes an account.
func (w *world) create(name string, in account.Change) account.Account {
	w.t.Helper()
	a, created, err := w.accounts.Put(context.Background(), w.owner, w.at(name), account.Creation{Location: "West US 2", Change: in})
	if err != nil || !created {
		w.t.Fatalf("Put = %v, %v", created, err)
	}
	return a
}

// user makes a user-assigned identity.
func (w *world) user(name string) identity.ManagedIdentity {
	w.t.Helper()
	m, _, err := w.directory.CreateIdentity(context.Background(), identity.ManagedIdentity{
		ResourceID: resource.New(w.sub, "g1", "Microsoft.ManagedIdentity", "userAssignedIdentities", name), Location: "westus2",
	})
	w.must(err)
	return m
}

// vault makes a protected vault in which the owner may do all, and others nothing.
func (w *world) vault(name string) {
	w.t.Helper()
	on, tenant := true, w.directory.Tenant()
	policies := []vault.Policy{{Tenant: tenant, ObjectID: w.owner.ObjectID, Keys: []string{"all"}}}
	_, _, err := w.vaults.Put(context.Background(), w.owner, w.vaultAt(name), vault.Settings{
		Location: "westus2", Tenant: &tenant, SKU: &vault.SKU{Family: "A", Name: "standard"}, Policies: &policies, PurgeProtection: &on,
	})
	w.must(err)
}

func (w *world) vaultAt(name string) vault.Address {
	return vault.Address{Subscription: w.sub, Group: "g1", Name: name}
}

// grant gives a principal permissions on keys; none takes them away.
func (w *world) grant(vaultName, principal string, permissions ...string) {
	w.t.Helper()
	how := vault.ReplacePolicies
	if len(permissions) == 0 {
		how, permissions = vault.RemovePolicies, []string{"get", "wrapKey", "unwrapKey"}
	}
	_, err := w.vaults.ChangePolicies(context.Background(), w.owner, w.vaultAt(vaultName), how,
		[]vault.Policy{{Tenant: w.directory.Tenant(), ObjectID: principal, Keys: permissions}})
	w.must(err)
}

// key makes a key or a new version of one, and returns its identifier.
func (w *world) key(vaultName, name string) string {
	w.t.Helper()
	v, err := w.vaults.Create(context.Background(), w.owner, vault.Ref{Vault: vaultName, Key: name}, vault.Draft{Type: vault.RSA})
	w.must(err)
	return w.vaults.KeyID(vaultName, name, v.ID)
}

// settle lets what is under way end.
func settle() { time.Sleep(5 * time.Second) }

func ptr[T any](v T) *T { return &v }

func customer(id string) *account.EncryptionIn {
	return &account.EncryptionIn{KeySource: account.CustomerKey, KeyIdentifier: id}
}
