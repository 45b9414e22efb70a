package compat

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/msi/armmsi"
)

func TestUserAssignedIdentities(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.identity()
	c, err := armmsi.NewUserAssignedIdentitiesClient(w.subscription, w.credential, nil)
	ok(t, err)
	_, err = c.Update(t.Context(), w.group, *made.Name, armmsi.IdentityUpdate{Tags: map[string]*string{"a": to.Ptr("b")}}, nil)
	ok(t, err)
	got, err := c.Get(t.Context(), w.group, *made.Name, nil)
	ok(t, err)
	if *got.Properties.PrincipalID != *made.Properties.PrincipalID || *got.Properties.ClientID == "" || *got.Properties.TenantID != w.tenant ||
		*got.Tags["a"] != "b" {
		t.Errorf("the identity is %+v, was made as %+v", got.Identity, made)
	}
	count := 0
	for _, page := range pages(t, c.NewListByResourceGroupPager(w.group, nil)) {
		count += len(page.Value)
	}
	if count != 1 {
		t.Errorf("the group has %d identities, want 1", count)
	}
	_, err = c.Delete(t.Context(), w.group, *made.Name, nil)
	ok(t, err)
	_, err = c.Get(t.Context(), w.group, *made.Name, nil)
	refused(t, err, 404, "ResourceNotFound")
}
