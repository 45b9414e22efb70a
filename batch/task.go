package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"latchkey/compute"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// retention is how long a task's files stay when it does not say.
const retention = 7 * 24 * time.Hour

// A TaskSpec is what the owner of a task decides. It is stored inside the task's
// record by its field names.
type TaskSpec struct {
	ID          string `json:"-"`
	DisplayName string `json:",omitempty"`
	CommandLine string
	Env         []EnvVar       `json:",omitempty"`
	Files       []ResourceFile `json:",omitempty"`
	User        *UserIdentity  `json:",omitempty"`
	// Slots is how many task slots a node must have free; zero means 1.
	Slots       int         `json:",omitempty"`
	Affinity    string      `json:",omitempty"`
	Constraints Constraints `json:",omitzero"`
	Exits       *ExitRules  `json:",omitempty"`
	// DependsOn and Ranges name the tasks that must complete before this one starts.
	DependsOn []string  `json:",omitempty"`
	Ranges    []IDRange `json:",omitempty"`
}

// Constraints limit a task. Nil fields were not given.
type Constraints struct {
	MaxWallClock *time.Duration `json:",omitempty"`
	Retention    *time.Duration `json:",omitempty"`
	MaxRetries   *int           `json:",omitempty"`
}

// An IDRange names the tasks whose ids are the numbers from Start to End.
type IDRange struct{ Start, End int }

// A Failure is why something did not go well. User says whose fault it is.
type Failure struct {
	User          bool `json:",omitempty"`
	Code, Message string
	Details       []Pair `json:",omitempty"`
}

// A Task is a task as it is now.
type Task struct {
	TaskSpec
	JobID               string
	State, Previous     string
	Created             time.Time
	StateAt, PreviousAt time.Time
	Execution           Execution
	PoolID, NodeID      string
	Modified            uint64
}

// Execution says how a task ran.
type Execution struct {
	Started, Ended time.Time `json:",omitzero"`
	ExitCode       *int      `json:",omitempty"`
	Failure        *Failure  `json:",omitempty"`
	Retries        int       `json:",omitempty"`
	RetriedAt      time.Time `json:",omitzero"`
	Requeues       int       `json:",omitempty"`
	RequeuedAt     time.Time `json:",omitzero"`
	Succeeded      bool      `json:",omitempty"`
}

// taskRecord is how a task is stored. Its state is a clear field, its version is the
// record's.
type taskRecord struct {
	TaskSpec
	Execution
	StateAt    time.Time
	Previous   store.State `json:",omitempty"`
	PreviousAt time.Time   `json:",omitzero"`
	// Run is the attempt that the task is in; only its result counts.
	Run string `json:",omitempty"`
	// Pool and Node are where it ran last.
	Pool, Node     rid    `json:",omitzero"`
	PoolID, NodeID string `json:",omitempty"`
	// Satisfies says that a completed task lets those that depend on it start.
	Satisfies bool `json:",omitempty"`
	// Met counts the dependencies that are met, in the order in which they are named;
	// WaitFor and Wait are the place of the record that waits for the next.
	Met           int `json:",omitempty"`
	WaitFor, Wait rid `json:",omitzero"`
}

// taskAt is a task's record with what is in it.
type taskAt struct {
	r    *store.Record
	body *taskRecord
}

func openTask(r *store.Record) (taskAt, error) {
	t := taskAt{r, &taskRecord{}}
	if err := r.Decode(t.body); err != nil {
		return t, err
	}
	t.body.ID = r.Name
	return t, nil
}

// taskAtPlace returns a task to act on.
func taskAtPlace(tx *store.Tx, job, id store.RID) (taskAt, error) {
	r, err := tx.Get(store.KindTask, job, id)
	if err != nil {
		return taskAt{}, err
	}
	return openTask(r)
}

