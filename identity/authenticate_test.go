package identity_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
)

// forge makes a token of its own from one of ours: other claims, other method, other
// key. A nil key signs with none.
func forge(t *testing.T, token string, method jwt.SigningMethod, key any, change func(header map[string]any, claims jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{}
	parsed, _, err := jwt.NewParser().ParseUnverified(token, claims)
	if err != nil {
		t.Fatal(err)
	}
	out := jwt.NewWithClaims(method, claims)
	out.Header["kid"] = parsed.Header["kid"]
	if change != nil {
		change(out.Header, claims)
	}
	signed, err := out.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// publicKey returns the directory's public signing key.
func publicKey(t *testing.T, d *identity.Directory) *rsa.PublicKey {
	t.Helper()
	keys, err := d.SigningKeys(t.Context())
	if err != nil || len(keys) == 0 {
		t.Fatalf("SigningKeys = %v, %v", keys, err)
	}
	number := func(s string) *big.Int {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Int).SetBytes(b)
	}
	return &rsa.PublicKey{N: number(keys[0].N), E: int(number(keys[0].E).Int64())}
}

func TestForgedTokensAreRefused(t *testing.T) {
	t.Parallel()
	d := setup(t)
	good := mustToken(t, d)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	// The same claims from another directory: same cloud, another tenant.
	foreign := mustToken(t, setup(t))
	parts := strings.Split(good, ".")
	flipped := []byte(parts[2])
	flipped[10] ^= 1
	public := publicKey(t, d)

	for name, c := range map[string]struct {
		header string
		want   *fault.Code
	}{
		"good":                          {"Bearer " + good, nil},
		"good, scheme in lower case":    {"bearer " + good, nil},
		"no header":                     {"", fault.AuthenticationFailed},
		"only a scheme":                 {"Bearer", fault.AuthenticationFailed},
		"empty token":                   {"Bearer  ", fault.AuthenticationFailed},
		"another scheme":                {"Basic dTpw", fault.AuthenticationFailed},
		"garbage":                       {"Bearer garbage", fault.InvalidToken},
		"three parts of garbage":        {"Bearer a.b.c", fault.InvalidToken},
		"too long":                      {"Bearer " + strings.Repeat("a", 20<<10), fault.InvalidToken},
		"no signature":                  {"Bearer " + parts[0] + "." + parts[1] + ".", fault.InvalidToken},
		"flipped signature":             {"Bearer " + parts[0] + "." + parts[1] + "." + string(flipped), fault.InvalidToken},
		"two tokens":                    {"Bearer " + good + " " + good, fault.InvalidToken},
		"alg none":                      {"Bearer " + forge(t, good, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), fault.InvalidToken},
		"HS256 with the public modulus": {"Bearer " + forge(t, good, jwt.SigningMethodHS256, public.N.Bytes(), nil), fault.InvalidToken},
		"signed with another key":       {"Bearer " + forge(t, good, jwt.SigningMethodRS256, other, nil), fault.InvalidToken},
		"RS512":                         {"Bearer " + forge(t, good, jwt.SigningMethodRS512, other, nil), fault.InvalidToken},
		"no kid": {"Bearer " + forge(t, good, jwt.SigningMethodRS256, other, func(h map[string]any, _ jwt.MapClaims) {
			delete(h, "kid")
		}), fault.InvalidToken},
		"unknown kid": {"Bearer " + forge(t, good, jwt.SigningMethodRS256, other, func(h map[string]any, _ jwt.MapClaims) {
			h["kid"] = "another"
		}), fault.StaleToken},
		"another directory's": {"Bearer " + foreign, fault.StaleToken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := d.Authenticate(t.Context(), c.header, []string{arm})
			wants(t, err, c.want)
			if challenge := identity.Challenge(err, "login.microsoftonline.com", "common"); (challenge != "") != (c.want == fault.StaleToken) {
				t.Errorf("Challenge = %q", challenge)
			}
		})
	}
}

