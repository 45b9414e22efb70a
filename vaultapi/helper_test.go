package vaultapi_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"latchkey/envelope"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
	"latchkey/subscription"
	"latchkey/vault"
	"latchkey/vaultapi"
)

// A world is the door over HTTPS, on real stores.
type world struct {
	vaults    *vault.Service
	directory *identity.Directory
	owner     identity.Caller
	handler   http.Handler
	// client reaches the door under every host name.
	client *http.Client
}

func setup(t testing.TB) *world { return setupIn(t, resource.Azure()) }

func setupIn(t testing.TB, cloud resource.Cloud) *world {
	t.Helper()
	w := &world{}
	var err error
	w.directory, err = identity.Open(t.Context(), identity.Config{Store: mustStore(t), Cloud: cloud})
	if err != nil {
		t.Fatal(err)
	}
	audit, err := identity.OpenAudit(identity.AuditConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { audit.Close() })
	log := slog.New(slog.DiscardHandler)
	w.vaults = vault.New(vault.Config{
		Store: mustStore(t), Cloud: cloud, Directory: w.directory, Audit: audit, Log: log,
		Location: func(name string) (string, error) { return subscription.Place(name, vault.Type) },
	})
	b := w.directory.Bootstrap()
	w.owner = identity.Caller{Tenant: b.TenantID, ObjectID: b.ObjectID, AppID: b.ClientID, Kind: "application"}
	w.handler = vaultapi.New(vaultapi.Config{Vaults: w.vaults, Directory: w.directory, Cloud: cloud, Log: log})
	server := httptest.NewTLSServer(w.handler)
	t.Cleanup(server.Close)
	w.client = server.Client()
	transport := w.client.Transport.(*http.Transport)
	transport.TLSClientConfig.ServerName = "example.com"
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return w
}

func mustStore(t testing.TB) *store.Store {
	t.Helper()
	driver, err := store.OpenPebble(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { driver.Close() })
	return store.New(driver, keyring.Fixed(envelope.NewSecret(), "vaults"))
}

func (w *world) at(name string) vault.Address {
	return vault.Address{Subscription: w.directory.Subscription(), Group: "g1", Name: name}
}

// mustVault makes a vault in which the owner has the permissions named.
func (w *world) mustVault(t testing.TB, name string, permissions ...string) {
	t.Helper()
	tenant := w.directory.Tenant()
	policies := []vault.Policy{{Tenant: tenant, ObjectID: w.owner.ObjectID, Keys: permissions}}
	if _, _, err := w.vaults.Put(t.Context(), w.owner, w.at(name), vault.Settings{
		Location: "westus2", Tenant: &tenant, SKU: &vault.SKU{Family: "A", Name: "standard"}, Policies: &policies,
	}); err != nil {
		t.Fatal(err)
	}
}

// GetToken makes the world an azcore.TokenCredential of the owner.
func (w *world) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	b := w.directory.Bootstrap()
	token, err := w.directory.ApplicationToken(ctx, b.ClientID, b.Secret, strings.TrimSuffix(options.Scopes[0], "/.default"))
	return azcore.AccessToken{Token: token.Value, ExpiresOn: token.Expires}, err
}

func (w *world) mustToken(t testing.TB, audience string) string {
	t.Helper()
	token, err := w.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	return token.Token
}

// keys returns the official client, with the check of the challenge on.
func (w *world) keys(t testing.TB, url string) *azkeys.Client {
	t.Helper()
	client, err := azkeys.NewClient(url, w, &azkeys.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: w.client, Retry: policy.RetryOptions{MaxRetries: -1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request with a token; the path holds the query.
func (w *world) do(t testing.TB, method, url, token, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	reply, err := w.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	b, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{reply.StatusCode, reply.Header, string(b)}
}
