package subscription_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/subscription"
)

func TestGroupIsFoundInAnyCaseAndKeepsItsOwn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	g, created, err := w.PutGroup(t.Context(), w.owner, subscription.Group{
		Subscription: w.sub, Name: "MyGroup", Location: "West US 2", Tags: map[string]string{"Env": "x"},
	})
	if err != nil || !created || g.Location != "westus2" {
		t.Fatalf("PutGroup = %+v, %v, %v, want a new group in westus2", g, created, err)
	}
	g, created, err = w.PutGroup(t.Context(), w.owner, subscription.Group{Subscription: w.sub, Name: "mygroup", Location: "westus2"})
	if err != nil || created || g.Name != "MyGroup" || len(g.Tags) != 0 {
		t.Errorf("PutGroup again = %+v, %v, %v, want MyGroup, not created, without tags", g, created, err)
	}
	_, _, err = w.PutGroup(t.Context(), w.owner, subscription.Group{Subscription: w.sub, Name: "MYGROUP", Location: "eastus"})
	if !errors.Is(err, fault.GroupLocationConflict) {
		t.Errorf("PutGroup elsewhere = %v, want %v", err, fault.GroupLocationConflict)
	}
	if _, err := w.ReadGroup(t.Context(), w.owner, strings.ToUpper(w.sub), "mYgRoUp"); err != nil {
		t.Errorf("ReadGroup in another case = %v", err)
	}
}

func TestDeletingAGroupTakesItsMembersAndItsRoles(t *testing.T) {
	t.Parallel()
	w := setup(t)
	g := w.mustGroup(t, "g1")
	w.mustGroup(t, "g10")
	for _, name := range []string{"one", "two", "three"} {
		w.mustIdentity(t, "G1", name)
	}
	other := w.mustIdentity(t, "g10", "four")
	reader := w.caller(t, "reader", identity.RoleReader, g.ID())

	op, err := w.DeleteGroup(t.Context(), w.owner, w.sub, "g1")
	if err != nil {
		t.Fatal(err)
	}
	if op = w.ended(t, op.ID); op.Status != subscription.Succeeded {
		t.Fatalf("the deletion ended %s with %v, want %s", op.Status, op.Fault, subscription.Succeeded)
	}
	if _, err := w.Group(t.Context(), w.sub, "g1"); !errors.Is(err, fault.GroupNotFound) {
		t.Errorf("Group(g1) = %v, want %v", err, fault.GroupNotFound)
	}
	left, err := w.directory.Identities(t.Context(), "/subscriptions/"+w.sub+"/resourceGroups/g1")
	if err != nil || len(left) != 0 {
		t.Errorf("identities left in g1: %v, %v, want none", left, err)
	}
	if _, err := w.directory.Identity(t.Context(), other.ResourceID); err != nil {
		t.Errorf("the identity of g10 went with g1: %v", err)
	}
	// A group of the same name is another group: old roles do not hold on it.
	w.mustGroup(t, "g1")
	if _, err := w.ReadGroup(t.Context(), reader, w.sub, "g1"); !errors.Is(err, fault.AuthorizationFailed) {
		t.Errorf("ReadGroup by a reader of the old group = %v, want %v", err, fault.AuthorizationFailed)
	}
}

func TestGroupThatIsBeingDeletedTakesNothingNew(t *testing.T) {
	t.Parallel()
	held := &stubborn{asked: make(chan struct{})}
	w, done := newDisk(t).open(t, false, held)
	t.Cleanup(done)
	g := w.mustGroup(t, "g1")
	first, err := w.DeleteGroup(t.Context(), w.owner, w.sub, "g1")
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.DeleteGroup(t.Context(), w.owner, w.sub, "g1")
	if err != nil || again.ID != first.ID {
		t.Errorf("DeleteGroup again = %v, %v, want operation %s", again.ID, err, first.ID)
	}
	_, _, err = w.PutGroup(t.Context(), w.owner, g)
	if !errors.Is(err, fault.GroupBeingDeleted) {
		t.Errorf("PutGroup = %v, want %v", err, fault.GroupBeingDeleted)
	}
	_, err = w.ChangeGroup(t.Context(), w.owner, w.sub, "g1", subscription.GroupChange{})
	if !errors.Is(err, fault.GroupBeingDeleted) {
		t.Errorf("ChangeGroup = %v, want %v", err, fault.GroupBeingDeleted)
	}
	if got, err := w.ReadGroup(t.Context(), w.owner, w.sub, "g1"); err != nil || !got.Deleting {
		t.Errorf("ReadGroup = %+v, %v, want a group that is being deleted", got, err)
	}
}

