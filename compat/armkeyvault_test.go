package compat

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/keyvault/armkeyvault"
)

func TestVaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.vaults()
	name, _ := w.vault()
	object := *w.identity().Properties.PrincipalID
	w.allow(name, object, armkeyvault.AccessPolicyUpdateKindAdd)
	got, err := c.Get(t.Context(), w.group, name, nil)
	ok(t, err)
	p := got.Properties
	if !*p.EnableSoftDelete || !*p.EnablePurgeProtection || *p.EnableRbacAuthorization || *p.SoftDeleteRetentionInDays != 90 ||
		len(p.AccessPolicies) != 2 || *p.VaultURI != "https://"+name+".vault.azure.net/" {
		t.Errorf("the vault is %+v", p)
	}
	w.allow(name, object, armkeyvault.AccessPolicyUpdateKindRemove)
	got, err = c.Get(t.Context(), w.group, name, nil)
	ok(t, err)
	if n := len(got.Properties.AccessPolicies); n != 1 {
		t.Errorf("after a removal there are %d policies, want 1", n)
	}
	_, err = c.Update(t.Context(), w.group, name, armkeyvault.VaultPatchParameters{
		Properties: &armkeyvault.VaultPatchProperties{EnablePurgeProtection: to.Ptr(false)},
	}, nil)
	refused(t, err, 400, "BadRequest")
	free, err := c.CheckNameAvailability(t.Context(), armkeyvault.VaultCheckNameAvailabilityParameters{
		Name: &name, Type: to.Ptr("Microsoft.KeyVault/vaults"),
	}, nil)
	ok(t, err)
	if *free.NameAvailable || *free.Reason != armkeyvault.ReasonAlreadyExists {
		t.Errorf("a taken name is %+v", free)
	}

	_, err = c.Delete(t.Context(), w.group, name, nil)
	ok(t, err)
	gone, err := c.GetDeleted(t.Context(), name, region, nil)
	ok(t, err)
	if gone.Properties.ScheduledPurgeDate == nil || !*gone.Properties.PurgeProtectionEnabled {
		t.Errorf("the deleted vault is %+v", gone.Properties)
	}
	_, err = c.BeginPurgeDeleted(t.Context(), name, region, nil)
	refused(t, err, 405, "MethodNotAllowed")
	poller, err := c.BeginCreateOrUpdate(t.Context(), w.group, name, armkeyvault.VaultCreateOrUpdateParameters{
		Location: to.Ptr(region),
		Properties: &armkeyvault.VaultProperties{
			TenantID: &w.tenant, SKU: &armkeyvault.SKU{Family: to.Ptr(armkeyvault.SKUFamilyA), Name: to.Ptr(armkeyvault.SKUNameStandard)},
			CreateMode: to.Ptr(armkeyvault.CreateModeRecover),
		},
	}, nil)
	ok(t, err)
	_, err = poller.PollUntilDone(t.Context(), poll)
	ok(t, err)
}
