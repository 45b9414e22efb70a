package batch_test

import (
	"errors"
	"testing"
	"time"

	"latchkey/batch"
	"latchkey/compute"
	"latchkey/fault"
)

// oneNode is a world with a node that has polled, and a job.
func oneNode(t *testing.T, edit ...func(*batch.PoolSpec)) (*world, *hand) {
	t.Helper()
	w := newWorld(t)
	w.addPool("p", 1, edit...)
	h := w.hand(w.refs()[0])
	h.poll()
	return w, h
}

func TestTaskRunsAndCompletesOnce(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p", func(j *batch.JobSpec) { j.Env = []batch.EnvVar{{"A", "job"}, {"B", "job"}} })
	w.addTask("j", "t", func(s *batch.TaskSpec) { s.Env = []batch.EnvVar{{"A", "task"}} })
	orders := h.poll()
	if len(orders.Start) != 1 {
		t.Fatalf("orders = %+v, want one start", orders)
	}
	spec := orders.Start[0]
	if spec.JobID != "j" || spec.TaskID != "t" || spec.CommandLine != "true" || spec.Retention != 7*24*time.Hour {
		t.Errorf("spec = %+v", spec)
	}
	if len(spec.Env) != 2 || spec.Env[0] != (compute.EnvVar{Name: "B", Value: "job"}) || spec.Env[1] != (compute.EnvVar{Name: "A", Value: "task"}) {
		t.Errorf("environment = %v, want the task's setting over the job's", spec.Env)
	}
	if got := w.task("j", "t"); got.State != "running" || got.Execution.Started.IsZero() || got.NodeID == "" || got.PoolID != "p" {
		t.Errorf("task = %+v, want it running", got)
	}
	if n := w.nodes("p")[0]; n.State != "running" || n.Running != 1 {
		t.Errorf("node = %+v, want it running", n)
	}
	h.quick(exit(spec.Run, 0))
	got := w.task("j", "t")
	if got.State != "completed" || !got.Execution.Succeeded || *got.Execution.ExitCode != 0 || got.Previous != "running" {
		t.Errorf("task = %+v, want it completed", got)
	}
	// The same report once more, with another end.
	h.quick(exit(spec.Run, 9))
	if again := w.task("j", "t"); *again.Execution.ExitCode != 0 || again.Modified != got.Modified {
		t.Errorf("a report that came twice changed the task: %+v", again)
	}
	if n := w.nodes("p")[0]; n.State != "idle" || n.TotalRun != 1 || n.TotalSucceeded != 1 || len(n.Recent) != 1 {
		t.Errorf("node = %+v, want it idle after one task", n)
	}
}

func TestFailureIsRetriedAsOftenAsAllowed(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	retries := 2
	w.addTask("j", "t", func(s *batch.TaskSpec) { s.Constraints.MaxRetries = &retries })
	for i := range 3 {
		orders := h.poll()
		if len(orders.Start) != 1 {
			t.Fatalf("try %d: orders = %+v", i, orders)
		}
		h.poll(exit(orders.Start[0].Run, 3))
	}
	got := w.task("j", "t")
	e := got.Execution
	if got.State != "completed" || e.Succeeded || e.Retries != 2 || *e.ExitCode != 3 || e.Failure == nil || e.Failure.Code != "FailureExitCode" || !e.Failure.User {
		t.Errorf("task = %+v, failure %+v", got, e.Failure)
	}
	if e.Requeues != 0 {
		t.Errorf("requeues = %d, want none", e.Requeues)
	}
}

func TestHigherPriorityFirstThenOlderJobThenOlderTask(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("low", "p", func(j *batch.JobSpec) { j.Priority = -5 })
	w.addJob("old", "p")
	w.addJob("new", "p")
	w.addJob("high", "p", func(j *batch.JobSpec) { j.Priority = 1000 })
	for _, job := range []string{"new", "low", "old", "high"} {
		w.addTask(job, "1")
		w.addTask(job, "2")
	}
	var got []string
	orders := h.poll()
	for len(orders.Start) > 0 {
		s := orders.Start[0]
		got = append(got, s.JobID+s.TaskID)
		orders = h.quick(exit(s.Run, 0))
	}
	want := []string{"high1", "high2", "old1", "old2", "new1", "new2", "low1", "low2"}
	if len(got) != len(want) {
		t.Fatalf("order = %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("order = %v, want %v", got, want)
		}
	}
}

