package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// A JobSpec is what the owner of a job decides. It is stored inside the job's record
// by its field names.
type JobSpec struct {
	ID          string `json:"-"`
	DisplayName string `json:",omitempty"`
	// Priority orders jobs on a pool: -1000 to 1000, higher first.
	Priority int `json:",omitempty"`
	// MaxParallel is how many tasks may run at once; -1 means any number.
	MaxParallel int
	// MaxWallClock ends the job; zero means never. MaxRetries is for tasks that do not
	// say themselves.
	MaxWallClock     time.Duration `json:",omitempty"`
	MaxRetries       int           `json:",omitempty"`
	Env              []EnvVar      `json:",omitempty"`
	PoolID           string
	OnAllComplete    string // noaction or terminatejob
	OnTaskFailure    string // noaction or performexitoptionsjobaction
	Metadata         []Pair `json:",omitempty"`
	UsesDependencies bool   `json:",omitempty"`
}

// A Job is a job as it is now.
type Job struct {
	JobSpec
	State, Previous                       string
	Created, StateAt, PreviousAt, EndedAt time.Time
	TerminateReason                       string
	Modified                              uint64
}

// jobRecord is how a job is stored. State and priority are clear fields; the pool is
// the record that the job is under.
type jobRecord struct {
	JobSpec
	Modified   uint64
	StateAt    time.Time
	Previous   store.State `json:",omitempty"`
	PreviousAt time.Time   `json:",omitzero"`
	EndedAt    time.Time   `json:",omitzero"`
	Reason     string      `json:",omitempty"`
	// Disable is what a job that is being disabled does with its running tasks.
	Disable string `json:",omitempty"`
	// MultiSlot says that a task with more than one slot was added once: from then on
	// slots have to be added up.
	MultiSlot bool `json:",omitempty"`
}

const (
	terminateJob    = "terminatejob"
	performJobExit  = "performexitoptionsjobaction"
	noAction        = "noaction"
	allTasksDone    = "AllTasksComplete"
	wallClockExpiry = "MaxWallClockTimeExpiry"
	taskFailed      = "TaskFailed"
)

// jobAt is a job's record with what is in it.
type jobAt struct {
	r    *store.Record
	body *jobRecord
}

func openJob(r *store.Record) (jobAt, error) {
	j := jobAt{r, &jobRecord{}}
	if err := r.Decode(j.body); err != nil {
		return j, err
	}
	j.body.ID = r.Name
	return j, nil
}

// job returns a job by its id.
func job(tx *store.Tx, id string) (jobAt, error) {
	r, err := tx.Lookup(store.KindJob, store.RID{}, id)
	if err != nil {
		return jobAt{}, missing(err, fault.JobNotFound, "The specified job %q does not exist.", id)
	}
	return openJob(r)
}

// jobByPlace returns a job by its place.
func jobByPlace(tx *store.Tx, id store.RID) (jobAt, error) {
	r, err := tx.Get(store.KindJob, store.RID{}, id)
	if err != nil {
		return jobAt{}, err
	}
	return openJob(r)
}

// put writes a job in a state and under a pool.
func (j jobAt) put(tx *store.Tx, state store.State, pool store.RID) error {
	return tx.Put(j.r, j.body.fields(state, pool, j.r.ID), j.body)
}

// fields are the clear fields of a job. One that is on its way somewhere is always
// due; one that runs is due at its wall clock's end.
func (j *jobRecord) fields(state store.State, pool, id store.RID) store.Clear {
	c := store.Clear{State: state, Priority: int32(j.Priority), Under: pool}
	switch state {
	case JobDisabling, JobEnabling, JobTerminating, JobDeleting:
		c.Due = j.StateAt
	case JobActive, JobDisabled:
		if j.MaxWallClock > 0 {
			c.Due = moment(id.Sequence()).Add(j.MaxWallClock)
		}
	}
	return c
}

// move brings a job into another state. Its owner sees that it changed.
func (j jobAt) move(tx *store.Tx, to store.State) error {
	from := j.r.Clear.State
	if !mayMove(store.KindJob, from, to) {
		return fmt.Errorf("a job cannot go from %s to %s", names[store.KindJob][from], names[store.KindJob][to])
	}
	if from != to {
		j.body.Previous, j.body.PreviousAt = from, j.body.StateAt
	}
	j.body.StateAt = now()
	j.body.Modified = store.NextSequence()
	return j.put(tx, to, j.r.Clear.Under)
}

