package account_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"latchkey/account"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
)

func system() *account.IdentityIn { return &account.IdentityIn{Type: "SystemAssigned"} }

func users(ids ...string) *account.IdentityIn {
	return &account.IdentityIn{Type: "UserAssigned", User: ids}
}

func wantFault(t *testing.T, err error, code *fault.Code, says ...string) {
	t.Helper()
	if !errors.Is(err, code) {
		t.Fatalf("err = %v, want %v", err, code)
	}
	for _, s := range says {
		if f, _ := fault.From(err); !strings.Contains(f.Message, s) {
			t.Errorf("message = %q, want it to say %q", f.Message, s)
		}
	}
}

func TestAnAccountLives(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	tags := map[string]string{"team": "blue"}
	a := w.create("acct1", account.Change{Tags: &tags})
	if a.Location != "westus2" || a.Endpoint != "acct1.westus2.batch.azure.com" || a.Identity.Type != account.NoIdentity ||
		a.Encryption.KeySource != account.PlatformKey || a.Tags["team"] != "blue" || a.PublicNetworkAccess != "Enabled" || len(a.AuthenticationModes) != 3 {
		t.Errorf("account = %+v", a)
	}
	// The same PUT again finds it; what it does not say stays.
	again, created, err := w.accounts.Put(ctx, w.owner, w.at("ACCT1"), account.Creation{Location: "westus2"})
	if err != nil || created || again.ID != a.ID || again.Tags["team"] != "blue" {
		t.Errorf("second Put = %+v, %v, %v", again, created, err)
	}
	_, _, err = w.accounts.Put(ctx, w.owner, w.at("acct1"), account.Creation{Location: "eastus"})
	wantFault(t, err, fault.LocationConflict, "westus2", "eastus")
	if got, err := w.accounts.ByEndpoint(ctx, "Acct1", "WestUS2"); err != nil || got.ID != a.ID {
		t.Errorf("ByEndpoint = %v, %v", got.ID, err)
	}
	_, err = w.accounts.ByEndpoint(ctx, "acct1", "eastus")
	wantFault(t, err, fault.AccountNotFound)

	// The endpoint is taken in its region, whatever the group; in another it is free.
	other := w.at("acct1")
	other.Group = "g2"
	_, _, err = w.accounts.Put(ctx, w.owner, other, account.Creation{Location: "westus2"})
	wantFault(t, err, fault.AccountExists)
	if _, created, err := w.accounts.Put(ctx, w.owner, other, account.Creation{Location: "eastus"}); err != nil || !created {
		t.Errorf("Put in another region = %v, %v", created, err)
	}
	for group, want := range map[string]int{"": 2, "G1": 1, "g3": 0} {
		if all, err := w.accounts.List(ctx, w.owner, w.sub, group); err != nil || len(all) != want {
			t.Errorf("List(%q) = %d, %v, want %d", group, len(all), err, want)
		}
	}
	for name, want := range map[string]string{"acct1": "AlreadyExists", "Acct9": "Invalid", "a": "Invalid", "acct9": ""} {
		ok, reason, _, err := w.accounts.NameAvailable(ctx, w.owner, w.sub, "West US 2", name)
		if err != nil || ok != (want == "") || reason != want {
			t.Errorf("NameAvailable(%q) = %v %q %v, want %q", name, ok, reason, err, want)
		}
	}

	first, second := a.SharedKeys()
	if len(first) != 64 || len(second) != 64 || string(first) == string(second) {
		t.Errorf("keys of %d and %d bytes", len(first), len(second))
	}
	changed, err := w.accounts.RegenerateKey(ctx, w.owner, w.at("acct1"), "secondary")
	w.must(err)
	if p, s := changed.SharedKeys(); string(p) != string(first) || string(s) == string(second) {
		t.Error("regenerating the secondary key changed the wrong one")
	}
	if got, err := w.accounts.Keys(ctx, w.owner, w.at("acct1")); err != nil {
		t.Error(err)
	} else if _, s := got.SharedKeys(); string(s) == string(second) {
		t.Error("the old key is still there")
	}
	_, err = w.accounts.RegenerateKey(ctx, w.owner, w.at("acct1"), "Third")
	wantFault(t, err, fault.InvalidPropertyValue)
	_, err = w.accounts.Update(ctx, w.owner, w.at("acct1"), account.Change{SettingsIn: account.SettingsIn{AuthenticationModes: &[]string{"aad"}}})
	w.must(err)
	_, err = w.accounts.Keys(ctx, w.owner, w.at("acct1"))
	wantFault(t, err, fault.Conflict, "SharedKey")

	if _, was, err := w.accounts.Delete(ctx, w.owner, w.at("acct1")); err != nil || !was {
		t.Errorf("Delete = %v, %v", was, err)
	}
	if _, was, err := w.accounts.Delete(ctx, w.owner, w.at("acct1")); err != nil || was {
		t.Errorf("second Delete = %v, %v", was, err)
	}
	_, err = w.accounts.Read(ctx, w.owner, w.at("acct1"))
	wantFault(t, err, fault.NotFound)
}

func TestBadCreationsAreRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	u := w.user("user1")
	tests := map[string]struct {
		name, location string
		mode           string
		in             account.Change
		code           *fault.Code
		says           string
	}{
		"name too short":           {"ab", "westus2", "", account.Change{}, fault.AccountNameInvalid, "3 to 24"},
		"name with capitals":       {"Acct", "westus2", "", account.Change{}, fault.AccountNameInvalid, "lower-case"},
		"no location":              {"acct", "", "", account.Change{}, fault.LocationRequired, ""},
		"unknown location":         {"acct", "Mars", "", account.Change{}, fault.LocationNotAvailable, "Mars"},
		"user subscription":        {"acct", "westus2", "UserSubscription", account.Change{}, fault.InvalidParameter, "UserSubscription"},
		"identity of no type":      {"acct", "westus2", "", account.Change{Identity: &account.IdentityIn{}}, fault.InvalidIdentity, "needs a 'type'"},
		"identity of both types":   {"acct", "westus2", "", account.Change{Identity: &account.IdentityIn{Type: "SystemAssigned, UserAssigned"}}, fault.InvalidIdentity, "not both"},
		"identity of another type": {"acct", "westus2", "", account.Change{Identity: &account.IdentityIn{Type: "Owner"}}, fault.InvalidIdentity, "Owner"},
		"user-assigned, and none":  {"acct", "westus2", "", account.Change{Identity: users()}, fault.InvalidIdentity, "at least one"},
		"system-assigned with users": {
			"acct", "westus2", "",
			account.Change{Identity: &account.IdentityIn{Type: "SystemAssigned", User: []string{u.ResourceID}}},
			fault.InvalidIdentity, "cannot have user-assigned",
		},
		"identity that is none":   {"acct", "westus2", "", account.Change{Identity: users("/subscriptions/s")}, fault.InvalidIdentity, "not the resource id"},
		"identity that is gone":   {"acct", "westus2", "", account.Change{Identity: users(u.ResourceID + "x")}, fault.FailedIdentityOperation, "was not found"},
		"key without an identity": {"acct", "westus2", "", account.Change{Encryption: customer("https://v.vault.azure.net/keys/k")}, fault.InvalidEncryption, "needs an identity"},
		"key with a system-assigned identity": {
			"acct", "westus2", "",
			account.Change{Identity: system(), Encryption: customer("https://v.vault.azure.net/keys/k")},
			fault.InvalidEncryption, "does not exist before the account",
		},
		"key source of no kind": {"acct", "westus2", "", account.Change{Encryption: &account.EncryptionIn{KeySource: "Mine"}}, fault.InvalidEncryption, "Mine"},
		"key source without a key": {
			"acct", "westus2", "",
			account.Change{Identity: users(u.ResourceID), Encryption: &account.EncryptionIn{KeySource: "Microsoft.KeyVault"}},
			fault.InvalidEncryption, "keyIdentifier",
		},
		"key without its source": {
			"acct", "westus2", "",
			account.Change{Identity: users(u.ResourceID), Encryption: &account.EncryptionIn{KeyIdentifier: "https://v.vault.azure.net/keys/k"}},
			fault.InvalidEncryption, "needs the key source",
		},
		"key in no vault": {"acct", "westus2", "", account.Change{Identity: users(u.ResourceID), Encryption: customer("https://example.com/keys/k")}, fault.KeyRefused, "not in a key vault"},
		"vault that is not there": {
			"acct", "westus2", "",
			account.Change{Identity: users(u.ResourceID), Encryption: customer("https://v9.vault.azure.net/keys/k")},
			fault.KeyRefused, "does not exist",
		},
		"network access of no kind": {"acct", "westus2", "", account.Change{SettingsIn: account.SettingsIn{PublicNetworkAccess: ptr("Maybe")}}, fault.InvalidPropertyValue, "Maybe"},
		"rule that is no address": {"acct", "westus2", "", account.Change{SettingsIn: account.SettingsIn{NetworkProfile: &account.NetworkProfile{
			Account: &account.EndpointAccess{DefaultAction: "deny", IPRules: []account.IPRule{{"Allow", "here"}}},
		}}}, fault.InvalidPropertyValue, "here"},
		"authentication of no kind": {"acct", "westus2", "", account.Change{SettingsIn: account.SettingsIn{AuthenticationModes: &[]string{"Password"}}}, fault.InvalidPropertyValue, "Password"},
		"storage that is none":      {"acct", "westus2", "", account.Change{SettingsIn: account.SettingsIn{AutoStorage: &account.AutoStorage{StorageAccountID: "disk"}}}, fault.InvalidPropertyValue, "disk"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := w.accounts.Put(t.Context(), w.owner, w.at(test.name), account.Creation{Location: test.location, PoolAllocationMode: test.mode, Change: test.in})
			wantFault(t, err, test.code, test.says)
		})
	}
	if all, err := w.accounts.Accounts(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("refused creations left %d accounts, %v", len(all), err)
	}
	if m, err := w.directory.Identity(t.Context(), w.at("acct").ID()); err == nil {
		t.Errorf("refused creations left an identity %v", m)
	}
}