func TestSlotsAreFilledAndNotOverfilled(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t, func(p *batch.PoolSpec) { p.Slots, p.Fill = 4, "pack" })
	w.addJob("j", "p")
	for _, s := range []struct {
		id    string
		slots int
	}{{"a", 3}, {"b", 2}, {"c", 1}, {"d", 1}} {
		w.addTask("j", s.id, func(t *batch.TaskSpec) { t.Slots = s.slots })
	}
	orders := h.poll()
	var got string
	for _, s := range orders.Start {
		got += s.TaskID
	}
	if got != "ac" {
		t.Errorf("started %q, want a, and c past b that does not fit", got)
	}
	tasks, slots, err := w.TaskCounts(w.ctx, w.who, w.acct, "j")
	w.check(err)
	if tasks.Running != 2 || slots.Running != 4 || slots.Active != 3 {
		t.Errorf("tasks %+v, slots %+v", tasks, slots)
	}
}

func TestMaxParallelTasksHolds(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t, func(p *batch.PoolSpec) { p.Slots, p.Fill = 8, "pack" })
	w.addJob("j", "p", func(j *batch.JobSpec) { j.MaxParallel = 2 })
	for _, id := range []string{"a", "b", "c"} {
		w.addTask("j", id)
	}
	if orders := h.poll(); len(orders.Start) != 2 {
		t.Errorf("%d tasks started, want 2", len(orders.Start))
	}
	if orders := h.quick(); len(orders.Start) != 0 {
		t.Errorf("%d more started, want none", len(orders.Start))
	}
}

func TestLostOrdersAreSentAgain(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t")
	first := h.poll().Start[0]
	h.running = map[string]compute.TaskSpec{} // the reply never came
	second := h.poll()
	if len(second.Start) != 1 || second.Start[0].Run != first.Run {
		t.Fatalf("orders = %+v, want run %s again", second, first.Run)
	}
	h.poll(exit(first.Run, 0))
	if got := w.task("j", "t"); got.State != "completed" || got.Execution.Requeues != 0 {
		t.Errorf("task = %+v", got)
	}
}

func TestRebootedAgentGivesItsRunsBack(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t")
	old := h.poll().Start[0]
	h.boot, h.running = "again", map[string]compute.TaskSpec{}
	h.poll() // says that it has booted
	orders := h.poll()
	if len(orders.Start) != 1 || orders.Start[0].Run == old.Run {
		t.Fatalf("orders = %+v, want a new run", orders)
	}
	if got := w.task("j", "t"); got.Execution.Requeues != 1 || got.Execution.Retries != 0 || got.Execution.RequeuedAt.IsZero() {
		t.Errorf("task = %+v, want one requeue and no retry", got)
	}
	// What the old run says now counts for nothing.
	h.quick(exit(old.Run, 0))
	if got := w.task("j", "t"); got.State != "running" {
		t.Errorf("task = %+v, want it running", got)
	}
}

func TestLockedAccountRequeuesWithoutARetry(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t")
	run := h.poll().Start[0].Run
	refused := make(chan error)
	go func() {
		_, err := h.try()
		refused <- err
	}()
	time.Sleep(20 * time.Millisecond)
	w.keys.lock(w.acct.Space, true)
	w.Wake(w.acct.Space)
	select {
	case err := <-refused:
		if !errors.Is(err, fault.KeyUnavailable) {
			t.Errorf("the waiting poll got %v, want %v", err, fault.KeyUnavailable)
		}
	case <-time.After(2 * time.Second):
		t.Fatal("the waiting poll did not learn that the account is locked")
	}
	if _, err := w.Task(w.ctx, w.who, w.acct, "j", "t"); !errors.Is(err, fault.KeyUnavailable) {
		t.Errorf("Task = %v, want %v", err, fault.KeyUnavailable)
	}
	fleet := must(w.Nodes(w.ctx, 0))(t)
	if len(fleet.Nodes) != 0 || len(fleet.Locked) != 1 || fleet.Locked[0] != h.ref.Account {
		t.Errorf("fleet = %+v, want the account in Locked", fleet)
	}
	u := must(w.Usage(w.ctx, w.acct.Space, true))(t)
	if u.Nodes["unusable"] != 1 || u.Tasks["active"] != 1 || u.Pools != 1 || u.Jobs != 1 {
		t.Errorf("usage = %+v", u)
	}
	// The agent kills what it runs and goes on asking.
	h.boot, h.running = "after the lock", map[string]compute.TaskSpec{}
	if _, err := h.try(); !errors.Is(err, fault.KeyUnavailable) {
		t.Errorf("poll = %v, want %v", err, fault.KeyUnavailable)
	}
	w.keys.lock(w.acct.Space, false)
	w.Wake(w.acct.Space)
	w.eventually("the task is queued again", func() bool { return w.task("j", "t").State == "active" })
	if n := w.nodes("p")[0]; n.State != "unusable" {
		t.Errorf("node is %s, want unusable until its agent comes", n.State)
	}
	orders := h.poll()
	if len(orders.Start) != 1 || orders.Start[0].Run == run {
		t.Fatalf("orders = %+v, want a new run", orders)
	}
	got := w.task("j", "t")
	if got.Execution.Requeues != 1 || got.Execution.Retries != 0 {
		t.Errorf("task = %+v, want one requeue and no retry", got)
	}
	if n := w.nodes("p")[0]; n.State != "running" || n.Error != nil {
		t.Errorf("node = %+v, want it running", n)
	}
}

