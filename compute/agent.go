package compute

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"latchkey/fault"
)

const (
	// After a poll that failed an agent waits, first the shorter time.
	firstPause, longestPause = 100 * time.Millisecond, 500 * time.Millisecond
	// A start is told to the service by itself after this long: shorter runs are
	// told when they end, so that a run costs one poll and not two.
	announceAfter = 100 * time.Millisecond
	// A node that has no room asks for nothing: its next poll waits this long for a
	// run to end, so that a short run costs one poll and not two.
	lingerTime = 20 * time.Millisecond
	// defaultLease holds until the service has said something else.
	defaultLease = time.Minute
)

// An agent is one node: it polls, and keeps the runs that it was given.
type agent struct {
	local *Local
	log   *slog.Logger
	ref   NodeRef
	// disk is the node's directory, root the same one open, records the list of
	// directories in use.
	disk          string
	root, records int
	// scope, common and env are what all runs of a boot have.
	scope  *scope
	common []rule
	env    []string

	mu     sync.Mutex
	closed bool
	node   Node
	// boot names the time since which all runs count.
	boot  string
	start startTask
	// runs are reported as running; queue are those of them that wait for a slot.
	runs  map[string]*run
	queue []*run
	free  int
	idle  []*slot
	made  int
	dirs  map[TaskDir]*claim
	// finished waits for a poll that is answered.
	finished []Result
	// wake cuts the poll short that is under way.
	wake       context.CancelFunc
	lease      *time.Timer
	leased     time.Duration
	announce   bool
	expiring   *time.Timer
	nextExpiry int64

	working sync.WaitGroup
}

// newAgent prepares the agent of a node.
func (l *Local) newAgent(node Node) (*agent, error) {
	path, err := diskPath(node.Ref)
	if err != nil {
		return nil, err
	}
	return &agent{
		local: l, ref: node.Ref, node: node, root: -1, records: -1,
		log:  l.log.With("node", node.Ref.Node),
		disk: filepath.Join(l.dir, path),
		runs: map[string]*run{}, dirs: map[TaskDir]*claim{},
		leased: defaultLease,
		free:   max(node.Slots, 1),
	}, nil
}

// update takes a changed description of the node. Slots count at once, the rest
// from the next boot on.
func (a *agent) update(node Node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free += max(node.Slots, 1) - max(a.node.Slots, 1)
	a.node = node
}

