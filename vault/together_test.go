package vault_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"latchkey/fault"
	"latchkey/vault"
)

func TestTwoServicesOverOneStoreAgree(t *testing.T) {
	t.Parallel()
	w := setup(t)
	other := vault.New(w.Config)
	w.mustVault(t, "two-1")
	ref := vault.Ref{Vault: "two-1", Key: "k"}
	w.mustKey(t, ref)
	who := w.guest()
	for range 3 {
		w.allow(t, "two-1", who, "get")
		_, err := other.Key(t.Context(), who, ref)
		wants(t, err, nil, "")
		w.allow(t, "two-1", who, "list")
		_, err = other.Key(t.Context(), who, ref)
		wants(t, err, fault.Forbidden, "AccessDenied")
	}
	w.allow(t, "two-1", who, "get")
	if _, err := w.UpdateKey(t.Context(), w.owner, ref, vault.Change{Attributes: vault.Attributes{Enabled: ptr(false)}}); err != nil {
		t.Fatal(err)
	}
	_, err := other.Key(t.Context(), who, ref)
	wants(t, err, fault.Forbidden, "KeyDisabled")
}

func TestManyAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "many-1")
	ref := vault.Ref{Vault: "many-1", Key: "k"}
	const n = 8
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, err := w.Create(t.Context(), w.owner, ref, vault.Draft{Type: vault.RSA}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := w.ChangePolicies(t.Context(), w.owner, w.at("many-1"), vault.AddPolicies, []vault.Policy{w.policy(w.guest(), "get")}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, _, err := w.Put(t.Context(), w.owner, w.at("many-2"), w.settings()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if list, err := w.Versions(t.Context(), w.owner, ref, vault.Page{}); err != nil || len(list.Keys) != n {
		t.Errorf("got %d versions, %v, want %d", len(list.Keys), err, n)
	}
	if v, err := w.Vault(t.Context(), w.owner, w.at("many-1")); err != nil || len(v.Policies) != n+1 {
		t.Errorf("got %d policies, %v, want %d", len(v.Policies), err, n+1)
	}
	if all, err := w.Vaults(t.Context(), w.owner, w.directory.Subscription(), ""); err != nil || len(all) != 2 {
		t.Errorf("got %d vaults, %v, want 2", len(all), err)
	}
}

func TestNothingOfAVaultLiesOpen(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "canaryvault1", func(s *vault.Settings) { s.Tags = map[string]string{"canarytag": "canaryvalue"} })
	key := w.mustKey(t, vault.Ref{Vault: "canaryvault1", Key: "canarykey1"})
	if _, err := w.DeleteKey(t.Context(), w.owner, vault.Ref{Vault: "canaryvault1", Key: "canarykey1"}); err != nil {
		t.Fatal(err)
	}
	canaries := [][]byte{[]byte("canary"), []byte(w.owner.ObjectID), []byte(key.ID), key.Public.N[:32]}
	files := 0
	err := filepath.WalkDir(w.vaults, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, canary := range canaries {
			if bytes.Contains(bytes.ToLower(b), bytes.ToLower(canary)) {
				t.Errorf("%s holds %x", filepath.Base(path), canary)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("looked at %d files: %v", files, err)
	}
}
