package vault_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/fault"
	"latchkey/vault"
)

func TestDeletedThingsArePurgedWhenTheirTimeHasCome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		week := func(s *vault.Settings) { s.Retention, s.PurgeProtection = ptr(7), ptr(true) }
		w.mustVault(t, "old1", week)
		w.mustVault(t, "old2", week)
		k, kept := vault.Ref{Vault: "old1", Key: "k"}, vault.Ref{Vault: "old1", Key: "kept"}
		w.mustKey(t, k)
		w.mustKey(t, kept)
		w.mustKey(t, vault.Ref{Vault: "old2", Key: "k"})
		for _, ref := range []vault.Ref{k, kept} {
			if _, err := w.DeleteKey(t.Context(), w.owner, ref); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Delete(t.Context(), w.owner, w.at("old2")); err != nil {
			t.Fatal(err)
		}

		// The store's own clocks need not tick for a week: the service is off meanwhile.
		w.close(t)
		time.Sleep(7*24*time.Hour - 2*vault.PurgeEvery)
		w.open(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		defer func() {
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		if _, err := w.RecoverKey(t.Context(), w.owner, kept); err != nil {
			t.Errorf("recovering just in time: %v", err)
		}
		if _, err := w.DeletedKey(t.Context(), w.owner, k); err != nil {
			t.Errorf("before its time: %v", err)
		}
		time.Sleep(4 * vault.PurgeEvery)
		synctest.Wait()
		_, err := w.DeletedKey(t.Context(), w.owner, k)
		wants(t, err, fault.KeyNotFound, "")
		_, err = w.DeletedVault(t.Context(), w.owner, w.directory.Subscription(), "westus2", "old2")
		wants(t, err, fault.DeletedVaultNotFound, "")
		if _, err := w.Key(t.Context(), w.owner, kept); err != nil {
			t.Errorf("the recovered key: %v", err)
		}
		// Names are free again.
		w.mustKey(t, k)
		w.mustVault(t, "old2")
	})
}