func (j jobAt) out() Job {
	b := j.body
	return Job{
		JobSpec: b.JobSpec, State: names[store.KindJob][j.r.Clear.State], Previous: names[store.KindJob][b.Previous],
		Created: moment(j.r.ID.Sequence()), StateAt: b.StateAt, PreviousAt: b.PreviousAt, EndedAt: b.EndedAt,
		TerminateReason: b.Reason, Modified: b.Modified,
	}
}

// check completes a job's defaults and says what cannot be.
func (j *JobSpec) check() error {
	if err := checkID("id", j.ID); err != nil {
		return err
	}
	if err := checkDisplayName(j.DisplayName); err != nil {
		return err
	}
	if err := checkRange("priority", j.Priority, -1000, 1000); err != nil {
		return err
	}
	if j.MaxParallel == 0 {
		j.MaxParallel = -1
	}
	if j.MaxParallel < -1 {
		return BadProperty("maxParallelTasks", fmt.Sprint(j.MaxParallel), "it must be -1 or greater than 0")
	}
	if j.MaxRetries < -1 {
		return BadProperty("constraints.maxTaskRetryCount", fmt.Sprint(j.MaxRetries), "it must be -1 or more")
	}
	if j.MaxWallClock < 0 {
		return BadProperty("constraints.maxWallClockTime", j.MaxWallClock.String(), "it must not be negative")
	}
	if j.PoolID == "" {
		return NoProperty("poolInfo.poolId")
	}
	if err := checkID("poolInfo.poolId", j.PoolID); err != nil {
		return err
	}
	if j.OnAllComplete == "" {
		j.OnAllComplete = noAction
	}
	if j.OnAllComplete != noAction && j.OnAllComplete != terminateJob {
		return BadProperty("onAllTasksComplete", j.OnAllComplete, "it must be noaction or terminatejob")
	}
	if j.OnTaskFailure == "" {
		j.OnTaskFailure = noAction
	}
	if j.OnTaskFailure != noAction && j.OnTaskFailure != performJobExit {
		return BadProperty("onTaskFailure", j.OnTaskFailure, "it must be noaction or performexitoptionsjobaction")
	}
	if err := checkEnv("commonEnvironmentSettings", j.Env); err != nil {
		return err
	}
	return checkMetadata(j.Metadata)
}

// poolOf finds the pool that a job runs on. A job may name one that does not exist:
// its tasks wait until it does.
func poolOf(tx *store.Tx, id string) (store.RID, error) {
	r, err := tx.Lookup(store.KindPool, store.RID{}, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && r.Clear.State == PoolDeleting {
		return store.RID{}, nil
	}
	if err != nil {
		return store.RID{}, err
	}
	return r.ID, nil
}

// AddJob makes a job.
func (s *Service) AddJob(ctx context.Context, who identity.Caller, acct Account, spec JobSpec) (Job, error) {
	if err := s.require(ctx, who, acct, writeJobs); err != nil {
		return Job{}, err
	}
	if err := spec.check(); err != nil {
		return Job{}, err
	}
	var out Job
	err := s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		under, err := poolOf(tx, spec.PoolID)
		if err != nil {
			return err
		}
		id := store.NewRID()
		body := &jobRecord{JobSpec: spec, Modified: id.Sequence(), StateAt: moment(id.Sequence())}
		r, err := tx.InsertAt(store.KindJob, store.RID{}, id, spec.ID, body.fields(JobActive, under, id), body)
		if errors.Is(err, store.ErrExists) {
			if j, err := job(tx, spec.ID); err == nil && j.r.Clear.State == JobDeleting {
				return fault.JobBeingDeleted.New("The specified job %q is in the process of being deleted.", spec.ID)
			}
			return fault.JobExists.New("The specified job %q already exists.", spec.ID)
		}
		out = jobAt{r, body}.out()
		return err
	})
	return out, err
}

// Job returns a job.
func (s *Service) Job(ctx context.Context, who identity.Caller, acct Account, id string) (Job, error) {
	if err := s.require(ctx, who, acct, readJobs); err != nil {
		return Job{}, err
	}
	var out Job
	err := s.store.View(ctx, acct.Space, func(tx *store.Tx) error {
		j, err := job(tx, id)
		if err == nil {
			out = j.out()
		}
		return err
	})
	return out, err
}

