package vault

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"math/big"

	"latchkey/identity"
)

// An Import is a key that was made elsewhere.
type Import struct {
	Key PrivateKey
	// HSM asks for the HSM kind of the key's type.
	HSM bool
	Attributes
	Tags          map[string]string
	ReleasePolicy bool
}

// A PrivateKey is a key with its private part as a JSON Web Key has it, RFC 7518,
// section 6. Numbers are big-endian; what was not given is nil.
type PrivateKey struct {
	Type KeyType
	// Ops nil means all that fit the type.
	Ops []string

	// RSA.
	N, E, D, P, Q, DP, DQ, QI []byte
	// EC; D is there, too.
	Curve string
	X, Y  []byte
	// Transfer is a key that an HSM wrapped for another.
	Transfer []byte
}

// Import adds a key that was made elsewhere as the newest version of a key.
func (s *Service) Import(ctx context.Context, who identity.Caller, ref Ref, in Import) (Version, error) {
	return s.add(ctx, who, opImport, ref, func() (Version, []byte, error) {
		if err := in.Key.Type.check(); err != nil {
			return Version{}, nil, err
		}
		if err := checkExport(in.Exportable, in.ReleasePolicy); err != nil {
			return Version{}, nil, err
		}
		t := in.Key.Type
		if in.HSM {
			t = t.hsm()
		}
		version, err := newVersion(t, in.Key.Ops, in.Attributes, in.Tags)
		if err != nil {
			return Version{}, nil, err
		}
		secret, err := s.compute(ctx, in.Key.secret)
		return version, secret, err
	})
}

// secret returns the key in PKCS #8 if its parts fit together.
func (k PrivateKey) secret() ([]byte, error) {
	switch {
	case k.Transfer != nil:
		return nil, badProperty("key.key_hsm", "there is no HSM here that could unwrap it")
	case k.Type.isRSA():
		return k.rsa()
	case k.Curve == p256K:
		return k.k1()
	}
	return k.ec()
}

// need says which part is not there.
func need(parts map[string][]byte) error {
	for _, name := range []string{"n", "e", "d", "p", "q", "x", "y"} {
		if part, asked := parts[name]; asked && len(part) == 0 {
			return badProperty("key."+name, "it must be given")
		}
	}
	return nil
}

// unfit is the answer to parts that do not make a key. Which one is wrong is nothing
// that one could say.
func (k PrivateKey) unfit() error {
	return badProperty("key", "its parts do not fit together to an %s key", k.Type)
}

func (k PrivateKey) rsa() ([]byte, error) {
	if err := need(map[string][]byte{"n": k.N, "e": k.E, "d": k.D, "p": k.P, "q": k.Q}); err != nil {
		return nil, err
	}
	number := func(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
	n, e := number(k.N), number(k.E)
	// Sizes come first: what follows takes time with their third power.
	if err := checkRSA(n.BitLen(), 0); err != nil || n.BitLen() == 0 {
		return nil, badProperty("key.n", "an RSA key has 2048, 3072 or 4096 bits, not %d", n.BitLen())
	}
	if e.BitLen() > 31 {
		return nil, badProperty("key.e", "the exponent has at most 31 bits")
	}
	for _, part := range [][]byte{k.D, k.P, k.Q, k.DP, k.DQ, k.QI} {
		if number(part).Cmp(n) >= 0 {
			return nil, k.unfit()
		}
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: n, E: int(e.Int64())}, D: number(k.D), Primes: []*big.Int{number(k.P), number(k.Q)},
	}
	for _, p := range key.Primes {
		if p.BitLen() > n.BitLen()/2+8 || !p.ProbablyPrime(20) {
			return nil, k.unfit()
		}
	}
	if err := key.Validate(); err != nil {
		return nil, k.unfit()
	}
	key.Precompute()
	for _, part := range []struct {
		given []byte
		is    *big.Int
	}{{k.DP, key.Precomputed.Dp}, {k.DQ, key.Precomputed.Dq}, {k.QI, key.Precomputed.Qinv}} {
		if part.given != nil && (part.is == nil || number(part.given).Cmp(part.is) != 0) {
			return nil, k.unfit()
		}
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("writing a private key: %w", err)
	}
	return secret, nil
}

func (k PrivateKey) ec() ([]byte, error) {
	if k.Curve == "" {
		return nil, badProperty("key.crv", "it must be given")
	}
	if err := checkCurve(k.Curve); err != nil {
		return nil, err
	}
	curve := curves[k.Curve]
	d, err := k.scalar((curve.Params().BitSize + 7) / 8)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, d)
	if err != nil || !k.public(ecMaterial{key}.public()) {
		return nil, k.unfit()
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("writing a private key: %w", err)
	}
	return secret, nil
}

func (k PrivateKey) k1() ([]byte, error) {
	d, err := k.scalar(k1Size)
	if err != nil {
		return nil, err
	}
	m, ok := rawK1(d)
	if !ok || !k.public(m.public()) {
		return nil, k.unfit()
	}
	return m.marshal()
}

// scalar returns the private number with the size of its curve. Writers that know
// nothing of that size leave out zeros at its beginning.
func (k PrivateKey) scalar(size int) ([]byte, error) {
	if err := need(map[string][]byte{"d": k.D, "x": k.X, "y": k.Y}); err != nil {
		return nil, err
	}
	return pad(k.D, size), nil
}

// public reports whether the public part that was given is the one that belongs to the
// private part.
func (k PrivateKey) public(is Public) bool {
	return bytes.Equal(pad(k.X, len(is.X)), is.X) && bytes.Equal(pad(k.Y, len(is.Y)), is.Y)
}

// pad returns a number with a size; one that is too large stays as it is.
func pad(b []byte, size int) []byte {
	b = bytes.TrimLeft(b, "\x00")
	if len(b) >= size {
		return b
	}
	return append(make([]byte, size-len(b), size), b...)
}
