package vault_test

import (
	"crypto"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"latchkey/fault"
	"latchkey/vault"
)

// signers are the algorithms of each kind of key, with the bytes of their digests and
// signatures.
var signers = map[string]struct {
	draft      vault.Draft
	algorithms map[string][2]int
}{
	"RSA":       {vault.Draft{Type: vault.RSA}, map[string][2]int{"RS256": {32, 256}, "RS384": {48, 256}, "RS512": {64, 256}, "PS256": {32, 256}, "PS384": {48, 256}, "PS512": {64, 256}, "RSNULL": {51, 256}}},
	"RSA-HSM":   {vault.Draft{Type: vault.RSAHSM, Size: 3072}, map[string][2]int{"RS256": {32, 384}, "PS512": {64, 384}}},
	"EC":        {vault.Draft{Type: vault.EC}, map[string][2]int{"ES256": {32, 64}}},
	"EC P-384":  {vault.Draft{Type: vault.EC, Curve: "P-384"}, map[string][2]int{"ES384": {48, 96}}},
	"EC P-521":  {vault.Draft{Type: vault.ECHSM, Curve: "P-521"}, map[string][2]int{"ES512": {64, 132}}},
	"EC P-256K": {vault.Draft{Type: vault.EC, Curve: "P-256K"}, map[string][2]int{"ES256K": {32, 64}}},
}

func TestKeyOfEveryKindSignsAndVerifies(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "sign1")
	for name, c := range signers {
		t.Run(name, func(t *testing.T) {
			ref := vault.Ref{Vault: "sign1", Key: strings.ReplaceAll(name, " ", "-")}
			key, err := w.Create(t.Context(), w.owner, ref, c.draft)
			if err != nil {
				t.Fatal(err)
			}
			all := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "RSNULL"}
			for _, alg := range all {
				size, fits := c.algorithms[alg]
				digest := make([]byte, max(size[0], 32))
				rand.Read(digest)
				got, err := w.Sign(t.Context(), w.owner, ref, alg, digest)
				if !fits {
					if strings.HasPrefix(name, "RSA") && strings.HasPrefix(alg, "ES") || strings.HasPrefix(name, "EC") {
						wants(t, err, fault.BadParameter, "")
						if f, _ := fault.From(err); !strings.HasPrefix(f.Message, "Key and signing algorithm are incompatible. Key "+key.KID+" ") {
							t.Errorf("%s: got %v", alg, err)
						}
					}
					continue
				}
				if err != nil || got.KID != key.KID || len(got.Value) != size[1] {
					t.Fatalf("%s: got %d bytes by %s, %v, want %d", alg, len(got.Value), got.KID, err, size[1])
				}
				verify := func(digest, signature []byte, want bool) {
					t.Helper()
					if ok, err := w.Verify(t.Context(), w.owner, ref, alg, digest, signature); err != nil || ok != want {
						t.Errorf("%s: got %v, %v, want %v", alg, ok, err, want)
					}
				}
				verify(digest, got.Value, true)
				other := append([]byte{digest[0] ^ 1}, digest[1:]...)
				verify(other, got.Value, false)
				verify(digest, got.Value[1:], false)
				verify(digest, make([]byte, len(got.Value)), false)
				verify(digest, nil, false)
				got.Value[len(got.Value)-1] ^= 1
				verify(digest, got.Value, false)
				if alg == "RSNULL" {
					continue
				}
				// A digest of the wrong length is refused, in Azure's words.
				_, err = w.Sign(t.Context(), w.owner, ref, alg, digest[1:])
				if want := fmt.Sprintf("Invalid length of 'value': %d bytes. %s requires %d bytes, encoded with base64url.", size[0]-1, alg, size[0]); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: got %v, want %s", alg, err, want)
				}
				if _, err := w.Verify(t.Context(), w.owner, ref, alg, nil, got.Value); err == nil || !strings.Contains(err.Error(), "Invalid length of 'digest': 0 bytes") {
					t.Errorf("%s: got %v", alg, err)
				}
			}
			_, err = w.Sign(t.Context(), w.owner, ref, "HS256", make([]byte, 32))
			wants(t, err, fault.BadParameter, "")
			if strings.HasPrefix(name, "EC") {
				if strings.Join(key.Ops, " ") != "sign verify" || len(key.Public.X) != len(key.Public.Y) || key.Public.N != nil {
					t.Errorf("got %+v", key)
				}
				if _, err := w.UpdateKey(t.Context(), w.owner, ref, vault.Change{Ops: []string{"wrapKey", "sign"}}); err != nil {
					t.Fatal(err)
				}
				_, err := w.Wrap(t.Context(), w.owner, ref, "RSA-OAEP", []byte("x"))
				wants(t, err, fault.BadParameter, "")
				_, err = w.Verify(t.Context(), w.owner, ref, "ES256", nil, nil)
				wants(t, err, fault.Forbidden, "KeyOperationForbidden")
			}
		})
	}
}

func TestSigningEndsWithTheKeysDatesAndVerifyingGoesOn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "sign2")
	ref := vault.Ref{Vault: "sign2", Key: "k"}
	w.mustKey(t, ref, func(d *vault.Draft) { d.Type = vault.EC })
	digest := make([]byte, crypto.SHA256.Size())
	good, err := w.Sign(t.Context(), w.owner, ref, "ES256", digest)
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Hour
	for _, c := range []struct {
		change         vault.Attributes
		sign, verified string
	}{
		{vault.Attributes{Expires: ptr(time.Now().Add(-hour))}, "KeyExpired", ""},
		{vault.Attributes{Expires: ptr(time.Now().Add(2 * hour)), NotBefore: ptr(time.Now().Add(hour))}, "KeyNotYetValid", ""},
		{vault.Attributes{Enabled: ptr(false)}, "KeyDisabled", "KeyDisabled"},
	} {
		if _, err := w.UpdateKey(t.Context(), w.owner, ref, vault.Change{Attributes: c.change}); err != nil {
			t.Fatal(err)
		}
		_, err := w.Sign(t.Context(), w.owner, ref, "ES256", digest)
		wants(t, err, fault.Forbidden, c.sign)
		ok, err := w.Verify(t.Context(), w.owner, ref, "ES256", digest, good.Value)
		if c.verified != "" {
			wants(t, err, fault.Forbidden, c.verified)
		} else if err != nil || !ok {
			t.Errorf("with %s: got %v, %v", c.sign, ok, err)
		}
	}
}
