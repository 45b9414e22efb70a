package batch_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/batch"
	"latchkey/compute"
)

// BenchmarkAddTasks adds durable sealed tasks in collections of a hundred, from four
// callers.
func BenchmarkAddTasks(b *testing.B) {
	w := newWorld(b)
	w.addJob("j", "p")
	var n atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for {
				first := n.Add(batch.MaxCollection) - batch.MaxCollection
				if first >= int64(b.N) {
					return
				}
				specs := make([]batch.TaskSpec, batch.MaxCollection)
				for i := range specs {
					specs[i] = batch.TaskSpec{ID: fmt.Sprint(first + int64(i)), CommandLine: "/bin/echo hello", Env: []batch.EnvVar{{Name: "A", Value: "B"}}}
				}
				if _, err := w.AddTasks(w.ctx, w.who, w.acct, "j", specs); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "tasks/s")
}

// BenchmarkLease leases and completes tasks on two nodes whose agents take no time.
func BenchmarkLease(b *testing.B) {
	w := newWorld(b)
	w.addPool("p", 2)
	w.addJob("j", "p")
	for first := 0; first < b.N; first += batch.MaxCollection {
		var specs []batch.TaskSpec
		for i := first; i < min(first+batch.MaxCollection, b.N); i++ {
			specs = append(specs, batch.TaskSpec{ID: fmt.Sprint(i), CommandLine: "/bin/true"})
		}
		must(w.AddTasks(w.ctx, w.who, w.acct, "j", specs))(b)
	}
	nodes := w.refs()
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	var done atomic.Int64
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	var wait sync.WaitGroup
	for _, n := range nodes {
		wait.Go(func() {
			report := compute.Report{Node: n.Ref, Boot: "b", Ready: true}
			for ctx.Err() == nil {
				orders, err := w.Poll(ctx, report)
				if err != nil {
					if ctx.Err() == nil {
						b.Error(err)
					}
					return
				}
				report.Finished = nil
				for _, s := range orders.Start {
					report.Finished = append(report.Finished, exit(s.Run, 0))
				}
				if done.Add(int64(len(orders.Start))) == int64(b.N) {
					w.Poll(ctx, report)
					cancel()
				}
			}
		})
	}
	wait.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "tasks/s")
}
