package vault_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"latchkey/fault"
	"latchkey/vault"
)

func TestNewVaultIsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var mu sync.Mutex
	var hosts []string
	w.OnChange(func(host string) { mu.Lock(); hosts = append(hosts, host); mu.Unlock() })
	in := w.settings(w.policy(w.owner, "Get", "wrapKey"))
	in.Tags = map[string]string{"team": "a"}
	v, created, err := w.Put(t.Context(), w.owner, w.at("Vault-1"), in)
	if err != nil || !created {
		t.Fatalf("got created %v and %v, want a new vault", created, err)
	}
	if v.Location != "westus2" || v.Retention != 90 || v.PurgeProtection || v.RBAC || v.Tags["team"] != "a" {
		t.Errorf("got %+v", v)
	}
	if got := v.Policies[0].Keys; !slices.Equal(got, []string{"Get", "wrapKey"}) {
		t.Errorf("got permissions %v, want them as typed", got)
	}
	got, err := w.Vault(t.Context(), w.owner, w.at("VAULT-1"))
	if err != nil || got.Name != "Vault-1" || !strings.HasSuffix(got.ID, "/vaults/Vault-1") {
		t.Errorf("got %q, %q, %v, want the vault with its name as first written", got.Name, got.ID, err)
	}
	if _, created, err = w.Put(t.Context(), w.owner, w.at("vault-1"), w.settings()); err != nil || created {
		t.Errorf("got created %v and %v, want the vault changed", created, err)
	}
	if got, _ = w.Vault(t.Context(), w.owner, w.at("vault-1")); len(got.Policies) != 0 || got.Tags != nil {
		t.Errorf("got %+v, want what was not mentioned gone", got)
	}
	if _, err := w.Update(t.Context(), w.owner, w.at("vault-1"), vault.Settings{Tags: map[string]string{"b": "c"}}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(hosts, []string{"vault-1.vault.azure.net", "vault-1.vault.azure.net", "vault-1.vault.azure.net"}) {
		t.Errorf("got changes of %v", hosts)
	}
}

func TestWhatAVaultRefuses(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "taken1")
	other := w.at("taken1")
	other.Group = "g2"
	for name, c := range map[string]struct {
		at     vault.Address
		change func(*vault.Settings)
		code   *fault.Code
	}{
		"a name that is too short":       {w.at("ab"), nil, fault.VaultNameInvalid},
		"a name that is too long":        {w.at(strings.Repeat("a", 25)), nil, fault.VaultNameInvalid},
		"a name with two hyphens":        {w.at("a--b"), nil, fault.VaultNameInvalid},
		"a name that begins with digits": {w.at("1abc"), nil, fault.VaultNameInvalid},
		"a name that ends with a hyphen": {w.at("abc-"), nil, fault.VaultNameInvalid},
		"a name with a dot":              {w.at("a.bc"), nil, fault.VaultNameInvalid},
		"another group's name":           {other, nil, fault.VaultExists},
		"another location":               {w.at("taken1"), func(s *vault.Settings) { s.Location = "eastus" }, fault.LocationConflict},
		"no location":                    {w.at("v1x"), func(s *vault.Settings) { s.Location = "" }, fault.LocationRequired},
		"an unknown location":            {w.at("v1x"), func(s *vault.Settings) { s.Location = "atlantis" }, fault.LocationNotAvailable},
		"no tenant":                      {w.at("v1x"), func(s *vault.Settings) { s.Tenant = nil }, fault.VaultBadRequest},
		"another tenant":                 {w.at("v1x"), func(s *vault.Settings) { s.Tenant = ptr("x") }, fault.VaultBadRequest},
		"no sku":                         {w.at("v1x"), func(s *vault.Settings) { s.SKU = nil }, fault.VaultBadRequest},
		"a sku that is none":             {w.at("v1x"), func(s *vault.Settings) { s.SKU = &vault.SKU{Family: "A", Name: "gold"} }, fault.VaultBadRequest},
		"no policies":                    {w.at("v1x"), func(s *vault.Settings) { s.Policies = nil }, fault.VaultBadRequest},
		"no soft delete":                 {w.at("v1x"), func(s *vault.Settings) { s.SoftDelete = ptr(false) }, fault.VaultBadRequest},
		"purge protection off":           {w.at("v1x"), func(s *vault.Settings) { s.PurgeProtection = ptr(false) }, fault.VaultBadRequest},
		"6 days":                         {w.at("v1x"), func(s *vault.Settings) { s.Retention = ptr(6) }, fault.VaultBadRequest},
		"91 days":                        {w.at("v1x"), func(s *vault.Settings) { s.Retention = ptr(91) }, fault.VaultBadRequest},
		"other days than before":         {w.at("taken1"), func(s *vault.Settings) { s.Retention = ptr(30) }, fault.VaultBadRequest},
		"an unknown permission":          {w.at("v1x"), func(s *vault.Settings) { s.Policies = &[]vault.Policy{w.policy(w.owner, "fly")} }, fault.VaultBadRequest},
		"a policy of another tenant": {w.at("v1x"), func(s *vault.Settings) {
			s.Policies = &[]vault.Policy{{Tenant: "t", ObjectID: w.owner.ObjectID}}
		}, fault.VaultBadRequest},
		"a policy for no object id": {w.at("v1x"), func(s *vault.Settings) {
			s.Policies = &[]vault.Policy{{Tenant: w.directory.Tenant(), ObjectID: "me"}}
		}, fault.VaultBadRequest},
		"two policies for one": {w.at("v1x"), func(s *vault.Settings) {
			s.Policies = &[]vault.Policy{w.policy(w.owner, "get"), w.policy(w.owner, "list")}
		}, fault.VaultBadRequest},
		"too many policies": {w.at("v1x"), func(s *vault.Settings) {
			many := make([]vault.Policy, 1025)
			for i := range many {
				many[i] = w.policy(w.guest(), "get")
			}
			s.Policies = &many
		}, fault.VaultBadRequest},
		"an address that is none": {w.at("v1x"), func(s *vault.Settings) { s.Network = &vault.Network{Addresses: []string{"300.1.1.1"}} }, fault.VaultBadRequest},
		"public access by halves": {w.at("v1x"), func(s *vault.Settings) { s.PublicNetworkAccess = ptr("Maybe") }, fault.VaultBadRequest},
		"recovery of nothing":     {w.at("v1x"), func(s *vault.Settings) { s.Recover = true }, fault.DeletedVaultNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			in := w.settings()
			if c.change != nil {
				c.change(&in)
			}
			_, _, err := w.Put(t.Context(), w.owner, c.at, in)
			wants(t, err, c.code, "")
		})
	}
	if v, err := w.Vault(t.Context(), w.owner, w.at("taken1")); err != nil || v.Retention != 90 || v.Location != "westus2" {
		t.Errorf("got %+v, %v, want the vault as it was", v, err)
	}
}

