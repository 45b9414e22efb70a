package vaultapi_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"net/http"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"latchkey/vault"
)

func TestOfficialClientSignsWithEveryKindOfKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "u1x", "all")
	keys := w.keys(t, "https://u1x.vault.azure.net")
	digest := sha256.Sum256([]byte("message"))
	for alg, in := range map[azkeys.SignatureAlgorithm]azkeys.CreateKeyParameters{
		azkeys.SignatureAlgorithmRS256:  {Kty: ptr(azkeys.KeyTypeRSA)},
		azkeys.SignatureAlgorithmPS256:  {Kty: ptr(azkeys.KeyTypeRSAHSM)},
		azkeys.SignatureAlgorithmES256:  {Kty: ptr(azkeys.KeyTypeEC), Curve: ptr(azkeys.CurveNameP256)},
		azkeys.SignatureAlgorithmES256K: {Kty: ptr(azkeys.KeyTypeECHSM), Curve: ptr(azkeys.CurveNameP256K), KeySize: ptr(int32(256))},
	} {
		made, err := keys.CreateKey(t.Context(), string(alg), in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if *made.Key.Kty != *in.Kty || in.Curve != nil && (*made.Key.Crv != *in.Curve || len(made.Key.X) != 32 || len(made.Key.Y) != 32) {
			t.Errorf("got %+v", made.Key)
		}
		for _, version := range []string{"", made.Key.KID.Version()} {
			signed, err := keys.Sign(t.Context(), string(alg), version, azkeys.SignParameters{Algorithm: ptr(alg), Value: digest[:]}, nil)
			if err != nil || *signed.KID != *made.Key.KID {
				t.Fatalf("got %v, %v", signed, err)
			}
			ok, err := keys.Verify(t.Context(), string(alg), version, azkeys.VerifyParameters{Algorithm: ptr(alg), Digest: digest[:], Signature: signed.Result}, nil)
			if err != nil || !*ok.Value {
				t.Errorf("%s: got %v, %v, want it verified", alg, ok.Value, err)
			}
			digest := sha256.Sum256([]byte("another"))
			ok, err = keys.Verify(t.Context(), string(alg), version, azkeys.VerifyParameters{Algorithm: ptr(alg), Digest: digest[:], Signature: signed.Result}, nil)
			if err != nil || *ok.Value {
				t.Errorf("%s: got %v, %v, want it refused", alg, ok.Value, err)
			}
		}
	}
	_, err := keys.Sign(t.Context(), "ES256", "", azkeys.SignParameters{Algorithm: ptr(azkeys.SignatureAlgorithmRS256), Value: digest[:]}, nil)
	refused(t, err, http.StatusBadRequest, "BadParameter")
	_, err = keys.Encrypt(t.Context(), "ES256", "", azkeys.KeyOperationParameters{Algorithm: ptr(azkeys.EncryptionAlgorithmRSAOAEP), Value: digest[:]}, nil)
	refused(t, err, http.StatusForbidden, "Forbidden")
}

