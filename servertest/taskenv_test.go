package servertest_test

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A program inside a task reaches the cloud's names as one outside does, and trusts
// what answers; and it finds nobody's secret.
func TestTasksReachTheCloudsNames(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("left out: %v", err)
	}
	w := newWorld(t)
	w.makePool("p1", 1, 1)
	w.makeJob("j1", "p1")
	w.addTasks("j1", "t", "/bin/sh -c 'curl -sS -o /dev/null -w \"%{http_code}\" "+w.data+"/jobs; echo; env'", 0, 1)
	w.eventually("the task completed", func() bool { return w.counts("j1").Completed == 1 })
	resp, err := w.Do(context.Background(), http.MethodGet, w.data+"/jobs/j1/tasks/t0/files/stdout.txt?"+dataVersion, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, env, _ := strings.Cut(string(resp.Body), "\n")
	if status != "401" {
		errors, _ := w.Do(context.Background(), http.MethodGet, w.data+"/jobs/j1/tasks/t0/files/stderr.txt?"+dataVersion, nil, nil)
		t.Errorf("curl from a task was answered with %q, want 401: no token\n%s", status, errors.Body)
	}
	if strings.Contains(env, "SECRET") {
		t.Errorf("a task's environment has a secret:\n%s", env)
	}
}
