package batchapi

import (
	"net/http"
	"strings"
	"time"

	"latchkey/batch"
	"latchkey/identity"
	"latchkey/rest"
)

func (d *Door) jobRoutes() {
	d.door.Handle("POST /jobs", d.addJob)
	d.door.Handle("GET /jobs", d.listJobs)
	d.door.Handle("GET /jobs/{job}", d.getJob)
	d.door.Handle("PATCH /jobs/{job}", d.patchJob)
	d.door.Handle("PUT /jobs/{job}", d.putJob)
	d.door.Handle("DELETE /jobs/{job}", d.deleteJob)
	d.door.Handle("POST /jobs/{job}/disable", d.disableJob)
	d.door.Handle("POST /jobs/{job}/enable", d.enableJob)
	d.door.Handle("POST /jobs/{job}/terminate", d.terminateJob)
	d.door.Handle("GET /jobs/{job}/taskcounts", d.taskCounts)
}

// jobBody is a job as clients send it.
type jobBody struct {
	ID            string          `json:"id"`
	DisplayName   *string         `json:"displayName"`
	Priority      *rest.Int       `json:"priority"`
	MaxParallel   *rest.Int       `json:"maxParallelTasks"`
	Preemption    unbuilt         `json:"allowTaskPreemption"`
	Constraints   *jobConstraints `json:"constraints"`
	Manager       unbuilt         `json:"jobManagerTask"`
	Preparation   unbuilt         `json:"jobPreparationTask"`
	Release       unbuilt         `json:"jobReleaseTask"`
	Environment   *[]nameValue    `json:"commonEnvironmentSettings"`
	Pool          *poolInfo       `json:"poolInfo"`
	OnAllComplete *string         `json:"onAllTasksComplete"`
	OnTaskFailure *string         `json:"onTaskFailure"`
	Metadata      *[]nameValue    `json:"metadata"`
	Dependencies  *bool           `json:"usesTaskDependencies"`
	Network       unbuilt         `json:"networkConfiguration"`
}

type jobConstraints struct {
	MaxWallClock *rest.Duration `json:"maxWallClockTime,omitempty"`
	MaxRetries   *rest.Int      `json:"maxTaskRetryCount,omitempty"`
}

type poolInfo struct {
	PoolID string  `json:"poolId,omitempty"`
	Auto   unbuilt `json:"autoPoolSpecification,omitempty"`
}

// apply puts what the body says into a job. What it does not say stays.
func (b *jobBody) apply(j *batch.JobSpec) error {
	err := refuse(
		refusal{"allowTaskPreemption", b.Preemption, ""},
		refusal{"jobManagerTask", b.Manager, "add the task to the job"},
		refusal{"jobPreparationTask", b.Preparation, "use the pool's start task"},
		refusal{"jobReleaseTask", b.Release, ""},
		refusal{"networkConfiguration", b.Network, "nodes have the network of their host"},
	)
	if err != nil {
		return err
	}
	if err := whole("priority", b.Priority); err != nil {
		return err
	}
	if err := whole("maxParallelTasks", b.MaxParallel); err != nil {
		return err
	}
	if b.DisplayName != nil {
		j.DisplayName = *b.DisplayName
	}
	j.Priority = number(b.Priority, j.Priority)
	if b.MaxParallel != nil {
		if *b.MaxParallel == 0 {
			return batch.BadProperty("maxParallelTasks", "0", "it must be -1 or greater than 0")
		}
		j.MaxParallel = int(*b.MaxParallel)
	}
	if c := b.Constraints; c != nil {
		if err := whole("constraints.maxTaskRetryCount", c.MaxRetries); err != nil {
			return err
		}
		j.MaxWallClock = duration(c.MaxWallClock, 0)
		if j.MaxWallClock == time.Duration(rest.Unlimited) {
			j.MaxWallClock = 0
		} else if c.MaxWallClock != nil && j.MaxWallClock <= 0 {
			return batch.BadProperty("constraints.maxWallClockTime", c.MaxWallClock.String(), "it must be more than zero")
		}
		j.MaxRetries = number(c.MaxRetries, 0)
	}
	if b.Environment != nil {
		j.Env = environment(*b.Environment)
	}
	if b.Pool != nil {
		if says(b.Pool.Auto) {
			return batch.Unbuilt("poolInfo.autoPoolSpecification", "add a pool and name it in poolId")
		}
		if b.Pool.PoolID == "" {
			return batch.NoProperty("poolInfo.poolId")
		}
		j.PoolID = b.Pool.PoolID
	}
	if b.OnAllComplete != nil {
		j.OnAllComplete = strings.ToLower(*b.OnAllComplete)
	}
	if b.OnTaskFailure != nil {
		j.OnTaskFailure = strings.ToLower(*b.OnTaskFailure)
	}
	if b.Metadata != nil {
		j.Metadata = pairs(*b.Metadata)
	}
	if b.Dependencies != nil {
		j.UsesDependencies = *b.Dependencies
	}
	return nil
}

