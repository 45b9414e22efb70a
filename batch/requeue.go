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

// watched knows which accounts were locked since their nodes were last looked at.
// Their agents kill what they run, so before anything else happens there, it is queued
// again: at once where the agent is known to have done so, and else when it says so.
type watched struct {
	mu    sync.Mutex
	dirty map[store.Space]uint64
	// idle are the nodes whose agents were refused since and said that they run nothing.
	idle map[store.Space]map[store.RID]bool
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

// refused notes that a poll was refused because the key is away.
func (w *watched) refused(at nodePlace, running int, err error) {
	if !errors.Is(err, fault.KeyUnavailable) {
		return
	}
	w.mark(at.space)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.idle == nil {
		w.idle = map[store.Space]map[store.RID]bool{}
	}
	if w.idle[at.space] == nil {
		w.idle[at.space] = map[store.RID]bool{}
	}
	// What it runs now, it kills when it reads the refusal; the next poll tells.
	w.idle[at.space][at.node] = running == 0
}

func (w *watched) isIdle(at nodePlace) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.idle[at.space][at.node]
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
		delete(w.idle, space)
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

// requeueAll queues everything again that ran in an account when it was locked. Its
// nodes are unusable until their agents come back. A task whose agent may not have
// noticed yet is asked back from it, so that it never runs twice at once; its lease
// sets an end to that.
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
		idle := s.watched.isIdle(at)
		err := s.loseNode(ctx, at, "unusable", func(_ *nodeRecord, due time.Time) bool { return idle || !due.After(time.Now()) })
		if err == nil && !idle {
			err = s.askBack(ctx, at)
		}
		if err != nil {
			return fmt.Errorf("requeueing after a lock: %w", err)
		}
	}
	s.kick(space)
	return nil
}

// askBack asks the agent of a node for everything that it runs.
func (s *Service) askBack(ctx context.Context, at nodePlace) error {
	return s.store.Update(ctx, at.space, func(tx *store.Tx) error {
		n, err := node(tx, at.pool, at.node)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil || n.body.Boot == "" || n.body.Lost != "" {
			return err
		}
		n.stopRuns(stopRequeue)
		n.body.Lost, n.body.Ready = "unusable", false
		return n.put(tx, n.r.Clear.Due)
	})
}

// loseNode ends everything on a node that is without its agent, if lost still says so
// when it is looked at.
func (s *Service) loseNode(ctx context.Context, at nodePlace, why string, lost func(n *nodeRecord, due time.Time) bool) error {
	var after touched
	var settle []store.RID
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
		x := &exchange{s: s, at: at, tx: tx, n: n, now: now(), jobs: map[store.RID]jobAt{}}
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
	for _, id := range settle {
		if err := s.settleJob(ctx, at.space, id); err != nil {
			return err
		}
	}
	return s.settleTouched(ctx, at.space, &after)
}
