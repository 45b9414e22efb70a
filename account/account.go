// Package account keeps Batch accounts: their settings, their identity, their shared
// keys, and in whose hands the key to their data is.
//
// An account is a record in the control plane, sealed under the platform's key, and a
// Space in the store with all its data, sealed under the account's own key on the
// keyring. So an account whose key is away can still be shown and deleted, and nothing
// else: every other method here asks the ring first.
//
// Whatever touches the key is verified by the ring and then written in one transaction
// with the account, so a refused change leaves the account as it was.
package account

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
)

// The names of accounts in Resource Manager.
const (
	Provider = "Microsoft.Batch"
	Type     = "Microsoft.Batch/batchAccounts"
)

// Config is what the service works with. Store, Ring, Directory, Cloud and Location
// must be set.
type Config struct {
	Store     *store.Store
	Ring      *keyring.Ring
	Directory *identity.Directory
	Cloud     resource.Cloud
	// Location returns a region's name, in whatever spelling it came, or the fault of
	// one that there is not.
	Location func(name string) (string, error)
	// Usable fails if the group does not take resources: a new account is written in
	// the same transaction, so that it cannot miss the group's deletion. Nil asks
	// nobody.
	Usable func(tx *store.Tx, subscription, group string) error
	// Usage counts what an account has. It must work while the account is locked. Nil
	// shows no counts.
	Usage func(ctx context.Context, space store.Space, locked bool) (Usage, error)
	// Quota is how many accounts a subscription may have in a location; zero means 50.
	Quota int
	Log   *slog.Logger
}

// Usage is what an account has: pools and jobs, and nodes and tasks by state.
type Usage struct {
	Pools, Jobs  int64
	Nodes, Tasks map[string]int64
}

// A Service keeps accounts in the control plane.
type Service struct {
	cfg Config
	// woken tells Run that there is an account's data to delete.
	woken chan struct{}

	// changing has the accounts that somebody changes now, by folded id. Changes take
	// their turn, because an identity that one of them makes or drops belongs to the
	// account's id and not to the change.
	mu       sync.Mutex
	changing map[string]chan struct{}
}

// New returns the service. Run does its long work.
func New(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Quota == 0 {
		c.Quota = 50
	}
	return &Service{cfg: c, woken: make(chan struct{}, 1), changing: map[string]chan struct{}{}}
}

// turn waits until nobody else changes the account. It is held over questions to the
// vault; reading and deleting do not wait for it.
func (s *Service) turn(ctx context.Context, at Address) (done func(), err error) {
	key := resource.Fold(at.ID())
	for {
		s.mu.Lock()
		busy := s.changing[key]
		if busy == nil {
			mine := make(chan struct{})
			s.changing[key] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.changing, key)
				close(mine)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// An Address is where Resource Manager has an account.
type Address struct{ Subscription, Group, Name string }

// ID returns the resource id.
func (a Address) ID() string {
	return resource.New(a.Subscription, a.Group, Provider, "batchAccounts", a.Name)
}

func (a Address) key() string { return a.Subscription + "/" + a.Group + "/" + a.Name }

func (a Address) missing() error {
	return fault.NotFound.New("The Resource 'Microsoft.Batch/batchAccounts/%s' under resource group '%s' was not found. "+
		"For more details please go to https://aka.ms/ARMResourceNotFoundFix", a.Name, a.Group)
}

// addressOf returns the address of an account's resource id.
func addressOf(id string) (Address, error) {
	r, err := resource.ParseID(id)
	if err != nil || !r.Is(Type) || r.Group == "" {
		return Address{}, fault.InvalidParameter.New("'%s' is not the id of a Batch account.", id)
	}
	return Address{r.Subscription, r.Group, r.Names[0]}, nil
}

// An Account is a Batch account.
type Account struct {
	// ID is the resource id as it was first written.
	ID                        string
	Subscription, Group, Name string
	// Location is a region's name, such as westus2.
	Location string
	// Endpoint is the host of the data plane, without a scheme.
	Endpoint string
	// Space is where the store has the account's data.
	Space      store.Space
	Tags       map[string]string
	Identity   Identity
	Encryption Encryption
	Settings
	Created, Changed time.Time

	keys   [2][]byte
	record recordAt
}

// Settings are what an account has beside identity and key.
type Settings struct {
	PublicNetworkAccess string
	// NetworkProfile and AutoStorage are nil if nothing was said.
	NetworkProfile *NetworkProfile
	AutoStorage    *AutoStorage
	// AuthenticationModes are the ways in which callers may prove who they are.
	AuthenticationModes []string
}

// The ways to authenticate.
const (
	SharedKey = "SharedKey"
	AAD       = "AAD"
	TaskToken = "TaskAuthenticationToken"
)

// Allows reports whether callers may authenticate in a way.
func (a Account) Allows(mode string) bool { return slices.Contains(a.AuthenticationModes, mode) }

// SharedKeys returns the two keys with which callers may sign. They are secret.
func (a Account) SharedKeys() (primary, secondary []byte) { return a.keys[0], a.keys[1] }

// URL returns the address of the data plane without a slash at the end.
func (a Account) URL() string { return "https://" + a.Endpoint }

// Address returns where Resource Manager has the account.
func (a Account) Address() Address { return Address{a.Subscription, a.Group, a.Name} }

// Read returns an account to a caller, locked or not.
func (s *Service) Read(ctx context.Context, who identity.Caller, at Address) (Account, error) {
	if err := s.cfg.Directory.Require(ctx, who, Type+"/read", at.ID()); err != nil {
		return Account{}, err
	}
	return s.Account(ctx, at)
}

// Account returns the account at an address. It fails with fault.NotFound.
func (s *Service) Account(ctx context.Context, at Address) (a Account, err error) {
	err = s.cfg.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		a, err = s.find(tx, at)
		return err
	})
	return a, err
}

