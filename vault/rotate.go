package vault

import (
	"context"
	"errors"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// Rotate makes a new version of a key, of the same kind as the newest one. How long it
// is good is said by the key's policy.
func (s *Service) Rotate(ctx context.Context, who identity.Caller, ref Ref) (out Version, err error) {
	err = s.use(ctx, who, opRotate, ref, func(u *use) error {
		var current *Version
		var k storedKey
		err := s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			var r *store.Record
			if r, k, err = s.key(tx, v, ref); err != nil {
				return err
			}
			current, _, err = s.below(tx, r, "")
			if err == nil && !current.Enabled {
				return fault.Forbidden.New("Operation rotate is not allowed on a disabled key.").Because("KeyDisabled")
			}
			return err
		})
		if err != nil {
			return err
		}
		version, secret, err := s.successor(ctx, current, k)
		if err != nil {
			return err
		}
		return s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			if _, _, err := s.key(tx, v, ref); err != nil {
				return err
			}
			added, err := addVersion(tx, v, ref.Key, version, secret)
			if err != nil {
				return err
			}
			u.version = added.ID
			out = s.present(v, added)
			return nil
		})
	})
	if err != nil {
		return Version{}, err
	}
	s.changed(ref.Vault)
	return out, nil
}

// successor makes the version that follows another.
func (s *Service) successor(ctx context.Context, current *Version, k storedKey) (Version, []byte, error) {
	next, err := newVersion(current.Type, current.Ops, Attributes{}, current.Tags)
	if err != nil {
		return Version{}, nil, err
	}
	if life, ok := parsePeriod(k.policy().Expiry); ok {
		next.Expires = life.after(next.Created)
	}
	secret, err := s.generate(ctx, current.Type, 8*len(current.Public.N), current.Public.Curve)
	return next, secret, err
}

// farOff is the year from which on nothing is waited for: lists of what is due count
// nanoseconds, which do not reach much farther.
const farOff = 2200

// due says when Run has to look at a key next whose newest version this is; zero for
// never.
func (k storedKey) due(current *Version) time.Time {
	rotate, notify := k.times(current)
	if rotate.IsZero() || !notify.IsZero() && notify.Before(rotate) {
		rotate = notify
	}
	switch {
	case rotate.IsZero() || rotate.Year() >= farOff:
		return time.Time{}
	case rotate.Before(current.Created):
		// An expiry may lie anywhere in the past; the lists begin in 1970.
		return current.Created
	}
	return rotate
}

// times says when a key is to be rotated and when its expiry is to be told; zero for
// never. A disabled version is left alone.
func (k storedKey) times(current *Version) (rotate, notify time.Time) {
	if !current.Enabled {
		return rotate, notify
	}
	for _, a := range k.policy().Actions {
		var at time.Time
		if wait, ok := parsePeriod(a.AfterCreate); ok {
			at = wait.after(current.Created)
		} else if wait, ok := parsePeriod(a.BeforeExpiry); ok && !current.Expires.IsZero() {
			at = wait.before(current.Expires)
		}
		if a.Type == Rotate {
			rotate = at
		} else if k.Notified != current.ID {
			notify = at
		}
	}
	return rotate, notify
}

// reschedule keeps a key's time when a version of it has changed.
func reschedule(tx *store.Tx, v *Vault, version *store.Record, changed *Version, expiry bool) error {
	r, err := tx.Get(store.KindVaultKey, v.rid, version.Parent)
	if err != nil {
		return err
	}
	var k storedKey
	if err := r.Decode(&k); err != nil {
		return err
	}
	if k.Current != version.ID {
		return nil
	}
	if expiry && k.Notified == changed.ID {
		k.Notified = ""
	}
	if due := k.due(changed); !due.Equal(r.Clear.Due) {
		return tx.Put(r, store.Clear{Due: due}, k)
	}
	return nil
}

// rotateDue does what the policies of keys say is to be done by now. One key that
// cannot be rotated does not keep the others from it.
func (s *Service) rotateDue(ctx context.Context) error {
	now := time.Now().UTC()
	places, err := s.due(ctx, store.KindVaultKey, now)
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range places {
		if err := s.attend(ctx, p, now); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// A turn is a key whose time has come.
type turn struct {
	vault   *Vault
	record  *store.Record
	key     storedKey
	current *Version
}

// turn looks at a key again whose time had come. It fails with store.ErrNotFound if
// the key, or its vault, has gone.
func (s *Service) turn(tx *store.Tx, p store.Place) (t turn, err error) {
	r, err := tx.Get(store.KindVault, store.RID{}, p.Parent)
	if err != nil {
		return t, err
	}
	if t.vault, err = s.decodeVault(r); err != nil {
		return t, err
	}
	if t.record, err = tx.Get(store.KindVaultKey, p.Parent, p.ID); err != nil {
		return t, err
	}
	if err := t.record.Decode(&t.key); err != nil {
		return t, err
	}
	t.current, _, err = s.below(tx, t.record, "")
	return t, err
}

// attend rotates a key, or tells that it expires soon.
func (s *Service) attend(ctx context.Context, p store.Place, now time.Time) error {
	var t turn
	err := s.Store.View(ctx, store.Space{}, func(tx *store.Tx) (err error) {
		t, err = s.turn(tx, p)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	rotate, notify := t.key.times(t.current)
	switch {
	case !rotate.IsZero() && !rotate.After(now):
		return s.rotateByPolicy(ctx, p, t)
	case !notify.IsZero() && !notify.After(now):
		return s.tellExpiry(ctx, p, t)
	}
	return nil
}

func (s *Service) rotateByPolicy(ctx context.Context, p store.Place, t turn) error {
	ref := Ref{Vault: t.vault.Name, Key: t.key.Name}
	err := s.use(ctx, identity.Caller{}, opRotateIfDue, ref, func(u *use) error {
		u.vaultID, u.version = t.vault.ID, t.current.ID
		version, secret, err := s.successor(ctx, t.current, t.key)
		if err != nil {
			return err
		}
		return s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			again, err := s.turn(tx, p)
			if errors.Is(err, store.ErrNotFound) || err == nil && again.record.Version != t.record.Version {
				// Somebody was faster. If there is still something to do, the key is still
				// on the list.
				return nil
			}
			if err != nil {
				return err
			}
			added, err := addVersion(tx, again.vault, again.key.Name, version, secret)
			u.version = added.ID
			return err
		})
	})
	if err != nil {
		return err
	}
	s.changed(t.vault.Name)
	return nil
}

// tellExpiry writes to the audit that a key expires soon. It is written before it is
// kept in mind: better twice than never.
func (s *Service) tellExpiry(ctx context.Context, p store.Place, t turn) error {
	err := s.use(ctx, identity.Caller{}, opNearExpiry, Ref{Vault: t.vault.Name, Key: t.key.Name}, func(u *use) error {
		u.vaultID, u.version = t.vault.ID, t.current.ID
		u.facts = map[string]string{"expires": t.current.Expires.Format(time.RFC3339)}
		return nil
	})
	if err != nil {
		return err
	}
	return s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
		again, err := s.turn(tx, p)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		again.key.Notified = t.current.ID
		return tx.Put(again.record, store.Clear{Due: again.key.due(again.current)}, again.key)
	})
}
