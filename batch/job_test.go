package batch_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"latchkey/batch"
	"latchkey/compute"
	"latchkey/fault"
)

func TestDisabledJobRequeuesAndComesBack(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t")
	run := h.poll().Start[0].Run
	w.check(w.DisableJob(w.ctx, w.who, w.acct, "j", "requeue", nil))
	if j := w.job("j"); j.State != "disabling" || j.Previous != "active" {
		t.Errorf("job = %+v, want it disabling", j)
	}
	if orders := h.poll(); len(orders.Stop) != 1 {
		t.Fatalf("orders = %+v, want a stop", orders)
	}
	h.quick(stopped(run))
	if j := w.job("j"); j.State != "disabled" {
		t.Errorf("job is %s, want disabled", j.State)
	}
	if got := w.task("j", "t"); got.State != "active" || got.Execution.Requeues != 1 {
		t.Errorf("task = %+v, want it queued again", got)
	}
	if orders := h.quick(); len(orders.Start) != 0 {
		t.Errorf("orders = %+v, want nothing of a disabled job", orders)
	}
	w.check(w.EnableJob(w.ctx, w.who, w.acct, "j", nil))
	if j := w.job("j"); j.State != "active" {
		t.Errorf("job is %s, want active", j.State)
	}
	if orders := h.poll(); len(orders.Start) != 1 {
		t.Errorf("orders = %+v, want the task", orders)
	}
	if err := w.EnableJob(w.ctx, w.who, w.acct, "j", nil); !errors.Is(err, fault.InvalidJobState) {
		t.Errorf("enabling an active job = %v", err)
	}
}

func TestDisablingWaitsForTasks(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t")
	run := h.poll().Start[0].Run
	w.check(w.DisableJob(w.ctx, w.who, w.acct, "j", "wait", nil))
	if orders := h.quick(); len(orders.Stop) != 0 {
		t.Errorf("orders = %+v, want the task left alone", orders)
	}
	h.quick(exit(run, 0))
	w.eventually("the job is disabled", func() bool { return w.job("j").State == "disabled" })
	if got := w.task("j", "t"); got.State != "completed" {
		t.Errorf("task is %s, want completed", got.State)
	}
}

func TestTerminatedJobEndsWhatRunsAndLeavesTheRest(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "runs")
	w.addTask("j", "waits")
	h.poll()
	w.check(w.TerminateJob(w.ctx, w.who, w.acct, "j", "enough", nil))
	j := w.job("j")
	if j.State != "completed" || j.TerminateReason != "enough" || j.EndedAt.IsZero() {
		t.Errorf("job = %+v, want it completed", j)
	}
	if got := w.task("j", "runs"); got.State != "completed" || got.Execution.Failure.Code != "TaskEnded" {
		t.Errorf("task = %+v, want it ended", got)
	}
	if got := w.task("j", "waits"); got.State != "active" {
		t.Errorf("task is %s, want active for ever", got.State)
	}
	_, err := w.AddTask(w.ctx, w.who, w.acct, "j", batch.TaskSpec{ID: "late", CommandLine: "true"})
	if !errors.Is(err, fault.JobCompleted) {
		t.Errorf("adding to it = %v, want %v", err, fault.JobCompleted)
	}
	if err := w.TerminateJob(w.ctx, w.who, w.acct, "j", "", nil); !errors.Is(err, fault.JobCompleted) {
		t.Errorf("terminating twice = %v", err)
	}
}

func TestDeletedJobGoesWithItsTasks(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	for i := range 450 {
		w.addTask("j", fmt.Sprint("t", i))
	}
	run := h.poll().Start[0].Run
	w.check(w.DeleteJob(w.ctx, w.who, w.acct, "j", nil))
	w.eventually("the job is gone", func() bool {
		_, err := w.Job(w.ctx, w.who, w.acct, "j")
		return errors.Is(err, fault.JobNotFound)
	})
	if orders := h.poll(); len(orders.Stop) != 1 {
		t.Errorf("orders = %+v, want the run stopped", orders)
	}
	if orders := h.poll(stopped(run)); len(orders.Forget) != 1 {
		t.Errorf("orders = %+v, want its directory forgotten", orders)
	}
	// The name is free again.
	w.addJob("J", "p")
	if u := must(w.Usage(w.ctx, w.acct.Space, false))(t); u.Jobs != 1 || len(u.Tasks) != 0 {
		t.Errorf("usage = %+v, want one job and no task", u)
	}
}

