package batch

import (
	"context"
	"errors"
	"fmt"
	"math"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// chunk is how many tasks one transaction of the loop changes.
const chunk = 200

// changeJobState lets fn move a job on the wish of its owner; the loop does the rest.
func (s *Service) changeJobState(ctx context.Context, who identity.Caller, acct Account, id, action string, cond Condition,
	fn func(*store.Tx, jobAt) error,
) error {
	if err := s.require(ctx, who, acct, action); err != nil {
		return err
	}
	var place store.RID
	err := s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		j, err := job(tx, id)
		if err != nil {
			return err
		}
		if err := cond.check(j.body.Modified); err != nil {
			return err
		}
		place = j.r.ID
		return fn(tx, j)
	})
	if err != nil {
		return err
	}
	// Most of this is done at once; what takes longer, the loop does.
	if err := s.settleJob(ctx, acct.Space, place); err != nil {
		s.log.Warn("moving a job on", "err", err)
	}
	s.kick(acct.Space)
	return nil
}

// DisableJob stops a job from starting tasks. Tasks that run are queued again, ended,
// or waited for, as the option says: requeue, terminate or wait.
func (s *Service) DisableJob(ctx context.Context, who identity.Caller, acct Account, id, option string, cond Condition) error {
	return s.changeJobState(ctx, who, acct, id, writeJobs, cond, func(tx *store.Tx, j jobAt) error {
		switch option {
		case stopRequeue, stopTerminate, "wait":
		case "":
			return NoProperty("disableTasks")
		default:
			return BadProperty("disableTasks", option, "it must be requeue, terminate or wait")
		}
		if err := j.refused(); err != nil {
			return err
		}
		j.body.Disable = option
		return j.move(tx, JobDisabling)
	})
}

// EnableJob lets a disabled job start tasks again.
func (s *Service) EnableJob(ctx context.Context, who identity.Caller, acct Account, id string, cond Condition) error {
	return s.changeJobState(ctx, who, acct, id, writeJobs, cond, func(tx *store.Tx, j jobAt) error {
		if err := j.refused(); err != nil {
			return err
		}
		if j.r.Clear.State == JobActive {
			return fault.InvalidJobState.New("The specified job %q is not disabled.", id)
		}
		return j.move(tx, JobEnabling)
	})
}

// TerminateJob ends a job and the tasks that it runs. Tasks that have not begun stay
// as they are and never will.
func (s *Service) TerminateJob(ctx context.Context, who identity.Caller, acct Account, id, reason string, cond Condition) error {
	return s.changeJobState(ctx, who, acct, id, writeJobs, cond, func(tx *store.Tx, j jobAt) error {
		if err := j.refused(); err != nil {
			return err
		}
		if reason == "" {
			reason = "UserTerminate"
		}
		return j.terminate(tx, reason)
	})
}

// terminate begins to end a job. The reason is seen when it has ended.
func (j jobAt) terminate(tx *store.Tx, reason string) error {
	j.body.Reason = reason
	return j.move(tx, JobTerminating)
}

// DeleteJob begins to delete a job with all of its tasks and their files.
func (s *Service) DeleteJob(ctx context.Context, who identity.Caller, acct Account, id string, cond Condition) error {
	return s.changeJobState(ctx, who, acct, id, deleteJobs, cond, func(tx *store.Tx, j jobAt) error {
		if err := j.deleting(); err != nil {
			return err
		}
		return j.move(tx, JobDeleting)
	})
}

// settleJob moves a job on as far as it goes now.
func (s *Service) settleJob(ctx context.Context, space store.Space, id store.RID) error {
	for {
		more, err := s.stepJob(ctx, space, id)
		if err != nil || !more {
			return err
		}
	}
}

