package batch

import (
	"context"

	"latchkey/identity"
	"latchkey/store"
)

// Counts are how many tasks, or slots of tasks, are in each state. Completed is the sum
// of the last two.
type Counts struct{ Active, Running, Completed, Succeeded, Failed int64 }

func (c *Counts) add(state store.State, n int64) {
	switch state {
	case TaskActive, TaskBlocked:
		c.Active += n
	case TaskPreparing, TaskRunning:
		c.Running += n
	case TaskSucceeded:
		c.Completed += n
		c.Succeeded += n
	case TaskFailed:
		c.Completed += n
		c.Failed += n
	}
}

// TaskCounts counts the tasks of a job, and their slots.
func (s *Service) TaskCounts(ctx context.Context, who identity.Caller, acct Account, jobID string) (tasks, slots Counts, err error) {
	if err := s.require(ctx, who, acct, readJobs); err != nil {
		return tasks, slots, err
	}
	err = s.store.View(ctx, acct.Space, func(tx *store.Tx) error {
		j, err := job(tx, jobID)
		if err != nil {
			return err
		}
		for state := TaskActive; state <= TaskFailed; state++ {
			n, err := tx.Count(store.KindTask, j.r.ID, state)
			if err != nil {
				return err
			}
			tasks.add(state, n)
		}
		if slots = tasks; !j.body.MultiSlot {
			return nil
		}
		// Some task takes more than one slot: only now is it worth reading them all.
		slots = Counts{}
		for r, err := range tx.Records(store.KindTask, j.r.ID, store.RID{}) {
			if err != nil {
				return err
			}
			t, err := openTask(r)
			if err != nil {
				return err
			}
			slots.add(r.Clear.State, int64(t.body.slots()))
		}
		return nil
	})
	return tasks, slots, err
}

// NodeCounts are how many nodes of a pool are in each state, by Azure's words.
type NodeCounts struct {
	PoolID                 string
	Dedicated, LowPriority map[string]int
}

// NodeCounts counts the nodes of the pools of an account.
func (s *Service) NodeCounts(ctx context.Context, who identity.Caller, acct Account, l List[NodeCounts]) ([]NodeCounts, string, error) {
	if err := s.require(ctx, who, acct, readPools); err != nil {
		return nil, "", err
	}
	return list(ctx, s, acct.Space, l, store.KindPool, nil, func(tx *store.Tx, r *store.Record) (NodeCounts, error) {
		out := NodeCounts{PoolID: r.Name, Dedicated: map[string]int{}, LowPriority: map[string]int{}}
		for n, err := range nodes(tx, r.ID) {
			if err != nil {
				return out, err
			}
			by := out.LowPriority
			if n.body.Dedicated {
				by = out.Dedicated
			}
			by[names[store.KindNode][n.r.Clear.State]]++
		}
		return out, nil
	})
}
