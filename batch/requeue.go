package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"latchkey/fault"
	"latchkey/store"
)

// watched knows which accounts were locked since their nodes were last looked at. All
// that ran in one was killed, so before anything else happens there, it is queued
// again.
type watched struct {
	mu    sync.Mutex
	dirty map[store.Space]uint64
	// one guards the requeueing itself.
	one sync.Mutex
}

func (w *watched) mark(space store.Space) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dirty == nil {
		w.dirty = map[store.Space]uint64{}
	}
	w.dirty[space]++
}

// failed marks an account whose key turned out to be away.
func (w *watched) failed(space store.Space, err error) {
	if errors.Is(err, fault.KeyUnavailable) {
		w.mark(space)
	}
}

func (w *watched) state(space store.Space) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dirty[space]
}

// clean forgets a mark unless it was made again since.
func (w *watched) clean(space store.Space, mark uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dirty[space] == mark {
		delete(w.dirty, space)
	}
}

// Wake tells the service that an account was locked or unlocked. Polls that wait
// learn it at once.
func (s *Service) Wake(space store.Space) {
	// Only an account that is found locked loses what it runs: whoever calls for another
	// reason does no harm.
	err := s.store.View(context.Background(), space, func(*store.Tx) error { return nil })
	s.watched.failed(space, err)
	s.benches.wakeSpace(space)
	s.fleet.moved()
	s.kick(space)
}

// recovered makes sure that what an account ran before it was locked is queued again.
func (s *Service) recovered(ctx context.Context, space store.Space) error {
	if s.watched.state(space) == 0 {
		return nil
	}
	s.watched.one.Lock()
	defer s.watched.one.Unlock()
	mark := s.watched.state(space)
	if mark == 0 {
		return nil
	}
	if err := s.requeueAll(ctx, space); err != nil {
		return err
	}
	s.watched.clean(space, mark)
	return nil
}

// requeueAll queues everything again that runs in an account. Its nodes are unusable
// until their agents come back.
func (s *Service) requeueAll(ctx context.Context, space store.Space) error {
	var places []nodePlace
	err := s.store.View(ctx, space, func(tx *store.Tx) error {
		for r, err := range tx.Records(store.KindPool, store.RID{}, store.RID{}) {
			if err != nil {
				return err
			}
			for n, err := range nodes(tx, r.ID) {
				if err != nil {
					return err
				}
				places = append(places, nodePlace{space, r.ID, n.r.ID})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, at := range places {
		if err := s.loseNode(ctx, at, "unusable", func(*nodeRecord, time.Time) bool { return true }); err != nil {
			return fmt.Errorf("requeueing after a lock: %w", err)
		}
	}
	s.kick(space)
	return nil
}

// loseNode ends everything on a node that is without its agent, if lost still says so
// when it is looked at.
func (s *Service) loseNode(ctx context.Context, at nodePlace, why string, lost func(n *nodeRecord, due time.Time) bool) error {
	var after touched
	var settle []store.RID
	hint := map[store.RID]hint{}
	gone := false
	err := s.store.Update(ctx, at.space, func(tx *store.Tx) error {
		gone = false
		n, err := node(tx, at.pool, at.node)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil || n.body.Boot == "" || !lost(n.body, n.r.Clear.Due) {
			return err
		}
		x := &exchange{s: s, at: at, tx: tx, n: n, now: now(), jobs: map[store.RID]jobAt{}, hints: hint}
		for len(n.body.Runs) > 0 {
			if err := x.over(n.body.Runs[0]); err != nil {
				return err
			}
		}
		after, settle = x.touched, x.settle
		if n.body.Leaving != "" {
			gone, after.moved = true, true
			return tx.Delete(n.r)
		}
		n.body.Lost, n.body.Ready = why, false
		// No lease: the node is not looked at again before its agent comes.
		return n.put(tx, time.Time{})
	})
	if err != nil {
		return err
	}
	if gone {
		s.benches.drop(at.space, at.pool, at.node)
	}
	for job := range hint {
		s.hints.set(at.space, job, hint[job])
	}
	for _, id := range settle {
		if err := s.settleJob(ctx, at.space, id); err != nil {
			return err
		}
	}
	return s.settleTouched(ctx, at.space, &after)
}