// lookTask finds a task by the ids of its job and its own.
func lookTask(tx *store.Tx, jobID, id string) (jobAt, taskAt, error) {
	j, err := job(tx, jobID)
	if err != nil {
		return jobAt{}, taskAt{}, err
	}
	r, err := tx.Lookup(store.KindTask, j.r.ID, id)
	if err != nil {
		return jobAt{}, taskAt{}, missing(err, fault.TaskNotFound, "The specified task %q does not exist in job %q.", id, jobID)
	}
	t, err := openTask(r)
	return j, t, err
}

// taskByPlace returns a task to show; jobs caches its jobs during one call.
func taskByPlace(tx *store.Tx, at taskPlace, jobs map[rid]*jobRecord) (Task, error) {
	if _, ok := jobs[at.Job]; !ok {
		j, err := jobByPlace(tx, store.RID(at.Job))
		if err != nil {
			return Task{}, err
		}
		jobs[at.Job] = j.body
	}
	t, err := taskAtPlace(tx, store.RID(at.Job), store.RID(at.Task))
	if err != nil {
		return Task{}, err
	}
	return t.out(jobs[at.Job]), nil
}

// move brings a task into another state and writes it.
func (t taskAt) move(tx *store.Tx, to store.State) error {
	from := t.r.Clear.State
	if !mayMove(store.KindTask, from, to) {
		return fmt.Errorf("a task cannot go from %s (%d) to %s (%d)", names[store.KindTask][from], from, names[store.KindTask][to], to)
	}
	if from != to {
		t.body.Previous, t.body.PreviousAt = from, t.body.StateAt
		t.body.StateAt = now()
	}
	return t.put(tx, to)
}

func (t taskAt) put(tx *store.Tx, state store.State) error {
	return tx.Put(t.r, store.Clear{State: state, Under: t.r.Parent}, t.body)
}

func (t taskAt) running() bool {
	return t.r.Clear.State == TaskRunning || t.r.Clear.State == TaskPreparing
}

func (t taskAt) completed() bool {
	return t.r.Clear.State == TaskSucceeded || t.r.Clear.State == TaskFailed
}

func (t taskAt) out(j *jobRecord) Task {
	b := t.body
	spec := b.TaskSpec
	if spec.Constraints.MaxRetries == nil {
		spec.Constraints.MaxRetries = &j.MaxRetries
	}
	return Task{
		TaskSpec: spec, JobID: j.ID,
		State: names[store.KindTask][t.r.Clear.State], Previous: names[store.KindTask][b.Previous],
		Created: moment(t.r.ID.Sequence()), StateAt: b.StateAt, PreviousAt: b.PreviousAt,
		Execution: b.Execution, PoolID: b.PoolID, NodeID: b.NodeID, Modified: t.r.Version,
	}
}

func (t *TaskSpec) slots() int { return max(1, t.Slots) }

// order writes the task as the agent of a node gets it.
func (t taskAt) order(j jobAt, users []UserAccount) compute.TaskSpec {
	b := t.body
	spec := compute.TaskSpec{
		Run: b.Run, Job: fmt.Sprintf("%x", j.r.ID), Task: fmt.Sprintf("%x", t.r.ID), JobID: j.body.ID, TaskID: b.ID,
		CommandLine: b.CommandLine, ResourceFiles: orderFiles(b.Files), Elevated: elevated(b.User, users),
		Slots: b.slots(), Retention: retention,
	}
	// A task's own settings replace the job's of the same name.
	own := map[string]bool{}
	for _, v := range b.Env {
		own[v.Name] = true
	}
	for _, v := range j.body.Env {
		if !own[v.Name] {
			spec.Env = append(spec.Env, compute.EnvVar(v))
		}
	}
	spec.Env = append(spec.Env, orderEnv(b.Env)...)
	if d := b.Constraints.MaxWallClock; d != nil && *d < forever {
		spec.MaxWallClock = *d
	}
	if d := b.Constraints.Retention; d != nil {
		// Zero would mean for good to an agent.
		spec.Retention = max(*d, time.Nanosecond)
	}
	return spec
}

// forever is how a duration without end is stored.
const forever = time.Duration(1<<63 - 1)

