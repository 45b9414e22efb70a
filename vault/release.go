package vault

import (
	"context"
	"crypto/rand"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// maxRandom is how many random bytes one call gives at most.
const maxRandom = 128

// Release refuses to release a key: none that is made here is exportable.
func (s *Service) Release(ctx context.Context, who identity.Caller, ref Ref) error {
	return s.refuse(ctx, who, opRelease, ref, func(*Version) error {
		return fault.Forbidden.New("Operation release is not permitted on this key: it is not exportable and has no release policy.").
			Because("KeyOperationForbidden")
	})
}

// Attestation refuses to attest a key: only an HSM could.
func (s *Service) Attestation(ctx context.Context, who identity.Caller, ref Ref) error {
	return s.refuse(ctx, who, opAttestation, ref, func(*Version) error {
		return fault.BadParameter.New("Key attestation is not supported for this key: it is not protected by an HSM.")
	})
}

// refuse does an operation that fails with every key, but with the right error for
// those who may not ask.
func (s *Service) refuse(ctx context.Context, who identity.Caller, op operation, ref Ref, why func(*Version) error) error {
	return s.use(ctx, who, op, ref, func(u *use) error {
		return s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			version, _, err := s.find(tx, v, ref)
			if err != nil {
				return err
			}
			u.version = version.ID
			if !version.Enabled {
				return version.usable(op)
			}
			return why(version)
		})
	})
}

// Random returns random bytes.
func (s *Service) Random(ctx context.Context, who identity.Caller, vault string, count int) (out []byte, err error) {
	err = s.use(ctx, who, opRandom, Ref{Vault: vault}, func(u *use) error {
		err := s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			_, err := s.enter(ctx, tx, u)
			return err
		})
		if err != nil {
			return err
		}
		if count < 1 || count > maxRandom {
			return badProperty("count", "it must be from 1 to %d, not %d", maxRandom, count)
		}
		out = make([]byte, count)
		rand.Read(out)
		return nil
	})
	return out, err
}
