package vault_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"latchkey/fault"
	"latchkey/resource"
	"latchkey/vault"
)

func TestBackupBringsAllVersionsBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "bak1")
	w.mustVault(t, "bak2", func(s *vault.Settings) { s.Location = "eastus" })
	w.mustVault(t, "bak3", func(s *vault.Settings) { s.Location = "westeurope" })
	ref, there := vault.Ref{Vault: "bak1", Key: "Key-1"}, vault.Ref{Vault: "bak2", Key: "key-1"}
	first := w.mustKey(t, ref, func(d *vault.Draft) { d.Tags = map[string]string{"a": "b"}; d.Expires = ptr(time.Now().Add(time.Hour)) })
	secret := []byte("0123456789abcdef")
	wrapped, err := w.Wrap(t.Context(), w.owner, ref, "RSA-OAEP-256", secret)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.Create(t.Context(), w.owner, ref, vault.Draft{Type: vault.EC, Curve: "P-256K"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.SetRotationPolicy(t.Context(), w.owner, ref, rotateAfter("P30D", "")); err != nil {
		t.Fatal(err)
	}
	sealed, err := w.Backup(t.Context(), w.owner, ref)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("Key-1")) {
		t.Error("the backup can be read")
	}

	_, err = w.Restore(t.Context(), w.owner, "bak1", sealed)
	wants(t, err, fault.KeyConflict, "KeyAlreadyExists")
	_, err = w.Restore(t.Context(), w.owner, "bak3", sealed)
	wants(t, err, fault.BadParameter, "")
	if !strings.Contains(err.Error(), "Cannot decrypt backup blob. The key was backed up in the geography United States, and this vault is in Europe.") {
		t.Errorf("got %v", err)
	}
	for i := range sealed {
		if i%97 != 0 {
			continue
		}
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		_, err := w.Restore(t.Context(), w.owner, "bak2", bad)
		wants(t, err, fault.BadParameter, "")
	}

	got, err := w.Restore(t.Context(), w.owner, "bak2", sealed)
	if err != nil || got.KID != "https://bak2.vault.azure.net/keys/Key-1/"+second.ID || got.Type != vault.EC {
		t.Fatalf("got %+v, %v", got, err)
	}
	there.Version = first.ID
	if plain, err := w.Unwrap(t.Context(), w.owner, there, "RSA-OAEP-256", wrapped.Value); err != nil || !bytes.Equal(plain.Value, secret) {
		t.Errorf("got %q, %v", plain.Value, err)
	}
	if old, err := w.Key(t.Context(), w.owner, there); err != nil || old.Tags["a"] != "b" || !old.Expires.Equal(first.Expires) || !old.Created.Equal(first.Created) {
		t.Errorf("got %+v, %v, want %+v", old, err, first)
	}
	there.Version = ""
	if policy, err := w.RotationPolicy(t.Context(), w.owner, there); err != nil || policy.Actions[0].AfterCreate != "P30D" {
		t.Errorf("got %+v, %v", policy, err)
	}

	// A deleted key keeps its name; once it is purged, its backup brings it back.
	if _, err := w.DeleteKey(t.Context(), w.owner, ref); err != nil {
		t.Fatal(err)
	}
	_, err = w.Restore(t.Context(), w.owner, "bak1", sealed)
	wants(t, err, fault.KeyConflict, "ObjectIsDeletedButRecoverable")
	if err := w.PurgeKey(t.Context(), w.owner, ref); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Restore(t.Context(), w.owner, "bak1", sealed); err != nil {
		t.Error(err)
	}
}

func TestBackupStaysInItsSubscriptionAndItsService(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "bak4")
	ref := vault.Ref{Vault: "bak4", Key: "k"}
	w.mustKey(t, ref, func(d *vault.Draft) { d.Type = vault.EC })
	sealed, err := w.Backup(t.Context(), w.owner, ref)
	if err != nil {
		t.Fatal(err)
	}
	other := setup(t)
	other.mustVault(t, "bak4")
	_, err = other.Restore(t.Context(), other.owner, "bak4", sealed)
	wants(t, err, fault.BadParameter, "")
	// The same master key, and another subscription.
	other.close(t)
	other.secret = w.secret
	other.control, other.vaults = t.TempDir(), t.TempDir()
	other.open(t)
	if resource.Equal(other.directory.Subscription(), w.directory.Subscription()) {
		t.Fatal("two directories have the same subscription")
	}
	other.mustVault(t, "bak4")
	_, err = other.Restore(t.Context(), other.owner, "bak4", sealed)
	wants(t, err, fault.BadParameter, "")
	if !strings.Contains(err.Error(), "in another subscription") {
		t.Errorf("got %v", err)
	}
}

func TestRandomBytesAreAsManyAsWereAskedFor(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "rng1")
	for _, n := range []int{1, 32, 128} {
		if got, err := w.Random(t.Context(), w.owner, "rng1", n); err != nil || len(got) != n {
			t.Errorf("got %d bytes, %v, want %d", len(got), err, n)
		}
	}
	for _, n := range []int{-1, 0, 129} {
		_, err := w.Random(t.Context(), w.owner, "rng1", n)
		wants(t, err, fault.BadParameter, "")
	}
	ref := vault.Ref{Vault: "rng1", Key: "k"}
	w.mustKey(t, ref, func(d *vault.Draft) { d.Type = vault.ECHSM })
	wants(t, w.Release(t.Context(), w.owner, ref), fault.Forbidden, "KeyOperationForbidden")
	wants(t, w.Attestation(t.Context(), w.owner, ref), fault.BadParameter, "")
}
