package keyring

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"latchkey/resource"
)

// How long questions may take. A check is a handful of requests, each answered in
// milliseconds by a vault that is well; one request that hangs must not use up the
// time of all.
const (
	requestTimeout = 4 * time.Second
	checkTimeout   = 10 * time.Second
)

// asker asks vaults, as any client would: HTTPS, a bearer token, the Key Vault
// protocol. It keeps one client for each vault and identity, and with it the
// connection and the token.
type asker struct {
	cfg  Config
	http *http.Client

	mu      sync.Mutex
	clients map[clientKey]*client
}

type clientKey struct{ vault, identity string }

// maxClients bounds what changed vaults and identities leave behind.
const maxClients = 4096

func newAsker(cfg Config) *asker {
	h := http.DefaultClient
	if cfg.HTTP != nil {
		h = cfg.HTTP
	}
	// A vault does not redirect, and a token must not travel to where one would.
	own := *h
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &asker{cfg: cfg, http: &own, clients: map[clientKey]*client{}}
}

// client is one identity's way to one vault.
type client struct {
	keys  *azkeys.Client
	token *credential
}

func (a *asker) client(id KeyID, identity string) (*client, error) {
	key := clientKey{id.Vault, resource.Fold(identity)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.clients[key]; c != nil {
		return c, nil
	}
	if a.cfg.Credential == nil {
		return nil, errors.New("asking a vault: no credentials are configured")
	}
	inner := a.cfg.Credential(a.cfg.Tenant(), identity)
	if inner == nil {
		return nil, &refusal{IdentityNotFound, ""}
	}
	c := &client{token: &credential{inner: inner}}
	keys, err := azkeys.NewClient(id.Vault, c.token, &azkeys.ClientOptions{ClientOptions: policy.ClientOptions{
		Transport: gate{a.http, a.cfg.Tenant},
		// The ring asks again by itself, so one try is a try.
		Retry:     policy.RetryOptions{MaxRetries: -1, TryTimeout: requestTimeout},
		Telemetry: policy.TelemetryOptions{ApplicationID: "latchkey"},
	}})
	if err != nil {
		return nil, fmt.Errorf("asking a vault: %w", err)
	}
	c.keys = keys
	if len(a.clients) >= maxClients {
		clear(a.clients)
	}
	a.clients[key] = c
	return c, nil
}

// forget drops a client with its token: who has been refused may have been given new
// rights, or be somebody else of the same name, and a token knows nothing of that.
func (a *asker) forget(id KeyID, identity string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.clients, clientKey{id.Vault, resource.Fold(identity)})
}

// get reads a key; an empty version is the newest.
func (c *client) get(ctx context.Context, id KeyID) (azkeys.KeyBundle, error) {
	resp, err := c.keys.GetKey(ctx, id.Name, id.Version, nil)
	if err != nil {
		return azkeys.KeyBundle{}, classify(opGet, err)
	}
	if resp.Key == nil || resp.Key.KID == nil || resp.Attributes == nil {
		return azkeys.KeyBundle{}, &refusal{VaultRefused, "it answers without a key"}
	}
	return resp.KeyBundle, nil
}

// wrap wraps a secret and returns the version that did.
func (c *client) wrap(ctx context.Context, id KeyID, secret []byte) (wrapped []byte, version string, err error) {
	resp, err := c.keys.WrapKey(ctx, id.Name, id.Version, parameters(secret), nil)
	if err != nil {
		return nil, "", classify(opWrap, err)
	}
	version = id.Version
	if resp.KID != nil {
		version = versionOf(string(*resp.KID))
	}
	return resp.Result, version, nil
}

func (c *client) unwrap(ctx context.Context, id KeyID, wrapped []byte) ([]byte, error) {
	resp, err := c.keys.UnwrapKey(ctx, id.Name, id.Version, parameters(wrapped), nil)
	if err != nil {
		return nil, classify(opUnwrap, err)
	}
	return resp.Result, nil
}

// roundTrip wraps random bytes and unwraps them: both permissions, and a key that
// works. What it lacks of the two permissions it names together.
func (c *client) roundTrip(ctx context.Context, id KeyID) error {
	probe := make([]byte, 32)
	rand.Read(probe)
	wrapped, _, err := c.wrap(ctx, id, probe)
	if missing(err) {
		// Any bytes of a key's length do: a vault looks at the permission first.
		_, unwrapErr := c.unwrap(ctx, id, make([]byte, 256))
		if missing(unwrapErr) {
			return &refusal{PermissionMissing, opWrap + ", " + opUnwrap}
		}
		return err
	}
	if err != nil {
		return err
	}
	back, err := c.unwrap(ctx, id, wrapped)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(back, probe) == 0 {
		return &refusal{KeyMismatch, "a round trip gives other bytes back"}
	}
	return nil
}

func missing(err error) bool {
	var no *refusal
	return errors.As(err, &no) && no.reason == PermissionMissing
}

func parameters(value []byte) azkeys.KeyOperationParameters {
	algorithm := azkeys.EncryptionAlgorithmRSAOAEP256
	return azkeys.KeyOperationParameters{Algorithm: &algorithm, Value: value}
}