func TestJobEndsWithItsTasks(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p", func(j *batch.JobSpec) { j.OnAllComplete = "terminatejob" })
	w.addTask("j", "a")
	w.addTask("j", "b")
	orders := h.poll()
	for len(orders.Start) > 0 {
		if j := w.job("j"); j.State != "active" {
			t.Fatalf("job is %s before its tasks are complete", j.State)
		}
		orders = h.quick(exit(orders.Start[0].Run, 0))
	}
	if j := w.job("j"); j.State != "completed" || j.TerminateReason != "AllTasksComplete" {
		t.Errorf("job = %+v, want it completed", j)
	}
}

func TestFailedTaskEndsTheJobIfItSaysSo(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p", func(j *batch.JobSpec) { j.OnTaskFailure = "performexitoptionsjobaction" })
	w.addTask("j", "a", func(s *batch.TaskSpec) {
		s.Exits = &batch.ExitRules{Codes: []batch.ExitRange{{Start: 7, End: 7, Action: batch.ExitAction{Job: "none"}}}}
	})
	w.addTask("j", "b")
	h.quick(exit(h.poll().Start[0].Run, 7))
	if j := w.job("j"); j.State != "active" {
		t.Fatalf("job is %s after an exit code that says none", j.State)
	}
	orders := h.quick()
	for id := range h.running {
		orders.Start = append(orders.Start, h.running[id])
	}
	h.quick(exit(orders.Start[0].Run, 1))
	w.eventually("the job ends", func() bool { return w.job("j").State == "completed" })
	if j := w.job("j"); j.TerminateReason != "TaskFailed" {
		t.Errorf("reason = %q, want TaskFailed", j.TerminateReason)
	}
}

func TestWallClockEndsAJob(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p", func(j *batch.JobSpec) { j.MaxWallClock = 50 * time.Millisecond })
	w.addTask("j", "t")
	h.poll()
	w.eventually("the job ends", func() bool { return w.job("j").State == "completed" })
	if j := w.job("j"); j.TerminateReason != "MaxWallClockTimeExpiry" {
		t.Errorf("reason = %q", j.TerminateReason)
	}
}

func TestJobOnAPoolThatComesLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addJob("j", "Later")
	w.addTask("j", "t")
	w.addPool("later", 1)
	h := w.hand(w.refs()[0])
	h.quick()
	if len(h.running) == 0 {
		h.quick()
	}
	if got := w.task("j", "t"); got.State != "running" {
		t.Errorf("task is %s, want running", got.State)
	}
}

func TestJobMovesToAnotherPoolWhileDisabled(t *testing.T) {
	t.Parallel()
	w, _ := oneNode(t)
	w.addPool("q", 1)
	w.addJob("j", "p")
	move := func(j *batch.JobSpec) error { j.PoolID = "q"; return nil }
	if _, err := w.ChangeJob(w.ctx, w.who, w.acct, "j", nil, move); !errors.Is(err, fault.InvalidJobState) {
		t.Errorf("moving an active job = %v, want %v", err, fault.InvalidJobState)
	}
	w.check(w.DisableJob(w.ctx, w.who, w.acct, "j", "requeue", nil))
	must(w.ChangeJob(w.ctx, w.who, w.acct, "j", nil, move))(t)
	w.check(w.EnableJob(w.ctx, w.who, w.acct, "j", nil))
	w.addTask("j", "t")
	for _, n := range w.refs() {
		if n.PoolID == "q" {
			h := w.hand(n)
			h.quick()
			h.quick()
		}
	}
	if got := w.task("j", "t"); got.State != "running" || got.PoolID != "q" {
		t.Errorf("task = %+v, want it running on q", got)
	}
}