func TestAudienceMustBeTheDoors(t *testing.T) {
	t.Parallel()
	d := setup(t)
	b := d.Bootstrap()
	for asked, c := range map[string]struct {
		door []string
		want *fault.Code
	}{
		"https://management.azure.com/":         {[]string{"https://management.azure.com"}, nil},
		"https://management.azure.com":          {[]string{"https://management.azure.com/"}, nil},
		"https://management.azure.com//":        {[]string{"https://management.azure.com/"}, nil},
		"https://Management.Azure.com/":         {[]string{"https://management.azure.com/"}, nil},
		"https://management.core.windows.net/":  {[]string{"https://management.azure.com/", "https://management.core.windows.net/"}, nil},
		"https://vault.azure.net":               {[]string{"https://management.azure.com/"}, fault.WrongAudience},
		"https://management.azure.com/x":        {[]string{"https://management.azure.com/"}, fault.WrongAudience},
		"https://batch.core.windows.net/":       {nil, fault.WrongAudience},
		"https://management.azure.com.evil.com": {[]string{"https://management.azure.com/"}, fault.WrongAudience},
	} {
		token, err := d.ApplicationToken(t.Context(), b.ClientID, b.Secret, asked)
		if err != nil {
			t.Fatal(err)
		}
		// The second time the token comes from the cache.
		for range 2 {
			_, err = d.Authenticate(t.Context(), "Bearer "+token.Value, c.door)
			wants(t, err, c.want)
		}
	}
}

func TestTokensHaveTheClaimsThatClientsRead(t *testing.T) {
	t.Parallel()
	d := setup(t)
	b := d.Bootstrap()
	claims := jwt.MapClaims{}
	parsed, err := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"})).ParseWithClaims(mustToken(t, d), claims, func(*jwt.Token) (any, error) {
		return publicKey(t, d), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"aud": arm, "iss": d.Issuer(), "tid": b.TenantID, "oid": b.ObjectID, "sub": b.ObjectID,
		"appid": b.ClientID, "azp": b.ClientID, "idtyp": "app", "ver": "2.0", "name": "latchkey-owner",
	} {
		if claims[name] != want {
			t.Errorf("claim %s = %v, want %v", name, claims[name], want)
		}
	}
	for _, name := range []string{"exp", "iat", "nbf"} {
		if _, ok := claims[name].(float64); !ok {
			t.Errorf("claim %s = %v, want a number", name, claims[name])
		}
	}
	if _, ok := claims["xms_mirid"]; ok {
		t.Error("an application's token has xms_mirid, want none")
	}
	if parsed.Header["kid"] == "" {
		t.Error("the token has no kid")
	}

	m := mustIdentity(t, d, "id1")
	token, expires, err := d.IdentityToken(t.Context(), m.ClientID, arm)
	if err != nil {
		t.Fatal(err)
	}
	claims = jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(token, claims); err != nil {
		t.Fatal(err)
	}
	if claims["xms_mirid"] != m.ResourceID || claims["oid"] != m.PrincipalID {
		t.Errorf("got xms_mirid %v, oid %v, want %v, %v", claims["xms_mirid"], claims["oid"], m.ResourceID, m.PrincipalID)
	}
	if left := time.Until(expires); left < 23*time.Hour || left > 24*time.Hour {
		t.Errorf("the token lives for %v, want 24 h", left)
	}
}

