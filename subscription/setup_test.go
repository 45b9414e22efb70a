package subscription_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"latchkey/envelope"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
	"latchkey/subscription"
)

// A world is a service over a real store, and who owns it.
type world struct {
	*subscription.Service
	directory *identity.Directory
	sub       string
	owner     identity.Caller
	// stop ends Run and waits for it.
	stop func()
}

// A disk outlives the services that are opened on it.
type disk struct {
	dir    string
	secret []byte
}

func newDisk(t *testing.T) disk { return disk{t.TempDir(), envelope.NewSecret()} }

// open builds a world on the disk, running if run is set. close stops all of it.
func (d disk) open(t *testing.T, run bool, members ...subscription.Members) (w world, close func()) {
	t.Helper()
	driver, err := store.OpenPebble(d.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(driver, keyring.Fixed(d.secret, "test"))
	directory, err := identity.Open(t.Context(), identity.Config{Store: s, Cloud: resource.Azure()})
	if err != nil {
		t.Fatal(err)
	}
	members = append(members, subscription.Identities(directory))
	w = world{
		Service:   subscription.New(subscription.Config{Store: s, Directory: directory, Members: members}),
		directory: directory, sub: directory.Subscription(),
		owner: identity.Caller{ObjectID: directory.Bootstrap().ObjectID, AppID: directory.Bootstrap().ClientID},
		stop:  func() {},
	}
	if run {
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		w.stop = sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run = %v, want nil", err)
			}
		})
	}
	return w, func() {
		w.stop()
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	}
}

// setup is a running world of its own.
func setup(t *testing.T, members ...subscription.Members) world {
	t.Helper()
	w, done := newDisk(t).open(t, true, members...)
	t.Cleanup(done)
	return w
}

func (w world) mustGroup(t *testing.T, name string) subscription.Group {
	t.Helper()
	g, _, err := w.PutGroup(t.Context(), w.owner, subscription.Group{Subscription: w.sub, Name: name, Location: "westus2"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (w world) mustIdentity(t *testing.T, group, name string) identity.ManagedIdentity {
	t.Helper()
	m, _, err := w.directory.CreateIdentity(t.Context(), identity.ManagedIdentity{
		ResourceID: resource.New(w.sub, group, "Microsoft.ManagedIdentity", "userAssignedIdentities", name), Location: "westus2",
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// caller is somebody with one role at one scope.
func (w world) caller(t *testing.T, name, role, scope string) identity.Caller {
	t.Helper()
	m := w.mustIdentity(t, "callers", name)
	_, _, err := w.directory.AssignRole(t.Context(), w.owner.ObjectID, identity.RoleAssignment{
		Name: resource.NewGUID(), Scope: scope, RoleID: role, PrincipalID: m.PrincipalID,
	})
	if err != nil {
		t.Fatal(err)
	}
	return identity.Caller{ObjectID: m.PrincipalID, AppID: m.ClientID, Name: name}
}

// ended waits for the end of an operation.
func (w world) ended(t *testing.T, id string) subscription.Operation {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		op, err := w.Operation(t.Context(), w.sub, id)
		if err != nil {
			t.Fatal(err)
		}
		if op.Status != subscription.InProgress {
			return op
		}
		if time.Now().After(deadline) {
			t.Fatalf("operation %s (%s) is still in progress", id, op.Action)
		}
	}
}

// stubborn is a resource that does not go until it is let go.
type stubborn struct {
	id   string
	mu   sync.Mutex
	gone bool
	// asked is closed at the first deletion; free lets deletions succeed.
	asked     chan struct{}
	askedOnce sync.Once
	free      bool
}

var errStubborn = errors.New("it does not go")

func (s *stubborn) List(_ context.Context, scope string) ([]subscription.Resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || !resource.Within(s.id, scope) {
		return nil, nil
	}
	return []subscription.Resource{{ID: s.id, Location: "westus2"}}, nil
}

func (s *stubborn) Delete(context.Context, string) error {
	if s.asked != nil {
		s.askedOnce.Do(func() { close(s.asked) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.free {
		return errStubborn
	}
	s.gone = true
	return nil
}
