package compat

import (
	"strings"
	"testing"

	older "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/batch/armbatch"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/batch/armbatch/v2"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/keyvault/armkeyvault"
)

// underKey is the change that puts an account under a customer's key.
func underKey(id string) *armbatch.EncryptionProperties {
	return &armbatch.EncryptionProperties{
		KeySource: to.Ptr(armbatch.KeySourceMicrosoftKeyVault), KeyVaultProperties: &armbatch.KeyVaultProperties{KeyIdentifier: &id},
	}
}

// seal changes whose key an account is under and returns the identifier that it shows.
func (w *world) seal(account string, by *armbatch.EncryptionProperties) string {
	w.Helper()
	got, err := w.accounts().Update(w.Context(), w.group, account, armbatch.AccountUpdateParameters{
		Properties: &armbatch.AccountUpdateProperties{Encryption: by},
	}, nil)
	ok(w, err)
	if got.Properties.Encryption.KeyVaultProperties == nil {
		return ""
	}
	return *got.Properties.Encryption.KeyVaultProperties.KeyIdentifier
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.accounts()
	a := w.account()
	p := a.Properties
	if *a.Identity.PrincipalID == "" || *p.ProvisioningState != armbatch.ProvisioningStateSucceeded || *p.PoolAllocationMode != armbatch.PoolAllocationModeBatchService ||
		*p.AccountEndpoint != *a.Name+"."+region+".batch.azure.com" || *p.Encryption.KeySource != armbatch.KeySourceMicrosoftBatch {
		t.Errorf("the account is %+v", p)
	}
	keys, err := c.GetKeys(t.Context(), w.group, *a.Name, nil)
	ok(t, err)
	renewed, err := c.RegenerateKey(t.Context(), w.group, *a.Name, armbatch.AccountRegenerateKeyParameters{KeyName: to.Ptr(armbatch.AccountKeyTypePrimary)}, nil)
	ok(t, err)
	if *renewed.Primary == *keys.Primary || *renewed.Secondary != *keys.Secondary {
		t.Error("regenerating the primary key did not change it alone")
	}
	var names []string
	for _, page := range pages(t, c.NewListByResourceGroupPager(w.group, nil)) {
		for _, one := range page.Value {
			names = append(names, *one.Name)
		}
	}
	if len(names) != 1 || names[0] != *a.Name {
		t.Errorf("the group's accounts are %q, want %q", names, *a.Name)
	}
	places, err := armbatch.NewLocationClient(w.subscription, w.credential, nil)
	ok(t, err)
	free, err := places.CheckNameAvailability(t.Context(), region, armbatch.CheckNameAvailabilityParameters{
		Name: a.Name, Type: to.Ptr("Microsoft.Batch/batchAccounts"),
	}, nil)
	ok(t, err)
	if *free.NameAvailable || *free.Reason != armbatch.NameAvailabilityReasonAlreadyExists {
		t.Errorf("a taken name is %+v", free.CheckNameAvailabilityResult)
	}
	poller, err := c.BeginDelete(t.Context(), w.group, *a.Name, nil)
	ok(t, err)
	_, err = poller.PollUntilDone(t.Context(), poll)
	ok(t, err)
	_, err = c.Get(t.Context(), w.group, *a.Name, nil)
	refused(t, err, 404, "ResourceNotFound")
}

func TestAccountChangesKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account()
	vault, keys := w.vault()
	first := w.key(keys, "k")
	_, err := w.accounts().Update(t.Context(), w.group, *a.Name, armbatch.AccountUpdateParameters{
		Properties: &armbatch.AccountUpdateProperties{Encryption: underKey(first)},
	}, nil)
	refused(t, err, 400, "InvalidKeyVaultKey")
	w.allow(vault, *a.Identity.PrincipalID, armkeyvault.AccessPolicyUpdateKindAdd)
	versionless := first[:strings.LastIndex(first, "/")]
	for _, id := range []string{first, w.key(keys, "k"), w.key(keys, "other"), versionless} {
		if got := w.seal(*a.Name, underKey(id)); got != id {
			t.Errorf("the account shows the key %q, want %q", got, id)
		}
	}
	if got := w.seal(*a.Name, &armbatch.EncryptionProperties{KeySource: to.Ptr(armbatch.KeySourceMicrosoftBatch)}); got != "" {
		t.Errorf("back under the platform's key the account shows %q", got)
	}
}

func TestAccountIsMadeUnderAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vault, keys := w.vault()
	key, id := w.key(keys, "k"), w.identity()
	w.allow(vault, *id.Properties.PrincipalID, armkeyvault.AccessPolicyUpdateKindAdd)
	in := armbatch.AccountCreateParameters{
		Location: to.Ptr(region),
		Identity: &armbatch.AccountIdentity{
			Type:                   to.Ptr(armbatch.ResourceIdentityTypeUserAssigned),
			UserAssignedIdentities: map[string]*armbatch.UserAssignedIdentities{*id.ID: {}},
		},
		Properties: &armbatch.AccountCreateProperties{Encryption: underKey(key)},
	}
	a := w.accountWith(in)
	users := a.Identity.UserAssignedIdentities
	if got := *a.Properties.Encryption.KeyVaultProperties.KeyIdentifier; got != key || *users[*id.ID].PrincipalID != *id.Properties.PrincipalID {
		t.Errorf("the account is under %s with the identities %v", got, users)
	}

	bare := w.accountWith(armbatch.AccountCreateParameters{Location: to.Ptr(region)})
	_, err := w.accounts().Update(t.Context(), w.group, *bare.Name, armbatch.AccountUpdateParameters{
		Properties: &armbatch.AccountUpdateProperties{Encryption: underKey(key)},
	}, nil)
	refused(t, err, 409, "CustomerManagedKeyNotSupported")
}

func TestPoolsOfTheManagementPlane(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := *w.account().Name
	c, err := armbatch.NewPoolClient(w.subscription, w.credential, nil)
	ok(t, err)
	id := w.identity()
	in := armbatch.Pool{
		Identity: &armbatch.PoolIdentity{
			Type:                   to.Ptr(armbatch.PoolIdentityTypeUserAssigned),
			UserAssignedIdentities: map[string]*armbatch.UserAssignedIdentities{*id.ID: {}},
		},
		Properties: &armbatch.PoolProperties{
			VMSize: to.Ptr("STANDARD_D2S_V3"),
			DeploymentConfiguration: &armbatch.DeploymentConfiguration{VirtualMachineConfiguration: &armbatch.VirtualMachineConfiguration{
				ImageReference: &armbatch.ImageReference{
					Publisher: to.Ptr("canonical"), Offer: to.Ptr("0001-com-ubuntu-server-jammy"), SKU: to.Ptr("22_04-lts"), Version: to.Ptr("latest"),
				},
				NodeAgentSKUID: to.Ptr("batch.node.ubuntu 22.04"),
			}},
			ScaleSettings: &armbatch.ScaleSettings{FixedScale: &armbatch.FixedScaleSettings{TargetDedicatedNodes: to.Ptr[int32](1)}},
		},
	}
	_, err = c.Create(t.Context(), w.group, a, "p", in, nil)
	ok(t, err)
	eventually(t, "the pool has a node", func() bool {
		p, err := c.Get(t.Context(), w.group, a, "p", nil)
		ok(t, err)
		return *p.Properties.AllocationState == armbatch.AllocationStateSteady && *p.Properties.CurrentDedicatedNodes == 1
	})
	p, err := c.Update(t.Context(), w.group, a, "p", armbatch.Pool{Properties: &armbatch.PoolProperties{
		ScaleSettings: &armbatch.ScaleSettings{FixedScale: &armbatch.FixedScaleSettings{TargetDedicatedNodes: to.Ptr[int32](2)}},
	}}, nil)
	ok(t, err)
	if *p.Properties.ScaleSettings.FixedScale.TargetDedicatedNodes != 2 || p.Properties.CreationTime.After(*p.Properties.LastModified) || *p.Etag == "" {
		t.Errorf("the pool is %+v", p.Properties)
	}
	_, err = c.Update(t.Context(), w.group, a, "p", armbatch.Pool{}, &armbatch.PoolClientUpdateOptions{IfMatch: to.Ptr(`"0x1"`)})
	refused(t, err, 412, "ConditionNotMet")
	count := 0
	for _, page := range pages(t, c.NewListByBatchAccountPager(w.group, a, &armbatch.PoolClientListByBatchAccountOptions{Maxresults: to.Ptr[int32](1)})) {
		count += len(page.Value)
	}
	if count != 1 {
		t.Errorf("the account has %d pools, want 1", count)
	}
	poller, err := c.BeginDelete(t.Context(), w.group, a, "p", nil)
	ok(t, err)
	_, err = poller.PollUntilDone(t.Context(), poll)
	ok(t, err)
	_, err = c.Get(t.Context(), w.group, a, "p", nil)
	refused(t, err, 404, "PoolNotFound")
}

// The first generation of the package sends an older api-version.
func TestOlderAccountClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := older.NewAccountClient(w.subscription, w.credential, nil)
	ok(t, err)
	poller, err := c.BeginCreate(t.Context(), w.group, randomName(), older.AccountCreateParameters{
		Location: to.Ptr(region), Identity: &older.AccountIdentity{Type: to.Ptr(older.ResourceIdentityTypeSystemAssigned)},
	}, nil)
	ok(t, err)
	a, err := poller.PollUntilDone(t.Context(), poll)
	ok(t, err)
	if *a.Identity.PrincipalID == "" || *a.Properties.AccountEndpoint == "" {
		t.Errorf("the account is %+v", a.Account)
	}
}
