package vault

import (
	"context"
	"errors"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// A DeletedVault is a vault that was deleted and can be brought back until Purges.
type DeletedVault struct {
	Vault
	Deleted, Purges time.Time
	// Purging: its contents are being destroyed; there is no way back.
	Purging bool
}

// Delete deletes a vault softly; was says whether there was one.
func (s *Service) Delete(ctx context.Context, who identity.Caller, at Address) (was bool, err error) {
	if err := s.Directory.Require(ctx, who, Type+"/delete", at.ID()); err != nil {
		return false, err
	}
	if checkName(at.Name) != nil {
		// No vault has such a name, and the id that it makes may not be one.
		return false, nil
	}
	err = s.remove(ctx, at)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Remove deletes the vault with a resource id softly, whoever asks: for the deletion
// of its group. A vault that is not there counts as deleted.
func (s *Service) Remove(ctx context.Context, id string) error {
	parsed, err := resource.ParseID(id)
	if err != nil {
		return err
	}
	err = s.remove(ctx, Address{parsed.Subscription, parsed.Group, parsed.Name()})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// remove turns a vault into a deleted one at the same place, so that its keys stay
// below it.
func (s *Service) remove(ctx context.Context, at Address) error {
	now := time.Now().UTC()
	err := s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
		v, err := s.lookup(tx, at.Name)
		if err != nil {
			return err
		}
		if !v.is(at) {
			return store.ErrNotFound
		}
		r, err := tx.Get(store.KindVault, store.RID{}, v.rid)
		if err != nil {
			return err
		}
		if err := tx.Delete(r); err != nil {
			return err
		}
		d := DeletedVault{Vault: v, Deleted: now, Purges: now.Add(v.retention())}
		_, err = tx.InsertAt(store.KindDeletedVault, store.RID{}, v.rid, v.Name, store.Clear{Due: d.Purges}, d)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil {
		s.changed(at.Name)
	}
	// Roles that were given on the vault do not come back with it, as in Azure. A
	// deletion that is repeated drops what one that broke off here has left.
	if err := s.Directory.DropScope(ctx, at.ID()); err != nil {
		return err
	}
	return err
}

// recoverVault brings a deleted vault back with its keys, policies and settings.
func (s *Service) recoverVault(tx *store.Tx, at Address, in Settings, by Stamp) (Vault, error) {
	d, r, err := deletedVault(tx, at.Name)
	if err != nil {
		return Vault{}, err
	}
	if d == nil || d.Purging || !d.is(at) || !resource.Equal(d.Location, in.Location) {
		return Vault{}, fault.DeletedVaultNotFound.New("The specified deleted vault '%s' does not exist in resource group '%s' and location '%s'.",
			at.Name, at.Group, in.Location)
	}
	if err := tx.Delete(r); err != nil {
		return Vault{}, err
	}
	v := d.Vault
	v.Modified = by
	back, err := tx.InsertAt(store.KindVault, store.RID{}, r.ID, v.Name, store.Clear{}, v)
	if err != nil {
		return Vault{}, err
	}
	v.rid = back.ID
	return v, nil
}

// deletedVault finds a deleted vault by its name; nil if there is none.
func deletedVault(tx *store.Tx, name string) (*DeletedVault, *store.Record, error) {
	r, err := tx.Lookup(store.KindDeletedVault, store.RID{}, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	d := &DeletedVault{}
	if err := r.Decode(d); err != nil {
		return nil, nil, err
	}
	d.rid = r.ID
	return d, r, nil
}

// DeletedVaultID returns the resource id of a deleted vault.
func DeletedVaultID(subscription, location, name string) string {
	return "/subscriptions/" + subscription + "/providers/" + Provider + "/locations/" + location + "/deletedVaults/" + name
}

// DeletedVault returns a deleted vault of a subscription and location.
func (s *Service) DeletedVault(ctx context.Context, who identity.Caller, subscription, location, name string) (out DeletedVault, err error) {
	if err := s.Directory.Require(ctx, who, Provider+"/locations/deletedVaults/read", scope(subscription, "")); err != nil {
		return DeletedVault{}, err
	}
	err = s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		d, err := s.deletedAt(tx, subscription, location, name)
		if err == nil {
			out = *d
		}
		return err
	})
	return out, err
}

func (s *Service) deletedAt(tx *store.Tx, subscription, location, name string) (*DeletedVault, error) {
	d, _, err := deletedVault(tx, name)
	if err != nil {
		return nil, err
	}
	if short, err := s.Location(location); err == nil {
		location = short
	}
	if d == nil || d.Purging || !resource.Equal(d.Subscription, subscription) || !resource.Equal(d.Location, location) {
		return nil, fault.DeletedVaultNotFound.New("The specified deleted vault '%s' does not exist.", name)
	}
	return d, nil
}

// DeletedVaults lists the deleted vaults of a subscription.
func (s *Service) DeletedVaults(ctx context.Context, who identity.Caller, subscription string) ([]DeletedVault, error) {
	if err := s.Directory.Require(ctx, who, Provider+"/deletedVaults/read", scope(subscription, "")); err != nil {
		return nil, err
	}
	var out []DeletedVault
	err := s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		for r, err := range tx.Records(store.KindDeletedVault, store.RID{}, store.RID{}) {
			if err != nil {
				return err
			}
			var d DeletedVault
			if err := r.Decode(&d); err != nil {
				return err
			}
			if !d.Purging && resource.Equal(d.Subscription, subscription) {
				out = append(out, d)
			}
		}
		return nil
	})
	return out, err
}

// Purge destroys a deleted vault with everything in it. It fails with
// fault.VaultPurgeProtected if the vault is protected.
func (s *Service) Purge(ctx context.Context, who identity.Caller, subscription, location, name string) (out DeletedVault, err error) {
	if err := s.Directory.Require(ctx, who, Provider+"/locations/deletedVaults/purge/action", scope(subscription, "")); err != nil {
		return DeletedVault{}, err
	}
	err = s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
		d, err := s.deletedAt(tx, subscription, location, name)
		if err != nil {
			return err
		}
		if d.PurgeProtection {
			return fault.VaultPurgeProtected.New("Operation 'DeletedVaultPurge' is not allowed.")
		}
		r, err := tx.Get(store.KindDeletedVault, store.RID{}, d.rid)
		if err != nil {
			return err
		}
		// From here on there is no way back, even if the service stops halfway: Run
		// finds it due and goes on.
		d.Purging = true
		out = *d
		return tx.Put(r, store.Clear{Due: time.Now().UTC()}, d)
	})
	if err != nil {
		return DeletedVault{}, err
	}
	if err := s.destroyVault(ctx, out.rid); err != nil {
		return DeletedVault{}, err
	}
	return out, nil
}