// The documentation's way: system-assigned identity, its principal id, vault, policy,
// key, and then the key on the account.
func TestSystemAssignedIdentityHoldsTheKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		ctx := context.Background()
		w.run()
		a := w.create("acct1", account.Change{Identity: system()})
		if !resource.IsGUID(a.Identity.PrincipalID) || a.Identity.TenantID != w.directory.Tenant() {
			t.Fatalf("identity = %+v", a.Identity)
		}
		w.vault("vault1")
		first := w.key("vault1", "k1")
		update := func(in account.EncryptionIn) (account.Account, error) {
			return w.accounts.Update(ctx, w.owner, w.at("acct1"), account.Change{Encryption: &in})
		}
		before, err := w.accounts.Account(ctx, w.at("acct1"))
		w.must(err)
		_, err = update(*customer(first))
		wantFault(t, err, fault.KeyRefused, "get, wrapKey, unwrapKey", "vault1")
		w.grant("vault1", a.Identity.PrincipalID, "get", "wrapKey")
		_, err = update(*customer(first))
		wantFault(t, err, fault.KeyRefused, ": unwrapKey. Grant")
		if now, err := w.accounts.Account(ctx, w.at("acct1")); err != nil || fmt.Sprint(now) != fmt.Sprint(before) {
			t.Errorf("a refused change left %+v, %v, want %+v", now, err, before)
		}

		w.grant("vault1", a.Identity.PrincipalID, "get", "wrapKey", "unwrapKey")
		a, err = update(*customer(first))
		w.must(err)
		if a.Encryption.KeySource != account.CustomerKey || a.Encryption.KeyIdentifier != first {
			t.Errorf("encryption = %+v", a.Encryption)
		}
		// A new version by its identifier alone, as the documentation has it; by the
		// resource id; without a version; another key.
		arm := w.vaultAt("vault1").ID() + "/keys/k1"
		for _, id := range []string{w.key("vault1", "k1"), arm, "file://" + arm, "https://vault1.vault.azure.net/keys/k1", w.key("vault1", "k2")} {
			if a, err = update(account.EncryptionIn{KeyIdentifier: id}); err != nil || a.Encryption.KeyIdentifier != id || a.Encryption.KeySource != account.CustomerKey {
				t.Errorf("Update to %s = %+v, %v", id, a.Encryption, err)
			}
		}
		// The same again changes nothing and is verified all the same.
		same, err := update(*customer(a.Encryption.KeyIdentifier))
		if err != nil || same.Encryption != a.Encryption {
			t.Errorf("the same again = %+v, %v", same.Encryption, err)
		}
		settle()
		status, err := w.accounts.Status(a)
		w.must(err)
		if status.State != keyring.Usable || status.Generation != 2 || status.Resealing != nil || status.KeyID != a.Encryption.KeyIdentifier {
			t.Errorf("status = %+v", status)
		}
		a, err = update(account.EncryptionIn{KeySource: "microsoft.batch"})
		if err != nil || a.Encryption != (account.Encryption{KeySource: account.PlatformKey}) {
			t.Errorf("back to the platform = %+v, %v", a.Encryption, err)
		}
		settle()
		// The owner is free to delete the keys now.
		w.grant("vault1", a.Identity.PrincipalID)
		settle()
		w.must(w.ring.Opened(a.Space))
	})
}

