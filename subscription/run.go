package subscription

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"latchkey/fault"
	"latchkey/store"
)

// A Work is what an operation does. An error that is a fault becomes the operation's;
// any other ends it with InternalServerError.
type Work func(ctx context.Context, op Operation) error

// Does says what the work of an action is. Call it before Run.
func (s *Service) Does(action string, work Work) { s.works[action] = work }

// Wake tells Run that an operation has begun. It never waits.
func (s *Service) Wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// An operation belongs to the process that holds its lease. The process renews it
// while it works; one that dies leaves it to run out, and another process, or the
// next start, takes the operation up again.
const (
	lease = 9 * time.Second
	renew = lease / 3
	// sweep is how often Run looks for operations that nobody works on and for ended
	// ones whose time is over.
	sweep = 3 * time.Second
)

// Run does the work of operations until ctx ends, and then gives back those that it
// has not finished.
func (s *Service) Run(ctx context.Context) error {
	var works sync.WaitGroup
	defer works.Wait()
	tick := time.NewTicker(sweep)
	defer tick.Stop()
	for {
		if err := s.sweep(ctx, &works); err != nil && ctx.Err() == nil {
			s.log.Error("sweeping operations", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.woken:
		case <-tick.C:
		}
	}
}

// sweep takes up every operation that is due.
func (s *Service) sweep(ctx context.Context, works *sync.WaitGroup) error {
	var due []store.RID
	err := s.view(ctx, func(tx *store.Tx) error {
		for place, err := range tx.Due(store.KindOperation, time.Now()) {
			if err != nil {
				return err
			}
			due = append(due, place.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range due {
		op, mine, err := s.claim(ctx, id)
		if err != nil {
			return err
		}
		if mine {
			works.Go(func() { s.work(ctx, id, op) })
		}
	}
	return nil
}

// claim takes the lease of an operation, or removes one that ended long ago.
func (s *Service) claim(ctx context.Context, id store.RID) (op Operation, mine bool, err error) {
	err = s.update(ctx, func(tx *store.Tx) error {
		mine = false
		r, err := tx.Get(store.KindOperation, store.RID{}, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		now := time.Now()
		if r.Clear.Due.After(now) {
			return nil
		}
		var stored operationRecord
		if err := r.Decode(&stored); err != nil {
			return err
		}
		if stored.Status != InProgress {
			return tx.Delete(r)
		}
		op, mine = stored.operation(r.Name), true
		return tx.Put(r, store.Clear{State: r.Clear.State, Due: now.Add(lease)}, stored)
	})
	if err != nil || !mine {
		return Operation{}, false, err
	}
	// A lease may run out here while its work goes on, after the machine slept. The
	// work is still ours then.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[op.ID] {
		return Operation{}, false, nil
	}
	s.running[op.ID] = true
	return op, true, nil
}

// work does one operation and writes down how it ended.
func (s *Service) work(ctx context.Context, id store.RID, op Operation) {
	defer func() {
		s.mu.Lock()
		delete(s.running, op.ID)
		s.mu.Unlock()
	}()
	leased, stop := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { s.renew(leased, id) })
	err := s.do(ctx, op)
	stop()
	renewing.Wait()

	// What follows must be written even while the service stops.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err != nil && ctx.Err() != nil {
		err = s.change(last, id, func(_ *operationRecord, c *store.Clear) { c.Due = time.Now() })
	} else {
		err = s.end(last, id, op, err)
	}
	if err != nil {
		s.log.Error("writing the end of an operation", "operation", op.ID, "action", op.Action, "err", err)
	}
}

// do runs the work; a panic in it is a failure of the operation, not of the service.
func (s *Service) do(ctx context.Context, op Operation) (err error) {
	work := s.works[op.Action]
	if work == nil {
		return fmt.Errorf("nothing does %s", op.Action)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("working on %s: %v", op.Action, p)
		}
	}()
	return work(ctx, op)
}

// end writes the end of an operation.
func (s *Service) end(ctx context.Context, id store.RID, op Operation, failure error) error {
	var told *fault.Fault
	if failure != nil {
		var ok bool
		if told, ok = fault.From(failure); !ok {
			s.log.Error("an operation failed", "operation", op.ID, "action", op.Action, "err", failure)
			told = internal.New("")
		}
	}
	return s.change(ctx, id, func(r *operationRecord, c *store.Clear) {
		r.Status, r.Ended = Succeeded, time.Now().UTC()
		if told != nil {
			r.Status = Failed
			r.Fault = operationOut(Operation{Fault: told}).Fault
		}
		c.State, c.Due = stateOf[r.Status], r.Ended.Add(kept)
	})
}

// internal is the code that Azure gives an operation that failed by no fault of the
// caller.
var internal = &fault.Code{Name: "InternalServerError", Status: 500, Text: "Encountered internal server error. The operation id names the line in the service's log."}

func (s *Service) renew(ctx context.Context, id store.RID) {
	tick := time.NewTicker(renew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.change(ctx, id, func(_ *operationRecord, c *store.Clear) { c.Due = time.Now().Add(lease) })
		if err != nil && ctx.Err() == nil {
			s.log.Warn("renewing the lease of an operation", "err", err)
		}
	}
}

// change rewrites an operation that is in progress.
func (s *Service) change(ctx context.Context, id store.RID, fn func(*operationRecord, *store.Clear)) error {
	return s.update(ctx, func(tx *store.Tx) error {
		r, err := tx.Get(store.KindOperation, store.RID{}, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		var stored operationRecord
		if err := r.Decode(&stored); err != nil {
			return err
		}
		if stored.Status != InProgress {
			return nil
		}
		fields := r.Clear
		fn(&stored, &fields)
		return tx.Put(r, fields, stored)
	})
}
