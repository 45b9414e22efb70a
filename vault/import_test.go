package vault_test

import (
	"bytes"
	"strings"
	"testing"

	"latchkey/fault"
	"latchkey/vault"
)

func TestKeysWhosePartsDoNotFitAreNotImported(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "imp1")
	rsa, ec := bilbo(t), curveKeys(t)
	with := func(k vault.PrivateKey, change func(*vault.PrivateKey)) vault.Import {
		change(&k)
		return vault.Import{Key: k}
	}
	for name, in := range map[string]vault.Import{
		"nothing":               {},
		"no type":               with(rsa, func(k *vault.PrivateKey) { k.Type = "" }),
		"a symmetric key":       with(rsa, func(k *vault.PrivateKey) { k.Type = "oct" }),
		"the other type":        with(rsa, func(k *vault.PrivateKey) { k.Type = vault.EC }),
		"a key of an HSM":       with(rsa, func(k *vault.PrivateKey) { k.Transfer = []byte("{}") }),
		"no private part":       with(rsa, func(k *vault.PrivateKey) { k.D = nil }),
		"no primes":             with(rsa, func(k *vault.PrivateKey) { k.P, k.Q = nil, nil }),
		"another modulus":       with(rsa, func(k *vault.PrivateKey) { k.N = append(bytes.Clone(k.N[:255]), 1) }),
		"a short modulus":       with(rsa, func(k *vault.PrivateKey) { k.N = k.N[:128] }),
		"an endless modulus":    with(rsa, func(k *vault.PrivateKey) { k.N = bytes.Repeat(k.N, 100) }),
		"an endless prime":      with(rsa, func(k *vault.PrivateKey) { k.P = bytes.Repeat(k.P, 100) }),
		"an endless exponent":   with(rsa, func(k *vault.PrivateKey) { k.E = bytes.Repeat([]byte{1}, 100) }),
		"another exponent":      with(rsa, func(k *vault.PrivateKey) { k.E = []byte{3} }),
		"an even exponent":      with(rsa, func(k *vault.PrivateKey) { k.E = []byte{2} }),
		"primes of one and all": with(rsa, func(k *vault.PrivateKey) { k.P, k.Q = []byte{1}, k.N }),
		"another coefficient":   with(rsa, func(k *vault.PrivateKey) { k.QI = k.DP }),
		"no curve":              with(ec["P-256"], func(k *vault.PrivateKey) { k.Curve = "" }),
		"another curve":         with(ec["P-256"], func(k *vault.PrivateKey) { k.Curve = "P-384" }),
		"a curve of old":        with(ec["P-256K"], func(k *vault.PrivateKey) { k.Curve = "SECP256K1" }),
		"a point elsewhere":     with(ec["P-256"], func(k *vault.PrivateKey) { k.X = k.Y }),
		"no point":              with(ec["P-256"], func(k *vault.PrivateKey) { k.X = nil }),
		"zero":                  with(ec["P-256"], func(k *vault.PrivateKey) { k.D = []byte{0} }),
		"too large":             with(ec["P-256"], func(k *vault.PrivateKey) { k.D = bytes.Repeat([]byte{255}, 32) }),
		"too long":              with(ec["P-256"], func(k *vault.PrivateKey) { k.D = bytes.Repeat([]byte{255}, 33) }),
		"zero on P-256K":        with(ec["P-256K"], func(k *vault.PrivateKey) { k.D = []byte{0} }),
		"too large on P-256K":   with(ec["P-256K"], func(k *vault.PrivateKey) { k.D = bytes.Repeat([]byte{255}, 32) }),
		"a point elsewhere, too": with(ec["P-256K"], func(k *vault.PrivateKey) {
			k.D = []byte{2}
		}),
		"operations that are none": with(rsa, func(k *vault.PrivateKey) { k.Ops = []string{"fly"} }),
		"exportable":               {Key: rsa, Attributes: vault.Attributes{Exportable: ptr(true)}},
		"with a release policy":    {Key: rsa, ReleasePolicy: true},
		"with too many tags":       {Key: rsa, Tags: map[string]string{"a": strings.Repeat("a", 257)}},
	} {
		_, err := w.Import(t.Context(), w.owner, vault.Ref{Vault: "imp1", Key: "k"}, in)
		if err == nil {
			t.Errorf("%s: got no error", name)
			continue
		}
		wants(t, err, fault.BadParameter, "")
	}
	if list, err := w.Keys(t.Context(), w.owner, "imp1", vault.Page{}); err != nil || len(list.Keys) != 0 {
		t.Errorf("got %d keys, %v, want none", len(list.Keys), err)
	}
}

func TestImportAddsAVersion(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "imp2")
	ref := vault.Ref{Vault: "imp2", Key: "k"}
	first := w.mustKey(t, ref)
	second, err := w.Import(t.Context(), w.owner, ref, vault.Import{Key: bilbo(t), HSM: true})
	if err != nil || second.Type != vault.RSAHSM || second.ID == first.ID {
		t.Fatalf("got %+v, %v", second, err)
	}
	if got, err := w.Key(t.Context(), w.owner, ref); err != nil || got.ID != second.ID {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := w.DeleteKey(t.Context(), w.owner, ref); err != nil {
		t.Fatal(err)
	}
	_, err = w.Import(t.Context(), w.owner, ref, vault.Import{Key: bilbo(t)})
	wants(t, err, fault.KeyConflict, "ObjectIsDeletedButRecoverable")
}
