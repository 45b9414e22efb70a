package vault

import (
	"context"
	"errors"
	"strings"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// An Address is where Resource Manager has a vault.
type Address struct{ Subscription, Group, Name string }

// ID returns the resource id.
func (a Address) ID() string {
	return resource.New(a.Subscription, a.Group, Provider, "vaults", a.Name)
}

func (a Address) missing() error {
	return fault.NotFound.New("The Resource 'Microsoft.KeyVault/vaults/%s' under resource group '%s' was not found. "+
		"For more details please go to https://aka.ms/ARMResourceNotFoundFix", a.Name, a.Group)
}

// is reports whether the vault is the one at the address; names are unique, groups
// are not part of them.
func (v *Vault) is(a Address) bool {
	return resource.Equal(v.Subscription, a.Subscription) && resource.Equal(v.Group, a.Group)
}

// checkName says whether a vault may have a name.
func checkName(name string) error {
	ok := len(name) >= 3 && len(name) <= 24 && !strings.Contains(name, "--") && name[len(name)-1] != '-' && isLetter(name[0])
	for i := 0; ok && i < len(name); i++ {
		ok = isLetter(name[i]) || name[i] == '-' || '0' <= name[i] && name[i] <= '9'
	}
	if ok {
		return nil
	}
	return fault.VaultNameInvalid.New("The vault name '%s' is invalid. A vault's name must be between 3-24 alphanumeric characters. "+
		"The name must begin with a letter, end with a letter or digit, and not contain consecutive hyphens. "+
		"Follow this link for more information: https://go.microsoft.com/fwlink/?linkid=2147742", name)
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// nameTaken is the refusal of a name that somebody else has, or has had.
func nameTaken(name string) error {
	return fault.VaultExists.New("The vault name '%s' is already in use. Vault names are globally unique so it is possible that the name "+
		"is already taken. If you are sure that the vault name was not taken then it is possible that a vault with the same name was "+
		"recently deleted but not purged after being placed in a recoverable state. If the vault is in a recoverable state then the "+
		"vault will need to be purged before reusing the name. For more information on soft delete and purging a vault follow this "+
		"link https://go.microsoft.com/fwlink/?linkid=2147740.", name)
}

// Put makes a vault, or makes an existing one what the settings say and the defaults
// where they say nothing. With Recover it brings a deleted vault back. created says
// that there was none.
func (s *Service) Put(ctx context.Context, who identity.Caller, at Address, in Settings) (out Vault, created bool, err error) {
	if err := s.Directory.Require(ctx, who, Type+"/write", at.ID()); err != nil {
		return Vault{}, false, err
	}
	if err := checkName(at.Name); err != nil {
		return Vault{}, false, err
	}
	if in.Location == "" {
		return Vault{}, false, fault.LocationRequired.New("")
	}
	if in.Location, err = s.Location(in.Location); err != nil {
		return Vault{}, false, err
	}
	if !in.Recover {
		if err := in.complete(); err != nil {
			return Vault{}, false, err
		}
		if err := in.check(s.Directory.Tenant()); err != nil {
			return Vault{}, false, err
		}
	}
	by := stamp(who)
	err = s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
		created = false
		v, err := s.lookup(tx, at.Name)
		switch {
		case errors.Is(err, store.ErrNotFound) && in.Recover:
			created = true
			out, err = s.recoverVault(tx, at, in, by)
			return err
		case errors.Is(err, store.ErrNotFound):
			created = true
			out, err = s.createVault(tx, at, in, by)
			return err
		case err != nil:
			return err
		case !v.is(at):
			return nameTaken(at.Name)
		case !resource.Equal(v.Location, in.Location):
			return fault.LocationConflict.New("The resource '%s' already exists in location '%s' in resource group '%s'. A resource with the "+
				"same name cannot be created in location '%s'. Please select a new resource name.", v.Name, v.Location, v.Group, in.Location)
		case in.Recover:
			// It is back already: a repeated request has nothing left to do.
			out = v
			return nil
		}
		v.reset()
		out, err = s.rewrite(tx, v, in, by)
		return err
	})
	if err != nil {
		return Vault{}, false, err
	}
	s.changed(out.Name)
	return out, created, nil
}

// createVault inserts a new vault if its name is free.
func (s *Service) createVault(tx *store.Tx, at Address, in Settings, by Stamp) (Vault, error) {
	switch r, err := tx.Lookup(store.KindDeletedVault, store.RID{}, at.Name); {
	case err == nil:
		var d DeletedVault
		if err := r.Decode(&d); err != nil {
			return Vault{}, err
		}
		if !resource.Equal(d.Subscription, at.Subscription) {
			return Vault{}, nameTaken(at.Name)
		}
		return Vault{}, fault.VaultSoftDeleted.New("A vault with the same name already exists in deleted state. You need to either recover or " +
			"purge existing key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft delete.")
	case !errors.Is(err, store.ErrNotFound):
		return Vault{}, err
	}
	v := Vault{
		ID: at.ID(), Subscription: at.Subscription, Group: at.Group, Name: at.Name, Location: in.Location,
		RBAC: in.roles(), PublicNetworkAccess: "Enabled", Created: by, Modified: by,
	}
	if err := v.apply(in); err != nil {
		return Vault{}, err
	}
	r, err := tx.Insert(store.KindVault, store.RID{}, v.Name, store.Clear{}, v)
	if err != nil {
		return Vault{}, err
	}
	v.rid = r.ID
	return v, nil
}