func TestTokensRunOut(t *testing.T) {
	t.Parallel()
	on := newDisk(t)
	synctest.Test(t, func(t *testing.T) {
		s, done := on.open(t)
		defer done()
		d := mustOpen(t, s, "")
		token := "Bearer " + mustToken(t, d)
		for range 2 {
			if _, err := d.Authenticate(t.Context(), token, []string{arm}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(59 * time.Minute)
		_, err := d.Authenticate(t.Context(), token, []string{arm})
		wants(t, err, nil)
		time.Sleep(time.Minute)
		_, err = d.Authenticate(t.Context(), token, []string{arm})
		wants(t, err, fault.ExpiredToken)
	})
}

func TestADeletedPrincipalsTokenWorksNoMore(t *testing.T) {
	t.Parallel()
	d := setup(t)
	m := mustIdentity(t, d, "id1")
	token, _, err := d.IdentityToken(t.Context(), m.PrincipalID, arm)
	if err != nil {
		t.Fatal(err)
	}
	who, err := d.Authenticate(t.Context(), "Bearer "+token, []string{arm})
	if err != nil {
		t.Fatal(err)
	}
	if who.ObjectID != m.PrincipalID || who.AppID != m.ClientID || who.Kind != identity.KindManaged || who.Tenant != d.Tenant() || who.Name != "id1" {
		t.Errorf("got %+v, want the identity %+v", who, m)
	}
	var changed []string
	d.OnChange(func(principal string) { changed = append(changed, principal) })
	if err := d.DeleteIdentity(t.Context(), m.ResourceID); err != nil {
		t.Fatal(err)
	}
	if len(changed) != 1 || changed[0] != m.PrincipalID {
		t.Errorf("OnChange told of %v, want %v", changed, m.PrincipalID)
	}
	_, err = d.Authenticate(t.Context(), "Bearer "+token, []string{arm})
	wants(t, err, fault.InvalidToken)
	_, _, err = d.IdentityToken(t.Context(), m.PrincipalID, arm)
	wants(t, err, fault.FailedIdentityOperation)
	// Made again under its name it is somebody else.
	if again := mustIdentity(t, d, "id1"); again.PrincipalID == m.PrincipalID || again.ClientID == m.ClientID {
		t.Errorf("got %+v, want other ids than %+v", again, m)
	}
	_, err = d.Authenticate(t.Context(), "Bearer "+token, []string{arm})
	wants(t, err, fault.InvalidToken)
}

func TestSigningKeysRotate(t *testing.T) {
	t.Parallel()
	on := newDisk(t)
	synctest.Test(t, func(t *testing.T) {
		s, done := on.open(t)
		defer done()
		d := mustOpen(t, s, "")
		m := mustIdentity(t, d, "id1")
		token, _, err := d.IdentityToken(t.Context(), m.PrincipalID, arm)
		if err != nil {
			t.Fatal(err)
		}
		rotate := func(want int) []identity.PublicKey {
			time.Sleep(time.Minute)
			if err := d.RotateSigningKey(t.Context()); err != nil {
				t.Fatal(err)
			}
			keys, err := d.SigningKeys(t.Context())
			if err != nil || len(keys) != want {
				t.Fatalf("SigningKeys = %v, %v, want %d", keys, err, want)
			}
			return keys
		}
		before := rotate(2)
		after := rotate(3)
		if after[1] != before[0] {
			t.Errorf("the newest key was %v and is now behind %v", before[0], after[0])
		}
		_, err = d.Authenticate(t.Context(), "Bearer "+token, []string{arm})
		wants(t, err, nil)
		fresh, _, err := jwt.NewParser().ParseUnverified(mustToken(t, d), jwt.MapClaims{})
		if err != nil || fresh.Header["kid"] != after[0].KID {
			t.Errorf("signed with %v, want %v", fresh.Header["kid"], after[0].KID)
		}
		// A day later nothing that the older keys signed is alive.
		time.Sleep(25 * time.Hour)
		rotate(2)
		_, err = d.Authenticate(t.Context(), "Bearer "+token, []string{arm})
		wants(t, err, fault.StaleToken)
	})
}

func TestSecretsAreChecked(t *testing.T) {
	t.Parallel()
	d := setup(t)
	b := d.Bootstrap()
	for name, c := range map[string]struct {
		client, secret string
		want           error
	}{
		"right":                 {b.ClientID, b.Secret, nil},
		"client id in capitals": {strings.ToUpper(b.ClientID), b.Secret, nil},
		"wrong secret":          {b.ClientID, b.Secret + "A", identity.ErrWrongSecret},
		"no secret":             {b.ClientID, "", identity.ErrWrongSecret},
		"secret in lower case":  {b.ClientID, strings.ToLower(b.Secret), identity.ErrWrongSecret},
		"unknown client":        {resource.NewGUID(), b.Secret, identity.ErrNoApplication},
		"object id":             {b.ObjectID, b.Secret, identity.ErrNoApplication},
		"nothing":               {"", "", identity.ErrNoApplication},
	} {
		if _, err := d.CheckSecret(t.Context(), c.client, c.secret); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if p, err := d.OwnerSecret(t.Context(), b.Secret); err != nil || p.ClientID != b.ClientID {
		t.Errorf("OwnerSecret = %+v, %v, want %s", p, err, b.ClientID)
	}
	if _, err := d.OwnerSecret(t.Context(), ""); !errors.Is(err, identity.ErrWrongSecret) {
		t.Errorf("OwnerSecret of nothing: got %v, want %v", err, identity.ErrWrongSecret)
	}
}
