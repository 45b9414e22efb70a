package compat

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
)

func TestResourceGroups(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	groups, err := armresources.NewResourceGroupsClient(w.subscription, w.credential, nil)
	ok(t, err)
	got, err := groups.Update(t.Context(), w.group, armresources.ResourceGroupPatchable{Tags: map[string]*string{"owner": to.Ptr("me")}}, nil)
	ok(t, err)
	if *got.Location != region || *got.Tags["owner"] != "me" || *got.Properties.ProvisioningState != "Succeeded" {
		t.Errorf("the group is %+v", got)
	}
	there, err := groups.CheckExistence(t.Context(), w.group, nil)
	ok(t, err)
	absent, err := groups.CheckExistence(t.Context(), w.group+"-not", nil)
	ok(t, err)
	if !there.Success || absent.Success {
		t.Errorf("existence is %v and %v, want true and false", there.Success, absent.Success)
	}
	_, err = groups.Get(t.Context(), w.group+"-not", nil)
	refused(t, err, 404, "ResourceGroupNotFound")

	w.identity()
	resources, err := armresources.NewClient(w.subscription, w.credential, nil)
	ok(t, err)
	var members []string
	for _, page := range pages(t, resources.NewListByResourceGroupPager(w.group, nil)) {
		for _, r := range page.Value {
			members = append(members, *r.Type)
		}
	}
	if len(members) != 1 || members[0] != "Microsoft.ManagedIdentity/userAssignedIdentities" {
		t.Errorf("the group's members are %q", members)
	}
	providers, err := armresources.NewProvidersClient(w.subscription, w.credential, nil)
	ok(t, err)
	registered, err := providers.Register(t.Context(), "Microsoft.Batch", nil)
	ok(t, err)
	if *registered.RegistrationState != "Registered" || len(registered.ResourceTypes) == 0 {
		t.Errorf("the provider is %+v", registered)
	}
}
