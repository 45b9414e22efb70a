package compat

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

func TestKeysWrapAndUnwrap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, c := w.vault()
	secret := make([]byte, 32)
	rand.Read(secret)
	first := azkeys.ID(w.key(c, "k"))
	for _, algorithm := range []azkeys.EncryptionAlgorithm{
		azkeys.EncryptionAlgorithmRSAOAEP256, azkeys.EncryptionAlgorithmRSAOAEP, azkeys.EncryptionAlgorithmRSA15,
	} {
		in := azkeys.KeyOperationParameters{Algorithm: to.Ptr(algorithm), Value: secret}
		wrapped, err := c.WrapKey(t.Context(), "k", first.Version(), in, nil)
		ok(t, err)
		in.Value = wrapped.Result
		back, err := c.UnwrapKey(t.Context(), "k", first.Version(), in, nil)
		ok(t, err)
		if !bytes.Equal(back.Result, secret) || *back.KID != first {
			t.Errorf("%s: %s unwrapped %x, want %s and %x", algorithm, *back.KID, back.Result, first, secret)
		}
	}

	second := azkeys.ID(w.key(c, "k"))
	newest, err := c.GetKey(t.Context(), "k", "", nil)
	ok(t, err)
	if *newest.Key.KID != second || len(newest.Key.N) != 256 || newest.Attributes.Created == nil || *newest.Attributes.RecoveryLevel != "Recoverable" {
		t.Errorf("the newest version is %+v", newest.Key)
	}
	var versions int
	for _, page := range pages(t, c.NewListKeyPropertiesVersionsPager("k", nil)) {
		versions += len(page.Value)
	}
	if versions != 2 {
		t.Errorf("there are %d versions, want 2", versions)
	}
	_, err = c.UpdateKey(t.Context(), "k", second.Version(), azkeys.UpdateKeyParameters{KeyAttributes: &azkeys.KeyAttributes{Enabled: to.Ptr(false)}}, nil)
	ok(t, err)
	in := azkeys.KeyOperationParameters{Algorithm: to.Ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: secret}
	_, err = c.WrapKey(t.Context(), "k", second.Version(), in, nil)
	refused(t, err, 403, "Forbidden")
	_, err = c.GetKey(t.Context(), "none", "", nil)
	refused(t, err, 404, "KeyNotFound")
}

func TestDeletedKeysComeBackAndAreNotPurged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, c := w.vault()
	w.key(c, "k")
	gone, err := c.DeleteKey(t.Context(), "k", nil)
	ok(t, err)
	if gone.RecoveryID == nil || gone.DeletedDate == nil || gone.ScheduledPurgeDate == nil {
		t.Errorf("the deleted key is %+v", gone.DeletedKey)
	}
	_, err = c.GetKey(t.Context(), "k", "", nil)
	refused(t, err, 404, "KeyNotFound")
	_, err = c.CreateKey(t.Context(), "k", azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA)}, nil)
	refused(t, err, 409, "Conflict")
	_, err = c.PurgeDeletedKey(t.Context(), "k", nil)
	refused(t, err, 403, "Forbidden")
	_, err = c.RecoverDeletedKey(t.Context(), "k", nil)
	ok(t, err)
	_, err = c.GetKey(t.Context(), "k", "", nil)
	ok(t, err)
}