// jobOut is a job as it travels to clients.
type jobOut struct {
	ID            string         `json:"id"`
	DisplayName   string         `json:"displayName,omitempty"`
	Dependencies  bool           `json:"usesTaskDependencies"`
	URL           string         `json:"url"`
	ETag          string         `json:"eTag"`
	LastModified  timestamp      `json:"lastModified"`
	CreationTime  timestamp      `json:"creationTime"`
	State         string         `json:"state"`
	StateTime     timestamp      `json:"stateTransitionTime"`
	Previous      string         `json:"previousState,omitempty"`
	PreviousTime  timestamp      `json:"previousStateTransitionTime,omitzero"`
	Priority      int            `json:"priority"`
	Preemption    bool           `json:"allowTaskPreemption"`
	MaxParallel   int            `json:"maxParallelTasks"`
	Constraints   jobConstraints `json:"constraints"`
	Environment   []nameValue    `json:"commonEnvironmentSettings,omitempty"`
	Pool          poolInfo       `json:"poolInfo"`
	OnAllComplete string         `json:"onAllTasksComplete"`
	OnTaskFailure string         `json:"onTaskFailure"`
	Metadata      []nameValue    `json:"metadata,omitempty"`
	Execution     jobExecution   `json:"executionInfo"`
}

type jobExecution struct {
	StartTime timestamp `json:"startTime"`
	EndTime   timestamp `json:"endTime,omitzero"`
	PoolID    string    `json:"poolId,omitempty"`
	Reason    string    `json:"terminateReason,omitempty"`
}

func writeJob(base string, j batch.Job) jobOut {
	wall, retries := rest.Unlimited, rest.Int(j.MaxRetries)
	if j.MaxWallClock > 0 {
		wall = rest.Duration(j.MaxWallClock)
	}
	out := jobOut{
		ID: j.ID, DisplayName: j.DisplayName, Dependencies: j.UsesDependencies, URL: base + "/jobs/" + j.ID,
		ETag: eTag(j.Modified), LastModified: lastModified(j.Modified), CreationTime: timestamp(j.Created),
		State: j.State, StateTime: timestamp(j.StateAt), Previous: j.Previous, PreviousTime: timestamp(j.PreviousAt),
		Priority: j.Priority, MaxParallel: j.MaxParallel, Constraints: jobConstraints{&wall, &retries},
		Environment: environmentOut(j.Env), Pool: poolInfo{PoolID: j.PoolID},
		OnAllComplete: j.OnAllComplete, OnTaskFailure: j.OnTaskFailure, Metadata: pairsOut(j.Metadata),
		Execution: jobExecution{StartTime: timestamp(j.Created), EndTime: timestamp(j.EndedAt), PoolID: j.PoolID},
	}
	if j.State == "completed" || j.State == "terminating" {
		out.Execution.Reason = j.TerminateReason
	}
	return out
}

func (d *Door) addJob(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in jobBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Pool == nil {
		return rest.Reply{}, batch.NoProperty("poolInfo")
	}
	spec := batch.JobSpec{ID: in.ID, MaxParallel: -1}
	if err := in.apply(&spec); err != nil {
		return rest.Reply{}, err
	}
	j, err := d.Batch.AddJob(r.Context(), who, account(r), spec)
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusCreated, "/jobs/"+j.ID, j.Modified), nil
}

func (d *Door) getJob(r *http.Request, who identity.Caller) (rest.Reply, error) {
	j, err := d.Batch.Job(r.Context(), who, account(r), r.PathValue("job"))
	if err != nil {
		return rest.Reply{}, err
	}
	return entity(r, "jobs", writeJob(account(r).URL, j), j.Modified)
}

func (d *Door) listJobs(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct := account(r)
	return list(r, "jobs", func(j batch.Job) jobOut { return writeJob(acct.URL, j) },
		func(l batch.List[batch.Job]) ([]batch.Job, string, error) {
			return d.Batch.Jobs(r.Context(), who, acct, l)
		})
}