// stepJob does one transaction's worth of what a job on its way needs. It reports
// whether there is more that can be done at once.
func (s *Service) stepJob(ctx context.Context, space store.Space, id store.RID) (more bool, err error) {
	var touched touched
	gone := false
	err = s.store.Update(ctx, space, func(tx *store.Tx) error {
		more, gone, touched = false, false, touched.reset()
		j, err := jobByPlace(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		touched.pool(j.r.Clear.Under)
		switch j.r.Clear.State {
		case JobActive, JobDisabled:
			if due := j.r.Clear.Due; !due.IsZero() && !due.After(now()) {
				more = true
				return j.terminate(tx, wallClockExpiry)
			}
		case JobEnabling:
			touched.ready = math.MaxInt
			return j.move(tx, JobActive)
		case JobDisabling:
			running, full, err := stopTasks(tx, j, j.body.Disable, &touched)
			if err != nil || running > 0 {
				more = full
				return err
			}
			return j.move(tx, JobDisabled)
		case JobTerminating:
			running, full, err := stopTasks(tx, j, stopTerminate, &touched)
			if err != nil || running > 0 {
				more = full
				return err
			}
			// While the job was active still, a task may have been added behind the count
			// that said that all were complete. Now none can be.
			if j.body.Reason == allTasksDone {
				left, err := unfinished(tx, id)
				if err != nil {
					return err
				}
				if left > 0 {
					j.body.Reason = ""
					touched.ready = math.MaxInt
					return j.move(tx, JobActive)
				}
			}
			j.body.EndedAt = now()
			return j.move(tx, JobCompleted)
		case JobDeleting:
			more, err = deleteTasks(tx, j, &touched)
			if err != nil || more {
				return err
			}
			gone = true
			return tx.Delete(j.r)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if gone {
		s.hints.drop(space, id)
	}
	s.wakeTouched(space, &touched)
	return more, nil
}

// stopTasks does with the running tasks of a job what the option says. It returns how
// many still run, and whether it left some for the next time.
func stopTasks(tx *store.Tx, j jobAt, option string, touched *touched) (running int, full bool, err error) {
	var places []store.Place
	for _, state := range []store.State{TaskPreparing, TaskRunning} {
		for at, err := range tx.InState(store.KindTask, j.r.ID, state) {
			if err != nil {
				return 0, false, err
			}
			places = append(places, at)
		}
	}
	if option == "wait" {
		return len(places), false, nil
	}
	ended := 0
	for i, at := range places {
		if i == chunk {
			return len(places) - ended, ended > 0, nil
		}
		t, err := taskAtPlace(tx, at.Parent, at.ID)
		if errors.Is(err, store.ErrNotFound) {
			ended++
			continue
		}
		if err != nil {
			return 0, false, err
		}
		gone, err := t.stop(tx, option, touched)
		if err != nil {
			return 0, false, err
		}
		if gone {
			ended++
		}
	}
	// What was ended here is still in the list that the next step would see.
	return len(places) - ended, false, nil
}

// deleteTasks deletes some tasks of a job and reports whether there may be more.
func deleteTasks(tx *store.Tx, j jobAt, touched *touched) (more bool, err error) {
	n := 0
	for r, err := range tx.Records(store.KindTask, j.r.ID, store.RID{}) {
		if err != nil {
			return false, err
		}
		if n == chunk {
			return true, nil
		}
		n++
		t, err := taskAtPlace(tx, r.Parent, r.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		if err := t.delete(tx, j.body.ID, touched); err != nil {
			return false, err
		}
	}
	// The job itself goes in a step that finds no task: no other can be added to it.
	return n > 0, nil
}

// unfinished counts the tasks of a job that are not complete.
func unfinished(tx *store.Tx, id store.RID) (int64, error) {
	var sum int64
	for _, state := range []store.State{TaskActive, TaskBlocked, TaskPreparing, TaskRunning} {
		n, err := tx.Count(store.KindTask, id, state)
		if err != nil {
			return 0, fmt.Errorf("counting tasks: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// endIfDone terminates a job that wants to end with its tasks when they are complete.
func (s *Service) endIfDone(ctx context.Context, space store.Space, id store.RID) error {
	ended := false
	err := s.store.Update(ctx, space, func(tx *store.Tx) error {
		ended = false
		j, err := jobByPlace(tx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil || j.r.Clear.State != JobActive || j.body.OnAllComplete != terminateJob {
			return err
		}
		left, err := unfinished(tx, id)
		if err != nil || left > 0 {
			return err
		}
		ended = true
		return j.terminate(tx, allTasksDone)
	})
	if err != nil || !ended {
		return err
	}
	return s.settleJob(ctx, space, id)
}
