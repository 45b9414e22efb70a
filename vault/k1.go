package vault

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// p256K is Azure's name for the curve secp256k1, which the standard library does not
// have.
const p256K = "P-256K"

// k1Size is how many bytes a coordinate on secp256k1 has, and each half of a signature.
const k1Size = 32

// The object identifiers of RFC 5480 and SEC 2.
var (
	oidECKey     = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidSecp256k1 = asn1.ObjectIdentifier{1, 3, 132, 0, 10}
)

// pkcs8 is a private key as RFC 5208 has it.
type pkcs8 struct {
	Version    int
	Algorithm  pkix.AlgorithmIdentifier
	PrivateKey []byte
}

// ecPrivateKey is what is inside of it, RFC 5915. The curve is said outside.
type ecPrivateKey struct {
	Version    int
	PrivateKey []byte
	PublicKey  asn1.BitString `asn1:"optional,explicit,tag:1"`
}

type k1Material struct{ key *secp256k1.PrivateKey }

func newK1() ([]byte, error) {
	key, err := secp256k1.GeneratePrivateKey()
	if err != nil {
		return nil, fmt.Errorf("making an EC key: %w", err)
	}
	return k1Material{key}.marshal()
}

// rawK1 makes a key of its number; false if there is none of that number.
func rawK1(d []byte) (k1Material, bool) {
	var n secp256k1.ModNScalar
	if len(d) != k1Size || n.SetByteSlice(d) || n.IsZero() {
		return k1Material{}, false
	}
	return k1Material{secp256k1.NewPrivateKey(&n)}, true
}

// marshal writes the key in the form in which the standard library writes those of
// other curves.
func (m k1Material) marshal() ([]byte, error) {
	inner, err := asn1.Marshal(ecPrivateKey{
		Version: 1, PrivateKey: m.key.Serialize(),
		PublicKey: asn1.BitString{Bytes: m.key.PubKey().SerializeUncompressed(), BitLength: 8 * (1 + 2*k1Size)},
	})
	if err != nil {
		return nil, fmt.Errorf("writing a private key: %w", err)
	}
	curve, err := asn1.Marshal(oidSecp256k1)
	if err != nil {
		return nil, fmt.Errorf("writing a private key: %w", err)
	}
	return asn1.Marshal(pkcs8{
		Algorithm:  pkix.AlgorithmIdentifier{Algorithm: oidECKey, Parameters: asn1.RawValue{FullBytes: curve}},
		PrivateKey: inner,
	})
}

// parseK1 reads a secret in PKCS #8 if it is a key on secp256k1.
func parseK1(secret []byte) (material, bool) {
	var outer pkcs8
	if _, err := asn1.Unmarshal(secret, &outer); err != nil || !outer.Algorithm.Algorithm.Equal(oidECKey) {
		return nil, false
	}
	var curve asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(outer.Algorithm.Parameters.FullBytes, &curve); err != nil || !curve.Equal(oidSecp256k1) {
		return nil, false
	}
	var inner ecPrivateKey
	if _, err := asn1.Unmarshal(outer.PrivateKey, &inner); err != nil {
		return nil, false
	}
	return rawK1(inner.PrivateKey)
}

func (m k1Material) public() Public {
	b := m.key.PubKey().SerializeUncompressed()
	return Public{Curve: p256K, X: b[1 : 1+k1Size], Y: b[1+k1Size:]}
}

// sign makes a signature as RFC 8812 has it: r and s.
func (m k1Material) sign(_ signing, digest []byte) ([]byte, error) {
	signature := ecdsa.Sign(m.key, digest)
	r, s := signature.R(), signature.S()
	rb, sb := r.Bytes(), s.Bytes()
	return append(rb[:], sb[:]...), nil
}

func (m k1Material) verify(_ signing, digest, signature []byte) bool {
	var r, s secp256k1.ModNScalar
	if len(signature) != 2*k1Size || r.SetByteSlice(signature[:k1Size]) || s.SetByteSlice(signature[k1Size:]) {
		return false
	}
	return ecdsa.NewSignature(&r, &s).Verify(digest, m.key.PubKey())
}
