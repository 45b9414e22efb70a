package identity_test

import (
	"strings"
	"testing"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
)

func TestUserAssignedIdentities(t *testing.T) {
	t.Parallel()
	d := setup(t)
	in := identity.ManagedIdentity{
		ResourceID: resource.New(d.Subscription(), "Group1", "Microsoft.ManagedIdentity", "userAssignedIdentities", "Id-1"),
		Location:   "westus2", Tags: map[string]string{"a": "b"},
	}
	m, created, err := d.CreateIdentity(t.Context(), in)
	if err != nil || !created {
		t.Fatalf("CreateIdentity = %+v, %v, %v", m, created, err)
	}
	if m.Name != "Id-1" || m.TenantID != d.Tenant() || !resource.IsGUID(m.PrincipalID) || !resource.IsGUID(m.ClientID) || m.PrincipalID == m.ClientID || m.System {
		t.Errorf("got %+v", m)
	}
	// Again, with other tags, the location as a person writes it, the id in another case.
	in.Location, in.Tags, in.ResourceID = "West US 2", map[string]string{"c": "d"}, strings.ToUpper(in.ResourceID)
	again, created, err := d.CreateIdentity(t.Context(), in)
	if err != nil || created || again.PrincipalID != m.PrincipalID || again.ResourceID != m.ResourceID || again.Tags["c"] != "d" || again.Tags["a"] != "" || again.ETag == m.ETag {
		t.Errorf("again: got %+v, %v, %v", again, created, err)
	}
	in.Location = "eastus"
	_, _, err = d.CreateIdentity(t.Context(), in)
	wants(t, err, fault.LocationConflict)
	tagged, err := d.TagIdentity(t.Context(), m.ResourceID, nil)
	if err != nil || len(tagged.Tags) != 0 || tagged.PrincipalID != m.PrincipalID {
		t.Errorf("TagIdentity = %+v, %v", tagged, err)
	}
	for _, selector := range []string{m.ResourceID, strings.ToLower(m.ResourceID), m.ClientID, m.PrincipalID, strings.ToUpper(m.PrincipalID), "id-1"} {
		found, ok, err := d.FindIdentity(t.Context(), selector)
		if err != nil || !ok || found.PrincipalID != m.PrincipalID {
			t.Errorf("FindIdentity(%q) = %+v, %v, %v", selector, found, ok, err)
		}
	}
	for _, selector := range []string{"", "id-2", resource.NewGUID(), "/subscriptions/x", d.Bootstrap().ClientID, "latchkey-owner"} {
		if found, ok, err := d.FindIdentity(t.Context(), selector); ok || err != nil {
			t.Errorf("FindIdentity(%q) = %+v, %v, want none", selector, found, err)
		}
	}
	for scope, want := range map[string]int{
		"/subscriptions/" + d.Subscription():         1,
		resource.GroupID(d.Subscription(), "GROUP1"): 1,
		resource.GroupID(d.Subscription(), "group"):  0,
		"/subscriptions/" + resource.NewGUID():       0,
	} {
		if got, err := d.Identities(t.Context(), scope); err != nil || len(got) != want {
			t.Errorf("Identities(%s) = %v, %v, want %d", scope, got, err, want)
		}
	}
	if err := d.DeleteIdentity(t.Context(), strings.ToLower(m.ResourceID)); err != nil {
		t.Fatal(err)
	}
	wants(t, d.DeleteIdentity(t.Context(), m.ResourceID), fault.NotFound)
	_, err = d.Identity(t.Context(), m.ResourceID)
	wants(t, err, fault.NotFound)
	_, err = d.TagIdentity(t.Context(), m.ResourceID, nil)
	wants(t, err, fault.NotFound)
}

func TestANameOfTwoIdentitiesMeansNeither(t *testing.T) {
	t.Parallel()
	d := setup(t)
	mustIdentity(t, d, "id1")
	if _, _, err := d.CreateIdentity(t.Context(), identity.ManagedIdentity{
		ResourceID: resource.New(d.Subscription(), "g2", "Microsoft.ManagedIdentity", "userAssignedIdentities", "ID1"), Location: "westus2",
	}); err != nil {
		t.Fatal(err)
	}
	if m, ok, _ := d.FindIdentity(t.Context(), "id1"); ok {
		t.Errorf("got %+v, want none", m)
	}
}

