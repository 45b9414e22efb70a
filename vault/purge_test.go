package vault_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/fault"
	"latchkey/store"
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

// TestAPurgedKeyIsInNoFile looks where somebody with the disk and the root key would.
func TestAPurgedKeyIsInNoFile(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "vlt1")
	w.mustVault(t, "vlt2")
	alone, within := vault.Ref{Vault: "vlt1", Key: "k"}, vault.Ref{Vault: "vlt2", Key: "k"}
	w.mustKey(t, alone)
	w.mustKey(t, within)
	sealed := w.versions(t)
	if len(sealed) != 2 {
		t.Fatalf("%d versions are stored", len(sealed))
	}
	if found := w.filesWith(t, sealed...); found != 2 {
		t.Fatalf("%d of 2 versions are found in the files before the purge", found)
	}
	if _, err := w.DeleteKey(t.Context(), w.owner, alone); err != nil {
		t.Fatal(err)
	}
	if err := w.PurgeKey(t.Context(), w.owner, alone); err != nil {
		t.Fatal(err)
	}
	if found := w.filesWith(t, sealed...); found != 1 {
		t.Errorf("%d versions are left after one of two was purged", found)
	}
	if _, err := w.Delete(t.Context(), w.owner, w.at("vlt2")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Purge(t.Context(), w.owner, w.directory.Subscription(), "westus2", "vlt2"); err != nil {
		t.Fatal(err)
	}
	if found := w.filesWith(t, sealed...); found != 0 {
		t.Errorf("%d versions are left after the vault was purged too", found)
	}
}

// versions returns a piece of the sealed record of every key version.
func (w *world) versions(t *testing.T) (pieces [][]byte) {
	t.Helper()
	w.close(t)
	driver, err := store.OpenPebble(w.vaults, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := driver.Scan(t.Context(), make([]byte, 16), bytes.Repeat([]byte{0xff}, 16), 1000)
	if err := errors.Join(err, driver.Close()); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Key[16] == 'r' && store.Kind(row.Key[17]) == store.KindKeyVersion {
			pieces = append(pieces, row.Value[100:164])
		}
	}
	w.open(t)
	return pieces
}

// filesWith counts the pieces that are in a file of the vaults' store.
func (w *world) filesWith(t *testing.T, pieces ...[]byte) (found int) {
	t.Helper()
	var all []byte
	files, err := os.ReadDir(w.vaults)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(filepath.Join(w.vaults, f.Name())); err == nil {
			all = append(all, b...)
		}
	}
	for _, piece := range pieces {
		if bytes.Contains(all, piece) {
			found++
		}
	}
	return found
}
