package vaultapi_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"latchkey/resource"
	"latchkey/vault"
)

func ptr[T any](v T) *T { return &v }

// refused checks the status and the code of what the official client got.
func refused(t *testing.T, err error, status int, code string) {
	t.Helper()
	var response *azcore.ResponseError
	if !errors.As(err, &response) || response.StatusCode != status || response.ErrorCode != code {
		t.Errorf("got %v, want %d %s", err, status, code)
	}
}

func TestOfficialClientLivesWithAKey(t *testing.T) {
	t.Parallel()
	for name, cloud := range map[string]resource.Cloud{"Azure's names": resource.Azure(), "names of one's own": resource.Own("example.test:8443")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setupIn(t, cloud)
			w.mustVault(t, "v1x", "all")
			keys := w.keys(t, cloud.VaultURI("v1x"))
			ctx := t.Context()

			made, err := keys.CreateKey(ctx, "k1", azkeys.CreateKeyParameters{
				Kty: ptr(azkeys.KeyTypeRSA), KeySize: ptr(int32(2048)), Tags: map[string]*string{"a": ptr("b")},
				KeyAttributes: &azkeys.KeyAttributes{Enabled: ptr(true), Expires: ptr(time.Now().Add(time.Hour))},
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			version := made.Key.KID.Version()
			if made.Key.KID.Name() != "k1" || len(version) != 32 || len(made.Key.N) != 256 || *made.Tags["a"] != "b" ||
				*made.Attributes.RecoveryLevel != "Recoverable+Purgeable" || *made.Attributes.RecoverableDays != 90 || len(made.Key.KeyOps) != 6 {
				t.Errorf("got %+v", made.KeyBundle)
			}
			for _, v := range []string{"", version} {
				if got, err := keys.GetKey(ctx, "k1", v, nil); err != nil || *got.Key.KID != *made.Key.KID {
					t.Errorf("got %v, %v, want %s", got.Key, err, *made.Key.KID)
				}
				wrapped, err := keys.WrapKey(ctx, "k1", v, azkeys.KeyOperationParameters{Algorithm: ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: []byte("secret")}, nil)
				if err != nil {
					t.Fatal(err)
				}
				got, err := keys.UnwrapKey(ctx, "k1", v, azkeys.KeyOperationParameters{Algorithm: ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: wrapped.Result}, nil)
				if err != nil || !bytes.Equal(got.Result, []byte("secret")) || *got.KID != *made.Key.KID {
					t.Errorf("got %s, %v", got.Result, err)
				}
				sealed, err := keys.Encrypt(ctx, "k1", v, azkeys.KeyOperationParameters{Algorithm: ptr(azkeys.EncryptionAlgorithmRSA15), Value: []byte("s")}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if plain, err := keys.Decrypt(ctx, "k1", v, azkeys.KeyOperationParameters{Algorithm: ptr(azkeys.EncryptionAlgorithmRSA15), Value: sealed.Result}, nil); err != nil || string(plain.Result) != "s" {
					t.Errorf("got %s, %v", plain.Result, err)
				}
			}

			if _, err := keys.UpdateKey(ctx, "k1", "", azkeys.UpdateKeyParameters{KeyAttributes: &azkeys.KeyAttributes{Enabled: ptr(false)}}, nil); err != nil {
				t.Fatal(err)
			}
			_, err = keys.GetKey(ctx, "k1", version, nil)
			refused(t, err, http.StatusForbidden, "Forbidden")
			if _, err := keys.UpdateKey(ctx, "k1", version, azkeys.UpdateKeyParameters{
				KeyAttributes: &azkeys.KeyAttributes{Enabled: ptr(true), Expires: ptr(time.Now().Add(-time.Hour))},
			}, nil); err != nil {
				t.Fatal(err)
			}
			_, err = keys.WrapKey(ctx, "k1", "", azkeys.KeyOperationParameters{Algorithm: ptr(azkeys.EncryptionAlgorithmRSAOAEP), Value: []byte("x")}, nil)
			refused(t, err, http.StatusForbidden, "Forbidden")

			deleted, err := keys.DeleteKey(ctx, "k1", nil)
			if err != nil || deleted.RecoveryID == nil || deleted.ScheduledPurgeDate.Sub(*deleted.DeletedDate) != 90*24*time.Hour {
				t.Fatalf("got %+v, %v", deleted, err)
			}
			_, err = keys.GetKey(ctx, "k1", "", nil)
			refused(t, err, http.StatusNotFound, "KeyNotFound")
			_, err = keys.CreateKey(ctx, "k1", azkeys.CreateKeyParameters{Kty: ptr(azkeys.KeyTypeRSA)}, nil)
			refused(t, err, http.StatusConflict, "Conflict")
			if got, err := keys.GetDeletedKey(ctx, "k1", nil); err != nil || *got.Key.KID != *made.Key.KID {
				t.Errorf("got %v, %v", got.Key, err)
			}
			if _, err := keys.RecoverDeletedKey(ctx, "k1", nil); err != nil {
				t.Fatal(err)
			}
			if _, err := keys.GetKey(ctx, "k1", "", nil); err != nil {
				t.Error(err)
			}
			if _, err := keys.DeleteKey(ctx, "k1", nil); err != nil {
				t.Fatal(err)
			}
			if _, err := keys.PurgeDeletedKey(ctx, "k1", nil); err != nil {
				t.Fatal(err)
			}
			_, err = keys.GetDeletedKey(ctx, "k1", nil)
			refused(t, err, http.StatusNotFound, "KeyNotFound")
		})
	}
}

func TestOfficialClientWalksThroughLists(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "v2x", "all")
	keys := w.keys(t, "https://v2x.vault.azure.net")
	const n = 30
	for range n {
		if _, err := w.vaults.Create(t.Context(), w.owner, vault.Ref{Vault: "v2x", Key: "many"}, vault.Draft{Type: vault.RSA}); err != nil {
			t.Fatal(err)
		}
	}
	pages, versions := 0, map[string]bool{}
	pager := keys.NewListKeyPropertiesVersionsPager("many", nil)
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, item := range page.Value {
			versions[item.KID.Version()] = true
		}
	}
	if pages != 2 || len(versions) != n {
		t.Errorf("got %d versions in %d pages, want %d in 2", len(versions), pages, n)
	}
	if _, err := keys.DeleteKey(t.Context(), "many", nil); err != nil {
		t.Fatal(err)
	}
	deleted := keys.NewListDeletedKeyPropertiesPager(nil)
	page, err := deleted.NextPage(t.Context())
	if err != nil || len(page.Value) != 1 || page.Value[0].RecoveryID == nil || deleted.More() {
		t.Errorf("got %+v, %v", page, err)
	}
	if page, err := keys.NewListKeyPropertiesPager(nil).NextPage(t.Context()); err != nil || len(page.Value) != 0 {
		t.Errorf("got %+v, %v, want no live key", page, err)
	}
}