func TestUserAssignedIdentityHoldsTheKeyFromTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		ctx := context.Background()
		w.run()
		u1, u2 := w.user("user1"), w.user("user2")
		w.vault("vault1")
		id := w.key("vault1", "k1")
		in := account.Creation{Location: "westus2", Change: account.Change{Identity: users(u1.ResourceID, u2.ResourceID), Encryption: customer(id)}}
		_, _, err := w.accounts.Put(ctx, w.owner, w.at("acct1"), in)
		wantFault(t, err, fault.KeyRefused, "get, wrapKey, unwrapKey", "user1")
		// Any of the account's identities will do.
		w.grant("vault1", u2.PrincipalID, "get", "wrapKey", "unwrapKey")
		a, created, err := w.accounts.Put(ctx, w.owner, w.at("acct1"), in)
		if err != nil || !created || !resource.Equal(a.Encryption.Identity, u2.ResourceID) || len(a.Identity.User) != 2 {
			t.Fatalf("Put = %+v, %v, %v", a, created, err)
		}

		// The identity in use cannot be taken away, unless another one may.
		change := func(in *account.IdentityIn) (account.Account, error) {
			return w.accounts.Update(ctx, w.owner, w.at("acct1"), account.Change{Identity: in})
		}
		for name, in := range map[string]*account.IdentityIn{"other user": users(u1.ResourceID), "system": system()} {
			if _, err := change(in); !errors.Is(err, fault.KeyRefused) {
				t.Errorf("%s: %v, want %v", name, err, fault.KeyRefused)
			}
		}
		_, err = change(&account.IdentityIn{Type: "None"})
		wantFault(t, err, fault.InvalidEncryption, "needs an identity")
		if m, err := w.directory.Identity(ctx, a.ID); err == nil {
			t.Errorf("a refused change left the identity %+v", m)
		}
		w.grant("vault1", u1.PrincipalID, "get", "wrapKey", "unwrapKey")
		if a, err = change(users(u1.ResourceID)); err != nil || !resource.Equal(a.Encryption.Identity, u1.ResourceID) {
			t.Errorf("to user1: %+v, %v", a.Encryption, err)
		}
		w.grant("vault1", u2.PrincipalID)
		settle()
		w.must(w.ring.Opened(a.Space))

		// An identity that is deleted is a refusal.
		w.must(w.directory.DeleteIdentity(ctx, u1.ResourceID))
		synctest.Wait()
		err = w.ring.Opened(a.Space)
		wantFault(t, err, fault.KeyUnavailable, "user1")
	})
}