// rewrite applies settings to a vault that lookup returned and stores it.
func (s *Service) rewrite(tx *store.Tx, v Vault, in Settings, by Stamp) (Vault, error) {
	if err := v.apply(in); err != nil {
		return Vault{}, err
	}
	v.Modified = by
	r, err := tx.Get(store.KindVault, store.RID{}, v.rid)
	if err != nil {
		return Vault{}, err
	}
	return v, tx.Put(r, store.Clear{}, v)
}

// Update changes what the settings mention.
func (s *Service) Update(ctx context.Context, who identity.Caller, at Address, in Settings) (Vault, error) {
	if err := s.Directory.Require(ctx, who, Type+"/write", at.ID()); err != nil {
		return Vault{}, err
	}
	if err := in.check(s.Directory.Tenant()); err != nil {
		return Vault{}, err
	}
	return s.alter(ctx, at, stamp(who), func(Vault) (Settings, error) { return in, nil })
}

// ChangePolicies changes the policies of the principals named and returns the vault.
func (s *Service) ChangePolicies(ctx context.Context, who identity.Caller, at Address, how PolicyChange, by []Policy) (Vault, error) {
	if err := s.Directory.Require(ctx, who, Type+"/accessPolicies/write", at.ID()); err != nil {
		return Vault{}, err
	}
	if err := checkPolicies(s.Directory.Tenant(), by); err != nil {
		return Vault{}, err
	}
	return s.alter(ctx, at, stamp(who), func(v Vault) (Settings, error) {
		policies := how.change(v.Policies, by)
		return Settings{Policies: &policies}, checkPolicies(v.Tenant, policies)
	})
}

// alter changes an existing vault.
func (s *Service) alter(ctx context.Context, at Address, by Stamp, in func(Vault) (Settings, error)) (out Vault, err error) {
	err = s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
		v, err := s.lookup(tx, at.Name)
		if errors.Is(err, store.ErrNotFound) || err == nil && !v.is(at) {
			return at.missing()
		}
		if err != nil {
			return err
		}
		settings, err := in(v)
		if err != nil {
			return err
		}
		out, err = s.rewrite(tx, v, settings, by)
		return err
	})
	if err != nil {
		return Vault{}, err
	}
	s.changed(out.Name)
	return out, nil
}

// Vault returns a vault.
func (s *Service) Vault(ctx context.Context, who identity.Caller, at Address) (out Vault, err error) {
	if err := s.Directory.Require(ctx, who, Type+"/read", at.ID()); err != nil {
		return Vault{}, err
	}
	err = s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		out, err = s.lookup(tx, at.Name)
		if errors.Is(err, store.ErrNotFound) || err == nil && !out.is(at) {
			return at.missing()
		}
		return err
	})
	return out, err
}

// lookup finds a vault by its name. What it returns is the caller's, but for what the
// pointers in it lead to.
func (s *Service) lookup(tx *store.Tx, name string) (Vault, error) {
	r, err := tx.Lookup(store.KindVault, store.RID{}, name)
	if err != nil {
		return Vault{}, err
	}
	v, err := s.decodeVault(r)
	if err != nil {
		return Vault{}, err
	}
	return *v, nil
}

func (s *Service) decodeVault(r *store.Record) (*Vault, error) {
	if v, ok := s.vaults.find(r); ok {
		return v, nil
	}
	v := &Vault{}
	if err := r.Decode(v); err != nil {
		return nil, err
	}
	v.rid = r.ID
	s.vaults.keep(r, v)
	return v, nil
}

// Vaults lists the vaults of a group, or with an empty group those of the
// subscription, that the caller may read.
func (s *Service) Vaults(ctx context.Context, who identity.Caller, subscription, group string) ([]Vault, error) {
	all, err := s.Within(ctx, scope(subscription, group))
	if err != nil {
		return nil, err
	}
	refused := s.Directory.Require(ctx, who, Type+"/read", scope(subscription, group))
	if refused == nil {
		return all, nil
	}
	// Who may not read the whole scope sees what a narrower role shows.
	var some []Vault
	for _, v := range all {
		if s.Directory.Require(ctx, who, Type+"/read", v.ID) == nil {
			some = append(some, v)
		}
	}
	if some == nil {
		return nil, refused
	}
	return some, nil
}

func scope(subscription, group string) string {
	return resource.ID{Subscription: subscription, Group: group}.String()
}

// Within lists the vaults at or below a scope, whoever asks: for the lists of a
// group's resources, whose caller has been looked at already.
func (s *Service) Within(ctx context.Context, scope string) ([]Vault, error) {
	var out []Vault
	err := s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		for r, err := range tx.Records(store.KindVault, store.RID{}, store.RID{}) {
			if err != nil {
				return err
			}
			v, err := s.decodeVault(r)
			if err != nil {
				return err
			}
			if resource.Within(v.ID, scope) {
				out = append(out, *v)
			}
		}
		return nil
	})
	return out, err
}

// NameAvailable says whether a name can be given to a new vault; if not, reason is
// Azure's word for why and message says it.
func (s *Service) NameAvailable(ctx context.Context, who identity.Caller, subscription, name string) (ok bool, reason, message string, err error) {
	if err := s.Directory.Require(ctx, who, Provider+"/checkNameAvailability/read", scope(subscription, "")); err != nil {
		return false, "", "", err
	}
	if f, bad := fault.From(checkName(name)); bad {
		return false, "AccountNameInvalid", f.Message, nil
	}
	err = s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		for _, kind := range []store.Kind{store.KindVault, store.KindDeletedVault} {
			_, err := tx.Lookup(kind, store.RID{}, name)
			if err == nil {
				f, _ := fault.From(nameTaken(name))
				reason, message = "AlreadyExists", f.Message
			} else if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	return reason == "" && err == nil, reason, message, err
}