func TestDependenciesHoldATaskBack(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p", func(j *batch.JobSpec) { j.UsesDependencies = true })
	// The one that waits comes first, before two of those it waits for.
	w.addTask("j", "1")
	w.addTask("j", "last", func(s *batch.TaskSpec) {
		s.DependsOn, s.Ranges = []string{"first"}, []batch.IDRange{{Start: 1, End: 3}}
	})
	w.addTask("j", "first")
	if got := w.task("j", "last"); got.State != "active" {
		t.Errorf("a task that waits is %s to its owner, want active", got.State)
	}
	var order []string
	drain := func() {
		for orders := h.quick(); len(orders.Start) > 0; {
			order = append(order, orders.Start[0].TaskID)
			code := 0
			if orders.Start[0].TaskID == "2" {
				code = 4
			}
			if orders = h.quick(exit(orders.Start[0].Run, code)); len(orders.Start) == 0 {
				orders = h.quick()
			}
		}
	}
	drain()
	w.addTask("j", "2")
	w.addTask("j", "3")
	drain()
	if got := strings.Join(order, " "); got != "1 first 2 3" {
		t.Fatalf("order = %s, want the last one held back by 2, which failed", got)
	}
	tasks, _, err := w.TaskCounts(w.ctx, w.who, w.acct, "j")
	w.check(err)
	if tasks != (batch.Counts{Active: 1, Completed: 4, Succeeded: 3, Failed: 1}) {
		t.Errorf("counts = %+v", tasks)
	}
	// Tried again and well this time, it lets the last one go.
	must(w.ReactivateTask(w.ctx, w.who, w.acct, "j", "2", nil))(t)
	h.quick(exit(h.poll().Start[0].Run, 0))
	if h.quick(); len(h.running) != 1 {
		t.Fatalf("running = %v, want the last one", h.running)
	}
	for _, s := range h.running {
		if s.TaskID != "last" {
			t.Errorf("%s runs, want last", s.TaskID)
		}
	}
}

func TestDependenciesNeedAJobThatUsesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addJob("j", "p")
	_, err := w.AddTask(w.ctx, w.who, w.acct, "j", batch.TaskSpec{ID: "t", CommandLine: "true", DependsOn: []string{"u"}})
	if !errors.Is(err, fault.TaskDependenciesNotSpecifiedOnJob) {
		t.Errorf("AddTask = %v", err)
	}
}

func TestCollectionAddsWhatItCan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addJob("j", "p")
	w.addTask("j", "Taken")
	added := must(w.AddTasks(w.ctx, w.who, w.acct, "j", []batch.TaskSpec{
		{ID: "a", CommandLine: "true"},
		{ID: "taken", CommandLine: "true"},
		{ID: "no command"},
		{ID: "b"},
		{ID: "c", CommandLine: "true"},
		{ID: "C", CommandLine: "true"},
	}))(t)
	for i, want := range []error{nil, fault.TaskExists, fault.InvalidPropertyValue, fault.MissingRequiredProperty, nil, fault.TaskExists} {
		if want == nil && added[i].Err == nil || want != nil && errors.Is(added[i].Err, want) {
			continue
		}
		t.Errorf("task %d: got %v, want %v", i, added[i].Err, want)
	}
	page, next, err := w.Tasks(w.ctx, w.who, w.acct, "j", batch.List[batch.Task]{Max: 2})
	w.check(err)
	rest, end, err := w.Tasks(w.ctx, w.who, w.acct, "j", batch.List[batch.Task]{Max: 2, After: next})
	w.check(err)
	var ids []string
	for _, t := range append(page, rest...) {
		ids = append(ids, t.ID)
	}
	if got := strings.Join(ids, " "); got != "Taken a c" || end != "" {
		t.Errorf("tasks = %s, next %q, want them in order of creation", got, end)
	}
}

func TestLostNodeGivesItsTaskToAnother(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a lease")
	}
	t.Parallel()
	w := newWorld(t)
	w.addPool("p", 2)
	nodes := w.refs()
	dead, alive := w.hand(nodes[0]), w.hand(nodes[1])
	dead.poll()
	w.addJob("j", "p")
	w.addTask("j", "t")
	old := dead.poll().Start[0]
	alive.poll()
	deadline := time.Now().Add(time.Minute)
	for len(alive.poll().Start) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the task did not move")
		}
	}
	if got := w.task("j", "t"); got.Execution.Requeues != 1 || got.Execution.Retries != 0 {
		t.Errorf("task = %+v", got)
	}
	if n := w.nodes("p")[0]; n.State != "unknown" {
		t.Errorf("node is %s, want unknown", n.State)
	}
	// It was only slow: what it says of the old run is not heard, and it is told to
	// stop it.
	if orders := dead.poll(); len(orders.Stop) != 1 || orders.Stop[0] != old.Run {
		t.Errorf("orders = %+v, want the old run stopped", orders)
	}
	dead.quick(compute.Result{Run: old.Run, Started: time.Now(), Ended: time.Now()})
	if got := w.task("j", "t"); got.State != "running" {
		t.Errorf("task is %s, want running elsewhere", got.State)
	}
}
