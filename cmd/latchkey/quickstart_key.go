package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"latchkey/client"
	"latchkey/server"
)

// locked is the code with which the service refuses a call about an account whose key
// is away. Azure publishes none.
const locked = "CustomerManagedKeyUnavailable"

func isLocked(err error) bool {
	return errors.Is(err, &client.Error{Status: http.StatusForbidden, Code: locked})
}

// rotate changes to a new version of the key while tasks run, which must not notice.
func (s *story) rotate(ctx context.Context) (string, error) {
	before, err := s.counts(ctx)
	if err != nil {
		return "", err
	}
	version, err := s.newVersion(ctx)
	if err != nil {
		return "", err
	}
	began := time.Now()
	if err := s.seal(ctx, version); err != nil {
		return "", err
	}
	took := time.Since(began)
	s.version = version
	// Enough must be done under the new version, and enough be left to take away.
	after, err := s.await(ctx, 20*time.Second, func(c taskCounts) bool { return c.Completed >= before.Completed+4 && c.Running > 0 })
	if err != nil {
		return "", err
	}
	s.screen.show(fmt.Sprintf("the account moves to a new key version with %d tasks running", before.Running), short(took))
	return fmt.Sprintf("%d tasks done before, %d now", before.Completed, after.Completed), nil
}

