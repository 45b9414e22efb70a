package vault

import (
	"context"
	"errors"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// A DeletedKey is a key that was deleted and can be brought back until Purges. Its
// Version is the newest one.
type DeletedKey struct {
	Version
	// RecoveryID is the address at which the deleted key is found.
	RecoveryID      string
	Deleted, Purges time.Time
}

func (s *Service) deletedKey(v *Vault, version *Version, k storedKey) DeletedKey {
	return DeletedKey{
		Version:    s.present(v, *version),
		RecoveryID: s.Cloud.VaultURI(v.Name) + "deletedkeys/" + k.Name,
		Deleted:    k.Deleted, Purges: k.Purges,
	}
}

// DeleteKey deletes a key with all its versions softly.
func (s *Service) DeleteKey(ctx context.Context, who identity.Caller, ref Ref) (out DeletedKey, err error) {
	now := time.Now().UTC().Truncate(time.Second)
	err = s.use(ctx, who, opDelete, ref, func(u *use) error {
		return s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			version, _, err := s.find(tx, v, Ref{Vault: ref.Vault, Key: ref.Key})
			if err != nil {
				return err
			}
			u.version = version.ID
			k, err := s.move(tx, v, store.KindVaultKey, store.KindDeletedKey, ref.Key, func(k *storedKey) time.Time {
				k.Deleted, k.Purges = now, now.Add(v.retention())
				return k.Purges
			})
			if err != nil {
				return err
			}
			out = s.deletedKey(v, version, k)
			return nil
		})
	})
	if err != nil {
		return DeletedKey{}, err
	}
	s.changed(ref.Vault)
	return out, nil
}

// move turns a live key into a deleted one, or the reverse, at the same place, so
// that its versions stay below it. Change returns when the key has to be looked at
// next.
func (s *Service) move(tx *store.Tx, v *Vault, from, to store.Kind, name string, change func(*storedKey) time.Time) (k storedKey, err error) {
	r, err := tx.Lookup(from, v.rid, name)
	if err != nil {
		return k, err
	}
	if err := r.Decode(&k); err != nil {
		return k, err
	}
	due := change(&k)
	if err := tx.Delete(r); err != nil {
		return k, err
	}
	_, err = tx.InsertAt(to, v.rid, r.ID, k.Name, store.Clear{Due: due}, k)
	return k, err
}

// gone returns a deleted key that can still be brought back.
func (s *Service) gone(tx *store.Tx, v *Vault, name string) (*store.Record, storedKey, error) {
	var k storedKey
	if err := checkKeyName(name); err != nil {
		return nil, k, err
	}
	missing := fault.KeyNotFound.New("Deleted Key not found: %s", name)
	r, err := tx.Lookup(store.KindDeletedKey, v.rid, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, k, missing
	}
	if err != nil {
		return nil, k, err
	}
	if err := r.Decode(&k); err != nil {
		return nil, k, err
	}
	if k.Purging {
		return nil, k, missing
	}
	return r, k, nil
}

// DeletedKey returns a deleted key.
func (s *Service) DeletedKey(ctx context.Context, who identity.Caller, ref Ref) (out DeletedKey, err error) {
	err = s.use(ctx, who, opGetDeleted, ref, func(u *use) error {
		return s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			r, k, err := s.gone(tx, v, ref.Key)
			if err != nil {
				return err
			}
			version, _, err := s.below(tx, r, "")
			if err != nil {
				return err
			}
			u.version = version.ID
			out = s.deletedKey(v, version, k)
			return nil
		})
	})
	return out, err
}

// A DeletedList is one page of deleted keys; see List.
type DeletedList struct {
	Keys []DeletedKey
	Next string
}

// DeletedKeys lists the deleted keys of a vault.
func (s *Service) DeletedKeys(ctx context.Context, who identity.Caller, vault string, page Page) (out DeletedList, err error) {
	err = s.use(ctx, who, opListDeleted, Ref{Vault: vault}, func(u *use) error {
		out = DeletedList{}
		return s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			return s.page(tx, store.KindDeletedKey, v.rid, page, &out.Next, func(r *store.Record) error {
				var k storedKey
				if err := r.Decode(&k); err != nil || k.Purging {
					return err
				}
				version, _, err := s.below(tx, r, "")
				if err != nil {
					return err
				}
				item := s.deletedKey(v, version, k)
				item.KID = s.KeyID(v.Name, item.Key, "")
				out.Keys = append(out.Keys, item)
				return nil
			})
		})
	})
	return out, err
}

// RecoverKey brings a deleted key back with all its versions.
func (s *Service) RecoverKey(ctx context.Context, who identity.Caller, ref Ref) (out Version, err error) {
	err = s.use(ctx, who, opRecover, ref, func(u *use) error {
		return s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			r, _, err := s.gone(tx, v, ref.Key)
			if err != nil {
				return err
			}
			version, _, err := s.below(tx, r, "")
			if err != nil {
				return err
			}
			u.version = version.ID
			out = s.present(v, *version)
			_, err = s.move(tx, v, store.KindDeletedKey, store.KindVaultKey, ref.Key, func(k *storedKey) time.Time {
				k.Deleted, k.Purges = time.Time{}, time.Time{}
				return k.due(version)
			})
			return err
		})
	})
	if err != nil {
		return Version{}, err
	}
	s.changed(ref.Vault)
	return out, nil
}

// PurgeKey destroys a deleted key. A vault with purge protection refuses it.
func (s *Service) PurgeKey(ctx context.Context, who identity.Caller, ref Ref) error {
	err := s.use(ctx, who, opPurge, ref, func(u *use) error {
		var vault, key store.RID
		err := s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			r, k, err := s.gone(tx, v, ref.Key)
			if err != nil {
				return err
			}
			if v.PurgeProtection {
				return fault.Forbidden.New("Operation \"purge\" is not allowed because purge protection is enabled for this vault. "+
					"Key Vault service will automatically purge it after the retention period has passed.\r\nVault: %s;location=%s",
					v.Name, v.Location).Because("ForbiddenByPolicy")
			}
			k.Purging = true
			vault, key = v.rid, r.ID
			// Due now, so that Run goes on if the service stops halfway.
			return tx.Put(r, store.Clear{Due: time.Now().UTC()}, k)
		})
		if err != nil {
			return err
		}
		return s.purgeKey(ctx, vault, key)
	})
	if err != nil {
		return err
	}
	s.changed(ref.Vault)
	return nil
}
