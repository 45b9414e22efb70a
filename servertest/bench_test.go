package servertest_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/client"
	"latchkey/servertest"
)

// These are measurements of a whole service, in a process of its own, over its public
// protocols. They report figures and pass no judgement; the ratios are taken within
// one run.

// BenchmarkSubmit adds tasks in hundreds through REST to a job whose pool has no
// nodes: durable, sealed submissions.
func BenchmarkSubmit(b *testing.B) {
	w := launched(b)
	w.emptyPool("p1")
	w.makeJob("j1", "p1")
	const writers = 4
	b.ResetTimer()
	began := time.Now()
	var working sync.WaitGroup
	for k := range writers {
		working.Go(func() {
			for i := k; i < b.N; i += writers {
				w.addTasks("j1", fmt.Sprintf("t%d-", i), "/bin/true", 0, 100)
			}
		})
	}
	working.Wait()
	b.ReportMetric(float64(b.N*100)/time.Since(began).Seconds(), "tasks/s")
}

// BenchmarkTasks runs /bin/true tasks from submission to the last completion, beside
// a bare loop that makes the same directory and files and starts the same program.
func BenchmarkTasks(b *testing.B) {
	w := launched(b)
	w.makePool("p1", 2, 4)
	const n = 2000
	var ours, bare float64
	for i := range b.N {
		bare += bareLoop(b, n)
		job := fmt.Sprintf("j%d", i)
		w.makeJob(job, "p1")
		began := time.Now()
		w.addTasks(job, "t", "/bin/true", 0, n)
		w.eventually("all tasks completed", func() bool { return w.counts(job).Completed == n })
		ours += n / time.Since(began).Seconds()
	}
	b.ReportMetric(ours/float64(b.N), "tasks/s")
	b.ReportMetric(bare/float64(b.N), "bare/s")
	b.ReportMetric(ours/bare, "ours/bare")
}

// bareLoop does what a task costs at the least: its directories, its two files, its
// process. Two at a time, as there are processors.
func bareLoop(b *testing.B, n int) float64 {
	b.Helper()
	root := b.TempDir()
	began := time.Now()
	var working sync.WaitGroup
	for k := range 2 {
		working.Go(func() {
			for i := k; i < n; i += 2 {
				dir := filepath.Join(root, strconv.Itoa(i))
				if err := os.MkdirAll(filepath.Join(dir, "wd"), 0o755); err != nil {
					b.Error(err)
					return
				}
				stdout, err1 := os.Create(filepath.Join(dir, "stdout.txt"))
				stderr, err2 := os.Create(filepath.Join(dir, "stderr.txt"))
				if err1 != nil || err2 != nil {
					b.Error(err1, err2)
					return
				}
				cmd := exec.Command("/bin/true")
				cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Join(dir, "wd"), stdout, stderr
				if err := cmd.Run(); err != nil {
					b.Error(err)
				}
				stdout.Close()
				stderr.Close()
			}
		})
	}
	working.Wait()
	return float64(n) / time.Since(began).Seconds()
}

// BenchmarkReady starts the service on a warm data directory, and looks at how much
// memory it has when it has been idle for a moment.
func BenchmarkReady(b *testing.B) {
	dir := b.TempDir()
	servertest.Launch(b, dir).Kill()
	var ready, resident float64
	for range b.N {
		p := servertest.Launch(b, dir)
		ready += p.Ready.Seconds() * 1000
		time.Sleep(time.Second)
		resident += residentMB(b, p.PID())
		p.Kill()
	}
	b.ReportMetric(ready/float64(b.N), "ms-to-ready")
	b.ReportMetric(resident/float64(b.N), "MB-idle")
}

func residentMB(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kb) / 1024
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// BenchmarkRevoke takes the key away while tasks run and gives it back: how long
// until calls are refused, the last process is dead, calls are answered, a task runs.
func BenchmarkRevoke(b *testing.B) {
	w := launched(b)
	w.useKey(w.makeVault())
	w.makePool("p1", 2, 4)
	w.makeJob("j1", "p1")
	var refusal, dead, answered, first time.Duration
	for i := range b.N {
		w.addTasks("j1", fmt.Sprintf("t%d-", i), "/bin/sleep 600", 0, 8)
		w.eventually("tasks running", func() bool { return len(processesUnder(b, w.Data)) == 8 })
		began := time.Now()
		w.revoke()
		w.eventually("refused", func() bool {
			return client.IsCode(w.Call(context.Background(), http.MethodGet, w.data+"/jobs?"+dataVersion, nil, nil), refused)
		})
		refusal += time.Since(began)
		w.eventually("dead", func() bool { return len(processesUnder(b, w.Data)) == 0 })
		dead += time.Since(began)
		began = time.Now()
		w.allow()
		w.eventually("answered", func() bool {
			return w.Call(context.Background(), http.MethodGet, w.data+"/jobs?"+dataVersion, nil, nil) == nil
		})
		answered += time.Since(began)
		w.eventually("running again", func() bool { return len(processesUnder(b, w.Data)) > 0 })
		first += time.Since(began)
		for k := range 8 {
			w.batch(http.MethodPost, fmt.Sprintf("/jobs/j1/tasks/t%d-%d/terminate", i, k), nil, nil)
		}
		w.eventually("tasks ended", func() bool { return len(processesUnder(b, w.Data)) == 0 })
	}
	for name, sum := range map[string]time.Duration{
		"ms-revoke-to-refused": refusal, "ms-revoke-to-dead": dead, "ms-restore-to-answered": answered, "ms-restore-to-task": first,
	} {
		b.ReportMetric(float64(sum.Milliseconds())/float64(b.N), name)
	}
}

// launched is a world on a service in a process of its own.
func launched(b *testing.B) *world {
	b.Helper()
	p := servertest.Launch(b, b.TempDir(), "--check-interval", "10s")
	return settle(b, &servertest.Service{Info: p.Info, Client: p.Client})
}

// emptyPool makes a pool without nodes.
func (w *world) emptyPool(id string) {
	w.t.Helper()
	w.batch(http.MethodPost, "/pools", object{
		"id": id, "vmSize": "standard_d2s_v3", "targetDedicatedNodes": 0,
		"virtualMachineConfiguration": object{
			"imageReference": object{"publisher": "canonical", "offer": "ubuntu-24_04-lts", "sku": "server"},
			"nodeAgentSKUId": "batch.node.ubuntu 24.04",
		},
	}, nil)
}
