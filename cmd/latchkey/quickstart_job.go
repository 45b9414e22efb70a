package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// lastTask adds up what the others counted.
const lastTask = "spectrum-whole"

func sliceTask(n int) string { return fmt.Sprintf("spectrum-%02d", n) }

func (s *story) makePool(ctx context.Context) (string, error) {
	began := time.Now()
	err := s.data(ctx, http.MethodPost, "/pools", object{
		"id": s.pool, "vmSize": "standard_d2s_v3", "targetDedicatedNodes": nodeCount, "taskSlotsPerNode": slotsPerNode,
		"virtualMachineConfiguration": object{
			"imageReference": object{"publisher": "canonical", "offer": "0001-com-ubuntu-server-jammy", "sku": "22_04-lts", "version": "latest"},
			"nodeAgentSKUId": "batch.node.ubuntu 22.04",
		},
	}, nil)
	if err != nil {
		return "", err
	}
	for {
		states, err := s.nodeStates(ctx)
		if err != nil {
			return "", err
		}
		if states["idle"] == nodeCount {
			s.screen.show(fmt.Sprintf("a pool of %d nodes, all of them idle", nodeCount), short(time.Since(began)))
			return fmt.Sprintf("%s, %d nodes", s.pool, nodeCount), nil
		}
		if time.Since(began) > 20*time.Second {
			return "", fmt.Errorf("its nodes are not idle after 20 s but %v", states)
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return "", err
		}
	}
}

func (s *story) nodeStates(ctx context.Context) (map[string]int, error) {
	var nodes struct{ Value []struct{ State string } }
	if err := s.data(ctx, http.MethodGet, "/pools/"+s.pool+"/nodes", nil, &nodes); err != nil {
		return nil, err
	}
	states := map[string]int{}
	for _, n := range nodes.Value {
		states[n.State]++
	}
	return states, nil
}

func (s *story) makeJob(ctx context.Context) (string, error) {
	slices := sliceText(opticks, sliceCount)
	files, err := serveFiles(slices, func(ctx context.Context, n int) ([]byte, error) {
		return s.file(ctx, sliceTask(n), "stdout.txt")
	})
	if err != nil {
		return "", err
	}
	s.files = files
	err = s.data(ctx, http.MethodPost, "/jobs", object{
		"id": s.job, "poolInfo": object{"poolId": s.pool}, "usesTaskDependencies": true,
	}, nil)
	if err != nil {
		return "", err
	}
	began := time.Now()
	var added struct {
		Value []struct {
			Status, TaskID string
			Error          struct{ Code string }
		}
	}
	if err := s.data(ctx, http.MethodPost, "/jobs/"+s.job+"/addtaskcollection", object{"value": s.tasks()}, &added); err != nil {
		return "", err
	}
	if len(added.Value) != taskCount {
		return "", fmt.Errorf("%d tasks added, and %d answered for", taskCount, len(added.Value))
	}
	for _, a := range added.Value {
		if !strings.EqualFold(a.Status, "success") {
			return "", fmt.Errorf("adding task %s: %s %s", a.TaskID, a.Status, a.Error.Code)
		}
	}
	s.screen.show(fmt.Sprintf("%d tasks added in one call, sealed and durable", taskCount), short(time.Since(began)))
	return fmt.Sprintf("%s, %d tasks that count the words of Newton's Opticks", s.job, taskCount), nil
}

// tasks are the tasks of the job as they are sent.
func (s *story) tasks() []object {
	var tasks, printed []object
	var counted []string
	input := func(path, name string) object {
		return object{"httpUrl": s.files.base + path, "filePath": name}
	}
	for n := 1; n <= sliceCount; n++ {
		slice := fmt.Sprintf("slice-%02d.txt", n)
		tasks = append(tasks, object{
			"id": sliceTask(n), "commandLine": "/bin/sh count.sh " + slice + " " + pause(n),
			"resourceFiles":       []object{input("/count.sh", "count.sh"), input(fmt.Sprintf("/slices/%d", n), slice)},
			"environmentSettings": []object{{"name": "TREATISE", "value": "reflections-refractions"}},
			"constraints":         object{"maxTaskRetryCount": 0},
		})
		counted = append(counted, sliceTask(n))
		printed = append(printed, input(fmt.Sprintf("/counts/%d", n), fmt.Sprintf("counts-%02d.txt", n)))
	}
	return append(tasks, object{
		"id": lastTask, "commandLine": "/bin/sh merge.sh",
		"resourceFiles": append(printed, input("/merge.sh", "merge.sh")),
		"dependsOn":     object{"taskIds": counted},
	})
}

// A taskView is what the story reads of a task.
type taskView struct {
	ID, State     string
	ExecutionInfo struct {
		EndTime      string
		ExitCode     *int
		RequeueCount int
		RetryCount   int
		FailureInfo  *struct{ Code, Message string }
	}
}

func (s *story) taskList(ctx context.Context) ([]taskView, error) {
	var list struct{ Value []taskView }
	err := s.data(ctx, http.MethodGet, "/jobs/"+s.job+"/tasks", nil, &list)
	return list.Value, err
}