// takeAway removes the access policy and measures what that does.
func (s *story) takeAway(ctx context.Context) (string, error) {
	// One running task at least must be hit. Tasks of a batch end together, so the
	// best moment is when all slots have just been filled.
	if _, err := s.await(ctx, 20*time.Second, func(c taskCounts) bool { return c.Running == nodeCount*slotsPerNode }); err != nil {
		return "", err
	}
	tasks, err := s.taskList(ctx)
	if err != nil {
		return "", err
	}
	s.finished = map[string]string{}
	for _, t := range tasks {
		if t.State == "completed" {
			s.finished[t.ID] = t.ExecutionInfo.EndTime
		}
	}
	if n := s.processes(); n == 0 {
		return "", errors.New("the service says that tasks run, and this machine has no process of them")
	}
	s.revoked = time.Now()
	if err := s.changePolicy(ctx, "remove"); err != nil {
		return "", err
	}
	refused := make(chan error, 1)
	var refusedAfter time.Duration
	go func() {
		refused <- s.until(ctx, 30*time.Second, func() (bool, error) {
			_, err := s.counts(ctx)
			if err == nil {
				return false, nil
			}
			refusedAfter = time.Since(s.revoked)
			if !isLocked(err) {
				return false, err
			}
			return true, nil
		})
	}()
	err = s.until(ctx, 30*time.Second, func() (bool, error) { return s.processes() == 0, nil })
	deadAfter := time.Since(s.revoked)
	if err := <-refused; err != nil {
		return "", fmt.Errorf("calls go on: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("the tasks' processes go on: %w", err)
	}
	var status keyStatus
	err = s.until(ctx, 30*time.Second, func() (bool, error) {
		a, err := s.account(ctx)
		status = a.Properties.KeyStatus
		return status.Nodes["unusable"] == nodeCount && status.Tasks["running"] == 0, err
	})
	if err != nil {
		return "", fmt.Errorf("the account says %+v: %w", status, err)
	}
	s.screen.show("access removed → first call refused", short(refusedAfter))
	s.screen.show("access removed → last process of a task dead", short(deadAfter))
	s.screen.show("access removed → all nodes unusable, no task running", short(time.Since(s.revoked)))
	return fmt.Sprintf("%s, because %s", status.State, status.Reason), nil
}

// until asks again and again until the answer is yes.
func (s *story) until(ctx context.Context, within time.Duration, ask func() (bool, error)) error {
	for began := time.Now(); ; {
		yes, err := ask()
		if yes || err != nil {
			return err
		}
		if time.Since(began) > within {
			return fmt.Errorf("not within %s", within)
		}
		if err := sleep(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
}

// processes counts the processes of this machine that belong to the job: the service
// is asked about everything else, but whether a process is dead the system knows best.
func (s *story) processes() int {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0
	}
	n := 0
	self := strconv.Itoa(os.Getpid())
	for _, dir := range dirs {
		// A process that has ended in between, or that is not ours to see, has none.
		environ, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err == nil && filepath.Base(dir) != self && bytes.Contains(environ, []byte("AZ_BATCH_JOB_ID="+s.job+"\x00")) {
			n++
		}
	}
	return n
}

// refuse tries everything that a locked account must refuse, and the little that it
// must not.
func (s *story) refuse(ctx context.Context) (string, error) {
	task := "/jobs/" + s.job + "/tasks/" + sliceTask(1)
	tries := []struct {
		what string
		call func() error
	}{
		{"reading the job", func() error { return s.data(ctx, http.MethodGet, "/jobs/"+s.job, nil, nil) }},
		{"listing jobs", func() error { return s.data(ctx, http.MethodGet, "/jobs", nil, nil) }},
		{"listing tasks", func() error { return s.data(ctx, http.MethodGet, "/jobs/"+s.job+"/tasks", nil, nil) }},
		{"reading a task", func() error { return s.data(ctx, http.MethodGet, task, nil, nil) }},
		{"reading a task's output", func() error { return s.data(ctx, http.MethodGet, task+"/files/stdout.txt", nil, nil) }},
		{"adding a task", func() error {
			return s.data(ctx, http.MethodPost, "/jobs/"+s.job+"/tasks", object{"id": "spectrum-late", "commandLine": "/bin/true"}, nil)
		}},
		{"deleting the job", func() error { return s.data(ctx, http.MethodDelete, "/jobs/"+s.job, nil, nil) }},
		{"listing pools", func() error { return s.data(ctx, http.MethodGet, "/pools", nil, nil) }},
		{"listing nodes", func() error { return s.data(ctx, http.MethodGet, "/pools/"+s.pool+"/nodes", nil, nil) }},
		{"resizing the pool", func() error {
			return s.data(ctx, http.MethodPost, "/pools/"+s.pool+"/resize", object{"targetDedicatedNodes": 3}, nil)
		}},
		{"managing: the account's keys", func() error {
			return s.manage(ctx, http.MethodPost, s.accountID+"/listKeys", accountsVersion, nil, nil)
		}},
		{"managing: tags", func() error {
			return s.manage(ctx, http.MethodPatch, s.accountID, accountsVersion, object{"tags": object{"a": "b"}}, nil)
		}},
		{"managing: the pool", func() error {
			return s.manage(ctx, http.MethodGet, s.accountID+"/pools/"+s.pool, accountsVersion, nil, nil)
		}},
	}
	for _, try := range tries {
		if err := try.call(); !isLocked(err) {
			return "", fmt.Errorf("%s: the answer is %v, and not 403 %s", try.what, err, locked)
		}
	}
	a, err := s.account(ctx)
	if err != nil {
		return "", fmt.Errorf("reading the account, which must be possible: %w", err)
	}
	var list struct{ Value []struct{ ID string } }
	if err := s.manage(ctx, http.MethodGet, s.groupID+"/providers/Microsoft.Batch/batchAccounts", accountsVersion, nil, &list); err != nil {
		return "", fmt.Errorf("listing accounts, which must be possible: %w", err)
	}
	if len(list.Value) != 1 || list.Value[0].ID != a.ID {
		return "", fmt.Errorf("the list of accounts is %v", list.Value)
	}
	s.screen.show("kinds of calls refused with 403 "+locked, fmt.Sprintf("%d of %d", len(tries), len(tries)))
	return fmt.Sprintf("%d kinds of calls; the account itself can still be read", len(tries)), nil
}

// search looks for what the customer wrote in all that a thief of the disk would get,
// but for the nodes' own disks.
func (s *story) search(context.Context) (string, error) {
	words := []string{s.pool, s.job, "spectrum-", "count.sh", "merge.sh", "slice-", "counts-", "reflections-refractions", s.files.base}
	layout := server.Layout(s.service.info.Data)
	found, err := searchFiles(string(layout), words, layout.Nodes())
	if err != nil {
		return "", err
	}
	log, err := searchFiles(filepath.Dir(s.service.logFile), words, string(layout))
	if err != nil {
		return "", err
	}
	if hits := append(found.hits, log.hits...); len(hits) > 0 {
		return "", fmt.Errorf("found: %s", hits)
	}
	// A search that finds nothing anywhere would prove nothing: on the nodes' disks,
	// which the key does not cover, it must find them.
	nodes, err := searchFiles(layout.Nodes(), words)
	if err != nil {
		return "", err
	}
	if len(nodes.hits) == 0 {
		return "", errors.New("the search does not even find them on the nodes' disks")
	}
	size := float64(found.bytes+log.bytes) / (1 << 20)
	said := fmt.Sprintf("%d words, %d files, %.1f MB", len(words), found.files+log.files, size)
	s.screen.show("the job's words in the data directory and the log ("+said+")", "none")
	return said + ", plain, hex, base64, UTF-16: none", nil
}

// stayAway shows that a locked account stays as it is: no task starts, no call is
// answered.
func (s *story) stayAway(ctx context.Context) (string, error) {
	const long = 2 * time.Second
	asked := 0
	for began := time.Now(); time.Since(began) < long; asked++ {
		if _, err := s.counts(ctx); !isLocked(err) {
			return "", fmt.Errorf("a call is answered with %v, and not 403 %s", err, locked)
		}
		if n := s.processes(); n > 0 {
			return "", fmt.Errorf("%d processes of the job run", n)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("asked %d times, no task ran and no call was answered", asked), nil
}

// giveBack adds the access policy again and measures how long it takes until a task
// runs.
func (s *story) giveBack(ctx context.Context) (string, error) {
	away := time.Since(s.revoked)
	s.restored = time.Now()
	if err := s.changePolicy(ctx, "add"); err != nil {
		return "", err
	}
	var unlocked, running time.Duration
	err := s.until(ctx, time.Minute, func() (bool, error) {
		c, err := s.counts(ctx)
		if isLocked(err) {
			return false, nil
		}
		if unlocked == 0 {
			unlocked = time.Since(s.restored)
		}
		running = time.Since(s.restored)
		return c.Running > 0 && s.processes() > 0, err
	})
	if err != nil {
		return "", err
	}
	s.screen.show("access given back → calls answered", short(unlocked))
	s.screen.show("access given back → first task running", short(running))
	return fmt.Sprintf("after %s; the first task runs", short(away)), nil
}
