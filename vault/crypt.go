package vault

import (
	"context"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// A Result is what an operation with a key gives back: the address of the version
// that did it, and bytes.
type Result struct {
	KID   string
	Value []byte
}

// Wrap encrypts a symmetric key.
func (s *Service) Wrap(ctx context.Context, who identity.Caller, ref Ref, alg string, value []byte) (Result, error) {
	return s.encrypt(ctx, who, opWrap, ref, alg, func(e encrypter) ([]byte, error) { return e.encrypt(alg, value) })
}

// Unwrap decrypts a symmetric key that Wrap encrypted.
func (s *Service) Unwrap(ctx context.Context, who identity.Caller, ref Ref, alg string, value []byte) (Result, error) {
	return s.encrypt(ctx, who, opUnwrap, ref, alg, func(e encrypter) ([]byte, error) { return e.decrypt(alg, value) })
}

// Encrypt encrypts a short value.
func (s *Service) Encrypt(ctx context.Context, who identity.Caller, ref Ref, alg string, value []byte) (Result, error) {
	return s.encrypt(ctx, who, opEncrypt, ref, alg, func(e encrypter) ([]byte, error) { return e.encrypt(alg, value) })
}

// Decrypt decrypts what Encrypt encrypted.
func (s *Service) Decrypt(ctx context.Context, who identity.Caller, ref Ref, alg string, value []byte) (Result, error) {
	return s.encrypt(ctx, who, opDecrypt, ref, alg, func(e encrypter) ([]byte, error) { return e.decrypt(alg, value) })
}

// encrypt does an operation of keys that encrypt.
func (s *Service) encrypt(ctx context.Context, who identity.Caller, op operation, ref Ref, alg string, do func(encrypter) ([]byte, error)) (out Result, err error) {
	kid, err := s.crypt(ctx, who, op, ref, alg, func(v *Version, kid string) error {
		m, err := v.secret()
		if err != nil {
			return err
		}
		e, ok := m.(encrypter)
		if !ok {
			return fault.BadParameter.New("Key and encryption algorithm are incompatible. Key %s is of type '%s', and algorithm '%s' "+
				"can only be used with key type 'RSA' or 'RSA-HSM'.", kid, v.Type, alg)
		}
		out.Value, err = do(e)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	out.KID = kid
	return out, nil
}

// crypt does an operation with a version's secret and returns the version's address.
func (s *Service) crypt(ctx context.Context, who identity.Caller, op operation, ref Ref, alg string, do func(v *Version, kid string) error) (kid string, err error) {
	err = s.use(ctx, who, op, ref, func(u *use) error {
		var version *Version
		if len(alg) <= 32 {
			u.facts = map[string]string{"algorithm": alg}
		}
		err := s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			if version, _, err = s.find(tx, v, ref); err != nil {
				return err
			}
			u.version = version.ID
			kid = s.KeyID(v.Name, version.Key, version.ID)
			return version.usable(op)
		})
		if err != nil {
			return err
		}
		return do(version, kid)
	})
	return kid, err
}
