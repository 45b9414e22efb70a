package account_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/account"
	"latchkey/keyring"
	"latchkey/vault"
)

// A key that its vault rotates by policy takes a versionless account along.
func TestVersionlessKeyFollowsARotationByPolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.run()
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.vaults.Run(ctx) }()
		defer func() {
			stop()
			w.must(<-done)
		}()
		a := w.create("acct1", account.Change{Identity: system()})
		w.vault("vault1")
		first := w.key("vault1", "k1")
		w.grant("vault1", a.Identity.PrincipalID, "get", "wrapKey", "unwrapKey")
		id := w.vaults.KeyID("vault1", "k1", "")
		a, err := w.accounts.Update(ctx, w.owner, w.at("acct1"), account.Change{Encryption: customer(id)})
		w.must(err)
		ref := vault.Ref{Vault: "vault1", Key: "k1"}
		_, err = w.vaults.SetRotationPolicy(ctx, w.owner, ref, vault.RotationPolicy{
			Expiry: "P90D", Actions: []vault.LifetimeAction{{Type: vault.Rotate, BeforeExpiry: "P30D"}},
		})
		w.must(err)
		inUse := func() string {
			t.Helper()
			status, err := w.accounts.Status(a)
			w.must(err)
			if status.State != keyring.Usable || status.Custody.KeyID != id {
				t.Errorf("status = %+v", status)
			}
			return status.KeyID
		}
		settle()
		if got := inUse(); got != first {
			t.Fatalf("the account is under %s, want %s", got, first)
		}
		_, err = w.vaults.UpdateKey(ctx, w.owner, ref, vault.Change{Attributes: vault.Attributes{Expires: ptr(time.Now().Add(30*24*time.Hour + time.Minute))}})
		w.must(err)
		time.Sleep(3 * vault.PurgeEvery)
		settle()
		second, err := w.vaults.Key(ctx, w.owner, ref)
		w.must(err)
		if second.KID == first {
			t.Fatal("the key was not rotated")
		}
		if got := inUse(); got != second.KID {
			t.Errorf("the account is under %s, want %s", got, second.KID)
		}
	})
}
