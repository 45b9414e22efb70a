package keyring

import (
	"context"
	"errors"
	"slices"
	"time"

	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/store"
)

// After a change of hands an account has two generations of its key, and its records
// are sealed under the newest in the background while the account is used. At the end
// the old generation is destroyed, so that an old copy of its wrapping opens nothing
// that is stored from then on.

const (
	// resealPage is how many records are sealed anew between two pauses; a pause is as
	// long as the work before it, so that at most half of a core goes to it.
	resealPage = 64
	// resealSave is how often progress is stored. What a restart repeats is only read.
	resealSave = 2 * time.Second
	// resealRetry is the pause after a failure.
	resealRetry = 5 * time.Second
)

// errOvertaken: there has been another change of hands meanwhile.
var errOvertaken = errors.New("there is a newer generation")

func (r *Ring) resealAndPlan(ctx context.Context, e *entry) {
	var err error
	select {
	case r.reseals <- struct{}{}:
		err = r.reseal(ctx, e)
		<-r.reseals
	case <-ctx.Done():
	}
	wait := time.Duration(0)
	if err != nil && !errors.Is(err, errOvertaken) && ctx.Err() == nil {
		wait = resealRetry
		if !errors.Is(err, fault.KeyUnavailable) && !errors.Is(err, fault.AccountNotFound) {
			r.cfg.Log.Error("sealing an account anew", "account", spaceName(e.space)[:8], "err", err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e.resealing, e.resealDue = false, time.Now().Add(wait)
	r.nudged()
}

// reseal brings all records of an account under its newest generation and destroys
// the older ones. It stops when the account is locked and goes on from where it was.
func (r *Ring) reseal(ctx context.Context, e *entry) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	if err := e.promote(ctx); err != nil {
		return err
	}
	w, s := e.snapshot()
	s.wipe()
	target, state := w.newest(), w.Reseal
	if state.Total == 0 {
		total, err := r.store.Size(ctx, e.space)
		if err != nil {
			return err
		}
		state.Total = total
	}
	if err := r.pass(ctx, e, target, &state); err != nil {
		return err
	}
	// A second pass only reads: what it still finds, the first must have missed, and
	// what is destroyed at the end cannot be had back.
	for {
		again := resealing{Done: state.Done, Total: state.Total, Started: state.Started}
		if err := r.pass(ctx, e, target, &again); err != nil {
			return err
		}
		if again.Done == state.Done {
			break
		}
		state = again
	}
	return r.retire(ctx, e, target)
}

// promote makes the newest generation the one that seals, when no transaction is left
// that does not know it, and then waits until none is left that seals under another.
func (e *entry) promote(ctx context.Context) error {
	if err := e.drain(ctx); err != nil {
		return err
	}
	e.mu.Lock()
	if e.set == nil {
		defer e.mu.Unlock()
		return e.unavailable()
	}
	sorted := slices.SortedFunc(slices.Values(e.set.keys), func(a, b *envelope.Key) int {
		return int(b.Generation()) - int(a.Generation())
	})
	if sorted[0] != e.set.keys[0] {
		e.swap(&keyset{keys: sorted})
	}
	e.mu.Unlock()
	return e.drain(ctx)
}

// drain waits until the last transaction with a retired set has ended. Transactions
// do no network, so that is soon.
func (e *entry) drain(ctx context.Context) error {
	for {
		e.mu.Lock()
		if len(e.retired) == 0 {
			e.mu.Unlock()
			return nil
		}
		ended := e.retired[0].ended
		e.mu.Unlock()
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pass goes once through all records, from state's cursor.
func (r *Ring) pass(ctx context.Context, e *entry, target uint32, state *resealing) error {
	saved := time.Now()
	for {
		began := time.Now()
		next, sealed, err := r.store.Reseal(ctx, e.space, state.Cursor, resealPage)
		if err != nil {
			return err
		}
		state.Cursor = next
		state.Done += int64(sealed)
		if !e.progress(target, *state) {
			return errOvertaken
		}
		if next == nil {
			return nil
		}
		if time.Since(saved) > resealSave {
			if err := r.saveProgress(ctx, e, target, *state); err != nil {
				return err
			}
			saved = time.Now()
		}
		select {
		case <-time.After(max(time.Since(began), time.Millisecond)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// progress shows how far it is. It reports whether target is still the newest.
func (e *entry) progress(target uint32, state resealing) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.w.newest() != target {
		return false
	}
	e.w.Reseal = state
	return true
}

func (r *Ring) saveProgress(ctx context.Context, e *entry, target uint32, state resealing) error {
	ctx, done, err := e.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	w, s := e.snapshot()
	s.wipe()
	if w.newest() != target {
		return errOvertaken
	}
	old := w
	w.Reseal = state
	return r.write(ctx, e.space, old, w, nil)
}

// retire destroys all generations but the newest: durably first, then in memory, then
// in what the store's files still hold of older values.
func (r *Ring) retire(ctx context.Context, e *entry, target uint32) error {
	ctx, done, err := e.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	w, s := e.snapshot()
	s.wipe()
	if w.newest() != target {
		return errOvertaken
	}
	old := w
	w.Generations = slices.Clone(w.Generations[len(w.Generations)-1:])
	w.Reseal = resealing{}
	if err := r.write(ctx, e.space, old, w, nil); err != nil {
		return err
	}
	e.mu.Lock()
	e.w = w
	var wiped []*envelope.Key
	if e.set != nil {
		wiped = e.set.keys[1:]
		e.swap(&keyset{keys: e.set.keys[:1:1]})
	}
	for number, secret := range e.secrets {
		if number != target {
			clear(secret)
			delete(e.secrets, number)
		}
	}
	e.mu.Unlock()
	// Whoever still looks a name up under the old tags finds it under the new one: the
	// keys are wiped when nobody looks any more.
	if err := e.drain(ctx); err != nil {
		return err
	}
	for _, k := range wiped {
		k.Wipe()
	}
	r.cfg.Log.Info("an account has been sealed anew", "account", spaceName(e.space)[:8])
	if err := r.store.ScrubRecord(ctx, store.Space{}, store.KindWrapping, store.RID{}); err != nil {
		return err
	}
	return r.store.ScrubSpace(ctx, e.space)
}