func TestGroupThatCannotBeEmptiedStays(t *testing.T) {
	t.Parallel()
	held := &stubborn{}
	w := setup(t, held)
	g := w.mustGroup(t, "g1")
	held.id = g.ID() + "/providers/Microsoft.Batch/batchAccounts/a1"
	m := w.mustIdentity(t, "g1", "used-by-a1")

	op, err := w.DeleteGroup(t.Context(), w.owner, w.sub, "g1")
	if err != nil {
		t.Fatal(err)
	}
	op = w.ended(t, op.ID)
	if op.Status != subscription.Failed || op.Fault == nil || op.Fault.Code.Name != "ResourceGroupDeletionBlocked" || !strings.Contains(op.Fault.Message, held.id) {
		t.Fatalf("the deletion ended %s with %v, want ResourceGroupDeletionBlocked that names %s", op.Status, op.Fault, held.id)
	}
	if _, err := w.directory.Identity(t.Context(), m.ResourceID); err != nil {
		t.Errorf("what comes behind the account went before it: %v", err)
	}
	if _, _, err := w.PutGroup(t.Context(), w.owner, g); err != nil {
		t.Errorf("PutGroup after the deletion failed = %v, want a usable group", err)
	}
}

func TestListsShowWhatACallerMayRead(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, name := range []string{"g3", "g1", "g2"} {
		w.mustGroup(t, name)
		w.mustIdentity(t, name, "id-"+name)
	}
	one := w.caller(t, "one", identity.RoleReader, resource.GroupID(w.sub, "g2"))
	nobody := identity.Caller{ObjectID: resource.NewGUID()}
	for _, test := range []struct {
		name   string
		who    identity.Caller
		groups []string
		subs   int
		ids    int
	}{
		{"the owner sees all, the oldest first", w.owner, []string{"g3", "g1", "g2"}, 1, 4},
		{"a reader of one group sees it", one, []string{"g2"}, 1, 1},
		{"somebody without a role sees nothing", nobody, nil, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			groups, err := w.Groups(t.Context(), test.who, w.sub, subscription.Filter{})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, g := range groups {
				names = append(names, g.Name)
			}
			if !slices.Equal(names, test.groups) {
				t.Errorf("Groups = %v, want %v", names, test.groups)
			}
			subs, err := w.Subscriptions(t.Context(), test.who)
			if err != nil || len(subs) != test.subs {
				t.Errorf("Subscriptions = %v, %v, want %d", subs, err, test.subs)
			}
			all, err := w.Resources(t.Context(), test.who, "/subscriptions/"+w.sub, subscription.Filter{})
			if err != nil || len(all) != test.ids {
				t.Errorf("Resources = %v, %v, want %d", all, err, test.ids)
			}
		})
	}
}

func TestGroupNames(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, want := range map[string]*fault.Code{
		"a":                      nil,
		"A-b_c.(d)":              nil,
		"Größe":                  nil,
		strings.Repeat("x", 90):  nil,
		strings.Repeat("x", 91):  fault.GroupNameInvalid,
		"":                       fault.GroupNameInvalid,
		"ends.":                  fault.GroupNameInvalid,
		"a b":                    fault.GroupNameInvalid,
		"a/b":                    fault.GroupNameInvalid,
		"a#b":                    fault.GroupNameInvalid,
		"a\x00b":                 fault.GroupNameInvalid,
		"<script>":               fault.GroupNameInvalid,
		strings.Repeat("ü", 90):  nil,
		"name\nwith a line feed": fault.GroupNameInvalid,
	} {
		_, _, err := w.PutGroup(t.Context(), w.owner, subscription.Group{Subscription: w.sub, Name: name, Location: "eastus"})
		if want == nil && err != nil || want != nil && !errors.Is(err, want) {
			t.Errorf("PutGroup(%q) = %v, want %v", name, err, want)
		}
	}
}
