package vault

import (
	"context"

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
	return s.crypt(ctx, who, opWrap, ref, alg, func(m material) ([]byte, error) { return m.encrypt(alg, value) })
}

// Unwrap decrypts a symmetric key that Wrap encrypted.
func (s *Service) Unwrap(ctx context.Context, who identity.Caller, ref Ref, alg string, value []byte) (Result, error) {
	return s.crypt(ctx, who, opUnwrap, ref, alg, func(m material) ([]byte, error) { return m.decrypt(alg, value) })
}

// Encrypt encrypts a short value.
func (s *Service) Encrypt(ctx context.Context, who identity.Caller, ref Ref, alg string, value []byte) (Result, error) {
	return s.crypt(ctx, who, opEncrypt, ref, alg, func(m material) ([]byte, error) { return m.encrypt(alg, value) })
}

// Decrypt decrypts what Encrypt encrypted.
func (s *Service) Decrypt(ctx context.Context, who identity.Caller, ref Ref, alg string, value []byte) (Result, error) {
	return s.crypt(ctx, who, opDecrypt, ref, alg, func(m material) ([]byte, error) { return m.decrypt(alg, value) })
}

// crypt does an operation with a version's secret.
func (s *Service) crypt(ctx context.Context, who identity.Caller, op operation, ref Ref, alg string, do func(material) ([]byte, error)) (out Result, err error) {
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
			out.KID = s.KeyID(v.Name, version.Key, version.ID)
			return version.usable(op)
		})
		if err != nil {
			return err
		}
		secret, err := version.secret()
		if err != nil {
			return err
		}
		out.Value, err = do(secret)
		return err
	})
	if err != nil {
		return Result{}, err
	}
	return out, nil
}