// taskCounts are the tasks of the job by state.
type taskCounts struct{ Active, Running, Completed, Failed int }

func (s *story) counts(ctx context.Context) (taskCounts, error) {
	var c struct{ TaskCounts taskCounts }
	err := s.data(ctx, http.MethodGet, "/jobs/"+s.job+"/taskcounts", nil, &c)
	return c.TaskCounts, err
}

// await shows the progress of the job until it is as far as done wants.
func (s *story) await(ctx context.Context, within time.Duration, done func(taskCounts) bool) (taskCounts, error) {
	began := time.Now()
	for {
		c, err := s.counts(ctx)
		if err != nil {
			return c, err
		}
		s.screen.progress(c.Completed, taskCount, fmt.Sprintf("%d running", c.Running))
		switch {
		case c.Failed > 0:
			return c, s.explain(ctx)
		case done(c):
			return c, nil
		case time.Since(began) > within:
			return c, fmt.Errorf("not after %s: %d tasks active, %d running, %d completed", within, c.Active, c.Running, c.Completed)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return c, err
		}
	}
}

// explain says of the first failed task why it failed.
func (s *story) explain(ctx context.Context) error {
	tasks, err := s.taskList(ctx)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		e := t.ExecutionInfo
		switch {
		case e.FailureInfo != nil && (e.ExitCode == nil || *e.ExitCode == 0):
			return fmt.Errorf("task %s failed: %s: %s", t.ID, e.FailureInfo.Code, e.FailureInfo.Message)
		case e.ExitCode != nil && *e.ExitCode != 0:
			said, err := s.file(ctx, t.ID, "stderr.txt")
			if err != nil {
				said = []byte(err.Error())
			}
			return fmt.Errorf("task %s failed with exit code %d: %s", t.ID, *e.ExitCode, bytes.TrimSpace(said))
		}
	}
	return errors.New("a task failed, and none says why")
}

func (s *story) awaitFirst(ctx context.Context) (string, error) {
	c, err := s.await(ctx, 20*time.Second, func(c taskCounts) bool { return c.Completed >= 4 && c.Running > 0 })
	return fmt.Sprintf("%d done, %d running", c.Completed, c.Running), err
}

func (s *story) awaitLast(ctx context.Context) (string, error) {
	// The job ends by itself with its last task.
	err := s.data(ctx, http.MethodPatch, "/jobs/"+s.job, object{"onAllTasksComplete": "terminatejob"}, nil)
	if err != nil {
		return "", err
	}
	if _, err := s.await(ctx, 30*time.Second, func(c taskCounts) bool { return c.Completed == taskCount }); err != nil {
		return "", err
	}
	for began := time.Now(); ; {
		var job struct{ State string }
		if err := s.data(ctx, http.MethodGet, "/jobs/"+s.job, nil, &job); err != nil {
			return "", err
		}
		if job.State == "completed" {
			break
		}
		if time.Since(began) > 10*time.Second {
			return "", fmt.Errorf("all its tasks are done, and its state is %q", job.State)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return "", err
		}
	}
	tasks, err := s.taskList(ctx)
	if err != nil {
		return "", err
	}
	requeued := 0
	for _, t := range tasks {
		e := t.ExecutionInfo
		if ended, ok := s.finished[t.ID]; ok && (e.EndTime != ended || e.RequeueCount != 0) {
			return "", fmt.Errorf("task %s was done before the key was taken away, and ran again", t.ID)
		}
		if e.RetryCount != 0 {
			return "", fmt.Errorf("task %s was charged %d retries", t.ID, e.RetryCount)
		}
		if e.RequeueCount > 0 {
			requeued++
		}
	}
	if requeued == 0 {
		return "", errors.New("tasks were killed, and none says that it was requeued")
	}
	s.screen.show("tasks killed with the key gone, requeued without costing a retry", fmt.Sprint(requeued))
	s.screen.show("tasks done before that ran again", fmt.Sprintf("none of %d", len(s.finished)))
	return fmt.Sprintf("%d tasks done, %d of them were requeued", len(tasks), requeued), nil
}

// result compares what the tasks counted with what this program counts, and prints
// the most frequent words.
func (s *story) result(ctx context.Context) (string, error) {
	merged, err := s.file(ctx, lastTask, "stdout.txt")
	if err != nil {
		return "", err
	}
	counts, err := readCounts(bytes.NewReader(merged))
	if err != nil {
		return "", err
	}
	if err := compareCounts(counts, countWords(opticks)); err != nil {
		return "", err
	}
	const top = 10
	s.screen.say("\n    The words that Newton uses most in his Opticks:\n")
	for _, c := range counts[:top] {
		s.screen.say("    %6d  %-6s %s", c.n, c.word, strings.Repeat("▪", max(1, c.n*40/counts[0].n)))
	}
	s.screen.say("")
	said := fmt.Sprintf("%d words, %d different ones", total(counts), len(counts))
	s.screen.show("what the tasks counted, equal to a count in this program", said)
	return said + ", as counted in this program", nil
}
