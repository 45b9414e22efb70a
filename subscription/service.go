// Package subscription has what every resource stands in: the subscription, its
// resource groups, the regions, the registered providers, and the operations that go
// on after a call was answered.
//
// It owns no resource but the group. What is in a group belongs to other services,
// which are seen here only as Members: things that can be listed and deleted. So
// deleting a group is this package's work, and how an account or a vault goes is
// theirs.
package subscription

import (
	"context"
	"log/slog"
	"sync"

	"latchkey/identity"
	"latchkey/store"
)

// Config says what the service works with.
type Config struct {
	// Store and Directory must be set.
	Store     *store.Store
	Directory *identity.Directory
	// Members are what can be in a group. A group is emptied in their order: what
	// uses something goes before what it uses.
	Members []Members
	// Log may be nil.
	Log *slog.Logger
}

// A Service keeps groups, registrations and operations in the control plane.
type Service struct {
	store     *store.Store
	directory *identity.Directory
	members   []Members
	log       *slog.Logger
	// works are the works of operations by action.
	works map[string]Work
	// woken tells Run that an operation was started.
	woken chan struct{}
	// running are the operations that this process works on, so that a sweep does not
	// begin one twice.
	mu      sync.Mutex
	running map[string]bool
}

// New returns the service. Run does its long work.
func New(c Config) *Service {
	s := &Service{
		store:     c.Store,
		directory: c.Directory,
		members:   c.Members,
		log:       c.Log,
		works:     map[string]Work{},
		woken:     make(chan struct{}, 1),
		running:   map[string]bool{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.Does(deleteGroup, s.emptyGroup)
	return s
}

// Join adds members, for services that are built later than this one. Call it before
// Run.
func (s *Service) Join(m ...Members) { s.members = append(s.members, m...) }

// controlPlane is the space of the records of this package.
var controlPlane store.Space

// view and update are transactions in the control plane.
func (s *Service) view(ctx context.Context, fn func(*store.Tx) error) error {
	return s.store.View(ctx, controlPlane, fn)
}

func (s *Service) update(ctx context.Context, fn func(*store.Tx) error) error {
	return s.store.Update(ctx, controlPlane, fn)
}
