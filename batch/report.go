package batch

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"latchkey/compute"
	"latchkey/store"
)

// hear takes in what a node reports.
func (x *exchange) hear() error {
	n, report := x.n.body, x.report
	note := func() { x.changed, x.heard = true, true }
	if n.Lost != "" {
		n.Lost = ""
		note()
	}
	reported := map[string]compute.Progress{}
	for _, p := range report.Running {
		reported[p.Run] = p
	}
	rebooted := n.Boot != report.Boot
	if rebooted {
		note()
		n.Boot, n.BootAt = report.Boot, x.now
		n.Start, n.Ready = nil, false
		n.Restart, n.Wipe = "", false
		if err := x.boot(); err != nil {
			return err
		}
	}
	if n.Ready != report.Ready {
		n.Ready = report.Ready
		note()
	}
	if started := startInfo(report, n); started != nil && (n.Start == nil || n.Start.Run != started.Run || !n.Start.Ended.Equal(started.Ended)) {
		n.Start = started
		note()
	}
	for i := range report.Finished {
		x.heard = true
		if err := x.finish(&report.Finished[i]); err != nil {
			return err
		}
	}
	for _, r := range slices.Clone(n.Runs) {
		p, there := reported[r.ID]
		switch {
		case there && r.Preparing && !p.Started.IsZero():
			note()
			if err := x.prepared(r, p); err != nil {
				return err
			}
		case there && r.Stop == "" && !r.Ahead.IsZero() && x.now.Sub(r.Ahead) >= aheadBack:
			x.changed = true
			n.Runs[slices.IndexFunc(n.Runs, func(o run) bool { return o.ID == r.ID })].Stop = stopReturn
		case there:
		case !rebooted && x.seat.unheard[r.ID] && r.Stop == "":
			// The reply that had its start did not arrive.
			if err := x.again(r); err != nil {
				return err
			}
		default:
			note()
			if err := x.over(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// boot takes from the pool what a node gets when it boots.
func (x *exchange) boot() error {
	r, err := x.tx.Get(store.KindPool, store.RID{}, x.n.r.Parent)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if x.pool, err = openPool(r); err != nil {
		return err
	}
	n := x.n.body
	n.Slots, n.Fill, n.HasStart = x.pool.Slots, x.pool.Fill, x.pool.StartTask != nil
	return nil
}

// startInfo reads how the start task went; nil while it has not ended.
func startInfo(report *compute.Report, n *nodeRecord) *StartInfo {
	res := report.Started
	if res == nil {
		return nil
	}
	info := &StartInfo{Run: report.Boot + "/" + res.Run, Started: res.Started.UTC(), Ended: res.Ended.UTC()}
	if info.Started.IsZero() {
		info.Started = n.BootAt
	}
	info.ExitCode, info.Failure = outcome(res)
	return info
}

// outcome reads how a process ended.
func outcome(res *compute.Result) (exit *int, failure *Failure) {
	if res.Failure == nil || !res.Started.IsZero() {
		code := res.ExitCode
		exit = &code
	}
	switch f := res.Failure; {
	case f != nil:
		failure = &Failure{User: f.User, Code: f.Code, Message: f.Message}
		for _, name := range slices.Sorted(maps.Keys(f.Details)) {
			failure.Details = append(failure.Details, Pair{name, f.Details[name]})
		}
	case res.ExitCode != 0:
		failure = &Failure{
			User: true, Code: "FailureExitCode", Message: "The task exited with an exit code representing a failure",
			Details: []Pair{{"Message", "The task exited with an exit code representing a failure"}, {"AdditionalErrorCode", "FailureExitCode"}},
		}
	}
	return exit, failure
}

// task returns the task of a run, if the run is its own still.
func (x *exchange) task(r run) (t taskAt, ok bool, err error) {
	t, err = taskAtPlace(x.tx, store.RID(r.Job), store.RID(r.Task))
	if errors.Is(err, store.ErrNotFound) {
		return t, false, nil
	}
	return t, err == nil && t.running() && t.body.Run == r.ID, err
}

// drop takes a run off the node.
func (x *exchange) drop(id string) (r run, ok bool) {
	runs := x.n.body.Runs
	i := slices.IndexFunc(runs, func(r run) bool { return r.ID == id })
	if i < 0 {
		return run{}, false
	}
	r = runs[i]
	x.n.body.Runs = slices.Delete(runs, i, i+1)
	x.changed = true
	return r, true
}

// prepared notes that the process of a run was started.
func (x *exchange) prepared(r run, p compute.Progress) error {
	i := slices.IndexFunc(x.n.body.Runs, func(o run) bool { return o.ID == r.ID })
	x.n.body.Runs[i].Preparing, x.n.body.Runs[i].Ahead = false, time.Time{}
	t, ok, err := x.task(r)
	if err != nil || !ok {
		return err
	}
	t.body.Started = p.Started.UTC()
	return t.move(x.tx, TaskRunning)
}

// again sends a run whose start was not heard.
func (x *exchange) again(r run) error {
	t, ok, err := x.task(r)
	if err != nil {
		return err
	}
	if !ok {
		x.drop(r.ID)
		return nil
	}
	j, err := x.job(t.r.Parent)
	if err != nil {
		return err
	}
	users, err := x.users(t)
	if err != nil {
		return err
	}
	x.orders.Start = append(x.orders.Start, t.order(j, users))
	x.unheard[r.ID] = true
	return nil
}

// over ends a run of which nothing will be heard any more.
func (x *exchange) over(r run) error {
	x.drop(r.ID)
	t, ok, err := x.task(r)
	if err != nil || !ok {
		return err
	}
	j, err := x.job(t.r.Parent)
	if err != nil {
		return err
	}
	return x.given(j, t, r.Stop)
}

// given does with a task whose run was ended what was asked for: it is complete, or
// queued again.
func (x *exchange) given(j jobAt, t taskAt, stop string) error {
	if stop == stopTerminate {
		if _, err := t.stop(x.tx, stopTerminate, &x.touched); err != nil {
			return err
		}
		x.touched.completed(j, t)
		return nil
	}
	x.queued(j, t)
	return t.requeue(x.tx)
}

// queued notes that a task of a job is in the queue again.
func (x *exchange) queued(j jobAt, t taskAt) {
	x.touched.fronts = append(x.touched.fronts, taskPlace{rid(j.r.ID), rid(t.r.ID)})
	x.touched.pool(j.r.Clear.Under)
	x.touched.ready++
	if j.r.Clear.State == JobDisabling {
		x.settle = append(x.settle, j.r.ID)
	}
}

// finish applies the result of a run. A result whose run is not on the node was
// applied before, or is of a run that was given up.
func (x *exchange) finish(res *compute.Result) error {
	r, ok := x.drop(res.Run)
	if !ok {
		return nil
	}
	t, ok, err := x.task(r)
	if err != nil || !ok {
		return err
	}
	j, err := x.job(t.r.Parent)
	if err != nil {
		return err
	}
	if res.Stopped && r.Stop == stopReturn && res.Started.IsZero() {
		t.body.Run, t.body.Started = "", time.Time{}
		t.body.Pool, t.body.Node, t.body.PoolID, t.body.NodeID = rid{}, rid{}, "", ""
		x.queued(j, t)
		return t.move(x.tx, TaskActive)
	}
	if res.Stopped {
		return x.given(j, t, r.Stop)
	}
	return x.complete(j, t, res)
}

// complete ends a task whose process ended by itself, or tries it again.
func (x *exchange) complete(j jobAt, t taskAt, res *compute.Result) error {
	b := t.body
	exit, failure := outcome(res)
	if failure != nil && res.Failure == nil {
		if most := t.maxRetries(j); most < 0 || b.Retries < most {
			b.Run = ""
			b.Retries++
			b.RetriedAt = x.now
			x.queued(j, t)
			return t.move(x.tx, TaskActive)
		}
	}
	if !res.Started.IsZero() {
		b.Started = res.Started.UTC()
	}
	b.Ended = res.Ended.UTC()
	if b.Ended.IsZero() {
		b.Ended = x.now
	}
	action := b.Exits.action(exit, failure, res.Started.IsZero())
	b.Run, b.ExitCode, b.Failure, b.Succeeded = "", exit, failure, failure == nil
	b.Satisfies = action.Dependency == "satisfy"
	state := TaskFailed
	n := x.n.body
	n.Run++
	if failure == nil {
		state = TaskSucceeded
		n.Success++
	}
	n.Recent = append(n.Recent, taskPlace{rid(j.r.ID), rid(t.r.ID)})
	if extra := len(n.Recent) - recentTasks; extra > 0 {
		n.Recent = slices.Delete(n.Recent, 0, extra)
	}
	if err := t.move(x.tx, state); err != nil {
		return err
	}
	x.touched.completed(j, t)
	if j.r.Clear.State == JobDisabling {
		x.settle = append(x.settle, j.r.ID)
	}
	return x.jobAction(j, action.Job)
}

// jobAction does to the job what the way in which a task ended asks for.
func (x *exchange) jobAction(j jobAt, action string) error {
	if j.body.OnTaskFailure != performJobExit || action == "none" {
		return nil
	}
	to := JobTerminating
	if action == "disable" {
		to = JobDisabling
	}
	if from := j.r.Clear.State; from == to || !mayMove(store.KindJob, from, to) {
		return nil
	}
	x.settle = append(x.settle, j.r.ID)
	if action == "disable" {
		j.body.Disable = stopRequeue
		return j.move(x.tx, JobDisabling)
	}
	if err := j.terminate(x.tx, taskFailed); err != nil {
		return fmt.Errorf("ending a job with its task: %w", err)
	}
	return nil
}
