package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// Delete deletes an account, locked or not: its wrapped keys and the account itself in
// one write, from which on nothing of it can be read, and its data behind that. It
// reports whether there was one.
func (s *Service) Delete(ctx context.Context, who identity.Caller, at Address) (Account, bool, error) {
	if err := s.cfg.Directory.Require(ctx, who, Type+"/delete", at.ID()); err != nil {
		return Account{}, false, err
	}
	return s.drop(ctx, at)
}

// Remove deletes the account with a resource id, because its group is deleted. One
// that is not there is no failure.
func (s *Service) Remove(ctx context.Context, id string) error {
	at, err := addressOf(id)
	if err != nil {
		return err
	}
	_, _, err = s.drop(ctx, at)
	return err
}

func (s *Service) drop(ctx context.Context, at Address) (Account, bool, error) {
	a, err := s.Account(ctx, at)
	if errors.Is(err, fault.NotFound) {
		return Account{}, false, nil
	}
	if err != nil {
		return Account{}, false, err
	}
	err = s.cfg.Ring.Destroy(ctx, a.Space, func(tx *store.Tx) error {
		now, err := s.find(tx, at)
		if errors.Is(err, fault.NotFound) || err == nil && now.Space != a.Space {
			return nil // deleted by somebody else meanwhile, and perhaps made anew
		}
		if err != nil {
			return err
		}
		return remove(tx, now)
	})
	if err != nil {
		return Account{}, false, fmt.Errorf("deleting an account: %w", err)
	}
	if a.Identity.Type == SystemAssigned {
		s.dropSystemIdentity(ctx, a.ID)
	}
	if err := s.cfg.Directory.DropScope(context.WithoutCancel(ctx), a.ID); err != nil {
		s.cfg.Log.Error("dropping the roles on an account", "err", err)
	}
	select {
	case s.woken <- struct{}{}:
	default:
	}
	return a, true, nil
}

// deleteRetry is the pause before what failed is tried again.
const deleteRetry = 30 * time.Second

// Run removes the data of deleted accounts until ctx ends. Nobody can read it any
// more; it only takes room.
func (s *Service) Run(ctx context.Context) error {
	for {
		wait := time.Duration(1 << 62)
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Error("deleting the data of an account", "err", err)
			wait = deleteRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-s.woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// sweep deletes the data of every deleted account.
func (s *Service) sweep(ctx context.Context) error {
	type rest struct {
		place store.RID
		deletionRecord
	}
	var all []rest
	err := s.cfg.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		for rec, err := range tx.Records(store.KindAccount, deletions, store.RID{}) {
			if err != nil {
				return err
			}
			d := rest{place: rec.ID}
			if err := rec.Decode(&d.deletionRecord); err != nil {
				return err
			}
			all = append(all, d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, d := range all {
		if err := s.cfg.Store.DeleteSpace(ctx, d.Space); err != nil {
			return err
		}
		err := s.cfg.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			rec, err := tx.Get(store.KindAccount, deletions, d.place)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			return tx.Delete(rec)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
