package servertest_test

import (
	"context"
	"net/http"
	"testing"

	"latchkey/client"
)

// However often the key goes and comes back, no task fails of it: what was killed is
// prepared afresh.
func TestKeyLossNeverFailsATask(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.useKey(w.makeVault())
	w.makePool("p1", 2, 2)
	w.makeJob("j1", "p1")
	const n = 60
	w.addTasks("j1", "t", "/bin/sh -c 'for i in 1 2 3; do sleep 0.05 & done; wait; echo done'", 0, n)
	for range 12 {
		w.eventually("tasks running", func() bool { return w.counts("j1").Running > 0 || w.counts("j1").Completed == n })
		w.revoke()
		w.eventually("calls refused", func() bool {
			return client.IsCode(w.Call(context.Background(), http.MethodGet, w.data+"/jobs?"+dataVersion, nil, nil), refused)
		})
		w.allow()
		w.eventually("calls answered", func() bool {
			return w.Call(context.Background(), http.MethodGet, w.data+"/jobs?"+dataVersion, nil, nil) == nil
		})
	}
	w.eventually("all tasks completed", func() bool { return w.counts("j1").Completed == n })
	var tasks struct {
		Value []struct {
			ID            string
			ExecutionInfo struct {
				Result      string
				FailureInfo any
				RetryCount  int
			}
		}
	}
	w.batch(http.MethodGet, "/jobs/j1/tasks", nil, &tasks)
	for _, task := range tasks.Value {
		if task.ExecutionInfo.Result != "success" || task.ExecutionInfo.RetryCount != 0 {
			t.Errorf("task %s: %+v, want success without a retry", task.ID, task.ExecutionInfo)
		}
	}
}