func TestPurgeProtectionCannotBeTakenAway(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "kept1", func(s *vault.Settings) { s.PurgeProtection = ptr(true) })
	_, err := w.Update(t.Context(), w.owner, w.at("kept1"), vault.Settings{PurgeProtection: ptr(false)})
	wants(t, err, fault.VaultBadRequest, "")
	if v, _, err := w.Put(t.Context(), w.owner, w.at("kept1"), w.settings()); err != nil || !v.PurgeProtection {
		t.Errorf("got protection %v, %v after a PUT that does not mention it, want true", v.PurgeProtection, err)
	}
	if _, err := w.Delete(t.Context(), w.owner, w.at("kept1")); err != nil {
		t.Fatal(err)
	}
	_, err = w.Purge(t.Context(), w.owner, w.directory.Subscription(), "westus2", "kept1")
	wants(t, err, fault.VaultPurgeProtected, "")
}

func TestDeletedVaultComesBackAsItWas(t *testing.T) {
	t.Parallel()
	w := setup(t)
	sub := w.directory.Subscription()
	was := w.mustVault(t, "back1", func(s *vault.Settings) { s.Retention = ptr(7) })
	key := w.mustKey(t, vault.Ref{Vault: "back1", Key: "k"})

	if found, err := w.Delete(t.Context(), w.owner, w.at("back1")); err != nil || !found {
		t.Fatalf("got %v, %v, want it deleted", found, err)
	}
	if found, err := w.Delete(t.Context(), w.owner, w.at("back1")); err != nil || found {
		t.Errorf("got %v, %v, want nothing to delete", found, err)
	}
	_, err := w.Vault(t.Context(), w.owner, w.at("back1"))
	wants(t, err, fault.NotFound, "")
	_, err = w.Key(t.Context(), w.owner, vault.Ref{Vault: "back1", Key: "k"})
	wants(t, err, fault.KeyVaultNotFound, "")
	_, _, err = w.Put(t.Context(), w.owner, w.at("back1"), w.settings())
	wants(t, err, fault.VaultSoftDeleted, "")
	if ok, reason, _, err := w.NameAvailable(t.Context(), w.owner, sub, "BACK1"); ok || reason != "AlreadyExists" || err != nil {
		t.Errorf("got %v, %q, %v, want the name reserved", ok, reason, err)
	}
	gone, err := w.DeletedVault(t.Context(), w.owner, sub, "West US 2", "back1")
	if err != nil || gone.ID != was.ID || gone.Purges.Sub(gone.Deleted).Hours() != 7*24 {
		t.Errorf("got %+v, %v", gone, err)
	}
	if list, err := w.DeletedVaults(t.Context(), w.owner, sub); err != nil || len(list) != 1 {
		t.Errorf("got %v, %v, want one deleted vault", list, err)
	}

	in := w.settings()
	in.Recover = true
	elsewhere := w.at("back1")
	elsewhere.Group = "g2"
	_, _, err = w.Put(t.Context(), w.owner, elsewhere, in)
	wants(t, err, fault.DeletedVaultNotFound, "")
	v, _, err := w.Put(t.Context(), w.owner, w.at("back1"), in)
	if err != nil || len(v.Policies) != 1 || v.Retention != 7 {
		t.Fatalf("got %+v, %v, want the vault with its policy", v, err)
	}
	if got, err := w.Key(t.Context(), w.owner, vault.Ref{Vault: "back1", Key: "k"}); err != nil || got.ID != key.ID {
		t.Errorf("got %v, %v, want key version %s", got.ID, err, key.ID)
	}
	if _, _, err := w.Put(t.Context(), w.owner, w.at("back1"), in); err != nil {
		t.Errorf("recovering once more: %v", err)
	}
}