// fixed refuses what a job cannot change once it was added.
func (b *jobBody) fixed() error {
	for name, given := range map[string]bool{
		"displayName": b.DisplayName != nil, "commonEnvironmentSettings": b.Environment != nil,
		"onTaskFailure": b.OnTaskFailure != nil, "usesTaskDependencies": b.Dependencies != nil,
	} {
		if given {
			return batch.BadProperty(name, "", "it cannot be changed once the job was added")
		}
	}
	return nil
}

func (d *Door) patchJob(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in jobBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if err := in.fixed(); err != nil {
		return rest.Reply{}, err
	}
	return d.changeJob(r, who, in.apply)
}

// putJob replaces all that can be changed: what the body leaves out gets its default.
func (d *Door) putJob(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in jobBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Pool == nil {
		return rest.Reply{}, batch.NoProperty("poolInfo")
	}
	// A job as it was read may be sent back whole; what is fixed in it counts for
	// nothing, as in Azure.
	in.DisplayName, in.Environment, in.OnTaskFailure, in.Dependencies = nil, nil, nil, nil
	in.Manager, in.Preparation, in.Release = nil, nil, nil
	return d.changeJob(r, who, func(j *batch.JobSpec) error {
		j.Priority, j.MaxParallel, j.MaxWallClock, j.MaxRetries = 0, -1, 0, 0
		j.Metadata, j.OnAllComplete = nil, ""
		return in.apply(j)
	})
}

func (d *Door) changeJob(r *http.Request, who identity.Caller, change func(*batch.JobSpec) error) (rest.Reply, error) {
	j, err := d.Batch.ChangeJob(r.Context(), who, account(r), r.PathValue("job"), condition(r), change)
	if err != nil {
		return rest.Reply{}, err
	}
	return changed(r, http.StatusOK, "/jobs/"+j.ID, j.Modified), nil
}

func (d *Door) deleteJob(r *http.Request, who identity.Caller) (rest.Reply, error) {
	if err := d.Batch.DeleteJob(r.Context(), who, account(r), r.PathValue("job"), condition(r)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Status(http.StatusAccepted), nil
}

// moved answers a call that sent a job on its way.
func (d *Door) moved(r *http.Request, who identity.Caller, err error) (rest.Reply, error) {
	if err != nil {
		return rest.Reply{}, err
	}
	path := "/jobs/" + r.PathValue("job")
	// The tag is a courtesy; the call has done its work.
	if j, err := d.Batch.Job(r.Context(), who, account(r), r.PathValue("job")); err == nil {
		return changed(r, http.StatusAccepted, path, j.Modified), nil
	}
	return changed(r, http.StatusAccepted, path, 0), nil
}

func (d *Door) disableJob(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in struct {
		Option string `json:"disableTasks"`
	}
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	err := d.Batch.DisableJob(r.Context(), who, account(r), r.PathValue("job"), strings.ToLower(in.Option), condition(r))
	return d.moved(r, who, err)
}

func (d *Door) enableJob(r *http.Request, who identity.Caller) (rest.Reply, error) {
	return d.moved(r, who, d.Batch.EnableJob(r.Context(), who, account(r), r.PathValue("job"), condition(r)))
}

func (d *Door) terminateJob(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in struct {
		Reason string `json:"terminateReason"`
	}
	if err := decodeOptional(r, &in); err != nil {
		return rest.Reply{}, err
	}
	return d.moved(r, who, d.Batch.TerminateJob(r.Context(), who, account(r), r.PathValue("job"), in.Reason, condition(r)))
}

// decodeOptional reads a body that need not be there.
func decodeOptional(r *http.Request, v any) error {
	body, err := rest.Body(r)
	if err != nil || len(strings.TrimSpace(string(body))) == 0 {
		return err
	}
	return rest.Unmarshal(r, body, v)
}

type taskCountsOut struct {
	Metadata string    `json:"odata.metadata"`
	Tasks    countsRow `json:"taskCounts"`
	Slots    countsRow `json:"taskSlotCounts"`
}

type countsRow struct {
	Active    int64 `json:"active"`
	Running   int64 `json:"running"`
	Completed int64 `json:"completed"`
	Succeeded int64 `json:"succeeded"`
	Failed    int64 `json:"failed"`
}

func (d *Door) taskCounts(r *http.Request, who identity.Caller) (rest.Reply, error) {
	tasks, slots, err := d.Batch.TaskCounts(r.Context(), who, account(r), r.PathValue("job"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(taskCountsOut{
		Metadata: account(r).URL + "/$metadata#taskcountsresult", Tasks: countsRow(tasks), Slots: countsRow(slots),
	}).With("Content-Type", contentType), nil
}
