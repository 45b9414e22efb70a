package servertest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/server"
	"latchkey/servertest"
	"latchkey/store"
)

// A forger signs tokens with the service's own key, taken from its data directory
// while it does not run, as whoever has the root key could.
type forger struct {
	key    *rsa.PrivateKey
	kid    string
	tenant string
}

// newForger makes a data directory with a service's first start and returns what its
// tokens are signed with.
func newForger(t *testing.T, dir string) *forger {
	t.Helper()
	first := servertest.Start(t, dir)
	first.Stop()
	layout := server.Layout(dir)
	text, err := os.ReadFile(filepath.Join(layout.Root(), "platform.key"))
	if err != nil {
		t.Fatal(err)
	}
	platform, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := store.OpenPebble(layout.Store(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	ring := keyring.New(keyring.Config{Platform: platform, Cloud: resource.Azure(), CheckInterval: time.Second, Log: slog.New(slog.DiscardHandler)})
	f := &forger{tenant: first.TenantID}
	err = store.New(rows, ring).View(context.Background(), store.Space{}, func(tx *store.Tx) error {
		for r, err := range tx.Records(store.KindSigningKey, store.RID{}, store.RID{}) {
			if err != nil {
				return err
			}
			var k struct {
				KID     string
				Private []byte
			}
			if err := r.Decode(&k); err != nil {
				return err
			}
			key, err := x509.ParsePKCS8PrivateKey(k.Private)
			if err != nil {
				return err
			}
			f.key, f.kid = key.(*rsa.PrivateKey), k.KID
		}
		return nil
	})
	if err != nil || f.key == nil {
		t.Fatalf("taking the signing key: %v", err)
	}
	return f
}

// claims are those of a good token.
func (f *forger) claims(audience, objectID, clientID string) jwt.MapClaims {
	now := time.Now()
	return jwt.MapClaims{
		"iss": "https://login.microsoftonline.com/" + f.tenant + "/v2.0", "aud": audience, "tid": f.tenant, "oid": objectID, "appid": clientID,
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

func (f *forger) sign(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	return forged(t, jwt.SigningMethodRS256, f.kid, f.key, claims)
}

func forged(t *testing.T, method jwt.SigningMethod, kid string, key any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	token.Header["kid"] = kid
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// bad are the ways in which a token can be wrong, as values of the Authorization
// header. Other is an audience that is not the door's.
func (f *forger) bad(t *testing.T, audience, other, objectID, clientID string) map[string]string {
	t.Helper()
	good := func() jwt.MapClaims { return f.claims(audience, objectID, clientID) }
	with := func(changes jwt.MapClaims) string {
		c := good()
		maps.Copy(c, changes)
		maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
		return "Bearer " + f.sign(t, c)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&f.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	whole := f.sign(t, good())
	head, rest, _ := strings.Cut(whole, ".")
	body, signature, _ := strings.Cut(rest, ".")
	elevated := base64.RawURLEncoding.EncodeToString([]byte(`{"oid":"` + objectID + `"}`))
	now := time.Now()
	return map[string]string{
		"none":              "",
		"garbage":           "Bearer garbage",
		"no scheme":         whole,
		"another scheme":    "Basic " + whole,
		"another's key":     "Bearer " + forged(t, jwt.SigningMethodRS256, f.kid, stranger, good()),
		"an unknown key":    "Bearer " + forged(t, jwt.SigningMethodRS256, "unknown", stranger, good()),
		"no signature":      "Bearer " + head + "." + body + ".",
		"another body":      "Bearer " + head + "." + elevated + "." + signature,
		"alg none":          "Bearer " + forged(t, jwt.SigningMethodNone, f.kid, jwt.UnsafeAllowNoneSignatureType, good()),
		"HS256 of the key":  "Bearer " + forged(t, jwt.SigningMethodHS256, f.kid, public, good()),
		"HS256 of the n":    "Bearer " + forged(t, jwt.SigningMethodHS256, f.kid, f.key.N.Bytes(), good()),
		"PS256":             "Bearer " + forged(t, jwt.SigningMethodPS256, f.kid, f.key, good()),
		"wrong issuer":      with(jwt.MapClaims{"iss": "https://login.example/" + f.tenant + "/v2.0"}),
		"wrong audience":    with(jwt.MapClaims{"aud": other}),
		"two audiences":     with(jwt.MapClaims{"aud": []string{audience, other}}),
		"no audience":       with(jwt.MapClaims{"aud": nil}),
		"wrong tenant":      with(jwt.MapClaims{"tid": resource.NewGUID()}),
		"expired":           with(jwt.MapClaims{"exp": now.Add(-time.Minute).Unix()}),
		"no exp":            with(jwt.MapClaims{"exp": nil}),
		"not yet valid":     with(jwt.MapClaims{"nbf": now.Add(time.Hour).Unix()}),
		"nobody":            with(jwt.MapClaims{"oid": resource.NewGUID()}),
		"another's program": with(jwt.MapClaims{"appid": resource.NewGUID()}),
	}
}
