package vault

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"
)

// A material is the secret of a key version. Each kind of key has one.
type material interface {
	// public returns the public part.
	public() Public
	// sign signs a digest, and verify looks at a signature of one. The algorithm and
	// the digest's length have been held against the key's kind before.
	sign(alg signing, digest []byte) ([]byte, error)
	verify(alg signing, digest, signature []byte) bool
}

// An encrypter is a material that can encrypt, too. It fails with fault.BadParameter
// if the algorithm is not one of the key's kind or the value does not fit.
type encrypter interface {
	encrypt(alg string, plain []byte) ([]byte, error)
	decrypt(alg string, sealed []byte) ([]byte, error)
}

// parseMaterial reads a secret in PKCS #8, RFC 5208.
func parseMaterial(secret []byte) (material, error) {
	if m, ok := parseK1(secret); ok {
		return m, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(secret)
	if err != nil {
		return nil, fmt.Errorf("reading a private key: %w", err)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return rsaMaterial{key}, nil
	case *ecdsa.PrivateKey:
		return ecMaterial{key}, nil
	default:
		return nil, fmt.Errorf("reading a private key: a %T is of no use here", key)
	}
}

// isRSA reports whether keys of the type are RSA keys, protected in whatever way.
func (t KeyType) isRSA() bool { return t == RSA || t == RSAHSM }

// isEC reports whether keys of the type are on an elliptic curve.
func (t KeyType) isEC() bool { return t == EC || t == ECHSM }

// hsm returns the type of the same kind that an HSM would protect.
func (t KeyType) hsm() KeyType { return KeyType(strings.TrimSuffix(string(t), "-HSM") + "-HSM") }

// check says what is wrong with a key type.
func (t KeyType) check() error {
	switch {
	case t.isRSA() || t.isEC():
		return nil
	case t == "":
		return badProperty("kty", "it must be given")
	case t == "oct" || t == "oct-HSM":
		return badProperty("kty", "keys of type '%s' are kept by managed HSMs only", t)
	}
	return badProperty("kty", "there are no keys of type '%s'; RSA, RSA-HSM, EC and EC-HSM are", t)
}

// ops are the operations of a key for which none were named, in Azure's order.
func (t KeyType) ops() []string {
	if t.isRSA() {
		return []string{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}
	}
	return []string{"sign", "verify"}
}

// newSecret makes a private key in PKCS #8. Size zero and an empty curve stand for the
// type's default.
func newSecret(t KeyType, size int, curve string) ([]byte, error) {
	if t.isRSA() {
		return newRSA(size)
	}
	return newEC(curve)
}
