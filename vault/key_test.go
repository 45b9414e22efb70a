package vault_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"latchkey/fault"
	"latchkey/vault"
)

func TestKeyOfEverySizeWrapsAndUnwraps(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "keys1")
	secret := make([]byte, 32)
	rand.Read(secret)
	for _, size := range []int{0, 2048, 3072, 4096} {
		ref := vault.Ref{Vault: "keys1", Key: fmt.Sprintf("k%d", size)}
		key := w.mustKey(t, ref, func(d *vault.Draft) { d.Size = size; d.Type = vault.RSAHSM })
		want := max(size, 2048)
		if got := new(big.Int).SetBytes(key.Public.N).BitLen(); got != want || len(key.Public.N) != want/8 {
			t.Errorf("got a modulus of %d bits in %d bytes, want %d", got, len(key.Public.N), want)
		}
		if key.KID != "https://keys1.vault.azure.net/keys/"+ref.Key+"/"+key.ID || len(key.ID) != 32 {
			t.Errorf("got id %q", key.KID)
		}
		for _, alg := range []string{"RSA-OAEP-256", "RSA-OAEP", "RSA1_5"} {
			wrapped, err := w.Wrap(t.Context(), w.owner, ref, alg, secret)
			if err != nil {
				t.Fatal(err)
			}
			got, err := w.Unwrap(t.Context(), w.owner, ref, alg, wrapped.Value)
			if err != nil || !bytes.Equal(got.Value, secret) || got.KID != key.KID {
				t.Errorf("%s: got %x of %s, %v, want %x", alg, got.Value, got.KID, err, secret)
			}
			wrapped.Value[len(wrapped.Value)-1] ^= 1
			if got, err := w.Unwrap(t.Context(), w.owner, ref, alg, wrapped.Value); err == nil && bytes.Equal(got.Value, secret) {
				t.Errorf("%s: a changed value was unwrapped", alg)
			} else if err != nil {
				wants(t, err, fault.BadParameter, "")
			}
		}
	}
}

func TestNewVersionIsTheCurrentOneAndTheOldOneStays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "keys2")
	ref := vault.Ref{Vault: "keys2", Key: "Key-A"}
	first := w.mustKey(t, ref)
	wrapped, err := w.Wrap(t.Context(), w.owner, ref, "RSA-OAEP-256", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	second := w.mustKey(t, vault.Ref{Vault: "KEYS2", Key: "key-a"})
	if second.Key != "Key-A" {
		t.Errorf("got name %q, want it as first written", second.Key)
	}
	if got, err := w.Key(t.Context(), w.owner, ref); err != nil || got.ID != second.ID {
		t.Errorf("got version %s, %v, want the newest %s", got.ID, err, second.ID)
	}
	old := ref
	old.Version = first.ID
	if got, err := w.Unwrap(t.Context(), w.owner, old, "RSA-OAEP-256", wrapped.Value); err != nil || string(got.Value) != "x" {
		t.Errorf("got %q, %v from the old version", got.Value, err)
	}
	_, err = w.Unwrap(t.Context(), w.owner, ref, "RSA-OAEP-256", wrapped.Value)
	wants(t, err, fault.BadParameter, "")
	old.Version = strings.Repeat("0", 32)
	_, err = w.Key(t.Context(), w.owner, old)
	wants(t, err, fault.KeyNotFound, "")
	list, err := w.Versions(t.Context(), w.owner, ref, vault.Page{})
	if err != nil || len(list.Keys) != 2 || list.Keys[0].ID != first.ID || list.Keys[1].ID != second.ID {
		t.Errorf("got %v, %v, want both versions in order", list, err)
	}
}

