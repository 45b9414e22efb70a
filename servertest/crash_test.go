package servertest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/servertest"
)

// Twenty times the plug is pulled under load. What was acknowledged is there
// afterwards, and a task that was seen completed never runs again.
func TestNothingAcknowledgedIsLostWhenTheServiceIsKilled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))

	// Tasks may run as users of their own, and may write to no place that holds the
	// data directory.
	marks, err := os.MkdirTemp("/var/tmp", "latchkey-marks")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(marks) })
	if err := os.Chmod(marks, 0o777); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	process := servertest.Launch(t, data)
	w := settle(t, &servertest.Service{Info: process.Info, Client: process.Client})
	w.useKey(w.makeVault())
	w.makePool("p1", 2, 2)
	w.makeJob("j1", "p1")

	l := &load{marks: marks, acked: map[string]bool{}, done: map[string]int{}}
	const cycles = 20
	for cycle := range cycles {
		ctx, cancel := context.WithCancel(context.Background())
		var working sync.WaitGroup
		for worker := range 2 {
			working.Go(func() { l.add(ctx, w, fmt.Sprintf("c%dw%d", cycle, worker)) })
		}
		working.Go(func() { l.watch(ctx, w) })
		time.Sleep(time.Duration(200+random.IntN(900)) * time.Millisecond)
		process.Kill()
		cancel()
		working.Wait()
		process = servertest.Launch(t, data)
		w.Service = &servertest.Service{Info: process.Info, Client: process.Client}
	}

	if len(l.acked) < cycles || len(l.done) < cycles {
		t.Fatalf("only %d tasks were added and %d seen completed: that shows nothing", len(l.acked), len(l.done))
	}
	w.eventually("no task active or running", func() bool {
		c := w.counts("j1")
		return c.Completed > 0 && c.Active == 0 && c.Running == 0
	})
	after := l.completed(context.Background(), w)
	for id := range l.acked {
		if !after[id] {
			t.Errorf("task %s was acknowledged and is not among the completed tasks", id)
		}
	}
	for id, runs := range l.done {
		if now := l.runs(id); now != runs {
			t.Errorf("task %s had completed after %d runs and ran again: %d", id, runs, now)
		}
	}
	if c := w.counts("j1"); c.Completed != len(after) || c.Succeeded != len(after) {
		t.Errorf("task counts = %+v, want %d completed and succeeded", c, len(after))
	}
	t.Logf("%d tasks acknowledged, %d seen completed before a kill", len(l.acked), len(l.done))
}

// A load adds tasks and watches them end.
type load struct {
	marks string
	mu    sync.Mutex
	acked map[string]bool
	done  map[string]int // runs when it was first seen completed
}

func (l *load) add(ctx context.Context, w *world, prefix string) {
	for i := 0; ctx.Err() == nil; i++ {
		var tasks []object
		for k := range 10 {
			id := fmt.Sprintf("%s-%d-%d", prefix, i, k)
			tasks = append(tasks, object{"id": id, "commandLine": "/bin/sh -c 'echo run >> " + l.marks + "/" + id + "'"})
		}
		var added struct {
			Value []struct{ Status, TaskID string }
		}
		if err := w.Call(ctx, http.MethodPost, w.data+"/jobs/j1/addtaskcollection?"+dataVersion, object{"value": tasks}, &added); err != nil {
			return // killed
		}
		l.mu.Lock()
		for _, a := range added.Value {
			if a.Status == "success" {
				l.acked[a.TaskID] = true
			}
		}
		l.mu.Unlock()
		time.Sleep(50 * time.Millisecond)
	}
}

func (l *load) watch(ctx context.Context, w *world) {
	for ctx.Err() == nil {
		for id := range l.completed(ctx, w) {
			l.mu.Lock()
			if _, seen := l.done[id]; !seen {
				l.done[id] = l.runs(id)
			}
			l.mu.Unlock()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// completed lists the completed tasks; what it has read before an error counts.
func (l *load) completed(ctx context.Context, w *world) map[string]bool {
	found := map[string]bool{}
	url := w.data + "/jobs/j1/tasks?" + dataVersion + "&$filter=state%20eq%20'completed'&$select=id"
	for url != "" {
		var page struct {
			Value []struct{ ID string }
			Next  string `json:"odata.nextLink"`
		}
		if err := w.Call(ctx, http.MethodGet, url, nil, &page); err != nil {
			return found
		}
		for _, task := range page.Value {
			found[task.ID] = true
		}
		url = page.Next
	}
	return found
}

func (l *load) runs(id string) int {
	b, err := os.ReadFile(filepath.Join(l.marks, id))
	if err != nil {
		return 0
	}
	return strings.Count(string(b), "run")
}
