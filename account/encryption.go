package account

import (
	"context"
	"slices"

	"latchkey/fault"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
)

// The key sources, as Azure spells them.
const (
	PlatformKey = "Microsoft.Batch"
	CustomerKey = "Microsoft.KeyVault"
)

// Encryption says whose key seals the account's data.
type Encryption struct {
	KeySource string
	// KeyIdentifier is the customer's key as it was given; empty for the platform's.
	KeyIdentifier string
	// Identity is the one of the account's identities that reaches the vault: the id
	// of a user-assigned one, or of the account itself.
	Identity string
}

// EncryptionIn is an encryption as a caller asks for it; empty fields say nothing.
type EncryptionIn struct{ KeySource, KeyIdentifier string }

// encrypt returns the encryption that is asked for, without looking at the key. Who
// names only a key means another key of the same owner: so rotate the clients.
func encrypt(old Encryption, in EncryptionIn) (Encryption, error) {
	source := in.KeySource
	if source == "" {
		source = old.KeySource
	}
	switch {
	case resource.Equal(source, PlatformKey):
		if in.KeyIdentifier != "" {
			return Encryption{}, fault.InvalidEncryption.New("A key identifier needs the key source 'Microsoft.KeyVault'; the key source is 'Microsoft.Batch'.")
		}
		return Encryption{KeySource: PlatformKey}, nil
	case resource.Equal(source, CustomerKey):
		next := Encryption{KeySource: CustomerKey, KeyIdentifier: in.KeyIdentifier, Identity: old.Identity}
		if next.KeyIdentifier == "" {
			next.KeyIdentifier = old.KeyIdentifier
		}
		if next.KeyIdentifier == "" {
			return Encryption{}, fault.InvalidEncryption.New("The key source 'Microsoft.KeyVault' needs 'keyVaultProperties.keyIdentifier'.")
		}
		return next, nil
	}
	return Encryption{}, fault.InvalidEncryption.New("The key source '%.64s' is not one: it must be 'Microsoft.Batch' or 'Microsoft.KeyVault'.", source)
}

// custodies are the custodies that an account may ask for its encryption with, the
// likeliest first: it has one for each of its identities.
func (a Account) custodies() ([]keyring.Custody, error) {
	if a.Encryption.KeySource != CustomerKey {
		return []keyring.Custody{{}}, nil
	}
	if !a.Identity.Born {
		return nil, fault.AccountCannotUseCMK.New("Customer-managed keys are supported only on accounts that were created with an identity; "+
			"the account '%s' was created without one. Create a new account with a system-assigned or user-assigned identity.", a.Name)
	}
	custody := keyring.Custody{KeyID: a.Encryption.KeyIdentifier}
	switch a.Identity.Type {
	case SystemAssigned:
		custody.Identity, custody.Principal = a.ID, a.Identity.PrincipalID
		return []keyring.Custody{custody}, nil
	case UserAssigned:
		var all []keyring.Custody
		for _, u := range a.Identity.User {
			custody.Identity, custody.Principal = u.ResourceID, u.PrincipalID
			all = append(all, custody)
		}
		// The identity in use stays in use as long as it can.
		slices.SortStableFunc(all, func(x, y keyring.Custody) int {
			return rank(x, a.Encryption.Identity) - rank(y, a.Encryption.Identity)
		})
		return all, nil
	}
	return nil, fault.InvalidEncryption.New("A customer-managed key needs an identity that reaches the vault: " +
		"give the account a system-assigned or user-assigned identity, or set the key source 'Microsoft.Batch' first.")
}

func rank(c keyring.Custody, inUse string) int {
	if resource.Equal(c.Identity, inUse) {
		return 0
	}
	return 1
}

// entrust has the ring take the account's key into custody, with each of the account's
// identities in turn until one may; write stores the account in the same transaction.
// If none may, the first one's failure is told.
func (s *Service) entrust(ctx context.Context, a *Account, do func(keyring.Custody, func(*store.Tx) error) error, write func(*store.Tx, Account) error) error {
	all, err := a.custodies()
	if err != nil {
		return err
	}
	var first error
	for _, c := range all {
		next := *a
		next.Encryption.Identity = c.Identity
		err := do(c, func(tx *store.Tx) error { return write(tx, next) })
		if err == nil {
			*a = next
			return nil
		}
		if first == nil {
			first = err
		}
		// Only the identity may be what is wrong; whatever else failed would again.
		f, ok := fault.From(err)
		if !ok || f.Code != fault.KeyRefused || !keyring.IdentityAtFault(f) {
			return err
		}
	}
	return first
}