func TestAgentThatMissedALockIsAskedForItsTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addPool("p", 2)
	nodes := w.refs()
	deaf, other := w.hand(nodes[0]), w.hand(nodes[1])
	deaf.poll()
	w.addJob("j", "p")
	w.addTask("j", "t")
	run := deaf.poll().Start[0].Run
	other.poll()
	w.keys.lock(w.acct.Space, true)
	w.Wake(w.acct.Space)
	w.keys.lock(w.acct.Space, false)
	w.Wake(w.acct.Space)
	if orders := other.quick(); len(orders.Start) != 0 {
		t.Fatalf("orders = %+v, want nothing while the first agent may still run it", orders)
	}
	if orders := deaf.quick(); len(orders.Stop) != 1 || orders.Stop[0] != run {
		t.Fatalf("orders = %+v, want the run asked back", orders)
	}
	deaf.quick(stopped(run))
	other.quick()
	deaf.quick()
	if len(deaf.running)+len(other.running) != 1 {
		t.Error("the task does not run again")
	}
	if got := w.task("j", "t"); got.State != "running" || got.Execution.Requeues != 1 {
		t.Errorf("task = %+v", got)
	}
}

func TestTerminatedTaskStopsOnItsNode(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t")
	w.addTask("j", "u")
	run := h.poll().Start[0].Run
	got := must(w.TerminateTask(w.ctx, w.who, w.acct, "j", "t", nil))(t)
	if got.State != "completed" || got.Execution.Failure.Code != "TaskEnded" || got.Execution.ExitCode != nil {
		t.Errorf("task = %+v", got)
	}
	orders := h.poll()
	if len(orders.Stop) != 1 || orders.Stop[0] != run || len(orders.Start) != 0 {
		t.Fatalf("orders = %+v, want the run stopped and nothing started before it is", orders)
	}
	if orders = h.poll(stopped(run)); len(orders.Start) != 1 || orders.Start[0].TaskID != "u" {
		t.Errorf("orders = %+v, want u started", orders)
	}
	if _, err := w.TerminateTask(w.ctx, w.who, w.acct, "j", "t", nil); !errors.Is(err, fault.TaskCompleted) {
		t.Errorf("terminating twice = %v, want %v", err, fault.TaskCompleted)
	}
}

func TestDeletedTaskIsForgottenByItsNode(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t")
	run := h.poll().Start[0].Run
	w.check(w.DeleteTask(w.ctx, w.who, w.acct, "j", "t", nil))
	if _, err := w.Task(w.ctx, w.who, w.acct, "j", "t"); !errors.Is(err, fault.TaskNotFound) {
		t.Errorf("Task = %v, want %v", err, fault.TaskNotFound)
	}
	if orders := h.poll(); len(orders.Stop) != 1 || len(orders.Forget) != 0 {
		t.Fatalf("orders = %+v, want it stopped first", orders)
	}
	if orders := h.poll(stopped(run)); len(orders.Forget) != 1 || orders.Forget[0] != (compute.TaskDir{JobID: "j", TaskID: "t"}) {
		t.Fatalf("orders = %+v, want its directory forgotten", orders)
	}
}

func TestPoolShrinksWhenAgentsHaveStopped(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t")
	run := h.poll().Start[0].Run
	zero := 0
	p := must(w.ResizePool(w.ctx, w.who, w.acct, "p", nil, batch.Resize{Dedicated: &zero}))(t)
	if p.Allocation != "resizing" || p.CurrentDedicated != 1 {
		t.Errorf("pool = %+v, want it resizing", p)
	}
	if n := w.nodes("p")[0]; n.State != "leavingpool" {
		t.Errorf("node is %s, want leavingpool", n.State)
	}
	if _, err := w.ResizePool(w.ctx, w.who, w.acct, "p", nil, batch.Resize{Dedicated: &zero}); !errors.Is(err, fault.PoolBeingResized) {
		t.Errorf("resizing twice = %v, want %v", err, fault.PoolBeingResized)
	}
	if orders := h.poll(); len(orders.Stop) != 1 {
		t.Fatalf("orders = %+v, want the run stopped", orders)
	}
	h.poll(stopped(run))
	w.eventually("the pool is steady", func() bool {
		p := must(w.Pool(w.ctx, w.who, w.acct, "p"))(t)
		return p.Allocation == "steady" && p.CurrentDedicated == 0
	})
	if got := w.task("j", "t"); got.State != "active" || got.Execution.Requeues != 1 {
		t.Errorf("task = %+v, want it queued again", got)
	}
	if _, err := h.try(); !errors.Is(err, fault.NodeNotFound) {
		t.Errorf("poll of a node that left = %v, want %v", err, fault.NodeNotFound)
	}
}

