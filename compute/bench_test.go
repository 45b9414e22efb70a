package compute_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/compute"
)

// BenchmarkForkExec is the measure: what Go alone takes to make the same directory
// and files and run the same program, with a worker per processor.
func BenchmarkForkExec(b *testing.B) {
	dir := place(b)
	var made atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			task := filepath.Join(dir, fmt.Sprint(made.Add(1)))
			if err := os.MkdirAll(task+"/wd", 0o700); err != nil {
				b.Error(err)
				return
			}
			stdout, err1 := os.Create(task + "/stdout.txt")
			stderr, err2 := os.Create(task + "/stderr.txt")
			if err1 != nil || err2 != nil {
				b.Error(err1, err2)
				return
			}
			cmd := exec.Command("/bin/true")
			cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = task+"/wd", stdout, stderr, []string{"A=b"}
			if err := cmd.Run(); err != nil {
				b.Error(err)
				return
			}
			stdout.Close()
			stderr.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}

// BenchmarkTasks runs the same program as tasks of one node, given by a source that
// costs nothing.
func BenchmarkTasks(b *testing.B) {
	for _, c := range []struct {
		name  string
		slots int
	}{{"slots=2", 2}, {"slots=4", 4}} {
		b.Run(c.name, func(b *testing.B) {
			src := &endless{n: b.N, slots: c.slots, done: make(chan struct{})}
			local, err := compute.NewLocal(compute.Config{Dir: place(b), Source: src, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			var running sync.WaitGroup
			running.Go(func() { local.Run(ctx) })
			b.ResetTimer()
			<-src.done
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
			b.ReportMetric(float64(src.polls)/float64(b.N), "polls/task")
			b.StopTimer()
			cancel()
			running.Wait()
			if src.failed != nil {
				b.Fatalf("a task failed: %+v", *src.failed)
			}
		})
	}
}

// An endless source has n tasks and hands them out as slots come free.
type endless struct {
	mu                    sync.Mutex
	n, given, ended, live int
	slots, polls          int
	failed                *compute.Result
	done                  chan struct{}
}

func (e *endless) Nodes(ctx context.Context, seen uint64) (compute.Fleet, error) {
	if seen == 1 {
		<-ctx.Done()
		return compute.Fleet{}, ctx.Err()
	}
	ref := compute.NodeRef{Account: "a", Pool: "p", Node: "n"}
	return compute.Fleet{Version: 1, Nodes: []compute.Node{{Ref: ref, ID: "n", PoolID: "p", AccountName: "a", Slots: e.slots}}}, nil
}

func (e *endless) Poll(ctx context.Context, report compute.Report) (compute.Orders, error) {
	e.mu.Lock()
	e.polls++
	for _, res := range report.Finished {
		if res.Failure != nil || res.ExitCode != 0 {
			e.failed = &res
		}
		e.live--
		e.ended++
	}
	orders := compute.Orders{Lease: time.Minute}
	for e.live < e.slots && e.given < e.n {
		e.given++
		e.live++
		id := fmt.Sprint("t", e.given)
		orders.Start = append(orders.Start, compute.TaskSpec{Run: id, JobID: "job", TaskID: id, CommandLine: "/bin/true", Slots: 1})
	}
	if e.ended == e.n && len(report.Finished) > 0 {
		close(e.done)
	}
	e.mu.Unlock()
	if len(orders.Start) > 0 {
		return orders, nil
	}
	select {
	case <-ctx.Done():
		return orders, nil
	case <-time.After(2 * time.Second):
		return orders, nil
	}
}
