package batch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"latchkey/batch"
	"latchkey/compute"
	"latchkey/fault"
)

// local gives the world real nodes.
func (w *world) local() {
	w.t.Helper()
	l, err := compute.NewLocal(compute.Config{Dir: w.t.TempDir(), Source: w.Service, Logger: slog.New(slog.DiscardHandler)})
	w.check(err)
	w.Reach(l)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func TestRealProcessesOnRealNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.local()
	w.addPool("p", 2, func(p *batch.PoolSpec) {
		p.Slots = 2
		p.StartTask = &batch.StartTask{CommandLine: "/bin/sh -c 'echo ready > $AZ_BATCH_NODE_SHARED_DIR/mark'", WaitForSuccess: true}
	})
	w.eventually("the nodes are idle", func() bool {
		for _, n := range w.nodes("p") {
			if n.State != "idle" || n.StartInfo == nil || n.StartInfo.Failure != nil {
				return false
			}
		}
		return true
	})
	w.addJob("J", "p", func(j *batch.JobSpec) { j.UsesDependencies = true; j.OnAllComplete = "terminatejob" })
	for i := range 12 {
		w.addTask("J", fmt.Sprint(i), func(s *batch.TaskSpec) {
			s.CommandLine = fmt.Sprintf("/bin/sh -c 'cat $AZ_BATCH_NODE_SHARED_DIR/mark; echo %d $AZ_BATCH_TASK_ID; exit %d'", i, i%6/5)
		})
	}
	w.addTask("J", "last", func(s *batch.TaskSpec) { s.Ranges = []batch.IDRange{{Start: 0, End: 4}} })
	w.eventually("the job is complete", func() bool { return w.job("J").State == "completed" })
	tasks, _, err := w.TaskCounts(w.ctx, w.who, w.acct, "J")
	w.check(err)
	if tasks != (batch.Counts{Completed: 13, Succeeded: 11, Failed: 2}) {
		t.Errorf("counts = %+v", tasks)
	}
	f := batch.Folder{JobID: "j", TaskID: "3"}
	content, info, err := w.OpenFile(w.ctx, w.who, w.acct, f, "stdout.txt")
	w.check(err)
	defer content.Close()
	got := must(io.ReadAll(content))(t)
	if string(got) != "ready\n3 3\n" || info.Size != int64(len(got)) {
		t.Errorf("stdout.txt = %q, size %d", got, info.Size)
	}
	files := must(w.ListFiles(w.ctx, w.who, w.acct, f, true))(t)
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); !strings.Contains(got, "stderr.txt stdout.txt wd") {
		t.Errorf("files = %s", got)
	}
	if _, err := w.StatFile(w.ctx, w.who, w.acct, f, "../3/stdout.txt"); !errors.Is(err, fault.FileNotFound) {
		t.Errorf("a path that leads out = %v, want %v", err, fault.FileNotFound)
	}
	// A deleted task's directory goes.
	w.check(w.DeleteJob(w.ctx, w.who, w.acct, "J", nil))
	node := batch.Folder{PoolID: "p", NodeID: w.nodes("p")[0].ID}
	w.eventually("the directories are gone", func() bool {
		files, err := w.ListFiles(w.ctx, w.who, w.acct, node, true)
		w.check(err)
		for _, f := range files {
			if strings.HasPrefix(strings.ToLower(f.Name), "workitems/j") {
				return false
			}
		}
		return true
	})
}

func TestLockKillsRealProcessesAndTheyComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.local()
	w.addPool("p", 2)
	w.addJob("j", "p")
	for i := range 2 {
		w.addTask("j", fmt.Sprint(i), func(s *batch.TaskSpec) {
			s.CommandLine = "/bin/sh -c 'test -e $AZ_BATCH_NODE_SHARED_DIR/second || { sleep 100; }; echo done'"
		})
	}
	w.eventually("both run", func() bool { return w.task("j", "0").State == "running" && w.task("j", "1").State == "running" })
	w.keys.lock(w.acct.Space, true)
	w.Wake(w.acct.Space)
	time.Sleep(300 * time.Millisecond)
	w.keys.lock(w.acct.Space, false)
	began := time.Now()
	w.Wake(w.acct.Space)
	w.eventually("both run again", func() bool {
		for _, id := range []string{"0", "1"} {
			if got := w.task("j", id); got.State != "running" || got.Execution.Requeues != 1 || got.Execution.Retries != 0 {
				return false
			}
		}
		return true
	})
	t.Logf("running again %v after the lock was taken away", time.Since(began))
	for _, id := range []string{"0", "1"} {
		must(w.TerminateTask(w.ctx, w.who, w.acct, "j", id, nil))(t)
	}
}

func TestALockEndsWhatIsBeingRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.local()
	w.addPool("p", 1)
	w.addJob("j", "p")
	w.addTask("j", "t", func(s *batch.TaskSpec) { s.CommandLine = "echo one two three" })
	w.eventually("the task is complete", func() bool { return w.task("j", "t").State == "completed" })
	content, _, err := w.OpenFile(w.ctx, w.who, w.acct, batch.Folder{JobID: "j", TaskID: "t"}, "stdout.txt")
	w.check(err)
	defer content.Close()
	some := make([]byte, 3)
	if n, err := content.Read(some); err != nil || string(some[:n]) != "one" {
		t.Fatalf("before the lock: %q, %v", some[:n], err)
	}
	w.keys.lock(w.acct.Space, true)
	if n, err := content.Read(some); !errors.Is(err, fault.KeyUnavailable) || n != 0 {
		t.Errorf("after it: %q, %v", some[:n], err)
	}
	w.keys.lock(w.acct.Space, false)
	if n, err := content.Read(some); err != nil || string(some[:n]) != " tw" {
		t.Errorf("after its end: %q, %v", some[:n], err)
	}
}

// BenchmarkEndToEnd runs /bin/true on two nodes: real processes, directories, files.
func BenchmarkEndToEnd(b *testing.B) {
	w := newWorld(b)
	w.local()
	w.addPool("p", 2, func(p *batch.PoolSpec) { p.Slots = 2 })
	w.addJob("j", "p", func(j *batch.JobSpec) { j.OnAllComplete = "terminatejob" })
	w.check(w.DisableJob(w.ctx, w.who, w.acct, "j", "wait", nil))
	for first := 0; first < b.N; first += batch.MaxCollection {
		var specs []batch.TaskSpec
		for i := first; i < min(first+batch.MaxCollection, b.N); i++ {
			specs = append(specs, batch.TaskSpec{ID: fmt.Sprint(i), CommandLine: "/bin/true"})
		}
		must(w.AddTasks(w.ctx, w.who, w.acct, "j", specs))(b)
	}
	w.eventually("the nodes are idle", func() bool { n := w.nodes("p"); return n[0].State == "idle" && n[1].State == "idle" })
	b.ResetTimer()
	start := time.Now()
	w.check(w.EnableJob(w.ctx, w.who, w.acct, "j", nil))
	for w.job("j").State != "completed" {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "tasks/s")
}