// maxRetries is how often the task is tried again, -1 without end.
func (t taskAt) maxRetries(j jobAt) int {
	if n := t.body.Constraints.MaxRetries; n != nil {
		return *n
	}
	return j.body.MaxRetries
}

// Task returns a task.
func (s *Service) Task(ctx context.Context, who identity.Caller, acct Account, jobID, id string) (Task, error) {
	if err := s.require(ctx, who, acct, readJobs); err != nil {
		return Task{}, err
	}
	var out Task
	err := s.store.View(ctx, acct.Space, func(tx *store.Tx) error {
		j, t, err := lookTask(tx, jobID, id)
		if err == nil {
			out = t.out(j.body)
		}
		return err
	})
	return out, err
}

// Tasks lists the tasks of a job in the order in which they were added.
func (s *Service) Tasks(ctx context.Context, who identity.Caller, acct Account, jobID string, l List[Task]) ([]Task, string, error) {
	if err := s.require(ctx, who, acct, readJobs); err != nil {
		return nil, "", err
	}
	var in *jobRecord
	return list(ctx, s, acct.Space, l, store.KindTask, func(tx *store.Tx) (store.RID, error) {
		j, err := job(tx, jobID)
		if err != nil {
			return store.RID{}, err
		}
		in = j.body
		return j.r.ID, nil
	}, func(_ *store.Tx, r *store.Record) (Task, error) {
		t, err := openTask(r)
		if err != nil {
			return Task{}, err
		}
		return t.out(in), nil
	})
}

// changeTask lets fn change a task on the wish of its owner.
func (s *Service) changeTask(ctx context.Context, who identity.Caller, acct Account, jobID, id, action string, cond Condition,
	fn func(*store.Tx, jobAt, taskAt, *touched) error,
) (Task, error) {
	if err := s.require(ctx, who, acct, action); err != nil {
		return Task{}, err
	}
	var out Task
	var touched touched
	err := s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		touched = touched.reset()
		j, t, err := lookTask(tx, jobID, id)
		if err != nil {
			return err
		}
		if err := cond.check(t.r.Version); err != nil {
			return err
		}
		if err := j.deleting(); err != nil {
			return err
		}
		touched.pool(j.r.Clear.Under)
		if err := fn(tx, j, t, &touched); err != nil {
			return err
		}
		out = t.out(j.body)
		return nil
	})
	if err != nil {
		return Task{}, err
	}
	return out, s.settleTouched(ctx, acct.Space, &touched)
}

// UpdateTask replaces the constraints of a task that has not completed.
func (s *Service) UpdateTask(ctx context.Context, who identity.Caller, acct Account, jobID, id string, cond Condition, c Constraints) (Task, error) {
	if err := c.check(); err != nil {
		return Task{}, err
	}
	return s.changeTask(ctx, who, acct, jobID, id, writeJobs, cond, func(tx *store.Tx, _ jobAt, t taskAt, _ *touched) error {
		if t.completed() {
			return fault.TaskCompleted.New("The specified task %q is already in completed state.", id)
		}
		t.body.Constraints = c
		return t.put(tx, t.r.Clear.State)
	})
}

// TerminateTask ends a task; it is complete when the call returns.
func (s *Service) TerminateTask(ctx context.Context, who identity.Caller, acct Account, jobID, id string, cond Condition) (Task, error) {
	return s.changeTask(ctx, who, acct, jobID, id, writeJobs, cond, func(tx *store.Tx, j jobAt, t taskAt, touched *touched) error {
		if t.completed() {
			return fault.TaskCompleted.New("The specified task %q is already in completed state.", id)
		}
		if _, err := t.stop(tx, stopTerminate, touched); err != nil {
			return err
		}
		touched.completed(j, t)
		return nil
	})
}

