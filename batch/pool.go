package batch

import (
	"context"
	"errors"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// Limits of this service, where Azure has quotas. A target beyond maxNodes is kept,
// and the pool says in ResizeErrors why it does not get there.
const (
	maxPools      = 100
	maxNodes      = 100
	maxSlots      = 256
	resizeTimeout = 15 * time.Minute
	minResize     = 5 * time.Minute
)

// A ResizeError is why a pool has not the nodes that it should have.
type ResizeError struct {
	Code, Message string
	Values        []Pair `json:",omitempty"`
}

// A Pool is a pool as it is now.
type Pool struct {
	PoolSpec
	State                                string
	Created, StateAt, AllocationAt       time.Time
	Allocation                           string
	ResizeErrors                         []ResizeError
	CurrentDedicated, CurrentLowPriority int
	Modified                             uint64
}

// poolRecord is how a pool is stored. The state is a clear field.
type poolRecord struct {
	PoolSpec
	// Modified is the version that its owner sees: work of the nodes does not move it.
	Modified     uint64
	StateAt      time.Time
	Allocation   string
	AllocationAt time.Time
	Errors       []ResizeError `json:",omitempty"`
}

// pool returns the record of a pool and what is in it.
func pool(tx *store.Tx, id string) (*store.Record, *poolRecord, error) {
	r, err := tx.Lookup(store.KindPool, store.RID{}, id)
	if err != nil {
		return nil, nil, missing(err, fault.PoolNotFound, "The specified pool %q does not exist.", id)
	}
	p, err := openPool(r)
	return r, p, err
}

func openPool(r *store.Record) (*poolRecord, error) {
	p := &poolRecord{}
	if err := r.Decode(p); err != nil {
		return nil, err
	}
	p.ID = r.Name
	return p, nil
}

// putPool writes a pool that its owner sees changed.
func putPool(tx *store.Tx, r *store.Record, p *poolRecord) error {
	p.Modified = store.NextSequence()
	return tx.Put(r, poolFields(r.Clear.State, p), p)
}

// poolFields are the clear fields of a pool: one that is on its way somewhere is
// always due, so that the loop looks at it.
func poolFields(state store.State, p *poolRecord) store.Clear {
	c := store.Clear{State: state}
	if state == PoolDeleting || p.Allocation != Steady {
		c.Due = p.AllocationAt
		if state == PoolDeleting {
			c.Due = p.StateAt
		}
	}
	return c
}

func (p *poolRecord) out(r *store.Record, tx *store.Tx) (Pool, error) {
	out := Pool{
		PoolSpec: p.PoolSpec, State: names[store.KindPool][r.Clear.State],
		Created: moment(r.ID.Sequence()), StateAt: p.StateAt,
		Allocation: p.Allocation, AllocationAt: p.AllocationAt, Modified: p.Modified,
	}
	if p.Allocation == Steady {
		out.ResizeErrors = p.Errors
	}
	for node, err := range nodes(tx, r.ID) {
		if err != nil {
			return Pool{}, err
		}
		if node.body.Dedicated {
			out.CurrentDedicated++
		} else {
			out.CurrentLowPriority++
		}
	}
	return out, nil
}

// checkCertificates fails unless the certificates that a pool refers to are there.
func checkCertificates(tx *store.Tx, refs []CertificateReference) error {
	for _, ref := range refs {
		r, _, err := certificate(tx, ref.Thumbprint)
		if err != nil && !errors.Is(err, fault.CertificateNotFound) {
			return err
		}
		if err != nil || r.Clear.State != CertificateActive {
			return fault.InvalidCertificateReferences.New("The account has no active certificate with thumbprint %s.", ref.Thumbprint).
				With("PropertyName", "certificateReferences").With("PropertyValue", ref.Thumbprint)
		}
	}
	return nil
}

// AddPool makes a pool and its nodes.
func (s *Service) AddPool(ctx context.Context, who identity.Caller, acct Account, spec PoolSpec) (Pool, error) {
	if err := s.require(ctx, who, acct, writePools); err != nil {
		return Pool{}, err
	}
	if err := spec.check(); err != nil {
		return Pool{}, err
	}
	var out Pool
	var id store.RID
	err := s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		if err := checkCertificates(tx, spec.Certificates); err != nil {
			return err
		}
		count, err := tx.Count(store.KindPool, store.RID{}, PoolActive)
		if err != nil {
			return err
		}
		if count >= maxPools {
			return fault.PoolQuotaReached.New("The account has reached its quota of %d pools.", maxPools)
		}
		id = store.NewRID()
		made := moment(id.Sequence())
		p := &poolRecord{PoolSpec: spec, Modified: id.Sequence(), StateAt: made, Allocation: Steady, AllocationAt: made}
		r, err := tx.InsertAt(store.KindPool, store.RID{}, id, spec.ID, poolFields(PoolActive, p), p)
		if errors.Is(err, store.ErrExists) {
			return s.poolTaken(tx, spec.ID)
		}
		if err != nil {
			return err
		}
		if _, err := resize(tx, r, p, nil, "requeue"); err != nil {
			return err
		}
		if err := tx.Put(r, poolFields(PoolActive, p), p); err != nil {
			return err
		}
		if out, err = p.out(r, tx); err != nil {
			return err
		}
		// A list does not see what its own transaction wrote.
		wants := wanted(p)
		out.CurrentLowPriority, out.CurrentDedicated = wants[0], wants[1]
		return nil
	})
	if err != nil {
		return Pool{}, err
	}
	s.fleet.moved()
	return out, s.adoptJobs(ctx, acct.Space, spec.ID, id)
}

