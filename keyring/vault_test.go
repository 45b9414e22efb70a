package keyring_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"latchkey/fault"
)

// rogue is a key vault that can misbehave in every way that a vault can. It speaks
// the protocol, wraps with real keys, and answers as the real one in
// TestWithTheRealVault does.
type rogue struct {
	mu     sync.Mutex
	keys   map[string]*rogueKey
	grants map[string]bool
	level  string
	tenant string
	// challenge, if set, is sent instead of the right one.
	challenge string
	// gone: the vault has been deleted.
	gone bool
	// status, if set, answers every request; fail, if set, breaks every connection.
	status int
	fail   error
	// body makes a 403 of another kind.
	forbidden string
	// slips is how many requests are refused for no reason.
	slips int
	// swap gives another key's bytes back.
	swap bool
	// identity is false once the identity is gone.
	identity bool
	asked    int
	wraps    int
}

type rogueKey struct {
	deleted  bool
	versions []*rogueVersion
}

type rogueVersion struct {
	id       string
	key      *rsa.PrivateKey
	kty      string
	disabled bool
	nbf, exp int64
	ops      []string
}

const (
	ourTenant = "11111111-1111-1111-1111-111111111111"
	host      = "v1.vault.azure.net"
	me        = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/me"
)

// testKeys are made once: making them is what takes the time.
var testKeys = func() (keys []*rsa.PrivateKey) {
	for range 3 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key)
	}
	return keys
}()

var smallKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return key
})

func newRogue() *rogue {
	v := &rogue{
		keys: map[string]*rogueKey{}, grants: map[string]bool{"get": true, "wrapKey": true, "unwrapKey": true},
		level: "Recoverable", tenant: ourTenant, identity: true,
	}
	v.add("k1")
	return v
}

// change changes the vault's state between two requests.
func (v *rogue) change(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

// add makes a new version of a key and returns its identifier.
func (v *rogue) add(name string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := v.keys[name]
	if k == nil {
		k = &rogueKey{}
		v.keys[name] = k
	}
	n := &rogueVersion{id: fmt.Sprintf("%032x", len(k.versions)+1), key: testKeys[len(k.versions)%3], kty: "RSA", ops: []string{"wrapKey", "unwrapKey", "sign"}}
	k.versions = append(k.versions, n)
	return "https://" + host + "/keys/" + name + "/" + n.id
}

func (v *rogue) newest(name string) *rogueVersion {
	return v.keys[name].versions[len(v.keys[name].versions)-1]
}

// client returns an HTTP client that leads here without a network, so that fake time
// does not wait for one.
func (v *rogue) client() *http.Client { return &http.Client{Transport: v} }

// RoundTrip implements http.RoundTripper.
func (v *rogue) RoundTrip(r *http.Request) (*http.Response, error) {
	v.mu.Lock()
	fail := v.fail
	v.asked++
	v.mu.Unlock()
	if errors.Is(fail, context.DeadlineExceeded) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if fail != nil {
		return nil, fail
	}
	w := httptest.NewRecorder()
	v.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

func (v *rogue) no(w http.ResponseWriter, status int, code, inner, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body := map[string]any{"code": code, "message": message}
	if inner != "" {
		body["innererror"] = map[string]any{"code": inner}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"error": body})
}

// ServeHTTP implements http.Handler.
func (v *rogue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.status != 0 {
		v.no(w, v.status, "Whatever", "", "no")
		return
	}
	if r.Header.Get("Authorization") == "" {
		c := v.challenge
		if c == "" {
			c = fmt.Sprintf(`Bearer authorization="https://login.microsoftonline.com/%s", resource="https://vault.azure.net"`, v.tenant)
		}
		w.Header().Set("WWW-Authenticate", c)
		v.no(w, 401, "Unauthorized", "", "no token")
		return
	}
	if v.gone {
		v.no(w, 404, "VaultNotFound", "", "there is no such vault")
		return
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/keys/"), "/")
	op := "get"
	if r.Method == http.MethodPost {
		op = map[string]string{"wrapkey": "wrapKey", "unwrapkey": "unwrapKey"}[parts[len(parts)-1]]
	}
	if v.forbidden != "" || v.slips > 0 {
		v.slips--
		v.no(w, 403, "Forbidden", v.forbidden, "refused")
		return
	}
	if !v.grants[op] {
		v.no(w, 403, "Forbidden", "AccessDenied", "does not have keys "+op+" permission on key vault")
		return
	}
	k := v.keys[parts[0]]
	if k == nil {
		v.no(w, 404, "KeyNotFound", "", "A key with (name/id) was not found in this key vault.")
		return
	}
	if k.deleted {
		v.no(w, 404, "KeyNotFound", "", "Key is currently in a deleted but recoverable state")
		return
	}
	version := k.versions[len(k.versions)-1]
	if len(parts) > 1 && parts[1] != "" {
		version = nil
		for _, have := range k.versions {
			if have.id == parts[1] {
				version = have
			}
		}
		if version == nil {
			v.no(w, 404, "KeyNotFound", "", "no such version")
			return
		}
	}
	kid := "https://" + r.URL.Host + "/keys/" + parts[0] + "/" + version.id
	if op == "get" {
		attributes := map[string]any{"enabled": !version.disabled, "recoveryLevel": v.level}
		if version.nbf != 0 {
			attributes["nbf"] = version.nbf
		}
		if version.exp != 0 {
			attributes["exp"] = version.exp
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"key": map[string]any{
				"kid": kid, "kty": version.kty, "key_ops": version.ops, "e": "AQAB",
				"n": base64.RawURLEncoding.EncodeToString(new(big.Int).Set(version.key.N).Bytes()),
			},
			"attributes": attributes,
		})
		return
	}
	if version.disabled {
		v.no(w, 403, "Forbidden", "KeyDisabled", "Operation is not allowed on a disabled key.")
		return
	}
	var in struct{ Alg, Value string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Alg != "RSA-OAEP-256" {
		v.no(w, 400, "BadParameter", "", "bad body")
		return
	}
	value, err := base64.RawURLEncoding.DecodeString(in.Value)
	if err != nil {
		v.no(w, 400, "BadParameter", "", "bad value")
		return
	}
	var out []byte
	if op == "wrapKey" {
		v.wraps++
		out, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &version.key.PublicKey, value, nil)
	} else {
		out, err = rsa.DecryptOAEP(sha256.New(), nil, version.key, value, nil)
		if v.swap {
			out = make([]byte, 32)
		}
	}
	if err != nil {
		v.no(w, 400, "BadParameter", "", "the value does not decrypt")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kid": kid, "value": base64.RawURLEncoding.EncodeToString(out)})
}

// credential gives out tokens that the rogue vault does not look at.
type credential struct{ v *rogue }

func (c credential) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.v.mu.Lock()
	defer c.v.mu.Unlock()
	if !c.v.identity {
		return azcore.AccessToken{}, fault.FailedIdentityOperation.New("The identity does not exist.")
	}
	return azcore.AccessToken{Token: "t", ExpiresOn: time.Now().Add(time.Hour)}, nil
}
