package identity

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/resource"
	"latchkey/store"
)

type oneKey struct{ *envelope.Key }

func (k oneKey) Sealer(store.Space) (store.Sealer, error) { return k, nil }

func (k oneKey) Names(label []byte) ([][]byte, error) {
	tag, err := k.Name(label)
	return [][]byte{tag}, err
}

func (k oneKey) Fresh([]byte) bool { return true }

// These tokens are signed rightly, which only the inside can do: what is wrong is
// what they say.
func TestClaimsAreChecked(t *testing.T) {
	t.Parallel()
	driver, err := store.OpenPebble(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { driver.Close() })
	d, err := Open(t.Context(), Config{
		Store: store.New(driver, oneKey{envelope.NewKey(envelope.NewSecret(), 1)}), Cloud: resource.Azure(),
	})
	if err != nil {
		t.Fatal(err)
	}
	const audience = "https://management.azure.com/"
	now := time.Now()
	for name, c := range map[string]struct {
		change func(jwt.MapClaims)
		want   *fault.Code
	}{
		"nothing wrong":         {func(jwt.MapClaims) {}, nil},
		"wrong issuer":          {func(m jwt.MapClaims) { m["iss"] = "https://login.example/" + d.Tenant() + "/v2.0" }, fault.WrongTenant},
		"no issuer":             {func(m jwt.MapClaims) { delete(m, "iss") }, fault.WrongTenant},
		"issuer without tenant": {func(m jwt.MapClaims) { m["iss"] = "https://login.microsoftonline.com/" }, fault.WrongTenant},
		"wrong tenant":          {func(m jwt.MapClaims) { m["tid"] = resource.NewGUID() }, fault.WrongTenant},
		"no tenant":             {func(m jwt.MapClaims) { delete(m, "tid") }, fault.WrongTenant},
		"wrong audience":        {func(m jwt.MapClaims) { m["aud"] = "https://vault.azure.net" }, fault.WrongAudience},
		"two audiences":         {func(m jwt.MapClaims) { m["aud"] = []string{audience, "https://vault.azure.net"} }, fault.InvalidToken},
		"no audience":           {func(m jwt.MapClaims) { delete(m, "aud") }, fault.InvalidToken},
		"expired":               {func(m jwt.MapClaims) { m["exp"] = now.Add(-time.Second).Unix() }, fault.ExpiredToken},
		"no exp":                {func(m jwt.MapClaims) { delete(m, "exp") }, fault.InvalidToken},
		"exp is a word":         {func(m jwt.MapClaims) { m["exp"] = "never" }, fault.InvalidToken},
		"nbf in the future":     {func(m jwt.MapClaims) { m["nbf"] = now.Add(time.Minute).Unix() }, fault.InvalidToken},
		"no nbf":                {func(m jwt.MapClaims) { delete(m, "nbf") }, nil},
		"no oid":                {func(m jwt.MapClaims) { delete(m, "oid") }, fault.InvalidToken},
		"unknown oid":           {func(m jwt.MapClaims) { m["oid"] = resource.NewGUID() }, fault.InvalidToken},
		"another's appid":       {func(m jwt.MapClaims) { m["appid"] = resource.NewGUID() }, fault.InvalidToken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := d.Bootstrap()
			claims := jwt.MapClaims{
				"iss": d.Issuer(), "aud": audience, "tid": b.TenantID, "oid": b.ObjectID, "appid": b.ClientID,
				"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
			}
			c.change(claims)
			signer := d.view.Load().signer
			token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
			token.Header["kid"] = signer.kid
			signed, err := token.SignedString(signer.private)
			if err != nil {
				t.Fatal(err)
			}
			_, err = d.Authenticate(t.Context(), "Bearer "+signed, []string{audience})
			if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestTheTokenCacheIsBounded(t *testing.T) {
	t.Parallel()
	var c tokenCache
	alive := verified{expires: time.Now().Add(time.Hour)}
	dead := verified{expires: time.Now().Add(-time.Hour)}
	for i := range 3 * cacheSize {
		v := alive
		if i%2 == 0 {
			v = dead
		}
		c.put([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, v)
		if len(c.m) > cacheSize {
			t.Fatalf("after %d tokens the cache has %d, want at most %d", i, len(c.m), cacheSize)
		}
	}
	last := 3*cacheSize - 1
	if _, ok := c.get([32]byte{byte(last), byte(last >> 8), byte(last >> 16)}); !ok {
		t.Error("the newest token is not in the cache")
	}
}

func BenchmarkAuthenticateAndRequire(b *testing.B) {
	driver, err := store.OpenPebble(b.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer driver.Close()
	d, err := Open(b.Context(), Config{
		Store: store.New(driver, oneKey{envelope.NewKey(envelope.NewSecret(), 1)}), Cloud: resource.Azure(),
	})
	if err != nil {
		b.Fatal(err)
	}
	const audience = "https://management.azure.com/"
	boot := d.Bootstrap()
	token, err := d.ApplicationToken(b.Context(), boot.ClientID, boot.Secret, audience)
	if err != nil {
		b.Fatal(err)
	}
	scope := "/subscriptions/" + d.Subscription() + "/resourceGroups/g1/providers/Microsoft.Batch/batchAccounts/a1"
	for b.Loop() {
		who, err := d.Authenticate(b.Context(), "Bearer "+token.Value, []string{audience})
		if err != nil {
			b.Fatal(err)
		}
		if err := d.RequireData(b.Context(), who, "Microsoft.Batch/batchAccounts/tasks/write", scope); err != nil {
			b.Fatal(err)
		}
	}
}