func versionOf(kid string) string {
	parts := strings.Split(strings.TrimSuffix(kid, "/"), "/")
	return parts[len(parts)-1]
}

// examine says whether a key may hold an account's, as far as its description tells:
// the vault's protection first, then the key.
func examine(b azkeys.KeyBundle, now time.Time) error {
	level := ""
	if b.Attributes.RecoveryLevel != nil {
		level = *b.Attributes.RecoveryLevel
	}
	kty := ""
	if b.Key.Kty != nil {
		kty = string(*b.Key.Kty)
	}
	bits := 8 * len(b.Key.N)
	switch {
	case !strings.Contains(level, "Recoverable"):
		return &refusal{SoftDeleteOff, ""}
	case strings.Contains(level, "Purgeable"):
		return &refusal{PurgeProtectionOff, ""}
	case kty != string(azkeys.KeyTypeRSA) && kty != string(azkeys.KeyTypeRSAHSM):
		return &refusal{KeyTypeNotSupported, kty}
	case bits != 2048 && bits != 3072 && bits != 4096:
		return &refusal{KeySizeNotSupported, fmt.Sprint(bits)}
	case b.Attributes.Enabled != nil && !*b.Attributes.Enabled:
		return &refusal{KeyDisabled, ""}
	case b.Attributes.NotBefore != nil && now.Before(*b.Attributes.NotBefore):
		return &refusal{KeyNotYetValid, b.Attributes.NotBefore.UTC().Format(time.RFC3339)}
	case b.Attributes.Expires != nil && !now.Before(*b.Attributes.Expires):
		return &refusal{KeyExpired, b.Attributes.Expires.UTC().Format(time.RFC3339)}
	}
	var lacks []string
	for _, op := range []azkeys.KeyOperation{azkeys.KeyOperationWrapKey, azkeys.KeyOperationUnwrapKey} {
		if !slices.ContainsFunc(b.Key.KeyOps, func(o *azkeys.KeyOperation) bool { return o != nil && resource.Equal(string(*o), string(op)) }) {
			lacks = append(lacks, string(op))
		}
	}
	if len(lacks) > 0 {
		return &refusal{OperationNotAllowed, strings.Join(lacks, ", ")}
	}
	return nil
}

// credential remembers what for a vault asked for a token, so that a check can ask
// whether the identity still exists: the client itself would go on with the token that
// it has until that expires.
type credential struct {
	inner azcore.TokenCredential

	mu   sync.Mutex
	seen bool
	last policy.TokenRequestOptions
}

// GetToken implements azcore.TokenCredential.
func (c *credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	token, err := c.inner.GetToken(ctx, o)
	if err != nil {
		return token, &credentialError{err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen, c.last = true, policy.TokenRequestOptions{Scopes: o.Scopes, TenantID: o.TenantID, EnableCAE: o.EnableCAE}
	return token, nil
}

// alive fails if the identity can get no token any more.
func (c *credential) alive(ctx context.Context) error {
	c.mu.Lock()
	seen, last := c.seen, c.last
	c.mu.Unlock()
	if !seen {
		return nil
	}
	if _, err := c.GetToken(ctx, last); err != nil {
		return classify(opToken, err)
	}
	return nil
}

// credentialError is a failure to get a token.
type credentialError struct{ err error }

// Error implements error.
func (e *credentialError) Error() string { return "getting a token: " + e.err.Error() }

// Unwrap implements the errors package's convention.
func (e *credentialError) Unwrap() error { return e.err }

// maxAnswer bounds what is read of an answer: a vault's are a few kilobytes.
const maxAnswer = 1 << 20

// gate is the transport of all questions. It looks at a vault's challenge before the
// client acts on it.
type gate struct {
	http   *http.Client
	tenant func() string
}

// Do implements policy.Transporter.
func (g gate) Do(req *http.Request) (*http.Response, error) {
	resp, err := g.http.Do(req)
	if err != nil {
		return nil, &outage{err}
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	if challenge := resp.Header.Get("WWW-Authenticate"); resp.StatusCode == http.StatusUnauthorized && challenge != "" {
		if err := g.look(challenge); err != nil {
			resp.Body.Close()
			return nil, err
		}
	}
	return resp, nil
}

// look reads the tenant out of a challenge. The client library takes it from the same
// place, without looking whether it is there.
func (g gate) look(challenge string) error {
	_, rest, ok := strings.Cut(challenge, "authorization=")
	if !ok {
		_, rest, ok = strings.Cut(challenge, "authorization_uri=")
	}
	rest = strings.TrimPrefix(rest, `"`)
	if end := strings.IndexAny(rest, `", `); end >= 0 {
		rest = rest[:end]
	}
	u, err := url.Parse(rest)
	if !ok || err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return &refusal{VaultRefused, "its challenge names no authority"}
	}
	tenant, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if own := g.tenant(); own != "" && !resource.Equal(tenant, own) {
		return &refusal{TenantMismatch, "it is in tenant " + clip(tenant) + ", the account in " + own}
	}
	return nil
}