func TestAccountsBornWithoutAnIdentityHaveNoCustomerKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	a := w.create("acct1", account.Change{})
	a, err := w.accounts.Update(ctx, w.owner, w.at("acct1"), account.Change{Identity: system()})
	w.must(err)
	w.vault("vault1")
	w.grant("vault1", a.Identity.PrincipalID, "get", "wrapKey", "unwrapKey")
	_, err = w.accounts.Update(ctx, w.owner, w.at("acct1"), account.Change{Encryption: customer(w.key("vault1", "k1"))})
	wantFault(t, err, fault.AccountCannotUseCMK, "created with an identity")
	// Whose identity was taken away may have one again.
	w.create("acct2", account.Change{Identity: system()})
	_, err = w.accounts.Update(ctx, w.owner, w.at("acct2"), account.Change{Identity: &account.IdentityIn{Type: "none"}})
	w.must(err)
	b, err := w.accounts.Update(ctx, w.owner, w.at("acct2"), account.Change{Identity: system()})
	w.must(err)
	w.grant("vault1", b.Identity.PrincipalID, "get", "wrapKey", "unwrapKey")
	_, err = w.accounts.Update(ctx, w.owner, w.at("acct2"), account.Change{Encryption: customer(w.key("vault1", "k1"))})
	w.must(err)
}

func TestALockedAccountCanOnlyBeShownAndDeleted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		ctx := context.Background()
		w.run()
		u := w.user("user1")
		w.vault("vault1")
		w.grant("vault1", u.PrincipalID, "get", "wrapKey", "unwrapKey")
		a := w.create("acct1", account.Change{Identity: users(u.ResourceID), Encryption: customer(w.key("vault1", "k1"))})
		w.must(w.store.Update(ctx, a.Space, func(tx *store.Tx) error {
			_, err := tx.Insert(store.KindJob, store.RID{}, "j1", store.Clear{State: 1}, "data")
			return err
		}))
		w.grant("vault1", u.PrincipalID)
		synctest.Wait()

		at := w.at("acct1")
		for name, do := range map[string]func() error{
			"tags": func() error {
				_, err := w.accounts.Update(ctx, w.owner, at, account.Change{Tags: &map[string]string{}})
				return err
			},
			"platform": func() error {
				_, err := w.accounts.Update(ctx, w.owner, at, account.Change{Encryption: &account.EncryptionIn{KeySource: "Microsoft.Batch"}})
				return err
			},
			"put": func() error {
				_, _, err := w.accounts.Put(ctx, w.owner, at, account.Creation{Location: "westus2"})
				return err
			},
			"keys":       func() error { _, err := w.accounts.Keys(ctx, w.owner, at); return err },
			"regenerate": func() error { _, err := w.accounts.RegenerateKey(ctx, w.owner, at, "Primary"); return err },
			"sync":       func() error { return w.accounts.SyncAutoStorageKeys(ctx, w.owner, at) },
			"open":       func() error { _, err := w.accounts.Open(ctx, w.owner, at); return err },
		} {
			if err := do(); !errors.Is(err, fault.KeyUnavailable) {
				t.Errorf("%s: %v, want %v", name, err, fault.KeyUnavailable)
			}
		}
		if _, err := w.accounts.Read(ctx, w.owner, at); err != nil {
			t.Error(err)
		}
		if all, err := w.accounts.List(ctx, w.owner, w.sub, "g1"); err != nil || len(all) != 1 {
			t.Errorf("List = %v, %v", all, err)
		}
		status, err := w.accounts.Status(a)
		if err != nil || status.State != keyring.Locked || status.Reason != keyring.PermissionMissing || status.Since.IsZero() {
			t.Errorf("status = %+v, %v", status, err)
		}
		w.grant("vault1", u.PrincipalID, "get", "wrapKey", "unwrapKey")
		synctest.Wait()
		_, err = w.accounts.Keys(ctx, w.owner, at)
		w.must(err)

		w.grant("vault1", u.PrincipalID)
		synctest.Wait()
		if _, was, err := w.accounts.Delete(ctx, w.owner, at); err != nil || !was {
			t.Fatalf("Delete = %v, %v", was, err)
		}
		synctest.Wait()
		if rows, err := w.driver.Scan(ctx, a.Space[:], append(a.Space[:], 0xff), 10); err != nil || len(rows) != 0 {
			t.Errorf("the account's data: %d rows, %v", len(rows), err)
		}
		wantFault(t, w.ring.Opened(a.Space), fault.AccountNotFound)
	})
}

