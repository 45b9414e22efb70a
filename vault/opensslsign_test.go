package vault_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"latchkey/vault"
)

// subjectKey is a public key on secp256k1 as RFC 5480 has it; the standard library
// writes the others.
type subjectKey struct {
	Algorithm pkix.AlgorithmIdentifier
	PublicKey asn1.BitString
}

// mustPublic writes the public part of a key where openssl reads it.
func mustPublic(t *testing.T, path string, p vault.Public) {
	t.Helper()
	var der []byte
	var err error
	switch {
	case p.N != nil:
		der, err = x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(p.N), E: int(new(big.Int).SetBytes(p.E).Int64())})
	case p.Curve == "P-256K":
		curve, cerr := asn1.Marshal(asn1.ObjectIdentifier{1, 3, 132, 0, 10})
		if cerr != nil {
			t.Fatal(cerr)
		}
		point := append(append([]byte{4}, p.X...), p.Y...)
		der, err = asn1.Marshal(subjectKey{
			pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, Parameters: asn1.RawValue{FullBytes: curve}},
			asn1.BitString{Bytes: point, BitLength: 8 * len(point)},
		})
	default:
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[p.Curve]
		public, perr := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, p.X...), p.Y...))
		if perr != nil {
			t.Fatal(perr)
		}
		der, err = x509.MarshalPKIXPublicKey(public)
	}
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// mustOpenSSL runs openssl in a directory.
func mustOpenSSL(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// padding are the options of openssl for an algorithm, whose name holds the size of
// its hash.
func padding(alg string) []string {
	options := []string{"-pkeyopt", "digest:sha" + strings.Trim(alg, "RSPEK")}
	if strings.HasPrefix(alg, "PS") {
		options = append(options, "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest")
	}
	return options
}

// ecSignature is a signature as openssl has it.
type ecSignature struct{ R, S *big.Int }

func TestOpenSSLVerifiesWhatIsSignedHere(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "ossl2")
	for name, c := range signers {
		ref := vault.Ref{Vault: "ossl2", Key: strings.ReplaceAll(name, " ", "-")}
		key, err := w.Create(t.Context(), w.owner, ref, c.draft)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		mustPublic(t, filepath.Join(dir, "public.pem"), key.Public)
		for alg, size := range c.algorithms {
			if alg == "RSNULL" {
				continue
			}
			digest := make([]byte, size[0])
			rand.Read(digest)
			got, err := w.Sign(t.Context(), w.owner, ref, alg, digest)
			if err != nil {
				t.Fatal(err)
			}
			signature := got.Value
			if key.Public.X != nil {
				half := len(signature) / 2
				if signature, err = asn1.Marshal(ecSignature{new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])}); err != nil {
					t.Fatal(err)
				}
			}
			mustWrite(t, filepath.Join(dir, "digest"), digest)
			mustWrite(t, filepath.Join(dir, "signature"), signature)
			mustOpenSSL(t, dir, append([]string{"pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-in", "digest", "-sigfile", "signature"}, padding(alg)...)...)
		}
	}
}

func TestWhatOpenSSLSignsVerifiesHere(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "ossl3")
	for name, curve := range map[string]string{"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1", "P-256K": "secp256k1", "RSA": ""} {
		dir := t.TempDir()
		ref := vault.Ref{Vault: "ossl3", Key: name}
		algorithms := map[string]int{"RS256": 32, "RS512": 64, "PS256": 32, "PS384": 48}
		var in vault.PrivateKey
		if curve == "" {
			mustOpenSSL(t, dir, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "key")
			block, _ := pem.Decode(mustRead(t, filepath.Join(dir, "key")))
			parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			k := parsed.(*rsa.PrivateKey)
			in = vault.PrivateKey{
				Type: vault.RSA, N: k.N.Bytes(), E: big.NewInt(int64(k.E)).Bytes(), D: k.D.Bytes(), P: k.Primes[0].Bytes(), Q: k.Primes[1].Bytes(),
			}
		} else {
			algorithms = map[string]map[string]int{"P-256": {"ES256": 32}, "P-384": {"ES384": 48}, "P-521": {"ES512": 64}, "P-256K": {"ES256K": 32}}[name]
			// The old form has the private number and the point in the clear: RFC 5915.
			mustOpenSSL(t, dir, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:"+curve, "-out", "key")
			mustOpenSSL(t, dir, "ec", "-in", "key", "-outform", "DER", "-out", "old")
			var old struct {
				Version int
				D       []byte
				Curve   asn1.ObjectIdentifier `asn1:"explicit,tag:0"`
				Point   asn1.BitString        `asn1:"explicit,tag:1"`
			}
			if _, err := asn1.Unmarshal(mustRead(t, filepath.Join(dir, "old")), &old); err != nil {
				t.Fatal(err)
			}
			half := len(old.Point.Bytes) / 2
			in = vault.PrivateKey{Type: vault.EC, Curve: name, D: old.D, X: old.Point.Bytes[1 : 1+half], Y: old.Point.Bytes[1+half:]}
		}
		if _, err := w.Import(t.Context(), w.owner, ref, vault.Import{Key: in}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for alg, size := range algorithms {
			// Several, so that both halves of the curve's order come up.
			for range 4 {
				digest := make([]byte, size)
				rand.Read(digest)
				mustWrite(t, filepath.Join(dir, "digest"), digest)
				mustOpenSSL(t, dir, append([]string{"pkeyutl", "-sign", "-inkey", "key", "-in", "digest", "-out", "signature"}, padding(alg)...)...)
				signature := mustRead(t, filepath.Join(dir, "signature"))
				if curve != "" {
					var s ecSignature
					if _, err := asn1.Unmarshal(signature, &s); err != nil {
						t.Fatal(err)
					}
					n := len(in.X)
					signature = make([]byte, 2*n)
					s.R.FillBytes(signature[:n])
					s.S.FillBytes(signature[n:])
				}
				if ok, err := w.Verify(t.Context(), w.owner, ref, alg, digest, signature); err != nil || !ok {
					t.Errorf("%s: got %v, %v, want it verified", alg, ok, err)
				}
			}
		}
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
