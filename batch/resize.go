package batch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// resize brings the nodes of a pool to its targets: what is missing is made at once,
// what is too many leaves. Nodes in gone leave whatever the targets say. It changes p
// and does not write it.
func resize(tx *store.Tx, r *store.Record, p *poolRecord, gone []store.RID, option string) (changed bool, err error) {
	var have [2][]nodeAt // low priority, dedicated
	leaving := false
	for n, err := range nodes(tx, r.ID) {
		if err != nil {
			return false, err
		}
		switch {
		case n.body.Leaving != "":
			leaving = true
		case slices.Contains(gone, n.r.ID):
			left, err := leaveNode(tx, n, option)
			if err != nil {
				return false, err
			}
			leaving, changed = leaving || left, true
		case n.body.Dedicated:
			have[1] = append(have[1], n)
		default:
			have[0] = append(have[0], n)
		}
	}
	p.Errors = nil
	wants := wanted(p)
	for kind, target := range []int{p.LowPriority, p.Dedicated} {
		want := wants[kind]
		if want < target {
			p.Errors = append(p.Errors, ResizeError{
				Code:    []string{"AccountLowPriorityCoreQuotaReached", "AccountCoreQuotaReached"}[kind],
				Message: fmt.Sprintf("A pool has at most %d nodes here.", maxNodes),
				Values:  []Pair{{"Target", fmt.Sprint(target)}, {"Limit", fmt.Sprint(maxNodes)}},
			})
		}
		for range want - len(have[kind]) {
			changed = true
			if err := addNode(tx, r, p, kind == 1); err != nil {
				return false, err
			}
		}
		// Those without work leave first, and of them the newest.
		spare := have[kind]
		slices.SortStableFunc(spare, func(a, b nodeAt) int { return len(b.body.Runs) - len(a.body.Runs) })
		for len(spare) > want {
			changed = true
			left, err := leaveNode(tx, spare[len(spare)-1], option)
			if err != nil {
				return false, err
			}
			leaving = leaving || left
			spare = spare[:len(spare)-1]
		}
	}
	to := Steady
	if leaving {
		to = Resizing
	}
	if p.Allocation != to {
		p.Allocation, p.AllocationAt = to, now()
	}
	return changed, nil
}

// retarget brings the nodes of a steady pool to targets that have changed.
func retarget(tx *store.Tx, r *store.Record, p *poolRecord) error {
	if p.Allocation != Steady {
		return fault.PoolBeingResized.New("The specified pool %q is being resized.", p.ID)
	}
	option, err := checkOption("nodeDeallocationOption", p.Deallocation)
	if err != nil {
		return err
	}
	_, err = resize(tx, r, p, nil, option)
	return err
}

// resized tells everybody that a pool has other nodes.
func (s *Service) resized(space store.Space, pool store.RID) {
	s.benches.wakePool(space, pool)
	s.fleet.moved()
	s.kick(space)
}

// wanted is how many low-priority and dedicated nodes a pool shall have: its targets,
// as far as there is room.
func wanted(p *poolRecord) [2]int {
	dedicated := min(p.Dedicated, maxNodes)
	return [2]int{min(p.LowPriority, maxNodes-dedicated), dedicated}
}

// leaveNode makes a listed node leave and reports whether that takes a while.
func leaveNode(tx *store.Tx, listed nodeAt, option string) (bool, error) {
	n, err := node(tx, listed.r.Parent, listed.r.ID)
	if err != nil {
		return false, err
	}
	return len(n.body.Runs) > 0, n.leave(tx, option)
}

// A Resize is what a pool shall become.
type Resize struct {
	// Dedicated and LowPriority are the new targets; nil leaves one as it is, and at
	// least one must be set.
	Dedicated, LowPriority *int
	Timeout                time.Duration
	// Option is what happens to tasks on nodes that leave; empty means requeue.
	Option string
}

// ResizePool changes the number of nodes of a pool, which must be steady.
func (s *Service) ResizePool(ctx context.Context, who identity.Caller, acct Account, id string, cond Condition, in Resize) (Pool, error) {
	if err := s.require(ctx, who, acct, writePools); err != nil {
		return Pool{}, err
	}
	if in.Dedicated == nil && in.LowPriority == nil {
		return Pool{}, NoProperty("targetDedicatedNodes")
	}
	option, err := checkOption("nodeDeallocationOption", in.Option)
	if err != nil {
		return Pool{}, err
	}
	return s.resizePool(ctx, acct, id, cond, in.Timeout, func(_ *store.Tx, _ *store.Record, p *poolRecord) ([]store.RID, string, error) {
		if in.Dedicated != nil {
			p.Dedicated = *in.Dedicated
		}
		if in.LowPriority != nil {
			p.LowPriority = *in.LowPriority
		}
		p.Deallocation = option
		return nil, option, checkTargets(p.Dedicated, p.LowPriority)
	})
}

