package vault_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"hash"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"latchkey/vault"
)

func newSHA256() hash.Hash { return sha256.New() }

func TestWhatOpenSSLWrapsUnwrapsHere(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "ossl1")
	ref := vault.Ref{Vault: "ossl1", Key: "k"}
	key := w.mustKey(t, ref)
	dir := t.TempDir()
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(key.Public.N), E: int(new(big.Int).SetBytes(key.Public.E).Int64())}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(dir, "public.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	secret := make([]byte, 32)
	rand.Read(secret)
	mustWrite(t, filepath.Join(dir, "secret"), secret)
	for alg, options := range map[string][]string{
		"RSA-OAEP-256": {"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"},
		"RSA-OAEP":     {"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha1", "-pkeyopt", "rsa_mgf1_md:sha1"},
		"RSA1_5":       {"-pkeyopt", "rsa_padding_mode:pkcs1"},
	} {
		wrapped := filepath.Join(dir, alg)
		args := append([]string{
			"pkeyutl", "-encrypt", "-pubin", "-inkey", filepath.Join(dir, "public.pem"), "-in", filepath.Join(dir, "secret"), "-out", wrapped,
		}, options...)
		if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl: %v\n%s", err, out)
		}
		b, err := os.ReadFile(wrapped)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Unwrap(t.Context(), w.owner, ref, alg, b)
		if err != nil || string(got.Value) != string(secret) {
			t.Errorf("%s: got %x, %v, want %x", alg, got.Value, err, secret)
		}
	}
}

func mustWrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