func TestOfficialClientMeetsItsPermissions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.mustVault(t, "v3x", "all")
	keys := w.keys(t, "https://v3x.vault.azure.net")
	ctx := t.Context()
	if _, err := keys.CreateKey(ctx, "k", azkeys.CreateKeyParameters{Kty: ptr(azkeys.KeyTypeRSA)}, nil); err != nil {
		t.Fatal(err)
	}
	in := azkeys.KeyOperationParameters{Algorithm: ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: []byte("x")}
	wrapped, err := keys.WrapKey(ctx, "k", "", in, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The permissions that a customer-managed key needs, taken away one by one.
	ops := []struct {
		permission string
		do         func() error
	}{
		{"get", func() error { _, err := keys.GetKey(ctx, "k", "", nil); return err }},
		{"wrapKey", func() error { _, err := keys.WrapKey(ctx, "k", "", in, nil); return err }},
		{"unwrapKey", func() error {
			_, err := keys.UnwrapKey(ctx, "k", "", azkeys.KeyOperationParameters{Algorithm: in.Algorithm, Value: wrapped.Result}, nil)
			return err
		}},
	}
	left := []string{"get", "wrapKey", "unwrapKey"}
	for len(left) > 0 {
		left = left[1:]
		if _, err := w.vaults.ChangePolicies(ctx, w.owner, w.at("v3x"), vault.ReplacePolicies, []vault.Policy{
			{Tenant: w.owner.Tenant, ObjectID: w.owner.ObjectID, Keys: left},
		}); err != nil {
			t.Fatal(err)
		}
		for i, op := range ops {
			if err := op.do(); i < len(ops)-len(left) {
				refused(t, err, http.StatusForbidden, "Forbidden")
			} else if err != nil {
				t.Errorf("%s with %v: %v", op.permission, left, err)
			}
		}
	}
}
