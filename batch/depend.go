package batch

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"latchkey/store"
)

// A task that depends on others waits for one of them at a time: the first that does
// not let it start yet. What it waits for is a record of its own, whose parent is the
// task waited for, or the job while there is no such task; so whoever completes a task
// finds those that it lets go without looking at any other. The check runs behind the
// commit that completed the task: a task that began to wait before sees the check, and
// one that begins after sees the completion, because it has read the task's record.

// waitRecord is how a wait is stored.
type waitRecord struct{ Task rid }

// meetings is how many dependencies one transaction looks at.
const meetings = 500

// dependency returns the id of the task that is looked at in a place of the order; ok
// is false behind the last. What is named last comes first: tasks complete about in
// the order in which they are added and named, so who waits for the last one is not
// woken by each of those before it.
func (t *TaskSpec) dependency(i int) (id string, ok bool) {
	for _, r := range slices.Backward(t.Ranges) {
		size := r.End - r.Start + 1
		if i < size {
			return strconv.Itoa(r.End - i), true
		}
		i -= size
	}
	if i < len(t.DependsOn) {
		return t.DependsOn[len(t.DependsOn)-1-i], true
	}
	return "", false
}

// meet goes through the dependencies of a task from where it was. It reports whether
// all are met; if not, the task now waits for the next, unless there is more to look
// at. It changes t and does not write it.
func meet(tx *store.Tx, job, self store.RID, t *taskRecord) (met, more bool, err error) {
	for range meetings {
		id, ok := t.dependency(t.Met)
		if !ok {
			return true, false, dropWait(tx, t)
		}
		target := job
		r, err := tx.Lookup(store.KindTask, job, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return false, false, err
		}
		if err == nil {
			on, err := openTask(r)
			if err != nil {
				return false, false, err
			}
			if on.completed() && on.body.Satisfies {
				t.Met++
				continue
			}
			target = r.ID
		}
		if t.Wait != (rid{}) && t.WaitFor == rid(target) {
			return false, false, nil
		}
		if err := dropWait(tx, t); err != nil {
			return false, false, err
		}
		w, err := tx.Insert(store.KindWait, target, "", store.Clear{}, waitRecord{rid(self)})
		if err != nil {
			return false, false, err
		}
		t.WaitFor, t.Wait = rid(target), rid(w.ID)
		return false, false, nil
	}
	return false, true, nil
}

// dropWait removes the record of what a task waits for.
func dropWait(tx *store.Tx, t *taskRecord) error {
	if t.Wait == (rid{}) {
		return nil
	}
	w, err := tx.Get(store.KindWait, store.RID(t.WaitFor), store.RID(t.Wait))
	if err == nil {
		err = tx.Delete(w)
	}
	t.WaitFor, t.Wait = rid{}, rid{}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// unwait ends a task's waiting for good.
func (t taskAt) unwait(tx *store.Tx) error { return dropWait(tx, t.body) }

// settleWait looks at blocked tasks of a job until each is active or waits for another.
func (s *Service) settleWait(ctx context.Context, space store.Space, job store.RID, tasks []store.RID, touched *touched) error {
	for len(tasks) > 0 {
		now := tasks[:min(len(tasks), together)]
		var again []store.RID
		var ready []taskPlace
		err := s.store.Update(ctx, space, func(tx *store.Tx) error {
			again, ready = nil, nil
			for _, id := range now {
				freed, more, err := lookAgain(tx, job, id)
				if err != nil {
					return err
				}
				if more {
					again = append(again, id)
				}
				if freed {
					ready = append(ready, taskPlace{rid(job), rid(id)})
				}
			}
			if len(ready) == 0 {
				return nil
			}
			j, err := jobByPlace(tx, job)
			if err == nil {
				touched.pool(j.r.Clear.Under)
			}
			return err
		})
		if err != nil {
			return err
		}
		touched.ready += len(ready)
		touched.fronts = append(touched.fronts, ready...)
		tasks = append(again, tasks[len(now):]...)
	}
	return nil
}

// together is how many tasks that wait are looked at in one transaction.
const together = 20

// lookAgain looks at a task that waits. It reports whether it is active now, and
// whether there is more to look at.
func lookAgain(tx *store.Tx, job, id store.RID) (freed, more bool, err error) {
	t, err := taskAtPlace(tx, job, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && t.r.Clear.State != TaskBlocked {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	met, wait := t.body.Met, t.body.Wait
	freed, more, err = meet(tx, job, id, t.body)
	switch {
	case err != nil:
		return false, false, err
	case freed:
		return true, false, t.move(tx, TaskActive)
	case met == t.body.Met && wait == t.body.Wait:
		return false, more, nil
	}
	return false, more, t.put(tx, TaskBlocked)
}

// settleWaits looks at everything that waits for a task, or, given the job, for tasks
// that did not exist.
func (s *Service) settleWaits(ctx context.Context, space store.Space, job, on store.RID, touched *touched) error {
	var behind store.RID
	for {
		var page, tasks []store.RID
		err := s.store.View(ctx, space, func(tx *store.Tx) error {
			for r, err := range tx.Records(store.KindWait, on, behind) {
				if err != nil {
					return err
				}
				var w waitRecord
				if err := r.Decode(&w); err != nil {
					return err
				}
				page, tasks = append(page, r.ID), append(tasks, store.RID(w.Task))
				if len(page) == chunk {
					return nil
				}
			}
			return nil
		})
		if err != nil || len(page) == 0 {
			return err
		}
		if err := s.settleWait(ctx, space, job, tasks, touched); err != nil {
			return err
		}
		behind = page[len(page)-1]
	}
}
