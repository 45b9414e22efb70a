package vault

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"hash"
	"math/big"

	"latchkey/fault"
)

// checkRSA says what is wrong with the size and the exponent of an RSA key.
func checkRSA(size, exponent int) error {
	switch size {
	case 0, 2048, 3072, 4096:
	default:
		return badProperty("key_size", "an RSA key has 2048, 3072 or 4096 bits, not %d", size)
	}
	if exponent != 0 && exponent != 65537 {
		return badProperty("public_exponent", "an RSA key has the exponent 65537, not %d", exponent)
	}
	return nil
}

// newRSA makes an RSA key in PKCS #8; size zero means 2048 bits.
func newRSA(size int) ([]byte, error) {
	if size == 0 {
		size = 2048
	}
	key, err := rsa.GenerateKey(rand.Reader, size)
	if err != nil {
		return nil, fmt.Errorf("making an RSA key: %w", err)
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

type rsaMaterial struct{ key *rsa.PrivateKey }

func (m rsaMaterial) public() Public {
	return Public{N: m.key.N.Bytes(), E: big.NewInt(int64(m.key.E)).Bytes()}
}

// oaep returns the hash of an OAEP algorithm of RFC 7518, section 4.3; nil for others.
func oaep(alg string) hash.Hash {
	switch alg {
	case "RSA-OAEP":
		return sha1.New()
	case "RSA-OAEP-256":
		return sha256.New()
	}
	return nil
}

func (m rsaMaterial) encrypt(alg string, plain []byte) (sealed []byte, err error) {
	if h := oaep(alg); h != nil {
		sealed, err = rsa.EncryptOAEP(h, rand.Reader, &m.key.PublicKey, plain, nil)
	} else if alg == "RSA1_5" {
		//lint:ignore SA1019 Key Vault has RSA1_5, and what it wrapped must stay readable.
		sealed, err = rsa.EncryptPKCS1v15(rand.Reader, &m.key.PublicKey, plain)
	} else {
		return nil, badAlgorithm(alg)
	}
	if err != nil {
		return nil, badProperty("value", "%d bytes are too many for %s with this key", len(plain), alg)
	}
	return sealed, nil
}

func (m rsaMaterial) decrypt(alg string, sealed []byte) (plain []byte, err error) {
	if h := oaep(alg); h != nil {
		plain, err = rsa.DecryptOAEP(h, nil, m.key, sealed, nil)
	} else if alg == "RSA1_5" {
		//lint:ignore SA1019 As above.
		plain, err = rsa.DecryptPKCS1v15(nil, m.key, sealed)
	} else {
		return nil, badAlgorithm(alg)
	}
	if err != nil {
		// One answer for every reason: which check failed would tell an attacker
		// something about the plaintext.
		return nil, fault.BadParameter.New("The parameter is incorrect.")
	}
	return plain, nil
}

func badAlgorithm(alg string) error {
	return badProperty("alg", "'%s' is not an algorithm for encrypting and wrapping with an RSA key; "+
		"RSA-OAEP-256, RSA-OAEP and RSA1_5 are", alg)
}