func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "keys3")
	key := w.mustKey(t, vault.Ref{Vault: "keys3", Key: "k0"})
	_ = key
	for i := 1; i < 7; i++ {
		w.mustKey(t, vault.Ref{Vault: "keys3", Key: fmt.Sprintf("k%d", i)})
	}
	var names []string
	page := vault.Page{Size: 3}
	for {
		list, err := w.Keys(t.Context(), w.owner, "keys3", page)
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Keys) > 3 {
			t.Fatalf("got a page of %d", len(list.Keys))
		}
		for _, k := range list.Keys {
			names = append(names, k.Key)
			if k.KID != "https://keys3.vault.azure.net/keys/"+k.Key {
				t.Errorf("got %q, want the key's id without a version", k.KID)
			}
		}
		if page.Behind = list.Next; list.Next == "" {
			break
		}
	}
	if got := strings.Join(names, " "); got != "k0 k1 k2 k3 k4 k5 k6" {
		t.Errorf("got %s", got)
	}
	for _, bad := range []vault.Page{{Size: 26}, {Size: -1}, {Behind: "x"}, {Behind: "ab"}} {
		_, err := w.Keys(t.Context(), w.owner, "keys3", bad)
		wants(t, err, fault.BadParameter, "")
	}
}

func TestKeyCannotBeUsedAgainstItsAttributes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "keys4")
	ref := vault.Ref{Vault: "keys4", Key: "k"}
	w.mustKey(t, ref)
	wrapped, err := w.Wrap(t.Context(), w.owner, ref, "RSA-OAEP-256", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	get := func() error { _, err := w.Key(t.Context(), w.owner, ref); return err }
	wrap := func() error { _, err := w.Wrap(t.Context(), w.owner, ref, "RSA-OAEP", []byte("x")); return err }
	unwrap := func() error { _, err := w.Unwrap(t.Context(), w.owner, ref, "RSA-OAEP-256", wrapped.Value); return err }
	encrypt := func() error { _, err := w.Encrypt(t.Context(), w.owner, ref, "RSA-OAEP", []byte("x")); return err }
	decrypt := func() error {
		_, err := w.Decrypt(t.Context(), w.owner, ref, "RSA-OAEP-256", wrapped.Value)
		return err
	}
	list := func() error { _, err := w.Keys(t.Context(), w.owner, "keys4", vault.Page{}); return err }
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	all := []string{"wrapKey", "unwrapKey", "encrypt", "decrypt"}
	for _, step := range []struct {
		name                                  string
		change                                vault.Change
		get, wrap, unwrap, encrypt, decrypted string
	}{
		{"disabled", vault.Change{Attributes: vault.Attributes{Enabled: ptr(false)}}, "KeyDisabled", "KeyDisabled", "KeyDisabled", "KeyDisabled", "KeyDisabled"},
		{"enabled", vault.Change{Attributes: vault.Attributes{Enabled: ptr(true)}}, "", "", "", "", ""},
		{"without wrapKey", vault.Change{Ops: []string{"UNWRAPKEY", "encrypt", "decrypt"}}, "", "KeyOperationForbidden", "", "", ""},
		{"without unwrapKey", vault.Change{Ops: []string{"wrapKey", "encrypt", "decrypt"}}, "", "", "KeyOperationForbidden", "", ""},
		{"without any", vault.Change{Ops: []string{}}, "", "KeyOperationForbidden", "KeyOperationForbidden", "KeyOperationForbidden", "KeyOperationForbidden"},
		{"not yet valid", vault.Change{Ops: all, Attributes: vault.Attributes{NotBefore: &future}}, "", "KeyNotYetValid", "", "KeyNotYetValid", ""},
		{"expired", vault.Change{Attributes: vault.Attributes{NotBefore: ptr(past.Add(-time.Hour)), Expires: &past}}, "", "KeyExpired", "", "KeyExpired", ""},
		{"in date", vault.Change{Attributes: vault.Attributes{Expires: &future}}, "", "", "", "", ""},
	} {
		if _, err := w.UpdateKey(t.Context(), w.owner, ref, step.change); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for op, c := range map[string]struct {
			do    func() error
			inner string
		}{
			"get": {get, step.get}, "wrap": {wrap, step.wrap}, "unwrap": {unwrap, step.unwrap},
			"encrypt": {encrypt, step.encrypt}, "decrypt": {decrypt, step.decrypted}, "list": {list, ""},
		} {
			t.Run(step.name+" "+op, func(t *testing.T) {
				code := fault.Forbidden
				if c.inner == "" {
					code = nil
				}
				wants(t, c.do(), code, c.inner)
			})
		}
	}
}

