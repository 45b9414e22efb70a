package batch

import (
	"context"
	"errors"
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

// dependency returns the id of the task that is named at a place in the order; ok is
// false behind the last.
func (t *TaskSpec) dependency(i int) (id string, ok bool) {
	if i < len(t.DependsOn) {
		return t.DependsOn[i], true
	}
	i -= len(t.DependsOn)
	for _, r := range t.Ranges {
		if size := r.End - r.Start + 1; i < size {
			return strconv.Itoa(r.Start + i), true
		} else {
			i -= size
		}
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

// settleWait looks at a blocked task until it is active or waits for another.
func (s *Service) settleWait(ctx context.Context, space store.Space, at taskPlace, touched *touched) error {
	for {
		again := false
		err := s.store.Update(ctx, space, func(tx *store.Tx) error {
			again = false
			t, err := taskAtPlace(tx, store.RID(at.Job), store.RID(at.Task))
			if errors.Is(err, store.ErrNotFound) || err == nil && t.r.Clear.State != TaskBlocked {
				return nil
			}
			if err != nil {
				return err
			}
			before := *t.body
			met, more, err := meet(tx, store.RID(at.Job), t.r.ID, t.body)
			if err != nil {
				return err
			}
			again = more
			if met {
				j, err := jobByPlace(tx, t.r.Parent)
				if err != nil {
					return err
				}
				touched.pool(j.r.Clear.Under)
				touched.ready++
				return t.move(tx, TaskActive)
			}
			if before.Met == t.body.Met && before.Wait == t.body.Wait {
				return nil
			}
			return t.put(tx, TaskBlocked)
		})
		if err != nil || !again {
			return err
		}
	}
}

// settleWaits looks at everything that waits for a task, or, given the job, for tasks
// that did not exist.
func (s *Service) settleWaits(ctx context.Context, space store.Space, job, on store.RID, touched *touched) error {
	var behind store.RID
	for {
		var page []store.RID
		var tasks []rid
		err := s.store.View(ctx, space, func(tx *store.Tx) error {
			for r, err := range tx.Records(store.KindWait, on, behind) {
				if err != nil {
					return err
				}
				var w waitRecord
				if err := r.Decode(&w); err != nil {
					return err
				}
				page, tasks = append(page, r.ID), append(tasks, w.Task)
				if len(page) == chunk {
					return nil
				}
			}
			return nil
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, t := range tasks {
			if err := s.settleWait(ctx, space, taskPlace{rid(job), t}, touched); err != nil {
				return err
			}
		}
		behind = page[len(page)-1]
	}
}
