package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// maxBackup is how many versions the key of a backup has at most, as in Azure.
const maxBackup = 500

// backupPurpose tells backups from everything else that is sealed under the master key.
const backupPurpose = "key backup, version 1"

// backup is what a backup holds, sealed: the key with all its versions, and where it
// may go.
type backup struct {
	Name                    string
	Subscription, Geography string
	Rotation                *RotationPolicy
	Notified                string
	// Versions are in the order in which they were made.
	Versions []storedVersion
}

// geography returns where the data of a region stays.
func (s *Service) geography(region string) string {
	if s.Geography == nil {
		return region
	}
	return s.Geography(region)
}

// Backup returns a key with all its versions, sealed under the master key: only this
// service can read it.
func (s *Service) Backup(ctx context.Context, who identity.Caller, ref Ref) (sealed []byte, err error) {
	err = s.use(ctx, who, opBackup, ref, func(u *use) error {
		var b backup
		err := s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			r, k, err := s.key(tx, v, ref)
			if err != nil {
				return err
			}
			b = backup{
				Name: k.Name, Subscription: v.Subscription, Geography: s.geography(v.Location), Rotation: k.Rotation, Notified: k.Notified,
			}
			for r, err := range tx.Records(store.KindKeyVersion, r.ID, store.RID{}) {
				if err != nil {
					return err
				}
				var stored storedVersion
				if err := r.Decode(&stored); err != nil {
					return err
				}
				if len(b.Versions) == maxBackup {
					return fault.BadParameter.New("Key %s has more than %d versions. It cannot be backed up.", k.Name, maxBackup)
				}
				b.Versions = append(b.Versions, stored)
			}
			return nil
		})
		if err != nil {
			return err
		}
		plain, err := json.Marshal(b)
		if err != nil {
			return fmt.Errorf("writing a backup: %w", err)
		}
		defer clear(plain)
		sealed, err = s.Store.Seal(store.Space{}, backupPurpose, plain)
		return err
	})
	if err != nil {
		return nil, err
	}
	return sealed, nil
}

// Restore brings a key back of a backup, with the name and the versions that it had,
// into a vault of the same subscription and geography that has no such key.
func (s *Service) Restore(ctx context.Context, who identity.Caller, vault string, sealed []byte) (out Version, err error) {
	err = s.use(ctx, who, opRestore, Ref{Vault: vault}, func(u *use) error {
		return s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			// The key is not known before its backup is open, so a role is asked for on
			// the vault.
			u.ref.Key = ""
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			b, err := s.openBackup(v, sealed)
			if err != nil {
				return err
			}
			u.ref.Key = b.Name
			if err := s.creatable(tx, v, b.Name); err != nil {
				return err
			}
			if _, _, err := s.key(tx, v, Ref{Vault: vault, Key: b.Name}); err == nil {
				return fault.KeyConflict.New("A key with the name %s already exists in this vault. A backup is restored under the name that it "+
					"had, and never over another key.", b.Name).Because("KeyAlreadyExists")
			} else if !errors.Is(err, fault.KeyNotFound) {
				return err
			}
			added, err := insertBackup(tx, v, b)
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
	s.changed(vault)
	return out, nil
}

// openBackup opens a backup if it may be restored into a vault.
func (s *Service) openBackup(v *Vault, sealed []byte) (b backup, err error) {
	const refused = "Cannot decrypt backup blob."
	plain, err := s.Store.Open(store.Space{}, backupPurpose, sealed)
	if err != nil {
		return b, fault.BadParameter.New(refused)
	}
	defer clear(plain)
	if err := json.Unmarshal(plain, &b); err != nil {
		return b, fmt.Errorf("reading a backup: %w", err)
	}
	if !resource.Equal(b.Subscription, v.Subscription) {
		return b, fault.BadParameter.New(refused + " The key was backed up in another subscription than that of this vault.")
	}
	if here := s.geography(v.Location); b.Geography != here {
		return b, fault.BadParameter.New("%s The key was backed up in the geography %s, and this vault is in %s.", refused, b.Geography, here)
	}
	return b, nil
}

// insertBackup stores a key of a backup and returns its newest version.
func insertBackup(tx *store.Tx, v *Vault, b backup) (Version, error) {
	last := len(b.Versions) - 1
	if last < 0 {
		return Version{}, errors.New("reading a backup: the key has no version")
	}
	places := make([]store.RID, len(b.Versions))
	for i := range places {
		places[i] = store.NewRID()
	}
	k := storedKey{Name: b.Name, Current: places[last], Rotation: b.Rotation, Notified: b.Notified}
	key, err := tx.Insert(store.KindVaultKey, v.rid, b.Name, store.Clear{Due: k.due(&b.Versions[last].Version)}, k)
	if err != nil {
		return Version{}, err
	}
	for i, stored := range b.Versions {
		if _, err := tx.InsertAt(store.KindKeyVersion, key.ID, places[i], stored.ID, store.Clear{}, stored); err != nil {
			return Version{}, err
		}
	}
	return b.Versions[last].Version, nil
}