// ByEndpoint returns the account of a data plane's host, whose labels are the
// account's name and region. It fails with fault.AccountNotFound.
func (s *Service) ByEndpoint(ctx context.Context, name, region string) (a Account, err error) {
	err = s.cfg.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		a, err = s.atEndpoint(tx, name, region)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return Account{}, fault.AccountNotFound.New("The account '%s' does not exist in the region '%s'.", name, region)
	}
	return a, err
}

// Accounts returns all accounts, in the order in which they were made.
func (s *Service) Accounts(ctx context.Context) ([]Account, error) { return s.Within(ctx, "") }

// Within returns the accounts at or below an id: of a subscription, of a group, or of
// an account. The empty id is above all.
func (s *Service) Within(ctx context.Context, scope string) ([]Account, error) {
	var all []Account
	err := s.cfg.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		for rec, err := range tx.Records(store.KindAccount, store.RID{}, store.RID{}) {
			if err != nil {
				return err
			}
			a, err := s.account(rec)
			if err != nil {
				return err
			}
			if scope == "" || resource.Within(a.ID, scope) {
				all = append(all, a)
			}
		}
		return nil
	})
	return all, err
}

// List returns the accounts of a subscription, or of a group in it, that a caller may
// read.
func (s *Service) List(ctx context.Context, who identity.Caller, subscription, group string) ([]Account, error) {
	scope := "/subscriptions/" + subscription
	if group != "" {
		scope = resource.GroupID(subscription, group)
	}
	all, err := s.Within(ctx, scope)
	if err != nil {
		return nil, err
	}
	denied := s.cfg.Directory.Require(ctx, who, Type+"/read", scope)
	if denied == nil {
		return all, nil
	}
	// Who may read some of them sees those; who may read none learns that.
	var seen []Account
	for _, a := range all {
		may, err := s.cfg.Directory.May(ctx, who, Type+"/read", a.ID)
		if err != nil {
			return nil, err
		}
		if may {
			seen = append(seen, a)
		}
	}
	if len(seen) == 0 {
		return nil, denied
	}
	return seen, nil
}

// Status returns the state of the account's key.
func (s *Service) Status(a Account) (keyring.Status, error) { return s.cfg.Ring.Status(a.Space) }

// Usage counts what the account has; ok is false if nobody counts. It says what is
// true while the account is locked: no node can be used and no task runs.
func (s *Service) Usage(ctx context.Context, a Account) (u Usage, ok bool, err error) {
	if s.cfg.Usage == nil {
		return Usage{}, false, nil
	}
	status, err := s.Status(a)
	if err != nil {
		return Usage{}, false, err
	}
	u, err = s.cfg.Usage(ctx, a.Space, status.State == keyring.Locked)
	return u, err == nil, err
}

// Open is Read of an account that must not be locked. It fails with
// fault.KeyUnavailable if it is.
func (s *Service) Open(ctx context.Context, who identity.Caller, at Address) (Account, error) {
	a, err := s.Read(ctx, who, at)
	if err != nil {
		return Account{}, err
	}
	return a, s.Unlocked(a)
}

// Unlocked fails with fault.KeyUnavailable while the account is locked.
func (s *Service) Unlocked(a Account) error { return s.cfg.Ring.Opened(a.Space) }
