package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// MaxCollection is how many tasks one call may add.
const MaxCollection = 100

func (c Constraints) check() error {
	if d := c.MaxWallClock; d != nil && *d <= 0 {
		return BadProperty("constraints.maxWallClockTime", d.String(), "it must be more than zero")
	}
	if d := c.Retention; d != nil && *d < 0 {
		return BadProperty("constraints.retentionTime", d.String(), "it must not be negative")
	}
	if n := c.MaxRetries; n != nil && *n < -1 {
		return BadProperty("constraints.maxTaskRetryCount", fmt.Sprint(*n), "it must be -1 or more")
	}
	return nil
}

// check says what cannot be in a new task.
func (t *TaskSpec) check(j *jobRecord) error {
	if err := checkID("id", t.ID); err != nil {
		return err
	}
	if err := checkDisplayName(t.DisplayName); err != nil {
		return err
	}
	if err := checkCommandLine("commandLine", t.CommandLine); err != nil {
		return err
	}
	if err := checkEnv("environmentSettings", t.Env); err != nil {
		return err
	}
	if err := checkResourceFiles("resourceFiles", t.Files); err != nil {
		return err
	}
	if err := checkUser("userIdentity", t.User); err != nil {
		return err
	}
	if t.Slots != 0 {
		if err := checkRange("requiredSlots", t.Slots, 1, maxSlots); err != nil {
			return err
		}
	}
	if err := t.Constraints.check(); err != nil {
		return err
	}
	if err := t.Exits.check(j); err != nil {
		return err
	}
	return t.checkDependencies(j)
}

func (t *TaskSpec) checkDependencies(j *jobRecord) error {
	if len(t.DependsOn)+len(t.Ranges) == 0 {
		return nil
	}
	if !j.UsesDependencies {
		return fault.TaskDependenciesNotSpecifiedOnJob.New("The job %q does not use task dependencies: its usesTaskDependencies is not true.", j.ID)
	}
	size := 0
	for i, id := range t.DependsOn {
		if err := checkID(fmt.Sprintf("dependsOn.taskIds[%d]", i), id); err != nil {
			return err
		}
		if resource.Equal(id, t.ID) {
			return BadProperty("dependsOn.taskIds", id, "a task cannot depend on itself")
		}
		size += len(id)
	}
	if size > 64000 {
		return fault.TaskDependencyListTooLong.New("The ids that a task depends on have more than 64000 characters.")
	}
	for i, r := range t.Ranges {
		if r.Start > r.End || r.Start < 0 {
			return BadProperty(fmt.Sprintf("dependsOn.taskIdRanges[%d]", i), fmt.Sprint(r.Start, "-", r.End), "a range starts at 0 or later and ends where it starts or later")
		}
	}
	return nil
}

// An Added is what became of one task of a collection: a task or an error.
type Added struct {
	ID   string
	Task Task
	Err  error
}

// AddTask adds a task to a job.
func (s *Service) AddTask(ctx context.Context, who identity.Caller, acct Account, jobID string, spec TaskSpec) (Task, error) {
	added, err := s.AddTasks(ctx, who, acct, jobID, []TaskSpec{spec})
	if err != nil {
		return Task{}, err
	}
	return added[0].Task, added[0].Err
}

// AddTasks adds a collection of tasks to a job in one transaction. A task that cannot
// be added does not keep the others out; its entry has the error.
func (s *Service) AddTasks(ctx context.Context, who identity.Caller, acct Account, jobID string, specs []TaskSpec) ([]Added, error) {
	if err := s.require(ctx, who, acct, writeJobs); err != nil {
		return nil, err
	}
	if len(specs) > MaxCollection {
		return nil, fault.InvalidRequestBody.New("A collection has at most %d tasks, and this one has %d.", MaxCollection, len(specs)).
			With("PropertyName", "value").With("PropertyValue", fmt.Sprint(len(specs)))
	}
	var added []Added
	var touched touched
	ready := 0
	err := s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		added, ready, touched = make([]Added, len(specs)), 0, touched.reset()
		j, err := job(tx, jobID)
		if err != nil {
			return err
		}
		if err := j.refused(); err != nil {
			return err
		}
		touched.pool(j.r.Clear.Under)
		multi := false
		for i := range specs {
			added[i].ID = specs[i].ID
			t, more, err := addTask(tx, j, &specs[i])
			if _, told := fault.From(err); told {
				added[i].Err = err
				continue
			}
			if err != nil {
				return err
			}
			added[i].Task = t.out(j.body)
			multi = multi || t.body.slots() > 1
			if t.r.Clear.State == TaskActive {
				ready++
			}
			if more {
				touched.waiting(j.r.ID, t.r.ID)
			}
		}
		if j.body.UsesDependencies {
			touched.arrived(j.r.ID)
		}
		if multi && !j.body.MultiSlot {
			j.body.MultiSlot = true
			return j.put(tx, j.r.Clear.State, j.r.Clear.Under)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	touched.ready = ready
	return added, s.settleTouched(ctx, acct.Space, &touched)
}

// addTask writes one task. One that depends on others is looked at already: it is
// active if all of them let it start, else it waits for the first that does not.
func addTask(tx *store.Tx, j jobAt, spec *TaskSpec) (t taskAt, more bool, err error) {
	if err := spec.check(j.body); err != nil {
		return taskAt{}, false, err
	}
	taken := fault.TaskExists.New("The specified task %q already exists in job %q.", spec.ID, j.body.ID)
	id, state := store.NewRID(), TaskActive
	body := &taskRecord{TaskSpec: *spec, StateAt: now()}
	if len(spec.DependsOn)+len(spec.Ranges) > 0 {
		if _, err := tx.Lookup(store.KindTask, j.r.ID, spec.ID); !errors.Is(err, store.ErrNotFound) {
			return taskAt{}, false, cmp.Or(err, error(taken))
		}
		var met bool
		if met, more, err = meet(tx, j.r.ID, id, body); err != nil {
			return taskAt{}, false, err
		}
		if !met {
			state = TaskBlocked
		}
	}
	r, err := tx.InsertAt(store.KindTask, j.r.ID, id, spec.ID, store.Clear{State: state, Under: j.r.ID}, body)
	if errors.Is(err, store.ErrExists) {
		return taskAt{}, false, taken
	}
	return taskAt{r, body}, more, err
}