func TestPurgedVaultIsGoneWithItsKeys(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "gone1")
	for range 3 {
		w.mustKey(t, vault.Ref{Vault: "gone1", Key: "k"})
	}
	w.mustKey(t, vault.Ref{Vault: "gone1", Key: "d"})
	if _, err := w.DeleteKey(t.Context(), w.owner, vault.Ref{Vault: "gone1", Key: "d"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Delete(t.Context(), w.owner, w.at("gone1")); err != nil {
		t.Fatal(err)
	}
	_, err := w.Purge(t.Context(), w.guest(), w.directory.Subscription(), "westus2", "gone1")
	wants(t, err, fault.AuthorizationFailed, "")
	_, err = w.Purge(t.Context(), w.owner, w.directory.Subscription(), "eastus", "gone1")
	wants(t, err, fault.DeletedVaultNotFound, "")
	if _, err := w.Purge(t.Context(), w.owner, w.directory.Subscription(), "westus2", "gone1"); err != nil {
		t.Fatal(err)
	}
	_, err = w.DeletedVault(t.Context(), w.owner, w.directory.Subscription(), "westus2", "gone1")
	wants(t, err, fault.DeletedVaultNotFound, "")
	w.mustVault(t, "gone1")
	for _, name := range []string{"k", "d"} {
		_, err = w.Key(t.Context(), w.owner, vault.Ref{Vault: "gone1", Key: name})
		wants(t, err, fault.KeyNotFound, "")
	}
}

func TestVaultsAreManagedByRoleOnly(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "mine1")
	guest := w.guest()
	sub := w.directory.Subscription()
	for name, do := range map[string]func() error{
		"put":          func() error { _, _, err := w.Put(t.Context(), guest, w.at("other1"), w.settings()); return err },
		"update":       func() error { _, err := w.Update(t.Context(), guest, w.at("mine1"), vault.Settings{}); return err },
		"get":          func() error { _, err := w.Vault(t.Context(), guest, w.at("mine1")); return err },
		"list":         func() error { _, err := w.Vaults(t.Context(), guest, sub, ""); return err },
		"delete":       func() error { _, err := w.Delete(t.Context(), guest, w.at("mine1")); return err },
		"deleted list": func() error { _, err := w.DeletedVaults(t.Context(), guest, sub); return err },
		"deleted":      func() error { _, err := w.DeletedVault(t.Context(), guest, sub, "westus2", "mine1"); return err },
		"name":         func() error { _, _, _, err := w.NameAvailable(t.Context(), guest, sub, "mine1"); return err },
		"policies": func() error {
			_, err := w.ChangePolicies(t.Context(), guest, w.at("mine1"), vault.AddPolicies, []vault.Policy{w.policy(guest, "all")})
			return err
		},
	} {
		if err := do(); !errors.Is(err, fault.AuthorizationFailed) {
			t.Errorf("%s: got %v, want %v", name, err, fault.AuthorizationFailed)
		}
	}
}

func TestWhoDecidesInAVaultChangesOnlyWhenItIsSaid(t *testing.T) {
	t.Parallel()
	w := setup(t)
	old, recent := w.settings(), w.settings()
	recent.RolesByDefault = true
	for name, c := range map[string]struct {
		in   vault.Settings
		want bool
	}{"dec-1": {old, false}, "dec-2": {recent, true}} {
		for range 2 {
			v, _, err := w.Put(t.Context(), w.owner, w.at(name), c.in)
			if err != nil || v.RBAC != c.want {
				t.Errorf("got %v, %v, want %v", v.RBAC, err, c.want)
			}
			// The other kind of client changes nothing.
			c.in.RolesByDefault = !c.in.RolesByDefault
		}
		on := w.settings()
		on.RBAC = ptr(!c.want)
		if v, _, err := w.Put(t.Context(), w.owner, w.at(name), on); err != nil || v.RBAC == c.want {
			t.Errorf("got %v, %v, want it changed", v.RBAC, err)
		}
	}
}
