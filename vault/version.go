package vault

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// A Version is one version of a key. It is stored as it is, beside its secret.
type Version struct {
	// Key is the key's name as it was first written, ID the version's: 32 hexadecimal
	// digits.
	Key, ID string
	Type    KeyType
	Ops     []string
	Enabled bool
	// NotBefore and Expires are zero if there is no such limit.
	NotBefore, Expires time.Time
	Created, Updated   time.Time
	Tags               map[string]string
	Public             Public

	// KID is the version's address, RecoveryLevel and RecoverableDays what its vault
	// does with deleted keys. They are filled in when a version is read.
	KID             string `json:"-"`
	RecoveryLevel   string `json:"-"`
	RecoverableDays int    `json:"-"`

	// secret parses the private key when it is first used, and once: most readers of a
	// version want its public part.
	secret func() (material, error)
}

// Public is the public part of a key as a JSON Web Key has it; what does not fit the
// type is nil, and the curve empty.
type Public struct {
	N, E  []byte
	Curve string
	X, Y  []byte
}

// storedVersion is the record of a version.
type storedVersion struct {
	Version
	// Secret is the private key in PKCS #8.
	Secret []byte
}

// notFound is Azure's answer for a key that is not there.
func notFound(ref Ref) error {
	return fault.KeyNotFound.New("A key with (name/id) %s was not found in this key vault. If you recently deleted this key you may be able "+
		"to recover it using the correct recovery command. For help resolving this issue, please see "+
		"https://go.microsoft.com/fwlink/?linkid=2125182", ref.path())
}

// find returns a version of a live key and its record; without a version in ref the
// newest one.
func (s *Service) find(tx *store.Tx, v *Vault, ref Ref) (*Version, *store.Record, error) {
	if err := checkKeyName(ref.Key); err != nil {
		return nil, nil, err
	}
	key, err := tx.Lookup(store.KindVaultKey, v.rid, ref.Key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, notFound(ref)
	}
	if err != nil {
		return nil, nil, err
	}
	version, r, err := s.below(tx, key, ref.Version)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, notFound(ref)
	}
	return version, r, err
}

// below returns a version of a key, live or deleted, and its record.
func (s *Service) below(tx *store.Tx, key *store.Record, id string) (*Version, *store.Record, error) {
	var r *store.Record
	var err error
	if id != "" {
		r, err = tx.Lookup(store.KindKeyVersion, key.ID, id)
	} else {
		var k storedKey
		if err := key.Decode(&k); err != nil {
			return nil, nil, err
		}
		r, err = tx.Get(store.KindKeyVersion, key.ID, k.Current)
	}
	if err != nil {
		return nil, nil, err
	}
	version, err := s.decodeVersion(r)
	return version, r, err
}

// decodeVersion reads a version. What it returns is shared.
func (s *Service) decodeVersion(r *store.Record) (*Version, error) {
	if v, ok := s.versions.find(r); ok {
		return v, nil
	}
	var stored storedVersion
	if err := r.Decode(&stored); err != nil {
		return nil, err
	}
	v := &stored.Version
	v.secret = sync.OnceValues(func() (material, error) { return parseMaterial(stored.Secret) })
	s.versions.keep(r, v)
	return v, nil
}

// present completes a version for a caller.
func (s *Service) present(vault *Vault, v Version) Version {
	v.RecoveryLevel, v.RecoverableDays = vault.Recovery()
	v.KID = s.KeyID(vault.Name, v.Key, v.ID)
	return v
}

// KeyID returns the address of a key, or of a version if one is given.
func (s *Service) KeyID(vault, key, version string) string {
	id := s.Cloud.VaultURI(vault) + "keys/" + key
	if version != "" {
		id += "/" + version
	}
	return id
}

// usable says why a version cannot be used for an operation. Decrypting, unwrapping
// and verifying go on outside of the key's dates, so that what it protects is not lost.
func (v *Version) usable(op operation) error {
	if !v.Enabled {
		return fault.Forbidden.New("Operation %s is not allowed on a disabled key.", op.permission).Because("KeyDisabled")
	}
	if op == opGet {
		return nil
	}
	if op == opWrap || op == opEncrypt || op == opSign {
		now := time.Now()
		if !v.NotBefore.IsZero() && now.Before(v.NotBefore) {
			return fault.Forbidden.New("Operation %s is not allowed on a key that is not yet valid.", op.permission).Because("KeyNotYetValid")
		}
		if !v.Expires.IsZero() && !now.Before(v.Expires) {
			return fault.Forbidden.New("Operation %s is not allowed on an expired key.", op.permission).Because("KeyExpired")
		}
	}
	if !slices.Contains(v.Ops, op.permission) {
		return fault.Forbidden.New("Operation %s is not permitted on this key.", op.permission).Because("KeyOperationForbidden")
	}
	return nil
}

// Key returns the public part and the attributes of a key version.
func (s *Service) Key(ctx context.Context, who identity.Caller, ref Ref) (out Version, err error) {
	err = s.use(ctx, who, opGet, ref, func(u *use) error {
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
			out = s.present(v, *version)
			return version.usable(opGet)
		})
	})
	if err != nil {
		return Version{}, err
	}
	return out, nil
}

// A Change is what a caller wants to change of a version. Nil means: leave it.
type Change struct {
	Attributes
	Ops           []string
	Tags          map[string]string
	ReleasePolicy bool
}

// UpdateKey changes a version's attributes, operations and tags.
func (s *Service) UpdateKey(ctx context.Context, who identity.Caller, ref Ref, in Change) (out Version, err error) {
	err = s.use(ctx, who, opUpdate, ref, func(u *use) error {
		return s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			_, r, err := s.find(tx, v, ref)
			if err != nil {
				return err
			}
			var stored storedVersion
			if err := r.Decode(&stored); err != nil {
				return err
			}
			u.version = stored.ID
			if err := stored.change(in); err != nil {
				return err
			}
			stored.Updated = time.Now().UTC().Truncate(time.Second)
			if err := tx.Put(r, store.Clear{}, stored); err != nil {
				return err
			}
			if err := reschedule(tx, v, r, &stored.Version, in.Expires != nil); err != nil {
				return err
			}
			out = s.present(v, stored.Version)
			return nil
		})
	})
	if err != nil {
		return Version{}, err
	}
	s.changed(ref.Vault)
	return out, nil
}

// change applies what was asked for to a version.
func (v *Version) change(in Change) error {
	if in.Exportable != nil && *in.Exportable || in.ReleasePolicy {
		return fault.BadParameter.New("AKV.SKR.1005: Non-exportable keys must not have release policy.")
	}
	if in.Ops != nil {
		ops, err := canonicalOps(in.Ops)
		if err != nil {
			return err
		}
		v.Ops = ops
	}
	if in.Tags != nil {
		if err := checkTags(in.Tags); err != nil {
			return err
		}
		v.Tags = in.Tags
	}
	return v.apply(in.Attributes)
}