// Jobs lists jobs in the order in which they were made.
func (s *Service) Jobs(ctx context.Context, who identity.Caller, acct Account, l List[Job]) ([]Job, string, error) {
	if err := s.require(ctx, who, acct, readJobs); err != nil {
		return nil, "", err
	}
	return list(ctx, s, acct.Space, l, store.KindJob, nil, func(_ *store.Tx, r *store.Record) (Job, error) {
		j, err := openJob(r)
		if err != nil {
			return Job{}, err
		}
		return j.out(), nil
	})
}

// refused says why a job in this state cannot be worked on; nil if it can.
func (j jobAt) refused() error {
	switch j.r.Clear.State {
	case JobTerminating:
		return fault.JobBeingTerminated.New("The specified job %q is being terminated.", j.body.ID)
	case JobCompleted:
		return fault.JobCompleted.New("The specified job %q is already in a completed state.", j.body.ID)
	}
	return j.deleting()
}

func (j jobAt) deleting() error {
	if j.r.Clear.State == JobDeleting {
		return fault.JobBeingDeleted.New("The specified job %q is in the process of being deleted.", j.body.ID)
	}
	return nil
}

// ChangeJob lets change edit what a job may change.
func (s *Service) ChangeJob(ctx context.Context, who identity.Caller, acct Account, id string, cond Condition,
	change func(*JobSpec) error,
) (Job, error) {
	if err := s.require(ctx, who, acct, writeJobs); err != nil {
		return Job{}, err
	}
	var at jobAt
	err := s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		j, err := job(tx, id)
		if err != nil {
			return err
		}
		if err := cond.check(j.body.Modified); err != nil {
			return err
		}
		if err := j.refused(); err != nil {
			return err
		}
		before := j.body.JobSpec
		if err := change(&j.body.JobSpec); err != nil {
			return err
		}
		if err := j.body.check(); err != nil {
			return err
		}
		under := j.r.Clear.Under
		if !resource.Equal(before.PoolID, j.body.PoolID) {
			// Its running tasks would run on two pools at once.
			if j.r.Clear.State != JobDisabled {
				return fault.InvalidJobState.New("The pool of a job can be changed only while the job is disabled.").
					With("PropertyName", "poolInfo")
			}
			if under, err = poolOf(tx, j.body.PoolID); err != nil {
				return err
			}
		}
		j.body.Modified = store.NextSequence()
		at = j
		return j.put(tx, j.r.Clear.State, under)
	})
	if err != nil {
		return Job{}, err
	}
	s.benches.wakePool(acct.Space, at.r.Clear.Under)
	if at.body.OnAllComplete == terminateJob {
		return at.out(), s.endIfDone(ctx, acct.Space, at.r.ID)
	}
	return at.out(), nil
}

// adoptJobs puts the jobs that wait for a pool of this id under it.
func (s *Service) adoptJobs(ctx context.Context, space store.Space, poolID string, pool store.RID) error {
	return s.moveJobs(ctx, space, store.RID{}, pool, func(j *jobRecord) bool { return resource.Equal(j.PoolID, poolID) })
}

// orphanJobs takes the jobs of a pool that has gone from under it. If a pool of the
// same id has been made already, they are adopted.
func (s *Service) orphanJobs(ctx context.Context, space store.Space, pool store.RID) error {
	return s.moveJobs(ctx, space, pool, store.RID{}, func(*jobRecord) bool { return true })
}

func (s *Service) moveJobs(ctx context.Context, space store.Space, from, to store.RID, which func(*jobRecord) bool) error {
	var places []store.Place
	err := s.store.View(ctx, space, func(tx *store.Tx) error {
		for state := JobActive; state <= JobDeleting; state++ {
			for at, err := range tx.InState(store.KindJob, from, state) {
				if err != nil {
					return err
				}
				places = append(places, at)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, at := range places {
		err := s.store.Update(ctx, space, func(tx *store.Tx) error {
			j, err := jobByPlace(tx, at.ID)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil || j.r.Clear.Under != from || !which(j.body) {
				return err
			}
			under := to
			if to == (store.RID{}) {
				if under, err = poolOf(tx, j.body.PoolID); err != nil {
					return err
				}
			}
			return j.put(tx, j.r.Clear.State, under)
		})
		if err != nil {
			return fmt.Errorf("moving jobs between pools: %w", err)
		}
	}
	if len(places) > 0 {
		s.benches.wakePool(space, to)
	}
	return nil
}