func TestOfficialClientImportsRotatesAndRestores(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "u2x", "all")
	w.mustVault(t, "u3x", "all")
	ctx := t.Context()
	keys := w.keys(t, "https://u2x.vault.azure.net")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	imported, err := keys.ImportKey(ctx, "k", azkeys.ImportKeyParameters{HSM: ptr(true), Key: &azkeys.JSONWebKey{
		Kty: ptr(azkeys.KeyTypeRSA), N: private.N.Bytes(), E: big.NewInt(int64(private.E)).Bytes(), D: private.D.Bytes(),
		P: private.Primes[0].Bytes(), Q: private.Primes[1].Bytes(),
		DP: private.Precomputed.Dp.Bytes(), DQ: private.Precomputed.Dq.Bytes(), QI: private.Precomputed.Qinv.Bytes(),
	}, Tags: map[string]*string{"a": ptr("b")}}, nil)
	if err != nil || *imported.Key.Kty != azkeys.KeyTypeRSAHSM || imported.Key.D != nil || imported.Key.P != nil {
		t.Fatalf("got %+v, %v", imported.Key, err)
	}

	policy, err := keys.GetKeyRotationPolicy(ctx, "k", nil)
	if err != nil || len(policy.LifetimeActions) != 1 || *policy.LifetimeActions[0].Action.Type != azkeys.KeyRotationPolicyActionNotify {
		t.Fatalf("got %+v, %v", policy, err)
	}
	set, err := keys.UpdateKeyRotationPolicy(ctx, "k", azkeys.KeyRotationPolicy{
		Attributes: &azkeys.KeyRotationPolicyAttributes{ExpiryTime: ptr("P90D")},
		LifetimeActions: []*azkeys.LifetimeAction{{
			Action: &azkeys.LifetimeActionType{Type: ptr(azkeys.KeyRotationPolicyActionRotate)}, Trigger: &azkeys.LifetimeActionTrigger{TimeBeforeExpiry: ptr("P30D")},
		}},
	}, nil)
	if err != nil || len(set.LifetimeActions) != 2 || *set.Attributes.ExpiryTime != "P90D" || set.Attributes.Created == nil ||
		*set.ID != "https://u2x.vault.azure.net/keys/k/rotationpolicy" {
		t.Fatalf("got %+v, %v", set, err)
	}
	rotated, err := keys.RotateKey(ctx, "k", nil)
	if err != nil || *rotated.Key.KID == *imported.Key.KID || rotated.Attributes.Expires == nil || *rotated.Tags["a"] != "b" {
		t.Fatalf("got %+v, %v", rotated, err)
	}
	_, err = keys.UpdateKeyRotationPolicy(ctx, "k", azkeys.KeyRotationPolicy{Attributes: &azkeys.KeyRotationPolicyAttributes{ExpiryTime: ptr("P1D")}}, nil)
	refused(t, err, http.StatusBadRequest, "BadParameter")

	saved, err := keys.BackupKey(ctx, "k", nil)
	if err != nil || len(saved.Value) == 0 {
		t.Fatal(err)
	}
	_, err = keys.RestoreKey(ctx, azkeys.RestoreKeyParameters{KeyBackup: saved.Value}, nil)
	refused(t, err, http.StatusConflict, "Conflict")
	there := w.keys(t, "https://u3x.vault.azure.net")
	restored, err := there.RestoreKey(ctx, azkeys.RestoreKeyParameters{KeyBackup: saved.Value}, nil)
	if err != nil || restored.Key.KID.Version() != rotated.Key.KID.Version() {
		t.Fatalf("got %+v, %v", restored.Key, err)
	}
	_, err = there.RestoreKey(ctx, azkeys.RestoreKeyParameters{KeyBackup: []byte("nothing")}, nil)
	refused(t, err, http.StatusBadRequest, "BadParameter")

	random, err := keys.GetRandomBytes(ctx, azkeys.GetRandomBytesParameters{Count: ptr(int32(33))}, nil)
	if err != nil || len(random.Value) != 33 {
		t.Errorf("got %x, %v", random.Value, err)
	}
	_, err = keys.Release(ctx, "k", "", azkeys.ReleaseParameters{TargetAttestationToken: ptr("token")}, nil)
	refused(t, err, http.StatusForbidden, "Forbidden")
	_, err = keys.GetKeyAttestation(ctx, "k", "", nil)
	refused(t, err, http.StatusBadRequest, "BadParameter")
	_, err = keys.CreateKey(ctx, "o", azkeys.CreateKeyParameters{Kty: ptr(azkeys.KeyTypeOct)}, nil)
	refused(t, err, http.StatusBadRequest, "BadParameter")
}

func TestBadInputOfNewerOperationsGetsAnAnswer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "u4x", "all")
	if _, err := w.vaults.Create(t.Context(), w.owner, vault.Ref{Vault: "u4x", Key: "k"}, vault.Draft{Type: vault.EC}); err != nil {
		t.Fatal(err)
	}
	token := w.mustToken(t, audience)
	const host = "https://u4x.vault.azure.net"
	for _, c := range []struct{ method, path, body string }{
		{"PUT", "/keys/k", `{}`},
		{"PUT", "/keys/k", `{"key":null}`},
		{"PUT", "/keys/k", `{"key":{"kty":"RSA","n":"+"}}`},
		{"PUT", "/keys/k", `{"key":{"kty":"EC","crv":"P-256"},"Hsm":"yes"}`},
		{"PUT", "/keys/k", `{"key":{"kty":"oct","k":"YWJj"}}`},
		{"PUT", "/keys/k/rotationpolicy", ``},
		{"PUT", "/keys/k/rotationpolicy", `{"lifetimeActions":[{}]}`},
		{"PUT", "/keys/k/rotationpolicy", `{"lifetimeActions":{}}`},
		{"PUT", "/keys/k/rotationpolicy", `{"attributes":{"expiryTime":28}}`},
		{"POST", "/keys/restore", `{}`},
		{"POST", "/keys/restore", `{"value":""}`},
		{"POST", "/keys/k/sign", `{"alg":"ES256"}`},
		{"POST", "/keys/k/sign", `{"alg":"ES256","value":"YQ"}`},
		{"POST", "/keys/k/verify", `{"alg":"ES256","value":"YQ"}`},
		{"POST", "/keys/k/verify", `{"digest":"YQ","value":"YQ"}`},
		{"POST", "/keys/k/release", `{}`},
		{"POST", "/keys/k/release", `{"target":"t","enc":"none"}`},
		{"POST", "/rng", `{}`},
		{"POST", "/rng", `{"count":129}`},
		{"POST", "/rng", `{"count":-9999999999}`},
		{"GET", "/keys/k//attestation", ``},
	} {
		got := w.do(t, c.method, host+c.path+version, token, c.body)
		if got.status != http.StatusBadRequest {
			t.Errorf("%s %s %s: got %d %s", c.method, c.path, c.body, got.status, got.body)
		}
	}
	for _, path := range []string{"/keys/none/rotate", "/keys/none/backup"} {
		if got := w.do(t, "POST", host+path+version, token, ""); got.status != http.StatusNotFound {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
	}
}
