package servertest_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"latchkey/client"
)

// The main promise, seen from outside: take the key away and everything stops within
// seconds; give it back and everything goes on, each task to one end.
func TestRevokedKeyStopsEverythingAndItsReturnBringsItBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.useKey(w.makeVault())
	w.makePool("p1", 2, 2)
	w.makeJob("j1", "p1")
	// Quick tasks that end before the key goes, and slow ones that do not.
	w.addTasks("j1", "quick", "/bin/sh -c 'echo done'", 0, 6)
	w.eventually("quick tasks complete", func() bool { return w.counts("j1").Completed == 6 })
	w.addTasks("j1", "slow", "/bin/sh -c 'sleep 4 & wait; echo done'", 0, 8)
	w.eventually("slow tasks running", func() bool { return w.counts("j1").Running == 4 })

	began := time.Now()
	w.revoke()
	w.eventually("calls refused", func() bool {
		err := w.Call(context.Background(), http.MethodGet, w.data+"/jobs?"+dataVersion, nil, nil)
		return client.IsCode(err, refused)
	})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("revoke → refused took %v, want seconds", took)
	}
	for _, c := range []struct{ method, path string }{
		{http.MethodGet, "/pools"},
		{http.MethodGet, "/pools/p1/nodes"},
		{http.MethodGet, "/jobs/j1/tasks"},
		{http.MethodGet, "/jobs/j1/tasks/quick0/files/stdout.txt"},
		{http.MethodDelete, "/jobs/j1"},
	} {
		w.fails(refused, c.method, w.data+c.path+"?"+dataVersion, nil)
	}
	w.fails(refused, http.MethodPatch, management+w.account+"?"+batchVersion, object{"tags": object{"a": "b"}})
	w.fails(refused, http.MethodPost, management+w.account+"/listKeys?"+batchVersion, nil)
	w.fails(refused, http.MethodGet, management+w.account+"/pools?"+batchVersion, nil)
	w.eventually("no process of the account alive", func() bool { return len(processesUnder(t, w.Data)) == 0 })
	status := w.keyStatus()
	if status.State != "Locked" || status.Nodes["unusable"] != 2 || status.Tasks["running"] != 0 || status.Tasks["active"] != 8 {
		t.Errorf("keyStatus = %+v, want Locked with 2 unusable nodes, 8 active tasks, none running", status)
	}

	w.allow()
	w.eventually("calls answered again", func() bool {
		return w.Call(context.Background(), http.MethodGet, w.data+"/jobs?"+dataVersion, nil, nil) == nil
	})
	w.eventually("all tasks completed", func() bool { return w.counts("j1").Succeeded == 14 })
	var tasks struct {
		Value []struct {
			ID            string
			ExecutionInfo struct{ RetryCount, RequeueCount int }
		}
	}
	w.batch(http.MethodGet, "/jobs/j1/tasks", nil, &tasks)
	requeued := 0
	for _, task := range tasks.Value {
		requeued += task.ExecutionInfo.RequeueCount
		if task.ExecutionInfo.RetryCount != 0 {
			t.Errorf("task %s has %d retries, want 0: losing the key costs none", task.ID, task.ExecutionInfo.RetryCount)
		}
		if strings.HasPrefix(task.ID, "quick") && task.ExecutionInfo.RequeueCount != 0 {
			t.Errorf("task %s had completed and was requeued", task.ID)
		}
	}
	if requeued != 4 {
		t.Errorf("%d requeues, want 4: the tasks that were running", requeued)
	}
	resp, err := w.Do(context.Background(), http.MethodGet, w.data+"/jobs/j1/tasks/quick0/files/stdout.txt?"+dataVersion, nil, nil)
	if err != nil || string(resp.Body) != "done\n" {
		t.Errorf("stdout of a task that had completed before = %q, %v; want it kept", resp.Body, err)
	}
	if got := w.nodes("p1")["idle"]; got != 2 {
		t.Errorf("%d nodes are idle, want 2", got)
	}
}

// processesUnder returns the processes whose working directory lies below dir.
func processesUnder(t testing.TB, dir string) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err == nil && strings.HasPrefix(cwd, dir+"/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestLockedAccountCanBeDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.useKey(w.makeVault())
	w.makePool("p1", 1, 1)
	w.revoke()
	w.eventually("locked", func() bool { return w.keyStatus().State == "Locked" })
	w.must(http.MethodDelete, management+w.account+"?"+batchVersion, nil, nil)
	w.fails("ResourceNotFound", http.MethodGet, management+w.account+"?"+batchVersion, nil)
	w.eventually("its nodes' disks gone", func() bool {
		entries, _ := filepath.Glob(filepath.Join(w.Data, "nodes", "*", "*", "*"))
		return len(entries) == 0
	})
}