// run is the life of an agent. When ctx ends, everything it started is dead before
// it returns.
func (a *agent) run(ctx context.Context) {
	defer a.shutDown()
	if !a.bootUntil(ctx, false) {
		return
	}
	a.expire()
	pause := firstPause
	for ctx.Err() == nil {
		polling, cancel := context.WithCancel(ctx)
		report := a.report(cancel)
		asked := time.Now()
		orders, err := a.local.source.Poll(polling, report)
		a.mu.Lock()
		a.wake = nil
		a.mu.Unlock()
		woken := polling.Err() != nil
		cancel()
		switch {
		case err == nil:
			pause = firstPause
			a.obey(ctx, orders, len(report.Finished), asked)
			a.linger(ctx)
			continue
		case ctx.Err() != nil:
			return
		case errors.Is(err, fault.KeyUnavailable):
			a.drop("the account is locked")
		case woken && errors.Is(err, context.Canceled):
			continue
		default:
			a.log.Warn("polling", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// linger returns when there is something to say or to ask, or after lingerTime.
func (a *agent) linger(ctx context.Context) {
	a.mu.Lock()
	if len(a.finished) > 0 || a.free > 0 {
		a.mu.Unlock()
		return
	}
	news := make(chan struct{})
	a.wake = func() { close(news) }
	a.mu.Unlock()
	timer := time.NewTimer(lingerTime)
	defer timer.Stop()
	select {
	case <-news:
	case <-timer.C:
	case <-ctx.Done():
	}
	a.mu.Lock()
	a.wake = nil
	a.mu.Unlock()
}

// report takes down what there is to say. From now on cancel is called when there
// is more.
func (a *agent) report(cancel context.CancelFunc) Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wake = cancel
	r := Report{
		Node: a.ref, Boot: a.boot,
		Started: a.start.result, Ready: a.start.ready,
		Finished: a.finished[:len(a.finished):len(a.finished)],
	}
	if len(a.runs) > 0 {
		r.Running = make([]Progress, 0, len(a.runs))
		for id, run := range a.runs {
			r.Running = append(r.Running, Progress{Run: id, Started: run.began})
		}
	}
	return r
}

// nudge makes the poll loop say what is new; a.mu is held.
func (a *agent) nudge() {
	if a.wake != nil {
		a.wake()
		a.wake = nil
	}
}

// obey does what an answered poll orders. The first told results have been taken.
func (a *agent) obey(ctx context.Context, orders Orders, told int, asked time.Time) {
	a.mu.Lock()
	a.finished = a.finished[told:]
	if len(a.finished) == 0 {
		a.finished = nil
	}
	if orders.Lease > 0 {
		a.leased = orders.Lease
	}
	// Counted from the question: the service counts from when it heard it.
	left := time.Until(asked.Add(a.leased))
	if a.lease == nil {
		a.lease = time.AfterFunc(left, func() { a.drop("the lease ran out") })
	} else {
		a.lease.Reset(left)
	}
	for _, id := range orders.Stop {
		a.stop(id)
	}
	for _, key := range orders.Forget {
		a.forget(key)
	}
	a.mu.Unlock()
	if orders.Restart {
		a.restart(ctx, orders.Wipe)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.startStartTask()
	for _, spec := range orders.Start {
		a.accept(spec)
	}
}

// accept takes a run in, unless it has it already; a.mu is held.
func (a *agent) accept(spec TaskSpec) {
	if a.runs[spec.Run] != nil {
		return
	}
	for _, res := range a.finished {
		if res.Run == spec.Run {
			return
		}
	}
	path, err := taskPath(spec.JobID, spec.TaskID)
	if err != nil {
		a.finished = append(a.finished, Result{Run: spec.Run, Ended: time.Now(), Failure: nodeFailure(err)})
		return
	}
	r := &run{spec: spec, path: path, slots: min(max(spec.Slots, 1), max(a.node.Slots, 1))}
	r.claim = a.claim(TaskDir{spec.JobID, spec.TaskID})
	a.runs[spec.Run] = r
	if len(a.queue) > 0 || r.slots > a.free {
		a.queue = append(a.queue, r)
		return
	}
	a.free -= r.slots
	a.working.Add(1)
	go a.work(r)
}

// work does a run and then those that have waited for its slots.
func (a *agent) work(r *run) {
	defer a.working.Done()
	for r != nil {
		r.claim.wait()
		res := a.execute(r)
		a.release(r.claim)
		a.mu.Lock()
		if !r.dropped {
			delete(a.runs, r.spec.Run)
			a.finished = append(a.finished, res)
		}
		a.free += r.slots
		r = a.next()
		// More than one may fit where a wide one was.
		for more := a.next(); more != nil; more = a.next() {
			a.working.Add(1)
			go a.work(more)
		}
		a.nudge()
		a.mu.Unlock()
	}
}

// next takes the first run from the queue if it fits; a.mu is held.
func (a *agent) next() *run {
	if len(a.queue) == 0 || a.queue[0].slots > a.free {
		return nil
	}
	r := a.queue[0]
	a.queue = a.queue[1:]
	a.free -= r.slots
	return r
}

// begun notes that a run's process lives; if its end was asked for meanwhile, it
// comes now.
func (a *agent) begun(r *run, s *slot, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.slot, r.began = s, at
	if r.stop != notStopped {
		s.kill()
	}
	if !a.announce && !a.closed {
		a.announce = true
		time.AfterFunc(announceAfter, func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			a.announce = false
			for _, r := range a.runs {
				if !r.began.IsZero() {
					a.nudge()
					return
				}
			}
		})
	}
}

// stop ends a run by order; a.mu is held.
func (a *agent) stop(id string) {
	if r := a.runs[id]; r != nil {
		a.unqueue(r)
		r.halt(stopOrdered)
		return
	}
	for _, res := range a.finished {
		if res.Run == id {
			return
		}
	}
	// It never came here, or its end was told and not understood.
	a.finished = append(a.finished, Result{Run: id, Ended: time.Now(), Stopped: true})
}

// unqueue lets a run that waits come to its end at once; a.mu is held.
func (a *agent) unqueue(r *run) {
	for i, q := range a.queue {
		if q == r {
			a.queue = append(a.queue[:i:i], a.queue[i+1:]...)
			r.slots = 0
			a.working.Add(1)
			go a.work(r)
			return
		}
	}
}

// forget removes the directory of a task; a.mu is held.
func (a *agent) forget(key TaskDir) {
	path, err := key.path()
	if err != nil {
		a.log.Warn("forgetting a task", "error", err)
		return
	}
	for _, r := range a.runs {
		if r.claim.key == key {
			a.unqueue(r)
			r.discard = true
			r.halt(stopOrdered)
		}
	}
	c := a.claim(key)
	a.working.Add(1)
	go func() {
		defer a.working.Done()
		defer a.release(c)
		c.wait()
		if err := removeTree(filepath.Join(a.disk, path)); err != nil {
			a.log.Error("forgetting a task", "error", err)
		}
		// The job's directories go with its last task; others keep them.
		unix.Rmdir(filepath.Join(a.disk, filepath.Dir(path)))
		unix.Rmdir(filepath.Join(a.disk, workitemsDir, key.JobID))
	}()
}

// drop kills every run and forgets it with its files, as if the node had crashed:
// with a new boot name the service learns that they are over. What has finished
// stays finished.
func (a *agent) drop(why string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.runs) == 0 && !a.start.running() {
		return
	}
	a.log.Warn("dropping all runs", "reason", why, "runs", len(a.runs))
	a.haltAll(true)
	a.boot = newBoot()
}

// haltAll kills every run; nothing will be reported of them. a.mu is held.
func (a *agent) haltAll(discard bool) {
	for id, r := range a.runs {
		r.dropped, r.discard = true, discard
		a.unqueue(r)
		r.halt(stopDropped)
		delete(a.runs, id)
	}
	a.start.halt()
}

// shutDown ends everything. Directories of unfinished runs stay on record and are
// removed by the next start.
func (a *agent) shutDown() {
	a.mu.Lock()
	a.closed = true
	for _, t := range []*time.Timer{a.lease, a.expiring} {
		if t != nil {
			t.Stop()
		}
	}
	a.haltAll(false)
	a.mu.Unlock()
	a.working.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.idle {
		if s.leaf != nil {
			s.leaf.close()
		}
		a.local.users.give(s.uid)
	}
	a.closeBoot()
}
