package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"latchkey/fault"
	"latchkey/store"
)

// round is how often the loop looks for what is due.
const round = time.Second

// kick makes the loop look at an account now.
func (s *Service) kick(space store.Space) {
	s.mu.Lock()
	if _, ok := s.kicked[space]; !ok {
		s.kicked[space] = false
	}
	s.mu.Unlock()
	select {
	case s.kicks <- struct{}{}:
	default:
	}
}

// sweepLater makes the loop look at every job of an account in its next round.
func (s *Service) sweepLater(space store.Space) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kicked[space] = true
}

// Run does what nobody asks for: leases that ran out, wall clocks, pools and jobs on
// their way. It returns when ctx ends.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(round)
	defer ticker.Stop()
	// What a former process left half done is found once by looking at everything.
	swept := map[store.Space]bool{}
	for {
		accounts, err := s.accounts(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("listing accounts", "err", err)
		}
		s.mu.Lock()
		kicked := s.kicked
		s.kicked = map[store.Space]bool{}
		s.mu.Unlock()
		there := map[store.Space]bool{}
		for _, a := range accounts {
			there[a.Space] = true
			err := s.look(ctx, a.Space, !swept[a.Space] || kicked[a.Space])
			switch {
			case err == nil:
				swept[a.Space] = true
			case errors.Is(err, fault.KeyUnavailable):
				s.watched.failed(a.Space, err)
				// It is swept when it is back.
				delete(swept, a.Space)
			case ctx.Err() == nil:
				s.log.Warn("looking after an account", "space", fmt.Sprintf("%x", a.Space), "err", err)
			}
		}
		for space := range swept {
			if !there[space] {
				delete(swept, space)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.kicks:
		}
	}
}

// look does what is due in an account; all makes it look at every job besides.
func (s *Service) look(ctx context.Context, space store.Space, all bool) error {
	if err := s.recovered(ctx, space); err != nil {
		return err
	}
	due := map[store.Kind][]store.Place{}
	var jobs []store.RID
	err := s.store.View(ctx, space, func(tx *store.Tx) error {
		for _, kind := range []store.Kind{store.KindNode, store.KindPool, store.KindJob, store.KindCertificate} {
			for at, err := range tx.Due(kind, now()) {
				if err != nil {
					return err
				}
				due[kind] = append(due[kind], at)
			}
		}
		if !all {
			return nil
		}
		for r, err := range tx.Records(store.KindJob, store.RID{}, store.RID{}) {
			if err != nil {
				return err
			}
			jobs = append(jobs, r.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	var failed []error
	for _, at := range due[store.KindNode] {
		failed = append(failed, s.loseNode(ctx, nodePlace{space, at.Parent, at.ID}, "unknown", func(_ *nodeRecord, due time.Time) bool {
			return !due.IsZero() && !due.After(time.Now())
		}))
	}
	for _, at := range due[store.KindJob] {
		failed = append(failed, s.settleJob(ctx, space, at.ID))
	}
	for _, at := range due[store.KindPool] {
		if err := s.settlePool(ctx, space, at); !errors.Is(err, store.ErrNotFound) {
			failed = append(failed, err)
		}
	}
	for _, at := range due[store.KindCertificate] {
		failed = append(failed, s.settleCertificate(ctx, space, at))
	}
	for _, id := range jobs {
		failed = append(failed, s.sweepJob(ctx, space, id))
	}
	return errors.Join(failed...)
}

// sweepJob finds what a process left undone behind its commits: tasks that wait for
// what has happened, a job whose tasks are complete, a pool that has gone or come.
func (s *Service) sweepJob(ctx context.Context, space store.Space, id store.RID) error {
	var after touched
	var waits []store.RID
	end := false
	err := s.store.Update(ctx, space, func(tx *store.Tx) error {
		waits, end = nil, false
		j, err := jobByPlace(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		for at, err := range tx.InState(store.KindTask, id, TaskBlocked) {
			if err != nil {
				return err
			}
			waits = append(waits, at.ID)
		}
		if j.body.OnAllComplete == terminateJob {
			done, err := tx.Count(store.KindTask, id, TaskSucceeded)
			if err != nil {
				return err
			}
			failed, err := tx.Count(store.KindTask, id, TaskFailed)
			if err != nil {
				return err
			}
			end = done+failed > 0
		}
		under, err := poolOf(tx, j.body.PoolID)
		if err != nil || under == j.r.Clear.Under || under == (store.RID{}) {
			return err
		}
		after.pool(under)
		after.ready++
		return j.put(tx, j.r.Clear.State, under)
	})
	if err != nil {
		return err
	}
	if err := s.settleWait(ctx, space, id, waits, &after); err != nil {
		return err
	}
	if end {
		if err := s.endIfDone(ctx, space, id); err != nil {
			return err
		}
	}
	s.wakeTouched(space, &after)
	return nil
}