// RemoveNodes takes nodes out of a pool, whose targets go down by as many.
func (s *Service) RemoveNodes(ctx context.Context, who identity.Caller, acct Account, id string, cond Condition,
	ids []string, timeout time.Duration, option string,
) (Pool, error) {
	if err := s.require(ctx, who, acct, writePools); err != nil {
		return Pool{}, err
	}
	if len(ids) == 0 {
		return Pool{}, NoProperty("nodeList")
	}
	if err := checkRange("nodeList", len(ids), 1, 100); err != nil {
		return Pool{}, err
	}
	option, err := checkOption("nodeDeallocationOption", option)
	if err != nil {
		return Pool{}, err
	}
	return s.resizePool(ctx, acct, id, cond, timeout, func(tx *store.Tx, pr *store.Record, p *poolRecord) ([]store.RID, string, error) {
		var gone []store.RID
		for _, name := range ids {
			r, err := tx.Lookup(store.KindNode, pr.ID, name)
			if err != nil {
				return nil, "", missing(err, fault.NodeNotFound, "The specified node %q does not exist in pool %q.", name, id)
			}
			if slices.Contains(gone, r.ID) {
				continue
			}
			n, err := openNode(r)
			if err != nil {
				return nil, "", err
			}
			gone = append(gone, r.ID)
			if n.body.Dedicated {
				p.Dedicated = max(0, p.Dedicated-1)
			} else {
				p.LowPriority = max(0, p.LowPriority-1)
			}
		}
		return gone, option, nil
	})
}

// resizePool changes the targets of a steady pool and its nodes with them.
func (s *Service) resizePool(ctx context.Context, acct Account, id string, cond Condition, timeout time.Duration,
	change func(*store.Tx, *store.Record, *poolRecord) (gone []store.RID, option string, err error),
) (Pool, error) {
	var place store.RID
	if timeout != 0 {
		if err := checkDuration("resizeTimeout", timeout, minResize); err != nil {
			return Pool{}, err
		}
	}
	out, err := s.changePool(ctx, acct, id, cond, func(tx *store.Tx, r *store.Record, p *poolRecord) error {
		if p.Allocation != Steady {
			return fault.PoolBeingResized.New("The specified pool %q is being resized.", id)
		}
		if timeout != 0 {
			p.ResizeTimeout = timeout
		}
		gone, option, err := change(tx, r, p)
		if err != nil {
			return err
		}
		place = r.ID
		_, err = resize(tx, r, p, gone, option)
		return err
	})
	if err != nil {
		return Pool{}, err
	}
	s.resized(acct.Space, place)
	return out, nil
}

// StopResize lets the nodes that are leaving stay, and sets the targets to what there
// is. A steady pool has nothing to stop.
func (s *Service) StopResize(ctx context.Context, who identity.Caller, acct Account, id string, cond Condition) (Pool, error) {
	if err := s.require(ctx, who, acct, writePools); err != nil {
		return Pool{}, err
	}
	out, err := s.changePool(ctx, acct, id, cond, func(tx *store.Tx, r *store.Record, p *poolRecord) error {
		if p.Allocation == Steady {
			return fault.PoolNotResizing.New("The specified pool %q is not being resized.", id)
		}
		p.Dedicated, p.LowPriority = 0, 0
		for n, err := range nodes(tx, r.ID) {
			if err != nil {
				return err
			}
			if n.body.Leaving != "" {
				if n, err = node(tx, r.ID, n.r.ID); err != nil {
					return err
				}
				// Runs that were to be stopped are stopped still: their agent may be doing it
				// already.
				n.body.Leaving = ""
				if err := n.put(tx, n.r.Clear.Due); err != nil {
					return err
				}
			}
			if n.body.Dedicated {
				p.Dedicated++
			} else {
				p.LowPriority++
			}
		}
		p.Allocation, p.AllocationAt = Steady, now()
		p.Errors = []ResizeError{{Code: "ResizeStopped", Message: "Desired number of nodes could not be reached as the resize was stopped."}}
		return nil
	})
	if err == nil {
		s.fleet.moved()
	}
	return out, err
}

// settlePool moves a pool on when its nodes have gone: to steady, or away.
func (s *Service) settlePool(ctx context.Context, space store.Space, at store.Place) error {
	var removed bool
	var id store.RID
	err := s.store.Update(ctx, space, func(tx *store.Tx) error {
		removed = false
		r, err := tx.Get(store.KindPool, at.Parent, at.ID)
		if err != nil {
			return err
		}
		p, err := openPool(r)
		if err != nil {
			return err
		}
		leaving, any := 0, 0
		for n, err := range nodes(tx, r.ID) {
			if err != nil {
				return err
			}
			any++
			if n.body.Leaving != "" {
				leaving++
			}
		}
		switch {
		case r.Clear.State == PoolDeleting && any == 0:
			removed, id = true, r.ID
			return tx.Delete(r)
		case r.Clear.State == PoolDeleting, p.Allocation == Steady:
			return nil
		case leaving == 0:
			p.Allocation, p.AllocationAt = Steady, now()
			return putPool(tx, r, p)
		case now().Sub(p.AllocationAt) > p.ResizeTimeout:
			// Nodes still go when their tasks end; the pool just stops waiting for them.
			p.Allocation, p.AllocationAt = Steady, now()
			p.Errors = []ResizeError{{
				Code:    "AllocationTimedOut",
				Message: "Desired number of nodes could not be reached as the resize timed out.",
			}}
			return putPool(tx, r, p)
		}
		return nil
	})
	if removed && err == nil {
		s.fleet.moved()
		return s.orphanJobs(ctx, space, id)
	}
	return err
}
