package vault

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	"latchkey/fault"
	"latchkey/identity"
)

// A signing is a signature algorithm of RFC 7518, section 3.1, or RFC 8812.
type signing struct {
	// hash made the digest; zero for RSNULL, which signs what it is given.
	hash crypto.Hash
	// pss is the padding of RSA keys: PSS or PKCS #1 1.5.
	pss bool
	// curve is the one curve whose keys sign so; empty for RSA.
	curve string
}

// signings are the signature algorithms by their names.
var signings = map[string]signing{
	"RS256": {hash: crypto.SHA256}, "RS384": {hash: crypto.SHA384}, "RS512": {hash: crypto.SHA512}, "RSNULL": {},
	"PS256": {hash: crypto.SHA256, pss: true}, "PS384": {hash: crypto.SHA384, pss: true}, "PS512": {hash: crypto.SHA512, pss: true},
	"ES256": {hash: crypto.SHA256, curve: "P-256"}, "ES384": {hash: crypto.SHA384, curve: "P-384"},
	"ES512": {hash: crypto.SHA512, curve: "P-521"}, "ES256K": {hash: crypto.SHA256, curve: p256K},
}

// signing returns an algorithm, or says why the version cannot sign with it, or not
// what the property of the request holds.
func (v *Version) signing(kid, alg, property string, digest []byte) (signing, error) {
	a, ok := signings[alg]
	const incompatible = "Key and signing algorithm are incompatible. Key %s "
	switch {
	case !ok:
		return a, badProperty("alg", "'%s' is not an algorithm for signatures", alg)
	case a.curve == "" && !v.Type.isRSA():
		return a, fault.BadParameter.New(incompatible+"is of type '%s', and algorithm '%s' can only be used with key type 'RSA' or 'RSA-HSM'.", kid, v.Type, alg)
	case a.curve != "" && !v.Type.isEC():
		return a, fault.BadParameter.New(incompatible+"is of type '%s', and algorithm '%s' can only be used with key type 'EC' or 'EC-HSM'.", kid, v.Type, alg)
	case a.curve != v.Public.Curve:
		return a, fault.BadParameter.New(incompatible+"uses curve '%s', and algorithm '%s' can only be used with curve '%s'.", kid, v.Public.Curve, alg, a.curve)
	case a.hash == 0:
		// Padding takes eleven bytes: RFC 8017, section 9.2.
		if most := len(v.Public.N) - 11; len(digest) > most {
			return a, fault.BadParameter.New("Invalid length of '%s': %d bytes. %s with this key takes at most %d bytes, encoded with base64url.", property, len(digest), alg, most)
		}
	case len(digest) != a.hash.Size():
		return a, fault.BadParameter.New("Invalid length of '%s': %d bytes. %s requires %d bytes, encoded with base64url.", property, len(digest), alg, a.hash.Size())
	}
	return a, nil
}

// Sign signs a digest, which the caller has made with the algorithm's hash.
func (s *Service) Sign(ctx context.Context, who identity.Caller, ref Ref, alg string, digest []byte) (out Result, err error) {
	out.KID, err = s.crypt(ctx, who, opSign, ref, alg, func(v *Version, kid string) error {
		a, err := v.signing(kid, alg, "value", digest)
		if err != nil {
			return err
		}
		m, err := v.secret()
		if err != nil {
			return err
		}
		out.Value, err = m.sign(a, digest)
		return err
	})
	return out, err
}

// Verify reports whether a signature is one of a digest. A signature that cannot be
// one at all is none.
func (s *Service) Verify(ctx context.Context, who identity.Caller, ref Ref, alg string, digest, signature []byte) (ok bool, err error) {
	_, err = s.crypt(ctx, who, opVerify, ref, alg, func(v *Version, kid string) error {
		a, err := v.signing(kid, alg, "digest", digest)
		if err != nil {
			return err
		}
		m, err := v.secret()
		if err != nil {
			return err
		}
		ok = m.verify(a, digest, signature)
		return nil
	})
	return ok && err == nil, err
}

// pss has the salt as long as the hash, as RFC 7518, section 3.5, says.
var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}

func (m rsaMaterial) sign(alg signing, digest []byte) (signature []byte, err error) {
	if alg.pss {
		signature, err = rsa.SignPSS(rand.Reader, m.key, alg.hash, digest, pss)
	} else {
		signature, err = rsa.SignPKCS1v15(nil, m.key, alg.hash, digest)
	}
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return signature, nil
}

func (m rsaMaterial) verify(alg signing, digest, signature []byte) bool {
	if alg.pss {
		return rsa.VerifyPSS(&m.key.PublicKey, alg.hash, digest, signature, pss) == nil
	}
	return rsa.VerifyPKCS1v15(&m.key.PublicKey, alg.hash, digest, signature) == nil
}
