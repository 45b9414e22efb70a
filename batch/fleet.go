package batch

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"latchkey/compute"
	"latchkey/fault"
	"latchkey/store"
)

// fleetWait is how long a provider's question waits. Another server may have changed
// the nodes meanwhile, so the answer is made anew even if nothing is known to have.
const fleetWait = 20 * time.Second

// fleet tells those who wait that the set of nodes has changed.
type fleet struct {
	mu      sync.Mutex
	version uint64
	// next is closed when there is another version; nil while nobody waits.
	next chan struct{}
}

// moved gives the set of nodes a new version.
func (f *fleet) moved() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version = store.NextSequence()
	if f.next != nil {
		close(f.next)
		f.next = nil
	}
}

// after returns the version, and a channel that is closed when there is another; nil
// if it is not the one seen.
func (f *fleet) after(seen uint64) (version uint64, moved chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.version != seen {
		return f.version, nil
	}
	if f.next == nil {
		f.next = make(chan struct{})
	}
	return f.version, f.next
}

// Nodes implements compute.Source.
func (s *Service) Nodes(ctx context.Context, seen uint64) (compute.Fleet, error) {
	timer := time.NewTimer(fleetWait)
	defer timer.Stop()
	version, moved := s.fleet.after(seen)
	for waiting := moved != nil; waiting; waiting = moved != nil {
		select {
		case <-moved:
			version, moved = s.fleet.after(seen)
		case <-timer.C:
			moved = nil
		case <-ctx.Done():
			return compute.Fleet{}, ctx.Err()
		}
	}
	accounts, err := s.accounts(ctx)
	if err != nil {
		return compute.Fleet{}, fmt.Errorf("listing accounts: %w", err)
	}
	out := compute.Fleet{Version: version}
	for _, a := range accounts {
		before := len(out.Nodes)
		err := s.store.View(ctx, a.Space, func(tx *store.Tx) error { return supply(tx, a, &out) })
		if errors.Is(err, fault.KeyUnavailable) {
			s.watched.failed(a.Space, err)
			out.Nodes = out.Nodes[:before]
			out.Locked = append(out.Locked, hex.EncodeToString(a.Space[:]))
			continue
		}
		if err != nil {
			return compute.Fleet{}, fmt.Errorf("listing the nodes of account %s: %w", a.Name, err)
		}
	}
	return out, nil
}

// supply adds the nodes of an account.
func supply(tx *store.Tx, a Account, out *compute.Fleet) error {
	for r, err := range tx.Records(store.KindPool, store.RID{}, store.RID{}) {
		if err != nil {
			return err
		}
		p, err := openPool(r)
		if err != nil {
			return err
		}
		for n, err := range nodes(tx, r.ID) {
			if err != nil {
				return err
			}
			out.Nodes = append(out.Nodes, compute.Node{
				Ref: nodePlace{a.Space, r.ID, n.r.ID}.ref(), ID: n.r.Name, PoolID: p.ID,
				AccountName: a.Name, AccountURL: a.URL,
				Slots: p.Slots, StartTask: p.StartTask.order(p.Users),
			})
		}
	}
	return nil
}

// Usage is what can be told of an account without its key.
type Usage struct {
	Pools int64 `json:"pools"`
	Jobs  int64 `json:"jobs"`
	// Nodes and Tasks count by Azure's words for their states. While the account is
	// locked all nodes are unusable, and what the store believes to be running has been
	// killed and is active: it waits to be queued again.
	Nodes map[string]int64 `json:"nodes"`
	Tasks map[string]int64 `json:"tasks"`
}

// Usage counts what an account has, from the counters that are readable without its
// key. It asks nobody's leave: the caller has.
func (s *Service) Usage(ctx context.Context, space store.Space, locked bool) (Usage, error) {
	u := Usage{Nodes: map[string]int64{}, Tasks: map[string]int64{}}
	for _, kind := range []store.Kind{store.KindPool, store.KindJob, store.KindNode, store.KindTask} {
		totals, err := s.store.Totals(ctx, space, kind)
		if err != nil {
			return Usage{}, err
		}
		for state, n := range totals {
			name := names[kind][state]
			switch kind {
			case store.KindPool:
				u.Pools += n
			case store.KindJob:
				u.Jobs += n
			case store.KindNode:
				if locked {
					name = "unusable"
				}
				u.Nodes[name] += n
			case store.KindTask:
				if locked && (state == TaskRunning || state == TaskPreparing) {
					name = "active"
				}
				u.Tasks[name] += n
			}
		}
	}
	return u, nil
}
