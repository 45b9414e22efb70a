package compat

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/batch/armbatch/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/keyvault/armkeyvault"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/msi/armmsi"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
)

const region = "westus2"

// A world is a resource group of one test and who works in it.
type world struct {
	*testing.T
	subscription, tenant, group string
	// object is the id of the principal that the tests are.
	object     string
	credential azcore.TokenCredential
}

// newWorld makes a group that goes with the test.
func newWorld(t *testing.T) *world {
	t.Helper()
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	ok(t, err)
	w := &world{
		T: t, subscription: os.Getenv("AZURE_SUBSCRIPTION_ID"), tenant: os.Getenv("AZURE_TENANT_ID"),
		group: "compat-" + randomName(), credential: credential,
	}
	w.object = w.claim("oid")
	groups, err := armresources.NewResourceGroupsClient(w.subscription, credential, nil)
	ok(t, err)
	_, err = groups.CreateOrUpdate(t.Context(), w.group, armresources.ResourceGroup{Location: to.Ptr(region)}, nil)
	ok(t, err)
	t.Cleanup(func() {
		poller, err := groups.BeginDelete(context.Background(), w.group, nil)
		if err == nil {
			_, err = poller.PollUntilDone(context.Background(), poll)
		}
		if err != nil {
			t.Errorf("deleting the group: %v", err)
		}
	})
	return w
}

// randomName returns a name that nobody has.
func randomName() string { return strings.ToLower(rand.Text()[:12]) }

// poll asks for the outcome of a long-running operation as often as the SDK may.
var poll = &runtime.PollUntilDoneOptions{Frequency: time.Second}

// claim reads a claim of the token for Resource Manager.
func (w *world) claim(name string) string {
	w.Helper()
	token, err := w.credential.GetToken(w.Context(), policy.TokenRequestOptions{Scopes: []string{"https://management.azure.com/.default"}})
	ok(w, err)
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Token, ".")[1])
	ok(w, err)
	var claims map[string]any
	ok(w, json.Unmarshal(body, &claims))
	value, _ := claims[name].(string)
	return value
}

// identity makes a user-assigned identity.
func (w *world) identity() armmsi.Identity {
	w.Helper()
	c, err := armmsi.NewUserAssignedIdentitiesClient(w.subscription, w.credential, nil)
	ok(w, err)
	made, err := c.CreateOrUpdate(w.Context(), w.group, "worker-"+randomName(), armmsi.Identity{Location: to.Ptr(region)}, nil)
	ok(w, err)
	return made.Identity
}

func (w *world) vaults() *armkeyvault.VaultsClient {
	w.Helper()
	c, err := armkeyvault.NewVaultsClient(w.subscription, w.credential, nil)
	ok(w, err)
	return c
}

// vault makes a vault with soft delete, purge protection and all rights in it for us.
func (w *world) vault() (name string, keys *azkeys.Client) {
	w.Helper()
	name = "v" + randomName()
	poller, err := w.vaults().BeginCreateOrUpdate(w.Context(), w.group, name, armkeyvault.VaultCreateOrUpdateParameters{
		Location: to.Ptr(region),
		Properties: &armkeyvault.VaultProperties{
			TenantID: &w.tenant, SKU: &armkeyvault.SKU{Family: to.Ptr(armkeyvault.SKUFamilyA), Name: to.Ptr(armkeyvault.SKUNameStandard)},
			EnablePurgeProtection: to.Ptr(true), EnableRbacAuthorization: to.Ptr(false),
			AccessPolicies: []*armkeyvault.AccessPolicyEntry{w.entry(w.object, armkeyvault.KeyPermissionsAll)},
		},
	}, nil)
	ok(w, err)
	made, err := poller.PollUntilDone(w.Context(), poll)
	ok(w, err)
	keys, err = azkeys.NewClient(*made.Properties.VaultURI, w.credential, nil)
	ok(w, err)
	return name, keys
}

// entry is the line of an access policy for one principal.
func (w *world) entry(object string, permissions ...armkeyvault.KeyPermissions) *armkeyvault.AccessPolicyEntry {
	e := &armkeyvault.AccessPolicyEntry{TenantID: &w.tenant, ObjectID: &object, Permissions: &armkeyvault.Permissions{}}
	for _, p := range permissions {
		e.Permissions.Keys = append(e.Permissions.Keys, to.Ptr(p))
	}
	return e
}

// allow lets a principal use the keys of a vault, or takes that away again.
func (w *world) allow(vault, object string, kind armkeyvault.AccessPolicyUpdateKind) {
	w.Helper()
	_, err := w.vaults().UpdateAccessPolicy(w.Context(), w.group, vault, kind, armkeyvault.VaultAccessPolicyParameters{
		Properties: &armkeyvault.VaultAccessPolicyProperties{AccessPolicies: []*armkeyvault.AccessPolicyEntry{
			w.entry(object, armkeyvault.KeyPermissionsGet, armkeyvault.KeyPermissionsWrapKey, armkeyvault.KeyPermissionsUnwrapKey),
		}},
	}, nil)
	ok(w, err)
}

// key makes an RSA key, or a new version of it, and returns its identifier.
func (w *world) key(keys *azkeys.Client, name string) string {
	w.Helper()
	made, err := keys.CreateKey(w.Context(), name, azkeys.CreateKeyParameters{Kty: to.Ptr(azkeys.KeyTypeRSA), KeySize: to.Ptr[int32](2048)}, nil)
	ok(w, err)
	return string(*made.Key.KID)
}

func (w *world) accounts() *armbatch.AccountClient {
	w.Helper()
	c, err := armbatch.NewAccountClient(w.subscription, w.credential, nil)
	ok(w, err)
	return c
}

// account makes a Batch account with an identity of its own.
func (w *world) account() armbatch.Account {
	w.Helper()
	return w.accountWith(armbatch.AccountCreateParameters{
		Location: to.Ptr(region), Identity: &armbatch.AccountIdentity{Type: to.Ptr(armbatch.ResourceIdentityTypeSystemAssigned)},
	})
}

func (w *world) accountWith(in armbatch.AccountCreateParameters) armbatch.Account {
	w.Helper()
	poller, err := w.accounts().BeginCreate(w.Context(), w.group, randomName(), in, nil)
	ok(w, err)
	made, err := poller.PollUntilDone(w.Context(), poll)
	ok(w, err)
	return made.Account
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused checks that a call was refused as the service says it is.
func refused(t testing.TB, err error, status int, code string) {
	t.Helper()
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) || answer.StatusCode != status || answer.ErrorCode != code {
		t.Fatalf("the answer is %v, want %d %s", err, status, code)
	}
}

// pages reads a list to its end.
func pages[P any](t testing.TB, pager *runtime.Pager[P]) []P {
	t.Helper()
	var all []P
	for pager.More() {
		page, err := pager.NextPage(t.Context())
		ok(t, err)
		all = append(all, page)
	}
	return all
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so within 20 s", what)
		}
	}
}
