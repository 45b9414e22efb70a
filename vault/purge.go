package vault

import (
	"context"
	"errors"
	"time"

	"latchkey/store"
)

// PurgeEvery is how often Run looks for what has been deleted long enough, and for
// keys that are to be rotated.
const PurgeEvery = time.Minute

// chunk is how many records one transaction of a purge destroys.
const chunk = 128

// Run purges deleted vaults and keys when their retention is over, and rotates keys as
// their policies say, until ctx ends. It also finishes purges that were cut off.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(PurgeEvery)
	defer ticker.Stop()
	for {
		if err := s.purgeDue(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("purging deleted vaults and keys", "err", err)
		}
		if err := s.rotateDue(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("rotating keys by their policies", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// purgeDue destroys what is due. Each is looked at again before: it may have been
// brought back since it was listed.
func (s *Service) purgeDue(ctx context.Context) error {
	now := time.Now().UTC()
	keys, err := s.due(ctx, store.KindDeletedKey, now)
	if err != nil {
		return err
	}
	for _, p := range keys {
		if err := s.destroyDueKey(ctx, p, now); err != nil {
			return err
		}
	}
	vaults, err := s.due(ctx, store.KindDeletedVault, now)
	if err != nil {
		return err
	}
	for _, p := range vaults {
		if err := s.destroyDueVault(ctx, p.ID, now); err != nil {
			return err
		}
	}
	return nil
}

// due lists what has to be looked at.
func (s *Service) due(ctx context.Context, kind store.Kind, now time.Time) (places []store.Place, err error) {
	err = s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		for place, err := range tx.Due(kind, now) {
			if err != nil {
				return err
			}
			places = append(places, place)
		}
		return nil
	})
	return places, err
}

func (s *Service) destroyDueVault(ctx context.Context, id store.RID, now time.Time) error {
	gone := false
	err := s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
		gone = false
		r, err := tx.Get(store.KindDeletedVault, store.RID{}, id)
		if errors.Is(err, store.ErrNotFound) {
			gone = true
			return nil
		}
		if err != nil {
			return err
		}
		var d DeletedVault
		if err := r.Decode(&d); err != nil {
			return err
		}
		if !d.Purging && d.Purges.After(now) {
			gone = true
			return nil
		}
		d.Purging = true
		return tx.Put(r, store.Clear{Due: r.Clear.Due}, d)
	})
	if err != nil || gone {
		return err
	}
	return s.destroyVault(ctx, id)
}

// destroyVault destroys a vault that is marked as being purged: its keys first, and
// last its name.
func (s *Service) destroyVault(ctx context.Context, id store.RID) error {
	for _, kind := range []store.Kind{store.KindVaultKey, store.KindDeletedKey} {
		for {
			var keys []store.RID
			err := s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
				for r, err := range tx.Records(kind, id, store.RID{}) {
					if err != nil {
						return err
					}
					if keys = append(keys, r.ID); len(keys) == chunk {
						break
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				break
			}
			for _, key := range keys {
				if err := s.destroyKey(ctx, kind, id, key); err != nil {
					return err
				}
			}
		}
	}
	if err := s.Store.ScrubSpace(context.WithoutCancel(ctx), store.Space{}); err != nil {
		return err
	}
	s.vaults.forget(id)
	return s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
		r, err := tx.Get(store.KindDeletedVault, store.RID{}, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.Delete(r)
	})
}

func (s *Service) destroyDueKey(ctx context.Context, p store.Place, now time.Time) error {
	gone := false
	err := s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
		gone = false
		r, err := tx.Get(store.KindDeletedKey, p.Parent, p.ID)
		if errors.Is(err, store.ErrNotFound) {
			gone = true
			return nil
		}
		if err != nil {
			return err
		}
		var k storedKey
		if err := r.Decode(&k); err != nil {
			return err
		}
		if !k.Purging && k.Purges.After(now) {
			gone = true
			return nil
		}
		k.Purging = true
		return tx.Put(r, store.Clear{Due: r.Clear.Due}, k)
	})
	if err != nil || gone {
		return err
	}
	return s.purgeKey(ctx, p.Parent, p.ID)
}

// purgeKey destroys a deleted key, and what the store's files still have of it.
func (s *Service) purgeKey(ctx context.Context, vault, key store.RID) error {
	if err := s.destroyKey(ctx, store.KindDeletedKey, vault, key); err != nil {
		return err
	}
	return s.Store.ScrubRecord(context.WithoutCancel(ctx), store.Space{}, store.KindKeyVersion, key)
}

// destroyKey destroys the versions of a key that cannot come back, and then the key.
func (s *Service) destroyKey(ctx context.Context, kind store.Kind, vault, key store.RID) error {
	for done := false; !done; {
		err := s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			done = true
			var versions []*store.Record
			for r, err := range tx.Records(store.KindKeyVersion, key, store.RID{}) {
				if err != nil {
					return err
				}
				if versions = append(versions, r); len(versions) == chunk {
					done = false
					break
				}
			}
			for _, r := range versions {
				s.versions.forget(r.ID)
				if err := tx.Delete(r); err != nil {
					return err
				}
			}
			if !done {
				return nil
			}
			r, err := tx.Get(kind, vault, key)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			return tx.Delete(r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