func TestWhatAKeyRefuses(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "keys5")
	good := vault.Ref{Vault: "keys5", Key: "k"}
	for name, c := range map[string]struct {
		ref   vault.Ref
		draft vault.Draft
		code  *fault.Code
	}{
		"a name with an underline":    {vault.Ref{Vault: "keys5", Key: "a_b"}, vault.Draft{Type: vault.RSA}, fault.BadParameter},
		"a name that is too long":     {vault.Ref{Vault: "keys5", Key: strings.Repeat("a", 128)}, vault.Draft{Type: vault.RSA}, fault.BadParameter},
		"no vault":                    {vault.Ref{Vault: "nokeys", Key: "k"}, vault.Draft{Type: vault.RSA}, fault.KeyVaultNotFound},
		"no type":                     {good, vault.Draft{}, fault.BadParameter},
		"a symmetric key":             {good, vault.Draft{Type: "oct"}, fault.BadParameter},
		"an odd size":                 {good, vault.Draft{Type: vault.RSA, Size: 1024}, fault.BadParameter},
		"an exponent":                 {good, vault.Draft{Type: vault.RSA, Exponent: 3}, fault.BadParameter},
		"an unknown operation":        {good, vault.Draft{Type: vault.RSA, Ops: []string{"fly"}}, fault.BadParameter},
		"export":                      {good, vault.Draft{Type: vault.RSA, Ops: []string{"export"}}, fault.BadParameter},
		"exportable without a policy": {good, vault.Draft{Type: vault.RSA, Attributes: vault.Attributes{Exportable: ptr(true)}}, fault.BadParameter},
		"a release policy":            {good, vault.Draft{Type: vault.RSA, ReleasePolicy: true}, fault.BadParameter},
		"an end before the beginning": {good, vault.Draft{Type: vault.RSA, Attributes: vault.Attributes{NotBefore: ptr(time.Unix(20, 0)), Expires: ptr(time.Unix(10, 0))}}, fault.BadParameter},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Create(t.Context(), w.owner, c.ref, c.draft)
			wants(t, err, c.code, "")
		})
	}
	w.mustKey(t, good)
	for name, err := range map[string]error{
		"an unknown algorithm": second(w.Wrap(t.Context(), w.owner, good, "A256KW", []byte("x"))),
		"too much":             second(w.Wrap(t.Context(), w.owner, good, "RSA-OAEP-256", make([]byte, 191))),
		"too little":           second(w.Unwrap(t.Context(), w.owner, good, "RSA-OAEP-256", []byte("x"))),
		"nothing":              second(w.Unwrap(t.Context(), w.owner, good, "RSA1_5", nil)),
		"an unknown version":   second(w.UpdateKey(t.Context(), w.owner, good, vault.Change{Ops: []string{"fly"}})),
	} {
		t.Run(name, func(t *testing.T) { wants(t, err, fault.BadParameter, "") })
	}
}

func second[T any](_ T, err error) error { return err }

