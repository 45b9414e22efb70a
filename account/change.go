package account

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/keyring"
	"latchkey/resource"
	"latchkey/store"
)

// A Change is what a caller asks of an account; nil says nothing.
type Change struct {
	Tags       *map[string]string
	Identity   *IdentityIn
	Encryption *EncryptionIn
	SettingsIn
}

// A Creation is what a caller asks of a new account.
type Creation struct {
	Location string
	// PoolAllocationMode must be BatchService or empty.
	PoolAllocationMode string
	Change
}

// tries is how often a change is made again when the account moves under it. Changes
// of one account are rare; who loses this often competes with a loop.
const tries = 5

// Put makes an account, or brings an existing one to what the creation says; what it
// does not say stays. created tells which.
func (s *Service) Put(ctx context.Context, who identity.Caller, at Address, in Creation) (a Account, created bool, err error) {
	if err := s.cfg.Directory.Require(ctx, who, Type+"/write", at.ID()); err != nil {
		return Account{}, false, err
	}
	location, err := s.location(in.Location)
	if err != nil {
		return Account{}, false, err
	}
	if in.PoolAllocationMode != "" && !resource.Equal(in.PoolAllocationMode, "BatchService") {
		if resource.Equal(in.PoolAllocationMode, "UserSubscription") {
			return Account{}, false, fault.InvalidParameter.New("The pool allocation mode 'UserSubscription' is not supported: nodes are the service's. Use 'BatchService'.")
		}
		return Account{}, false, invalid("poolAllocationMode", in.PoolAllocationMode, "'BatchService'")
	}
	done, err := s.turn(ctx, at)
	if err != nil {
		return Account{}, false, err
	}
	defer done()
	for range tries {
		a, err = s.Account(ctx, at)
		switch {
		case err == nil && a.Location != location:
			return Account{}, false, fault.LocationConflict.New("The resource '%s' already exists in location '%s' in resource group '%s'. A resource with the "+
				"same name cannot be created in location '%s'. Please select a new resource name.", a.Name, a.Location, a.Group, location)
		case err == nil:
			a, err = s.change(ctx, who, a, in.Change)
		case errors.Is(err, fault.NotFound):
			a, err = s.create(ctx, who, at, location, in.Change)
			created = true
		}
		if !errors.Is(err, errMoved) && !errors.Is(err, store.ErrExists) {
			return a, created && err == nil, err
		}
		created = false
	}
	return Account{}, false, busy()
}

// Update changes an account. It fails with fault.KeyUnavailable while the account is
// locked.
func (s *Service) Update(ctx context.Context, who identity.Caller, at Address, in Change) (Account, error) {
	if err := s.cfg.Directory.Require(ctx, who, Type+"/write", at.ID()); err != nil {
		return Account{}, err
	}
	done, err := s.turn(ctx, at)
	if err != nil {
		return Account{}, err
	}
	defer done()
	for range tries {
		a, err := s.Account(ctx, at)
		if err != nil {
			return Account{}, err
		}
		if a, err = s.change(ctx, who, a, in); !errors.Is(err, errMoved) {
			return a, err
		}
	}
	return Account{}, busy()
}

func busy() error {
	return fault.Conflict.New("Other requests change the account at the same time; try again.")
}

// create makes an account that is not there.
func (s *Service) create(ctx context.Context, who identity.Caller, at Address, location string, in Change) (Account, error) {
	if err := CheckName(at.Name); err != nil {
		return Account{}, err
	}
	now := time.Now().UTC()
	a := Account{
		ID: at.ID(), Subscription: at.Subscription, Group: at.Group, Name: at.Name, Location: location,
		Endpoint: s.cfg.Cloud.AccountEndpoint(at.Name, location), Space: store.NewSpace(),
		Identity: Identity{Type: NoIdentity}, Encryption: Encryption{KeySource: PlatformKey}, Settings: defaults(),
		Created: now, Changed: now, keys: [2][]byte{newSharedKey(), newSharedKey()},
	}
	if err := a.Settings.apply(in.SettingsIn); err != nil {
		return Account{}, err
	}
	if in.Tags != nil {
		a.Tags = maps.Clone(*in.Tags)
	}
	if err := s.room(ctx, a); err != nil {
		return Account{}, err
	}
	var err error
	if in.Encryption != nil {
		if a.Encryption, err = encrypt(a.Encryption, *in.Encryption); err != nil {
			return Account{}, err
		}
	}
	undo := func() {}
	if in.Identity != nil {
		if a.Encryption.KeySource == CustomerKey && resource.Equal(in.Identity.Type, string(SystemAssigned)) {
			return Account{}, fault.InvalidEncryption.New("A customer-managed key at creation needs a user-assigned identity: the system-assigned identity does not exist " +
				"before the account does, so nobody can have given it access to the vault. Create the account first, give its identity access, and then set the key.")
		}
		// An identity that outlived an account of this name is not this one's.
		s.dropSystemIdentity(ctx, a.ID)
		if a.Identity, undo, err = s.identify(ctx, who, a.ID, a.Identity, *in.Identity); err != nil {
			return Account{}, err
		}
		a.Identity.Born = a.Identity.Type != NoIdentity
	}
	if a.Encryption.KeySource == CustomerKey && a.Identity.Type == NoIdentity {
		return Account{}, fault.InvalidEncryption.New("A customer-managed key needs an identity that reaches the vault: create the account with a user-assigned identity.")
	}
	err = s.entrust(ctx, &a, func(c keyring.Custody, also func(*store.Tx) error) error {
		return s.cfg.Ring.Create(ctx, a.Space, c, also)
	}, func(tx *store.Tx, a Account) error {
		if s.cfg.Usable != nil {
			if err := s.cfg.Usable(tx, a.Subscription, a.Group); err != nil {
				return err
			}
		}
		return s.insert(tx, a)
	})
	if err != nil {
		undo()
		return Account{}, err
	}
	return s.Account(ctx, at)
}

