package batch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"latchkey/batch"
	"latchkey/compute"
	"latchkey/fault"
)

// TestNoTaskCompletesTwiceAndNoneIsForgotten lets agents crash, lose replies and
// finish in any order while tasks arrive and the account is locked and unlocked.
func TestNoTaskCompletesTwiceAndNoneIsForgotten(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const nodes, slots, tasks = 4, 3, 400
	w := newWorld(t)
	w.addPool("p", nodes, func(p *batch.PoolSpec) { p.Slots = slots })
	w.addJob("j", "p", func(j *batch.JobSpec) { j.UsesDependencies = true })
	w.addJob("urgent", "p", func(j *batch.JobSpec) { j.Priority = 10; j.MaxParallel = 4 })

	var mu sync.Mutex
	executions := map[string]int{}
	live := map[string]int{}
	overlaps := 0

	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	var wait sync.WaitGroup
	for i, n := range w.refs() {
		wait.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			// given are the runs on the node, begun those of them that have a slot.
			boot, given, begun := 0, map[string]compute.TaskSpec{}, map[string]bool{}
			var queue []string
			var finished []compute.Result
			release := func(id string) {
				if begun[id] {
					mu.Lock()
					live[given[id].JobID+"/"+given[id].TaskID]--
					mu.Unlock()
				}
				delete(given, id)
				delete(begun, id)
			}
			crash := func() {
				for id := range given {
					release(id)
				}
				boot++
				finished, queue = nil, nil
			}
			begin := func() {
				for len(queue) > 0 {
					s, ok := given[queue[0]]
					used := 0
					for id := range begun {
						used += given[id].Slots
					}
					if ok && used+s.Slots > slots {
						return
					}
					queue = queue[1:]
					if !ok {
						continue
					}
					begun[s.Run] = true
					mu.Lock()
					name := s.JobID + "/" + s.TaskID
					executions[name]++
					if live[name]++; live[name] > 1 {
						overlaps++
					}
					mu.Unlock()
				}
			}
			for ctx.Err() == nil {
				report := compute.Report{Node: n.Ref, Boot: fmt.Sprint(i, ".", boot), Ready: true, Finished: finished}
				for id := range given {
					p := compute.Progress{Run: id}
					if begun[id] {
						p.Started = time.Now()
					}
					report.Running = append(report.Running, p)
				}
				polling, stop := context.WithTimeout(ctx, time.Duration(rnd.IntN(20))*time.Millisecond)
				orders, err := w.Poll(polling, report)
				stop()
				if errors.Is(err, fault.KeyUnavailable) {
					crash()
					time.Sleep(time.Millisecond)
					continue
				}
				if err == nil {
					finished = nil // taken in
				}
				if err == nil && rnd.IntN(20) == 0 {
					finished = report.Finished
					continue // the reply is lost: the report goes out again
				}
				for _, id := range orders.Stop {
					res := compute.Result{Run: id, Ended: time.Now(), Stopped: true}
					if begun[id] {
						res = stopped(id)
					}
					release(id)
					finished = append(finished, res)
				}
				for _, s := range orders.Start {
					if _, ok := given[s.Run]; !ok {
						given[s.Run] = s
						queue = append(queue, s.Run)
					}
				}
				begin()
				if rnd.IntN(60) == 0 {
					crash()
					continue
				}
				for id := range begun {
					if rnd.IntN(2) == 0 {
						code := 0
						if rnd.IntN(5) == 0 {
							code = 1
						}
						release(id)
						end := time.Now()
						finished = append(finished, compute.Result{Run: id, Started: end.Add(-2 * time.Millisecond), Ended: end, ExitCode: code})
					}
				}
				begin()
			}
		})
	}
	rnd := rand.New(rand.NewPCG(seed, 99))
	forever := -1
	for i := range tasks / 20 {
		for _, job := range []string{"j", "urgent"} {
			var specs []batch.TaskSpec
			for k := range 10 {
				s := batch.TaskSpec{ID: fmt.Sprint(i*10 + k), CommandLine: "true", Slots: 1 + rnd.IntN(2), Constraints: batch.Constraints{MaxRetries: &forever}}
				if job == "j" && i > 0 {
					s.Ranges = []batch.IDRange{{Start: rnd.IntN(i * 10), End: i*10 - 1}}
				}
				specs = append(specs, s)
			}
			for {
				_, err := w.AddTasks(ctx, w.who, w.acct, job, specs)
				if errors.Is(err, fault.KeyUnavailable) {
					time.Sleep(5 * time.Millisecond)
					continue
				}
				w.check(err)
				break
			}
		}
		if rnd.IntN(4) == 0 {
			w.keys.lock(w.acct.Space, true)
			w.Wake(w.acct.Space)
			time.AfterFunc(time.Duration(rnd.IntN(40))*time.Millisecond, func() {
				w.keys.lock(w.acct.Space, false)
				w.Wake(w.acct.Space)
			})
		}
		time.Sleep(time.Duration(rnd.IntN(10)) * time.Millisecond)
	}
	done := false
	for !done && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
		sum := int64(0)
		for _, job := range []string{"j", "urgent"} {
			c, _, err := w.TaskCounts(ctx, w.who, w.acct, job)
			if err != nil {
				continue
			}
			sum += c.Succeeded
		}
		done = sum == tasks
	}
	cancel()
	wait.Wait()
	if !done {
		for _, job := range []string{"j", "urgent"} {
			c, slots, err := w.TaskCounts(w.ctx, w.who, w.acct, job)
			t.Logf("%s: %+v, slots %+v, %v", job, c, slots, err)
		}
		for _, n := range w.nodes("p") {
			t.Logf("node %s: %s, %d running with %d of %d slots, error %v", n.ID, n.State, n.Running, n.RunningSlots, n.Slots, n.Error)
		}
		t.Fatal("some task was forgotten")
	}
	if overlaps > 0 {
		t.Errorf("%d times a task ran twice at once", overlaps)
	}
	for _, job := range []string{"j", "urgent"} {
		for i := range tasks / 2 {
			got := w.task(job, fmt.Sprint(i))
			if !got.Execution.Succeeded || *got.Execution.ExitCode != 0 {
				t.Errorf("%s/%d = %+v", job, i, got.Execution)
			}
			// Each execution is explained by a first try, a retry or a requeue.
			name := fmt.Sprint(job, "/", i)
			if most := 1 + got.Execution.Retries + got.Execution.Requeues; executions[name] > most {
				t.Errorf("%s was executed %d times, with %d retries and %d requeues", name, executions[name], got.Execution.Retries, got.Execution.Requeues)
			}
		}
	}
}