func TestDeletedKeyCanBeRecoveredOrPurged(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "keys6")
	ref := vault.Ref{Vault: "keys6", Key: "k"}
	w.mustKey(t, ref)
	key := w.mustKey(t, ref)
	deleted, err := w.DeleteKey(t.Context(), w.owner, ref)
	if err != nil || deleted.ID != key.ID || deleted.RecoveryID != "https://keys6.vault.azure.net/deletedkeys/k" ||
		deleted.Purges.Sub(deleted.Deleted) != 90*24*time.Hour {
		t.Fatalf("got %+v, %v", deleted, err)
	}
	_, err = w.Key(t.Context(), w.owner, ref)
	wants(t, err, fault.KeyNotFound, "")
	_, err = w.Create(t.Context(), w.owner, ref, vault.Draft{Type: vault.RSA})
	wants(t, err, fault.KeyConflict, "ObjectIsDeletedButRecoverable")
	if list, err := w.DeletedKeys(t.Context(), w.owner, "keys6", vault.Page{}); err != nil || len(list.Keys) != 1 {
		t.Errorf("got %v, %v, want one deleted key", list, err)
	}
	if list, err := w.Keys(t.Context(), w.owner, "keys6", vault.Page{}); err != nil || len(list.Keys) != 0 {
		t.Errorf("got %v, %v, want no live key", list, err)
	}
	back, err := w.RecoverKey(t.Context(), w.owner, ref)
	if err != nil || back.ID != key.ID {
		t.Fatalf("got %v, %v, want version %s back", back.ID, err, key.ID)
	}
	if list, err := w.Versions(t.Context(), w.owner, ref, vault.Page{}); err != nil || len(list.Keys) != 2 {
		t.Errorf("got %v, %v, want both versions back", list, err)
	}
	wants(t, w.PurgeKey(t.Context(), w.owner, ref), fault.KeyNotFound, "")
	if _, err := w.DeleteKey(t.Context(), w.owner, ref); err != nil {
		t.Fatal(err)
	}
	wants(t, w.PurgeKey(t.Context(), w.owner, ref), nil, "")
	_, err = w.DeletedKey(t.Context(), w.owner, ref)
	wants(t, err, fault.KeyNotFound, "")
	_, err = w.RecoverKey(t.Context(), w.owner, ref)
	wants(t, err, fault.KeyNotFound, "")
	w.mustKey(t, ref)
}

func TestRecoveryLevelFollowsTheVault(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, c := range map[string]struct {
		protect *bool
		days    int
		want    string
	}{
		"rec-1": {nil, 90, "Recoverable+Purgeable"},
		"rec-2": {ptr(true), 90, "Recoverable"},
		"rec-3": {nil, 7, "CustomizedRecoverable+Purgeable"},
		"rec-4": {ptr(true), 89, "CustomizedRecoverable"},
	} {
		w.mustVault(t, name, func(s *vault.Settings) { s.PurgeProtection, s.Retention = c.protect, &c.days })
		ref := vault.Ref{Vault: name, Key: "k"}
		if key := w.mustKey(t, ref); key.RecoveryLevel != c.want || key.RecoverableDays != c.days {
			t.Errorf("got %s for %d days, want %s for %d", key.RecoveryLevel, key.RecoverableDays, c.want, c.days)
		}
		if _, err := w.DeleteKey(t.Context(), w.owner, ref); err != nil {
			t.Fatal(err)
		}
		err := w.PurgeKey(t.Context(), w.owner, ref)
		if c.protect != nil {
			wants(t, err, fault.Forbidden, "ForbiddenByPolicy")
			if f, ok := fault.From(err); !ok || !strings.Contains(f.Message, `Operation "purge" is not allowed`) {
				t.Errorf("got %v", err)
			}
		} else {
			wants(t, err, nil, "")
		}
	}
}

func BenchmarkUnwrap(b *testing.B) {
	w := setup(b)
	w.mustVault(b, "bench1")
	ref := vault.Ref{Vault: "bench1", Key: "k"}
	w.mustKey(b, ref)
	secret := make([]byte, 32)
	wrapped, err := w.Wrap(b.Context(), w.owner, ref, "RSA-OAEP-256", secret)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("vault", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.Unwrap(b.Context(), w.owner, ref, "RSA-OAEP-256", wrapped.Value); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			b.Fatal(err)
		}
		sealed, err := rsa.EncryptOAEP(newSHA256(), rand.Reader, &key.PublicKey, secret, nil)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := rsa.DecryptOAEP(newSHA256(), nil, key, sealed, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkWrap(b *testing.B) {
	w := setup(b)
	w.mustVault(b, "bench2")
	ref := vault.Ref{Vault: "bench2", Key: "k"}
	w.mustKey(b, ref)
	for b.Loop() {
		if _, err := w.Wrap(b.Context(), w.owner, ref, "RSA-OAEP-256", make([]byte, 32)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkKey(b *testing.B) {
	w := setup(b)
	w.mustVault(b, "bench3")
	ref := vault.Ref{Vault: "bench3", Key: "k"}
	w.mustKey(b, ref)
	for b.Loop() {
		if _, err := w.Key(b.Context(), w.owner, ref); err != nil {
			b.Fatal(err)
		}
	}
}