// change changes an account that was read. It fails with errMoved if somebody else
// was faster.
func (s *Service) change(ctx context.Context, who identity.Caller, old Account, in Change) (Account, error) {
	if err := s.cfg.Ring.Opened(old.Space); err != nil {
		return Account{}, err
	}
	a := old.clone()
	if err := a.Settings.apply(in.SettingsIn); err != nil {
		return Account{}, err
	}
	if in.Tags != nil {
		a.Tags = maps.Clone(*in.Tags)
	}
	var err error
	if in.Encryption != nil {
		if a.Encryption, err = encrypt(old.Encryption, *in.Encryption); err != nil {
			return Account{}, err
		}
	}
	undo := func() {}
	if in.Identity != nil {
		if a.Identity, undo, err = s.identify(ctx, who, a.ID, old.Identity, *in.Identity); err != nil {
			return Account{}, err
		}
	}
	a.Changed = time.Now().UTC()
	if in.Encryption == nil && (in.Identity == nil || a.Encryption.KeySource == PlatformKey) {
		// Nothing that the ring has to know.
		err = s.cfg.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error { return put(tx, a) })
	} else {
		err = s.entrust(ctx, &a, func(c keyring.Custody, also func(*store.Tx) error) error {
			return s.cfg.Ring.Change(ctx, a.Space, c, also)
		}, put)
	}
	if err != nil {
		undo()
		return Account{}, err
	}
	if old.Identity.Type == SystemAssigned && a.Identity.Type != SystemAssigned {
		s.dropSystemIdentity(ctx, a.ID)
	}
	return s.Account(ctx, a.Address())
}

func (s *Service) location(name string) (string, error) {
	if strings.TrimSpace(name) == "" {
		return "", fault.LocationRequired.New("")
	}
	return s.cfg.Location(name)
}

// room fails if the endpoint is taken or the location full.
func (s *Service) room(ctx context.Context, a Account) error {
	all, err := s.Within(ctx, "")
	if err != nil {
		return err
	}
	n := 0
	for _, other := range all {
		if resource.Equal(other.Name, a.Name) && other.Location == a.Location {
			return fault.AccountExists.New("An account named '%s' is already in use in the region '%s'.", a.Name, a.Location)
		}
		if resource.Equal(other.Subscription, a.Subscription) && other.Location == a.Location {
			n++
		}
	}
	if n >= s.cfg.Quota {
		return fault.AccountQuotaReached.New("The subscription '%s' has reached its quota of %d Batch accounts in the region '%s'.", a.Subscription, s.cfg.Quota, a.Location)
	}
	return nil
}

// sharedKeySize is the length of Azure's account keys.
const sharedKeySize = 64

func newSharedKey() []byte {
	b := make([]byte, sharedKeySize)
	rand.Read(b)
	return b
}

// CheckName says whether an account may have a name.
func CheckName(name string) error {
	ok := len(name) >= 3 && len(name) <= 24
	for _, c := range []byte(name) {
		ok = ok && ('a' <= c && c <= 'z' || '0' <= c && c <= '9')
	}
	if ok {
		return nil
	}
	return fault.AccountNameInvalid.New("The account name '%.64s' is invalid: it must have 3 to 24 characters, only lower-case letters and digits.", name)
}
