package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
)

// defaultCurve is the curve of an EC key for which none was named.
const defaultCurve = "P-256"

// curves are the curves of the standard library by Azure's names for them; p256K is
// the one more.
var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// checkCurve says what is wrong with the curve of an EC key.
func checkCurve(curve string) error {
	if curve == "" || curve == p256K || curves[curve] != nil {
		return nil
	}
	return badProperty("crv", "'%s' is not one of the curves P-256, P-384, P-521 and P-256K", curve)
}

// newEC makes an EC key in PKCS #8.
func newEC(curve string) ([]byte, error) {
	switch curve {
	case p256K:
		return newK1()
	case "":
		curve = defaultCurve
	}
	key, err := ecdsa.GenerateKey(curves[curve], rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making an EC key: %w", err)
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

type ecMaterial struct{ key *ecdsa.PrivateKey }

func (m ecMaterial) public() Public {
	// An uncompressed point: 4, x, y.
	b, err := m.key.PublicKey.Bytes()
	if err != nil {
		// Every curve of curves has this form.
		panic(err)
	}
	half := len(b) / 2
	return Public{Curve: m.key.Params().Name, X: b[1 : 1+half], Y: b[1+half:]}
}

// size is how many bytes a coordinate has, and each half of a signature.
func (m ecMaterial) size() int { return (m.key.Params().BitSize + 7) / 8 }

// sign makes a signature as RFC 7518, section 3.4, has it: r and s, each as long as
// the curve's order, without any ASN.1.
func (m ecMaterial) sign(_ signing, digest []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, m.key, digest)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	out := make([]byte, 2*m.size())
	r.FillBytes(out[:m.size()])
	s.FillBytes(out[m.size():])
	return out, nil
}

func (m ecMaterial) verify(_ signing, digest, signature []byte) bool {
	n := m.size()
	if len(signature) != 2*n {
		return false
	}
	return ecdsa.Verify(&m.key.PublicKey, digest, new(big.Int).SetBytes(signature[:n]), new(big.Int).SetBytes(signature[n:]))
}
