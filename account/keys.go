package account

import (
	"context"
	"errors"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// Keys returns an account with its shared keys to a caller who may have them.
func (s *Service) Keys(ctx context.Context, who identity.Caller, at Address) (Account, error) {
	if err := s.cfg.Directory.Require(ctx, who, Type+"/listKeys/action", at.ID()); err != nil {
		return Account{}, err
	}
	a, err := s.Account(ctx, at)
	if err != nil {
		return Account{}, err
	}
	return a, s.sharedKeysUsable(a)
}

// RegenerateKey replaces a shared key, Primary or Secondary; the old one is refused
// from then on.
func (s *Service) RegenerateKey(ctx context.Context, who identity.Caller, at Address, name string) (Account, error) {
	if err := s.cfg.Directory.Require(ctx, who, Type+"/regenerateKeys/action", at.ID()); err != nil {
		return Account{}, err
	}
	key, ok := oneOf(name, "Primary", "Secondary")
	if !ok {
		return Account{}, invalid("keyName", name, "'Primary' or 'Secondary'")
	}
	for range tries {
		a, err := s.Account(ctx, at)
		if err != nil {
			return Account{}, err
		}
		if err := s.sharedKeysUsable(a); err != nil {
			return Account{}, err
		}
		a = a.clone()
		if key == "Primary" {
			a.keys[0] = newSharedKey()
		} else {
			a.keys[1] = newSharedKey()
		}
		err = s.cfg.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error { return put(tx, a) })
		if !errors.Is(err, errMoved) {
			return a, err
		}
	}
	return Account{}, busy()
}

// sharedKeysUsable fails while the account is locked or does not take shared keys.
func (s *Service) sharedKeysUsable(a Account) error {
	if err := s.cfg.Ring.Opened(a.Space); err != nil {
		return err
	}
	if !a.Allows(SharedKey) {
		return fault.Conflict.New("The account '%s' does not allow shared keys: 'SharedKey' is not in its allowedAuthenticationModes.", a.Name)
	}
	return nil
}

// SyncAutoStorageKeys notes that the keys of the storage account were fetched anew. It
// fails with fault.Conflict if there is no storage account.
func (s *Service) SyncAutoStorageKeys(ctx context.Context, who identity.Caller, at Address) error {
	if err := s.cfg.Directory.Require(ctx, who, Type+"/syncAutoStorageKeys/action", at.ID()); err != nil {
		return err
	}
	for range tries {
		a, err := s.Account(ctx, at)
		if err != nil {
			return err
		}
		if err := s.cfg.Ring.Opened(a.Space); err != nil {
			return err
		}
		if a.AutoStorage == nil {
			return fault.Conflict.New("The account '%s' has no auto-storage account.", a.Name)
		}
		a = a.clone()
		auto := *a.AutoStorage
		auto.LastKeySync = time.Now().UTC()
		a.AutoStorage = &auto
		err = s.cfg.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error { return put(tx, a) })
		if !errors.Is(err, errMoved) {
			return err
		}
	}
	return busy()
}

// NameAvailable says whether a new account may have a name in a location, and if not,
// why: Invalid or AlreadyExists.
func (s *Service) NameAvailable(ctx context.Context, who identity.Caller, subscription, location, name string) (ok bool, reason, message string, err error) {
	scope := "/subscriptions/" + subscription
	if err := s.cfg.Directory.Require(ctx, who, "Microsoft.Batch/locations/checkNameAvailability/action", scope); err != nil {
		// Azure has this action under read; either will do.
		if s.cfg.Directory.Require(ctx, who, "Microsoft.Batch/locations/checkNameAvailability/read", scope) != nil {
			return false, "", "", err
		}
	}
	if location, err = s.location(location); err != nil {
		return false, "", "", err
	}
	if f, bad := fault.From(CheckName(name)); bad {
		return false, "Invalid", f.Message, nil
	}
	_, err = s.ByEndpoint(ctx, name, location)
	if errors.Is(err, fault.AccountNotFound) {
		return true, "", "", nil
	}
	if err != nil {
		return false, "", "", err
	}
	return false, "AlreadyExists", "An account named '" + resource.Fold(name) + "' is already in use.", nil
}

// Quota returns how many accounts a subscription may have in a location.
func (s *Service) Quota(ctx context.Context, who identity.Caller, subscription, location string) (int, error) {
	if err := s.cfg.Directory.Require(ctx, who, "Microsoft.Batch/locations/quotas/read", "/subscriptions/"+subscription); err != nil {
		return 0, err
	}
	if _, err := s.location(location); err != nil {
		return 0, err
	}
	return s.cfg.Quota, nil
}
