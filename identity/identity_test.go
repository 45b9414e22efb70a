package identity_test

import (
	"context"
	"sync"
	"testing"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
)

func TestLaterStartsFindTheDirectoryAgain(t *testing.T) {
	t.Parallel()
	on := newDisk(t)
	s, done := on.open(t)
	d := mustOpen(t, s, "")
	first := d.Bootstrap()
	if !first.Fresh || len(first.Secret) < 32 {
		t.Errorf("first start: got %+v, want a fresh secret of 32 characters or more", first)
	}
	token := mustToken(t, d)
	m := mustIdentity(t, d, "id1")
	system, err := d.SystemIdentity(t.Context(), resource.New(d.Subscription(), "g1", "Microsoft.Batch", "batchAccounts", "acct1"))
	if err != nil {
		t.Fatal(err)
	}
	done()

	s, done = on.open(t)
	defer done()
	d = mustOpen(t, s, first.Secret)
	again := d.Bootstrap()
	want := first
	want.Fresh = false
	if again != want {
		t.Errorf("second start: got %+v, want %+v", again, want)
	}
	if _, err := d.Authenticate(t.Context(), "Bearer "+token, []string{arm}); err != nil {
		t.Errorf("a token from before the restart: got %v, want it to work", err)
	}
	wants(t, d.Require(t.Context(), mustCaller(t, d), "Microsoft.Batch/batchAccounts/write", "/subscriptions/"+d.Subscription()), nil)
	if got, err := d.Identity(t.Context(), m.ResourceID); err != nil || got.PrincipalID != m.PrincipalID || got.ETag != m.ETag {
		t.Errorf("Identity = %+v, %v, want %+v", got, err, m)
	}
	if got, err := d.SystemIdentity(t.Context(), system.ResourceID); err != nil || got.PrincipalID != system.PrincipalID {
		t.Errorf("SystemIdentity = %+v, %v, want %+v", got, err, system)
	}
}

func TestALostSecretIsReplaced(t *testing.T) {
	t.Parallel()
	on := newDisk(t)
	s, done := on.open(t)
	first := mustOpen(t, s, "").Bootstrap()
	done()
	s, done = on.open(t)
	defer done()
	d := mustOpen(t, s, "")
	b := d.Bootstrap()
	if !b.Fresh || b.Secret == first.Secret || b.ClientID != first.ClientID {
		t.Errorf("got %+v, want a new secret for %s", b, first.ClientID)
	}
	if _, err := d.CheckSecret(t.Context(), b.ClientID, first.Secret); err != identity.ErrWrongSecret {
		t.Errorf("the old secret: got %v, want %v", err, identity.ErrWrongSecret)
	}
	if _, err := d.CheckSecret(t.Context(), b.ClientID, b.Secret); err != nil {
		t.Errorf("the new secret: got %v, want it to work", err)
	}
}

// Two directories over one store are two servers over one database.
func TestAChangeIsSeenByEveryDirectoryOverTheStore(t *testing.T) {
	t.Parallel()
	s, done := newDisk(t).open(t)
	defer done()
	a := mustOpen(t, s, "")
	b := mustOpen(t, s, a.Bootstrap().Secret)
	app, secret, err := a.CreateApplication(t.Context(), "app1")
	if err != nil {
		t.Fatal(err)
	}
	token, err := b.ApplicationToken(t.Context(), app.ClientID, secret, arm)
	if err != nil {
		t.Fatal(err)
	}
	who, err := b.Authenticate(t.Context(), "Bearer "+token.Value, []string{arm})
	if err != nil {
		t.Fatal(err)
	}
	scope := "/subscriptions/" + a.Subscription()
	wants(t, b.Require(t.Context(), who, "Microsoft.Batch/batchAccounts/read", scope), fault.AuthorizationFailed)
	assigned, _, err := a.AssignRole(t.Context(), "", identity.RoleAssignment{
		Name: resource.NewGUID(), Scope: scope, RoleID: identity.RoleReader, PrincipalID: app.ObjectID,
	})
	if err != nil {
		t.Fatal(err)
	}
	wants(t, b.Require(t.Context(), who, "Microsoft.Batch/batchAccounts/read", scope), nil)
	if _, err := a.RemoveRole(t.Context(), scope, assigned.Name); err != nil {
		t.Fatal(err)
	}
	wants(t, b.Require(t.Context(), who, "Microsoft.Batch/batchAccounts/read", scope), fault.AuthorizationFailed)
	if err := a.DeleteApplication(t.Context(), app.ClientID); err != nil {
		t.Fatal(err)
	}
	_, err = b.Authenticate(t.Context(), "Bearer "+token.Value, []string{arm})
	wants(t, err, fault.InvalidToken)
}

func TestChangesAtOnceAllArrive(t *testing.T) {
	t.Parallel()
	s, done := newDisk(t).open(t)
	defer done()
	a := mustOpen(t, s, "")
	b := mustOpen(t, s, a.Bootstrap().Secret)
	const each = 20
	var wg sync.WaitGroup
	for _, d := range []*identity.Directory{a, b} {
		for i := range each {
			wg.Go(func() {
				// The same resource from both sides: one of them makes it.
				id := resource.New(d.Subscription(), "g1", "Microsoft.Batch", "batchAccounts", "acct"+string(rune('a'+i)))
				if _, err := d.SystemIdentity(context.Background(), id); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	inA, err := a.Principals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	inB, err := b.Principals(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(inA) != each+1 {
		t.Errorf("got %d principals, want %d", len(inA), each+1)
	}
	for i := range inA {
		if inA[i] != inB[i] {
			t.Errorf("principal %d: one side has %+v, the other %+v", i, inA[i], inB[i])
		}
	}
}

func TestOwnCloudHasItsOwnDomainAndIssuer(t *testing.T) {
	t.Parallel()
	s, done := newDisk(t).open(t)
	defer done()
	d, err := identity.Open(t.Context(), identity.Config{Store: s, Cloud: resource.Own("cloud.example:8443")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Domain(), "cloud.example"; got != want {
		t.Errorf("Domain() = %q, want %q", got, want)
	}
	if got, want := d.Issuer(), "https://login.cloud.example:8443/"+d.Tenant()+"/v2.0"; got != want {
		t.Errorf("Issuer() = %q, want %q", got, want)
	}
	for name, want := range map[string]bool{
		"https://management.cloud.example:8443/": true,
		"https://management.cloud.example:8443":  true,
		"https://vault.cloud.example:8443":       true,
		"https://VAULT.azure.net//":              true,
		"https://batch.cloud.example:8443/":      true,
		"https://management.azure.com/":          false,
		"https://elsewhere.example":              false,
		"":                                       false,
	} {
		if got := d.KnowsAudience(name); got != want {
			t.Errorf("KnowsAudience(%q) = %v, want %v", name, got, want)
		}
	}
}