func TestBadIdentitiesAreRefused(t *testing.T) {
	t.Parallel()
	d := setup(t)
	many := map[string]string{}
	for len(many) <= 50 {
		many[resource.NewGUID()] = ""
	}
	id := func(name string) string {
		return resource.New(d.Subscription(), "g1", "Microsoft.ManagedIdentity", "userAssignedIdentities", name)
	}
	for name, c := range map[string]struct {
		in   identity.ManagedIdentity
		want *fault.Code
	}{
		"no id":           {identity.ManagedIdentity{Location: "westus2"}, fault.InvalidParameter},
		"another type":    {identity.ManagedIdentity{ResourceID: resource.New(d.Subscription(), "g1", "Microsoft.Batch", "batchAccounts", "a1"), Location: "westus2"}, fault.InvalidParameter},
		"short name":      {identity.ManagedIdentity{ResourceID: id("ab"), Location: "westus2"}, fault.InvalidResourceName},
		"long name":       {identity.ManagedIdentity{ResourceID: id(strings.Repeat("a", 129)), Location: "westus2"}, fault.InvalidResourceName},
		"bad letter":      {identity.ManagedIdentity{ResourceID: id("a.bc"), Location: "westus2"}, fault.InvalidResourceName},
		"hyphen in front": {identity.ManagedIdentity{ResourceID: id("-abc"), Location: "westus2"}, fault.InvalidResourceName},
		"no location":     {identity.ManagedIdentity{ResourceID: id("abc")}, fault.LocationRequired},
		"isolation":       {identity.ManagedIdentity{ResourceID: id("abc"), Location: "westus2", IsolationScope: "Full"}, fault.InvalidParameter},
		"many tags":       {identity.ManagedIdentity{ResourceID: id("abc"), Location: "westus2", Tags: many}, fault.InvalidParameter},
		"bad tag":         {identity.ManagedIdentity{ResourceID: id("abc"), Location: "westus2", Tags: map[string]string{"a/b": ""}}, fault.InvalidParameter},
		"long tag":        {identity.ManagedIdentity{ResourceID: id("abc"), Location: "westus2", Tags: map[string]string{"a": strings.Repeat("x", 257)}}, fault.InvalidParameter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := d.CreateIdentity(t.Context(), c.in)
			wants(t, err, c.want)
		})
	}
}

func TestSystemAssignedIdentitiesLiveWithTheirResource(t *testing.T) {
	t.Parallel()
	d := setup(t)
	acct := resource.New(d.Subscription(), "g1", "Microsoft.Batch", "batchAccounts", "acct1")
	first, err := d.SystemIdentity(t.Context(), acct)
	if err != nil || !first.System || first.Name != "acct1" {
		t.Fatalf("SystemIdentity = %+v, %v", first, err)
	}
	again, err := d.SystemIdentity(t.Context(), strings.ToUpper(acct))
	if err != nil || again.PrincipalID != first.PrincipalID {
		t.Errorf("again: got %+v, %v, want %s", again, err, first.PrincipalID)
	}
	if list, _ := d.Identities(t.Context(), "/subscriptions/"+d.Subscription()); len(list) != 0 {
		t.Errorf("Identities = %v, want no system-assigned ones", list)
	}
	wants(t, d.DeleteIdentity(t.Context(), acct), fault.NotFound)
	for range 2 { // dropping what is not there is no failure
		if err := d.DropSystemIdentity(t.Context(), acct); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = d.IdentityToken(t.Context(), first.PrincipalID, arm)
	wants(t, err, fault.FailedIdentityOperation)
	if anew, err := d.SystemIdentity(t.Context(), acct); err != nil || anew.PrincipalID == first.PrincipalID {
		t.Errorf("anew: got %+v, %v, want another principal", anew, err)
	}
	user := mustIdentity(t, d, "id1")
	if err := d.DropSystemIdentity(t.Context(), user.ResourceID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Identity(t.Context(), user.ResourceID); err != nil {
		t.Errorf("DropSystemIdentity took a user-assigned one: %v", err)
	}
	_, err = d.SystemIdentity(t.Context(), "acct1")
	wants(t, err, fault.InvalidIdentity)
}