// poolTaken says why a name cannot be used.
func (s *Service) poolTaken(tx *store.Tx, id string) error {
	r, err := tx.Lookup(store.KindPool, store.RID{}, id)
	if err == nil && r.Clear.State == PoolDeleting {
		return fault.PoolBeingDeleted.New("The specified pool %q is being deleted.", id)
	}
	return fault.PoolExists.New("The specified pool %q already exists.", id)
}

// Pool returns a pool.
func (s *Service) Pool(ctx context.Context, who identity.Caller, acct Account, id string) (Pool, error) {
	if err := s.require(ctx, who, acct, readPools); err != nil {
		return Pool{}, err
	}
	var out Pool
	err := s.store.View(ctx, acct.Space, func(tx *store.Tx) error {
		r, p, err := pool(tx, id)
		if err != nil {
			return err
		}
		out, err = p.out(r, tx)
		return err
	})
	return out, err
}

// Pools lists pools in the order in which they were made.
func (s *Service) Pools(ctx context.Context, who identity.Caller, acct Account, l List[Pool]) ([]Pool, string, error) {
	if err := s.require(ctx, who, acct, readPools); err != nil {
		return nil, "", err
	}
	return list(ctx, s, acct.Space, l, store.KindPool, nil, func(tx *store.Tx, r *store.Record) (Pool, error) {
		p, err := openPool(r)
		if err != nil {
			return Pool{}, err
		}
		return p.out(r, tx)
	})
}

// changePool lets fn change a pool that is not being deleted.
func (s *Service) changePool(ctx context.Context, acct Account, id string, cond Condition,
	fn func(tx *store.Tx, r *store.Record, p *poolRecord) error,
) (Pool, error) {
	var out Pool
	err := s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		r, p, err := pool(tx, id)
		if err != nil {
			return err
		}
		if err := cond.check(p.Modified); err != nil {
			return err
		}
		if r.Clear.State == PoolDeleting {
			return fault.PoolBeingDeleted.New("The specified pool %q is being deleted.", id)
		}
		if err := fn(tx, r, p); err != nil {
			return err
		}
		if err := putPool(tx, r, p); err != nil {
			return err
		}
		out, err = p.out(r, tx)
		return err
	})
	return out, err
}

// ChangePool lets change edit what a pool may change; the new specification is
// checked as a new pool's is. It takes effect on nodes as they join or boot again.
// Other targets resize the pool, which must then be steady.
func (s *Service) ChangePool(ctx context.Context, who identity.Caller, acct Account, id string, cond Condition,
	change func(*PoolSpec) error,
) (Pool, error) {
	if err := s.require(ctx, who, acct, writePools); err != nil {
		return Pool{}, err
	}
	var place store.RID
	var resized bool
	out, err := s.changePool(ctx, acct, id, cond, func(tx *store.Tx, r *store.Record, p *poolRecord) error {
		dedicated, low := p.Dedicated, p.LowPriority
		if err := change(&p.PoolSpec); err != nil {
			return err
		}
		if err := p.check(); err != nil {
			return err
		}
		if err := checkCertificates(tx, p.Certificates); err != nil {
			return err
		}
		place, resized = r.ID, p.Dedicated != dedicated || p.LowPriority != low
		if !resized {
			return nil
		}
		return retarget(tx, r, p)
	})
	if err != nil {
		return Pool{}, err
	}
	if !resized {
		s.fleet.moved()
		return out, nil
	}
	s.resized(acct.Space, place)
	// A list does not see what its own transaction wrote.
	return s.Pool(ctx, who, acct, id)
}

// DeletePool begins to delete a pool: its nodes leave, what they ran is queued again,
// and when the last is gone so is the pool.
func (s *Service) DeletePool(ctx context.Context, who identity.Caller, acct Account, id string, cond Condition) error {
	if err := s.require(ctx, who, acct, deletePools); err != nil {
		return err
	}
	var place store.RID
	err := s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		r, p, err := pool(tx, id)
		if err != nil {
			return err
		}
		if err := cond.check(p.Modified); err != nil {
			return err
		}
		if r.Clear.State == PoolDeleting {
			return fault.PoolBeingDeleted.New("The specified pool %q is being deleted.", id)
		}
		place = r.ID
		p.StateAt, p.Modified = now(), store.NextSequence()
		for n, err := range nodes(tx, r.ID) {
			if err != nil {
				return err
			}
			if n, err = node(tx, r.ID, n.r.ID); err != nil {
				return err
			}
			if err := n.leave(tx, "requeue"); err != nil {
				return err
			}
		}
		return tx.Put(r, poolFields(PoolDeleting, p), p)
	})
	if err != nil {
		return err
	}
	s.benches.wakePool(acct.Space, place)
	s.fleet.moved()
	s.kick(acct.Space)
	return nil
}