func TestAnAccountOfTheSameNameIsAnother(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	old := w.create("acct1", account.Change{Identity: system()})
	_, _, err := w.accounts.Delete(ctx, w.owner, w.at("acct1"))
	w.must(err)
	next := w.create("acct1", account.Change{Identity: system()})
	if next.Space == old.Space || next.Identity.PrincipalID == old.Identity.PrincipalID {
		t.Errorf("the new account has the old one's space or identity: %+v", next)
	}
}

func TestManyPutsMakeOneAccount(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var made, found int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			_, created, err := w.accounts.Put(context.Background(), w.owner, w.at("acct1"), account.Creation{Location: "westus2", Change: account.Change{Identity: system()}})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case created:
				made++
			default:
				found++
			}
		})
	}
	all.Wait()
	if made != 1 || found != 11 {
		t.Errorf("made %d and found %d, want 1 and 11", made, found)
	}
	a, err := w.accounts.Account(t.Context(), w.at("acct1"))
	w.must(err)
	if m, err := w.directory.Identity(t.Context(), a.ID); err != nil || m.PrincipalID != a.Identity.PrincipalID {
		t.Errorf("identity = %+v, %v, want %s", m, err, a.Identity.PrincipalID)
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for i := range 8 {
		w.create(fmt.Sprintf("acct%d", i), account.Change{})
	}
	_, _, err := w.accounts.Put(t.Context(), w.owner, w.at("acct8"), account.Creation{Location: "westus2"})
	wantFault(t, err, fault.AccountQuotaReached, "westus2")
	if _, _, err := w.accounts.Put(t.Context(), w.owner, w.at("acct8"), account.Creation{Location: "eastus"}); err != nil {
		t.Error(err)
	}
}

func TestWhoMayNotIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	a := w.create("acct1", account.Change{})
	u := w.user("reader")
	who := identity.Caller{Tenant: w.directory.Tenant(), ObjectID: u.PrincipalID, AppID: u.ClientID}
	at := w.at("acct1")
	_, err := w.accounts.Read(ctx, who, at)
	wantFault(t, err, fault.AuthorizationFailed)
	_, err = w.accounts.List(ctx, who, w.sub, "")
	wantFault(t, err, fault.AuthorizationFailed)

	const reader = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	_, _, err = w.directory.AssignRole(ctx, w.owner.ObjectID, identity.RoleAssignment{Name: resource.NewGUID(), Scope: a.ID, RoleID: reader, PrincipalID: u.PrincipalID})
	w.must(err)
	_, err = w.accounts.Read(ctx, who, at)
	w.must(err)
	if all, err := w.accounts.List(ctx, who, w.sub, ""); err != nil || len(all) != 1 {
		t.Errorf("List = %v, %v", all, err)
	}
	for name, do := range map[string]func() error{
		"update": func() error { _, err := w.accounts.Update(ctx, who, at, account.Change{}); return err },
		"put": func() error {
			_, _, err := w.accounts.Put(ctx, who, at, account.Creation{Location: "westus2"})
			return err
		},
		"delete":     func() error { _, _, err := w.accounts.Delete(ctx, who, at); return err },
		"keys":       func() error { _, err := w.accounts.Keys(ctx, who, at); return err },
		"regenerate": func() error { _, err := w.accounts.RegenerateKey(ctx, who, at, "Primary"); return err },
		"sync":       func() error { return w.accounts.SyncAutoStorageKeys(ctx, who, at) },
	} {
		if err := do(); !errors.Is(err, fault.AuthorizationFailed) {
			t.Errorf("%s: %v, want %v", name, err, fault.AuthorizationFailed)
		}
	}
	// Who may write accounts may not so use everybody's identities.
	const contributor = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	_, _, err = w.directory.AssignRole(ctx, w.owner.ObjectID, identity.RoleAssignment{Name: resource.NewGUID(), Scope: a.ID, RoleID: contributor, PrincipalID: u.PrincipalID})
	w.must(err)
	_, err = w.accounts.Update(ctx, who, at, account.Change{Identity: users(u.ResourceID)})
	wantFault(t, err, fault.LinkedAuthorization, "assign/action")
}
