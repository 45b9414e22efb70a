package identity_test

import (
	"testing"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
)

// caller makes a managed identity with a role at a scope and returns it as a caller.
func caller(t *testing.T, d *identity.Directory, name, role, scope string) identity.Caller {
	t.Helper()
	m := mustIdentity(t, d, name)
	if role != "" {
		mustAssign(t, d, m.PrincipalID, role, scope)
	}
	return identity.Caller{Tenant: d.Tenant(), ObjectID: m.PrincipalID, AppID: m.ClientID, Kind: identity.KindManaged}
}

func mustAssign(t *testing.T, d *identity.Directory, principal, role, scope string) identity.RoleAssignment {
	t.Helper()
	a, _, err := d.AssignRole(t.Context(), d.Bootstrap().ObjectID, identity.RoleAssignment{
		Name: resource.NewGUID(), Scope: scope, RoleID: role, PrincipalID: principal,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRolesDecide(t *testing.T) {
	t.Parallel()
	d := setup(t)
	sub := "/subscriptions/" + d.Subscription()
	group := sub + "/resourceGroups/g1"
	acct := group + "/providers/Microsoft.Batch/batchAccounts/a1"
	vault := group + "/providers/Microsoft.KeyVault/vaults/v1"

	who := map[string]identity.Caller{
		"owner":              caller(t, d, "owner", identity.RoleOwner, sub),
		"contributor":        caller(t, d, "contributor", identity.RoleContributor, sub),
		"reader":             caller(t, d, "reader", identity.RoleReader, sub),
		"access admin":       caller(t, d, "accessadmin", identity.RoleUserAccessAdministrator, sub),
		"group reader":       caller(t, d, "groupreader", identity.RoleReader, group),
		"account reader":     caller(t, d, "acctreader", identity.RoleReader, acct),
		"vault admin":        caller(t, d, "vaultadmin", identity.RoleKeyVaultAdministrator, vault),
		"crypto officer":     caller(t, d, "officer", identity.RoleKeyVaultCryptoOfficer, vault),
		"crypto user":        caller(t, d, "cryptouser", identity.RoleKeyVaultCryptoUser, vault),
		"encryption user":    caller(t, d, "encryptionuser", identity.RoleKeyVaultServiceEncryption, vault),
		"vault reader":       caller(t, d, "vaultreader", identity.RoleKeyVaultReader, vault),
		"nobody":             caller(t, d, "nobody", "", ""),
		"account key":        {Kind: identity.KindAccountKey, Account: acct},
		"another's key":      {Kind: identity.KindAccountKey, Account: group + "/providers/Microsoft.Batch/batchAccounts/a"},
		"nobody at all":      {},
		"group, in capitals": caller(t, d, "capitals", identity.RoleReader, sub+"/RESOURCEGROUPS/G1"),
	}
	const (
		write  = "Microsoft.Batch/batchAccounts/write"
		read   = "Microsoft.Batch/batchAccounts/read"
		keys   = "Microsoft.Batch/batchAccounts/listKeys/action"
		grant  = "Microsoft.Authorization/roleAssignments/write"
		task   = "Microsoft.Batch/batchAccounts/tasks/write"
		look   = "Microsoft.Batch/batchAccounts/tasks/read"
		wrap   = "Microsoft.KeyVault/vaults/keys/wrap/action"
		create = "Microsoft.KeyVault/vaults/keys/create/action"
		get    = "Microsoft.KeyVault/vaults/keys/read"
	)
	for _, c := range []struct {
		data          bool
		action, scope string
		may           []string
	}{
		{false, write, acct, []string{"owner", "contributor"}},
		{false, write, sub, []string{"owner", "contributor"}},
		{false, keys, acct, []string{"owner", "contributor"}},
		{false, grant, acct, []string{"owner", "access admin"}},
		{false, "microsoft.authorization/ROLEASSIGNMENTS/delete", acct, []string{"owner", "access admin"}},
		{false, read, acct, []string{"owner", "contributor", "reader", "access admin", "group reader", "account reader", "group, in capitals"}},
		{false, read, group, []string{"owner", "contributor", "reader", "access admin", "group reader", "group, in capitals"}},
		{false, read, sub, []string{"owner", "contributor", "reader", "access admin"}},
		{false, read, sub + "/resourceGroups/g10", []string{"owner", "contributor", "reader", "access admin"}},
		{false, read, "/subscriptions/" + resource.NewGUID(), nil},
		{true, task, acct, []string{"owner", "contributor", "account key"}},
		{true, look, acct, []string{"owner", "contributor", "reader", "access admin", "group reader", "account reader", "group, in capitals", "account key"}},
		{true, wrap, vault, []string{"vault admin", "crypto officer", "crypto user", "encryption user"}},
		{true, wrap, vault + "/keys/k1", []string{"vault admin", "crypto officer", "crypto user", "encryption user"}},
		{true, create, vault, []string{"vault admin", "crypto officer"}},
		{true, get, vault, []string{"vault admin", "crypto officer", "crypto user", "encryption user", "vault reader"}},
		{false, "Microsoft.KeyVault/vaults/read", vault, []string{"owner", "contributor", "reader", "access admin", "group reader", "group, in capitals"}},
		{false, "Microsoft.KeyVault/vaults/secrets/read", vault, []string{"owner", "contributor", "reader", "access admin", "group reader", "group, in capitals", "vault admin", "crypto officer", "vault reader"}},
	} {
		may := map[string]bool{}
		for _, name := range c.may {
			may[name] = true
		}
		for name, w := range who {
			err := d.Require(t.Context(), w, c.action, c.scope)
			if c.data {
				err = d.RequireData(t.Context(), w, c.action, c.scope)
			}
			var want *fault.Code
			if !may[name] {
				want = fault.AuthorizationFailed
			}
			t.Run(name+" "+c.action, func(t *testing.T) { wants(t, err, want) })
		}
	}
}

func TestAnotherRoleMayGiveWhatOneTakesAway(t *testing.T) {
	t.Parallel()
	d := setup(t)
	sub := "/subscriptions/" + d.Subscription()
	who := caller(t, d, "id1", identity.RoleContributor, sub)
	const grant = "Microsoft.Authorization/roleAssignments/write"
	wants(t, d.Require(t.Context(), who, grant, sub), fault.AuthorizationFailed)
	a := mustAssign(t, d, who.ObjectID, identity.RoleUserAccessAdministrator, sub)
	wants(t, d.Require(t.Context(), who, grant, sub), nil)
	if _, err := d.RemoveRole(t.Context(), sub, a.Name); err != nil {
		t.Fatal(err)
	}
	wants(t, d.Require(t.Context(), who, grant, sub), fault.AuthorizationFailed)
}

func TestAssigningRoles(t *testing.T) {
	t.Parallel()
	d := setup(t)
	sub := "/subscriptions/" + d.Subscription()
	group := sub + "/resourceGroups/g1"
	m, other := mustIdentity(t, d, "id1"), mustIdentity(t, d, "id2")
	made := mustAssign(t, d, m.PrincipalID, identity.RoleReader, group)
	if made.PrincipalType != "ServicePrincipal" || made.ID() != group+"/providers/Microsoft.Authorization/roleAssignments/"+made.Name {
		t.Errorf("got %+v", made)
	}
	for name, c := range map[string]struct {
		change func(*identity.RoleAssignment)
		want   *fault.Code
	}{
		"same again":              {func(*identity.RoleAssignment) {}, nil},
		"role by its resource id": {func(a *identity.RoleAssignment) { a.RoleID = identity.RoleDefinitionID(group, a.RoleID) }, nil},
		"scope in capitals":       {func(a *identity.RoleAssignment) { a.Scope = sub + "/RESOURCEGROUPS/G1/" }, nil},
		"type given":              {func(a *identity.RoleAssignment) { a.PrincipalType = "ServicePrincipal" }, nil},
		"another name":            {func(a *identity.RoleAssignment) { a.Name = resource.NewGUID() }, fault.RoleAssignmentExists},
		"another principal":       {func(a *identity.RoleAssignment) { a.PrincipalID = other.PrincipalID }, fault.RoleAssignmentUpdate},
		"another role":            {func(a *identity.RoleAssignment) { a.RoleID = identity.RoleOwner }, fault.RoleAssignmentUpdate},
		"name is no GUID":         {func(a *identity.RoleAssignment) { a.Name = "reader" }, fault.RoleAssignmentID},
		"no scope":                {func(a *identity.RoleAssignment) { a.Scope = "" }, fault.InvalidParameter},
		"scope of somebody else":  {func(a *identity.RoleAssignment) { a.Scope = "/subscriptions/" + resource.NewGUID() }, fault.SubscriptionNotFound},
		"unknown role":            {func(a *identity.RoleAssignment) { a.RoleID = resource.NewGUID() }, fault.RoleDefinitionNotFound},
		"no role":                 {func(a *identity.RoleAssignment) { a.RoleID = "" }, fault.RoleDefinitionNotFound},
		"principal is no GUID":    {func(a *identity.RoleAssignment) { a.PrincipalID = "id1" }, fault.InvalidParameter},
		"unknown principal":       {func(a *identity.RoleAssignment) { a.PrincipalID = resource.NewGUID() }, fault.PrincipalNotFound},
		"client id for object id": {func(a *identity.RoleAssignment) { a.PrincipalID = m.ClientID }, fault.PrincipalNotFound},
		"principal is a user":     {func(a *identity.RoleAssignment) { a.PrincipalType = "User" }, fault.UnmatchedPrincipalType},
		"a condition":             {func(a *identity.RoleAssignment) { a.Condition = "1 eq 1" }, fault.InvalidParameter},
	} {
		a := identity.RoleAssignment{Name: made.Name, Scope: group, RoleID: identity.RoleReader, PrincipalID: m.PrincipalID}
		c.change(&a)
		t.Run(name, func(t *testing.T) {
			_, created, err := d.AssignRole(t.Context(), "", a)
			wants(t, err, c.want)
			if created {
				t.Error("it was created, want it to be there already or refused")
			}
		})
	}
	again, created, err := d.AssignRole(t.Context(), "", identity.RoleAssignment{
		Name: made.Name, Scope: group, RoleID: identity.RoleReader, PrincipalID: m.PrincipalID, Description: "for the night job",
	})
	if err != nil || created || again.Description != "for the night job" || again.Created != made.Created {
		t.Errorf("a new description: got %+v, %v, %v", again, created, err)
	}
}

func TestListingRoleAssignments(t *testing.T) {
	t.Parallel()
	d := setup(t)
	sub := "/subscriptions/" + d.Subscription()
	group := sub + "/resourceGroups/g1"
	acct := group + "/providers/Microsoft.Batch/batchAccounts/a1"
	m := mustIdentity(t, d, "id1")
	owner := d.Bootstrap().ObjectID
	mustAssign(t, d, m.PrincipalID, identity.RoleReader, group)
	mustAssign(t, d, owner, identity.RoleReader, acct)
	mustAssign(t, d, m.PrincipalID, identity.RoleReader, sub+"/resourceGroups/g2")
	for _, c := range []struct {
		scope, filter string
		want          int
	}{
		{sub, "", 4},
		{group, "", 3},
		{group, "atScope()", 2},
		{acct, "", 3},
		{acct + "/pools/p1", "atScope()", 3},
		{sub, "principalId eq '" + m.PrincipalID + "'", 2},
		{sub, "atScope() and principalId eq '" + m.PrincipalID + "'", 0},
		{group, "atScope() and assignedTo('" + m.PrincipalID + "')", 1},
		{sub, "assignedTo('" + resource.NewGUID() + "')", 0},
	} {
		f, err := identity.ParseRoleFilter(c.filter)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.RoleAssignments(t.Context(), c.scope, f)
		if err != nil || len(got) != c.want {
			t.Errorf("%s with %q: got %d assignments, %v, want %d", c.scope, c.filter, len(got), err, c.want)
		}
	}
	for _, filter := range []string{"x", "principalId eq", "principalId eq 5", "atScope() or principalId eq 'x'", "assignedTo()", "and"} {
		_, err := identity.ParseRoleFilter(filter)
		if filter == "and" {
			continue // two empty clauses ask for nothing
		}
		wants(t, err, fault.InvalidFilter)
	}
	if err := d.DropScope(t.Context(), group); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.RoleAssignments(t.Context(), sub, identity.RoleFilter{}); len(got) != 2 {
		t.Errorf("after the group is gone: got %d assignments, want 2", len(got))
	}
	if err := d.DropScope(t.Context(), sub); err == nil {
		t.Error("DropScope of the subscription: got no error")
	}
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	d := setup(t)
	sub := "/subscriptions/" + d.Subscription()
	all, err := d.RoleAssignments(t.Context(), sub, identity.RoleFilter{})
	if err != nil || len(all) != 1 {
		t.Fatalf("got %v, %v, want the owner's assignment", all, err)
	}
	_, err = d.RemoveRole(t.Context(), sub, all[0].Name)
	wants(t, err, fault.LastAdminAssignment)
	_, err = d.RemoveRole(t.Context(), sub, resource.NewGUID())
	wants(t, err, fault.RoleAssignmentNotFound)

	m := mustIdentity(t, d, "id1")
	second := mustAssign(t, d, m.PrincipalID, identity.RoleUserAccessAdministrator, sub)
	if _, err = d.RemoveRole(t.Context(), sub, all[0].Name); err != nil {
		t.Errorf("with a second administrator: got %v", err)
	}
	_, err = d.RemoveRole(t.Context(), sub, second.Name)
	wants(t, err, fault.LastAdminAssignment)
	err = d.DeleteApplication(t.Context(), d.Bootstrap().ClientID)
	wants(t, err, fault.Conflict)
}