func TestDeletedPoolGoesAndItsJobWaitsForAnother(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t")
	run := h.poll().Start[0].Run
	w.check(w.DeletePool(w.ctx, w.who, w.acct, "p", nil))
	if err := w.DeletePool(w.ctx, w.who, w.acct, "p", nil); !errors.Is(err, fault.PoolBeingDeleted) {
		t.Errorf("deleting twice = %v, want %v", err, fault.PoolBeingDeleted)
	}
	h.poll()
	h.poll(stopped(run))
	w.eventually("the pool is gone", func() bool {
		_, err := w.Pool(w.ctx, w.who, w.acct, "p")
		return errors.Is(err, fault.PoolNotFound)
	})
	w.addPool("P", 1)
	h = w.hand(w.refs()[0])
	h.poll()
	if orders := h.quick(); len(orders.Start)+len(h.running) == 0 {
		t.Error("the task does not run on the pool that took the name")
	}
}

func TestReimageOrdersARestartAndRequeues(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t")
	h.poll()
	id := w.nodes("p")[0].ID
	w.check(w.RestartNode(w.ctx, w.who, w.acct, "p", id, "", true))
	if n := w.nodes("p")[0]; n.State != "reimaging" {
		t.Errorf("node is %s, want reimaging", n.State)
	}
	if orders := h.poll(); !orders.Restart || !orders.Wipe {
		t.Fatalf("orders = %+v, want a restart with an empty disk", orders)
	}
	h.boot, h.running = "fresh", map[string]compute.TaskSpec{}
	h.poll()
	if orders := h.poll(); orders.Restart || len(orders.Start) != 1 {
		t.Errorf("orders = %+v, want the task again", orders)
	}
	if got := w.task("j", "t"); got.Execution.Requeues != 1 {
		t.Errorf("task = %+v", got)
	}
}

func TestDisabledNodeIsOfflineAndTakesNothing(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	id := w.nodes("p")[0].ID
	w.check(w.DisableScheduling(w.ctx, w.who, w.acct, "p", id, ""))
	if n := w.nodes("p")[0]; n.State != "offline" || n.Scheduling != "disabled" {
		t.Errorf("node = %+v, want it offline", n)
	}
	w.addJob("j", "p")
	w.addTask("j", "t")
	if orders := h.quick(); len(orders.Start) != 0 {
		t.Errorf("orders = %+v, want nothing", orders)
	}
	w.check(w.EnableScheduling(w.ctx, w.who, w.acct, "p", id))
	if orders := h.poll(); len(orders.Start) != 1 {
		t.Errorf("orders = %+v, want the task", orders)
	}
	if err := w.EnableScheduling(w.ctx, w.who, w.acct, "p", id); !errors.Is(err, fault.NodeSchedulingState) {
		t.Errorf("enabling twice = %v", err)
	}
}

func TestPreparingTaskRunsWhenItsProcessStarts(t *testing.T) {
	t.Parallel()
	w, h := oneNode(t)
	w.addJob("j", "p")
	w.addTask("j", "t", func(s *batch.TaskSpec) { s.Files = []batch.ResourceFile{{URL: "http://x/y", Path: "y"}} })
	run := h.poll().Start[0].Run
	if got := w.task("j", "t"); got.State != "preparing" {
		t.Errorf("task is %s, want preparing", got.State)
	}
	h.poll() // reports a start time
	if got := w.task("j", "t"); got.State != "running" {
		t.Errorf("task is %s, want running", got.State)
	}
	// A failure to prepare is not retried.
	h.quick(compute.Result{Run: run, Ended: time.Now(), Failure: &compute.Failure{Code: "BlobNotFound", Message: "gone", User: true}})
	if got := w.task("j", "t"); got.State != "completed" || got.Execution.Failure.Code != "BlobNotFound" || got.Execution.ExitCode != nil {
		t.Errorf("task = %+v", got)
	}
}