// ReactivateTask makes a task that failed be tried again.
func (s *Service) ReactivateTask(ctx context.Context, who identity.Caller, acct Account, jobID, id string, cond Condition) (Task, error) {
	return s.changeTask(ctx, who, acct, jobID, id, writeJobs, cond, func(tx *store.Tx, j jobAt, t taskAt, touched *touched) error {
		if err := j.refused(); err != nil {
			return err
		}
		if t.r.Clear.State != TaskFailed || t.body.ExitCode != nil && *t.body.ExitCode == 0 {
			return fault.TaskStateInvalid.New("Only a task that has completed and failed can be reactivated.")
		}
		t.body.Execution = Execution{Requeues: t.body.Requeues, RequeuedAt: t.body.RequeuedAt}
		t.body.Satisfies = false
		touched.fronts = append(touched.fronts, taskPlace{rid(j.r.ID), rid(t.r.ID)})
		touched.ready++
		if len(t.body.DependsOn)+len(t.body.Ranges) > 0 {
			t.body.Met = 0
			touched.waiting(j.r.ID, t.r.ID)
			return t.move(tx, TaskBlocked)
		}
		return t.move(tx, TaskActive)
	})
}

// DeleteTask removes a task and its files, ending it if it runs.
func (s *Service) DeleteTask(ctx context.Context, who identity.Caller, acct Account, jobID, id string, cond Condition) error {
	_, err := s.changeTask(ctx, who, acct, jobID, id, deleteJobs, cond, func(tx *store.Tx, j jobAt, t taskAt, touched *touched) error {
		touched.completed(j, t)
		return t.delete(tx, j.body.ID, touched)
	})
	return err
}

// stop ends or requeues a task. A task that runs and is to be queued again stays as it
// is until its agent has ended it, so that it never runs twice at once; gone reports
// whether it is out of the running ones now.
func (t taskAt) stop(tx *store.Tx, option string, touched *touched) (gone bool, err error) {
	mark := option
	if option == stopTerminate {
		mark = stopOrphan
	}
	onNode := false
	if t.running() {
		if onNode, err = t.markRun(tx, mark, touched); err != nil {
			return false, err
		}
	}
	if option == stopRequeue {
		if onNode {
			return false, nil
		}
		return true, t.requeue(tx)
	}
	if err := t.unwait(tx); err != nil {
		return false, err
	}
	t.body.Run = ""
	t.body.Ended = now()
	t.body.Succeeded = false
	t.body.Failure = &Failure{User: true, Code: "TaskEnded", Message: "Task Was Ended by User Request"}
	return true, t.move(tx, TaskFailed)
}

// markRun tells the node of a running task what becomes of the run. It reports whether
// there is one.
func (t taskAt) markRun(tx *store.Tx, stop string, touched *touched) (bool, error) {
	n, err := node(tx, store.RID(t.body.Pool), store.RID(t.body.Node))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for i := range n.body.Runs {
		if r := &n.body.Runs[i]; r.ID == t.body.Run {
			touched.node(n.r.ID)
			if r.Stop == stop {
				return true, nil
			}
			r.Stop = stop
			return true, n.put(tx, n.r.Clear.Due)
		}
	}
	return false, nil
}

// requeue puts a task that did not end by itself into the queue again, at its old
// place. It costs no retry.
func (t taskAt) requeue(tx *store.Tx) error {
	t.body.Run = ""
	t.body.Requeues++
	t.body.RequeuedAt = now()
	t.body.Started = time.Time{}
	return t.move(tx, TaskActive)
}

// delete removes a task; its node forgets its files.
func (t taskAt) delete(tx *store.Tx, jobID string, touched *touched) error {
	if t.running() {
		if _, err := t.markRun(tx, stopOrphan, touched); err != nil {
			return err
		}
	}
	if t.body.Node != (rid{}) {
		n, err := node(tx, store.RID(t.body.Pool), store.RID(t.body.Node))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil {
			n.body.Forget = append(n.body.Forget, compute.TaskDir{JobID: jobID, TaskID: t.body.ID})
			touched.node(n.r.ID)
			if err := n.put(tx, n.r.Clear.Due); err != nil {
				return err
			}
		}
	}
	if err := t.unwait(tx); err != nil {
		return err
	}
	return tx.Delete(t.r)
}
