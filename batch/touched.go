package batch

import (
	"context"
	"fmt"

	"latchkey/store"
)

// touched collects, inside a transaction, what has to follow when it was committed:
// whom to wake, and which tasks and jobs to look at. What follows is found again by
// the loop if the process ends in between.
type touched struct {
	pools, nodes map[store.RID]bool
	// ready is how many tasks became ready to run.
	ready int
	done  []doneTask
	waits []taskPlace
	// fronts are tasks that are in the queue again, in front of where the next is looked
	// for.
	fronts []taskPlace
	// arrivals are jobs to which tasks were added that others may wait for.
	arrivals []store.RID
	// moved says that the set of nodes changed.
	moved bool
}

type doneTask struct {
	job, task    store.RID
	depends, end bool
}

func (t *touched) reset() touched { return touched{} }

func (t *touched) pool(id store.RID) {
	if id == (store.RID{}) {
		return
	}
	if t.pools == nil {
		t.pools = map[store.RID]bool{}
	}
	t.pools[id] = true
}

func (t *touched) node(id store.RID) {
	if t.nodes == nil {
		t.nodes = map[store.RID]bool{}
	}
	t.nodes[id] = true
}

// completed notes a task that was completed or deleted.
func (t *touched) completed(j jobAt, task taskAt) {
	d := doneTask{j.r.ID, task.r.ID, j.body.UsesDependencies, j.body.OnAllComplete == terminateJob}
	if d.depends || d.end {
		t.done = append(t.done, d)
	}
}

func (t *touched) waiting(job, task store.RID) {
	t.waits = append(t.waits, taskPlace{rid(job), rid(task)})
}

func (t *touched) arrived(job store.RID) { t.arrivals = append(t.arrivals, job) }

// settleTouched does what follows a commit. Its errors do not undo the commit: they are
// told to the log, and the loop tries again.
func (s *Service) settleTouched(ctx context.Context, space store.Space, t *touched) error {
	// Wake first: what was committed can run while the rest is looked at.
	s.wakeTouched(space, t)
	if len(t.done)+len(t.waits)+len(t.arrivals) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	var after touched
	err := func() error {
		for _, at := range t.waits {
			if err := s.settleWait(ctx, space, store.RID(at.Job), []store.RID{store.RID(at.Task)}, &after); err != nil {
				return err
			}
		}
		for _, job := range t.arrivals {
			if err := s.settleWaits(ctx, space, job, job, &after); err != nil {
				return err
			}
		}
		for _, d := range t.done {
			if !d.depends {
				continue
			}
			if err := s.settleWaits(ctx, space, d.job, d.task, &after); err != nil {
				return err
			}
		}
		ended := map[store.RID]bool{}
		for _, d := range t.done {
			if !d.end || ended[d.job] {
				continue
			}
			ended[d.job] = true
			if err := s.endIfDone(ctx, space, d.job); err != nil {
				return err
			}
		}
		return nil
	}()
	s.wakeTouched(space, &after)
	if err != nil {
		s.log.Warn("following up a change", "space", fmt.Sprintf("%x", space), "err", err)
		s.sweepLater(space)
	}
	return nil
}

// wakeTouched wakes the nodes that have something to do now.
func (s *Service) wakeTouched(space store.Space, t *touched) {
	for _, at := range t.fronts {
		s.hints.back(space, store.RID(at.Job), store.RID(at.Task))
	}
	for id := range t.nodes {
		s.benches.wakeNode(space, id)
	}
	for id := range t.pools {
		if t.ready > 0 {
			s.benches.wakeHungry(space, id, t.ready)
		}
	}
	if t.moved {
		s.fleet.moved()
		s.kick(space)
	}
}
