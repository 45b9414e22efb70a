package batch

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"latchkey/compute"
	"latchkey/fault"
	"latchkey/resource"
	"latchkey/store"
)

// Three times that depend on one another. A poll waits for pollWait; so an agent that
// lives is heard of at least that often. Its lease is written again when less than
// renewBelow of it is left, not at every poll, so that idle nodes cost next to
// nothing. What is left then still outlasts several polls.
const (
	pollWait   = 5 * time.Second
	leaseTime  = 30 * time.Second
	renewBelow = 15 * time.Second
)

// passed is how many tasks that do not fit a node's free slots it looks past.
const passed = 200

// A place says where a node is.
type nodePlace struct {
	space      store.Space
	pool, node store.RID
}

// ref writes the place of a node as agents get it.
func (p nodePlace) ref() compute.NodeRef {
	return compute.NodeRef{
		Account: hex.EncodeToString(p.space[:]), Pool: hex.EncodeToString(p.pool[:]), Node: hex.EncodeToString(p.node[:]),
	}
}

func parseRef(ref compute.NodeRef) (nodePlace, error) {
	var p nodePlace
	for _, part := range []struct {
		text string
		into []byte
	}{{ref.Account, p.space[:]}, {ref.Pool, p.pool[:]}, {ref.Node, p.node[:]}} {
		b, err := hex.DecodeString(part.text)
		if err != nil || len(b) != len(part.into) {
			return p, fault.NodeNotFound.New("%q, %q, %q do not name a node", ref.Account, ref.Pool, ref.Node)
		}
		copy(part.into, b)
	}
	return p, nil
}

// Poll implements compute.Source.
func (s *Service) Poll(ctx context.Context, report compute.Report) (compute.Orders, error) {
	at, err := parseRef(report.Node)
	if err != nil {
		return compute.Orders{}, err
	}
	seat := s.benches.seat(at.space, at.pool, at.node)
	turn := seat.take()
	defer seat.sit(false)
	defer seat.wait(false)
	timer := time.NewTimer(pollWait)
	defer timer.Stop()
	for {
		// Hungry before looking: work that comes after the look wakes us, work that
		// came before is seen.
		seat.sit(report.Ready)
		orders, heard, waiting, err := s.exchange(ctx, at, seat, turn, &report)
		if errors.Is(err, fault.NodeNotFound) {
			s.benches.drop(at.space, at.pool, at.node)
		}
		if err != nil {
			s.watched.refused(at, len(report.Running), err)
			return compute.Orders{}, err
		}
		if heard || !idle(&orders) {
			return orders, nil
		}
		// What was handed out ahead is looked at again before long.
		var back <-chan time.Time
		if waiting {
			back = time.After(aheadBack)
		}
		seat.wait(true)
		select {
		case <-seat.wake:
			seat.wait(false)
		case <-back:
		case <-timer.C:
			return orders, nil
		case <-ctx.Done():
			return compute.Orders{}, ctx.Err()
		}
	}
}

// idle reports whether there is nothing to do but to renew the lease.
func idle(o *compute.Orders) bool {
	return len(o.Start) == 0 && len(o.Stop) == 0 && len(o.Forget) == 0 && !o.Restart
}

// An exchange is one transaction between a node and the service. Its fields are made
// anew each time the transaction runs.
type exchange struct {
	s       *Service
	at      nodePlace
	tx      *store.Tx
	n       nodeAt
	seat    *seat
	report  *compute.Report
	now     time.Time
	touched touched
	jobs    map[store.RID]jobAt
	pool    *poolRecord
	orders  compute.Orders
	// changed says that the node's record must be written, heard that the report said
	// something, which the agent wants to be told was taken in.
	changed, heard bool
	// unheard are the runs whose start the agent has not confirmed when it gets orders.
	unheard map[string]bool
	// hints are where the next node begins to look in a job's queue.
	hints map[store.RID]hint
	// settle are jobs that this exchange sent on their way.
	settle []store.RID
}

// exchange does one transaction for a poll. It returns what the agent must do, whether
// the report was news, and whether a run waits on the node for a slot.
func (s *Service) exchange(ctx context.Context, at nodePlace, seat *seat, turn uint64, report *compute.Report) (orders compute.Orders, heard, waiting bool, err error) {
	seat.exchange.Lock()
	defer seat.exchange.Unlock()
	if seat.overtaken(turn) {
		// The agent does not wait for this answer any more.
		return compute.Orders{}, false, false, context.Canceled
	}
	if err := s.recovered(ctx, at.space); err != nil {
		return compute.Orders{}, false, false, err
	}
	var x *exchange
	gone := false
	err = s.store.Update(ctx, at.space, func(tx *store.Tx) error {
		gone = false
		n, err := node(tx, at.pool, at.node)
		if err != nil {
			return missing(err, fault.NodeNotFound, "the node has left its pool")
		}
		x = &exchange{
			s: s, at: at, tx: tx, n: n, seat: seat, report: report, now: now(),
			jobs: map[store.RID]jobAt{}, hints: map[store.RID]hint{}, unheard: map[string]bool{},
		}
		if err := x.hear(); err != nil {
			return err
		}
		if n.body.Leaving != "" && len(n.body.Runs) == 0 {
			gone = true
			x.touched.moved = true
			return tx.Delete(n.r)
		}
		if err := x.give(); err != nil {
			return err
		}
		return x.renew()
	})
	if err != nil {
		return compute.Orders{}, false, false, err
	}
	for id, h := range x.hints {
		s.hints.set(at.space, id, h)
	}
	seat.unheard = x.unheard
	if gone {
		s.benches.drop(at.space, at.pool, at.node)
	}
	for _, id := range x.settle {
		if err := s.settleJob(context.WithoutCancel(ctx), at.space, id); err != nil {
			s.log.Warn("moving a job on", "err", err)
			s.kick(at.space)
		}
	}
	// The commit stands; an error behind it is the loop's to mend.
	waiting = slices.ContainsFunc(x.n.body.Runs, func(r run) bool { return !r.Ahead.IsZero() })
	return x.orders, x.heard, waiting, s.settleTouched(ctx, at.space, &x.touched)
}

// renew writes the node if it changed or its lease needs it.
func (x *exchange) renew() error {
	due := x.n.r.Clear.Due
	if x.changed || due.Sub(x.now) < renewBelow {
		due = x.now.Add(leaseTime)
		if err := x.n.put(x.tx, due); err != nil {
			return err
		}
	}
	x.orders.Lease = due.Sub(x.now)
	return nil
}

// job returns a job, read once in the exchange.
func (x *exchange) job(id store.RID) (jobAt, error) {
	if j, ok := x.jobs[id]; ok {
		return j, nil
	}
	j, err := jobByPlace(x.tx, id)
	if err == nil {
		x.jobs[id] = j
	}
	return j, err
}

// users returns the user accounts of the pool, read when a task names one.
func (x *exchange) users(t taskAt) ([]UserAccount, error) {
	if t.body.User == nil || t.body.User.Username == "" {
		return nil, nil
	}
	if x.pool == nil {
		r, err := x.tx.Get(store.KindPool, store.RID{}, x.n.r.Parent)
		if err != nil {
			return nil, err
		}
		if x.pool, err = openPool(r); err != nil {
			return nil, err
		}
	}
	return x.pool.Users, nil
}

// give writes the orders: what to stop, what to forget, whether to boot again, and
// new work.
func (x *exchange) give() error {
	n := x.n.body
	running := map[string]bool{}
	for _, p := range x.report.Running {
		running[p.Run] = true
	}
	mine := map[string]bool{}
	orphans := false
	free := n.Slots
	for _, r := range n.Runs {
		mine[r.ID] = true
		free -= r.Slots
		if r.Stop != "" {
			orphans = orphans || r.Stop != stopReturn
			if running[r.ID] {
				x.orders.Stop = append(x.orders.Stop, r.ID)
			}
		}
	}
	for id := range running {
		if !mine[id] {
			orphans = true
			x.orders.Stop = append(x.orders.Stop, id)
		}
	}
	// A directory is forgotten when nothing runs in it any more.
	if len(n.Forget) > 0 && !orphans {
		x.orders.Forget = n.Forget
		n.Forget = nil
		x.changed = true
	}
	if n.Restart == "idle" && len(n.Runs) == 0 {
		n.Restart, x.changed = "now", true
	}
	if n.Restart == "now" {
		x.orders.Restart, x.orders.Wipe = true, n.Wipe
	}
	// While the agent is ending what it must not run, it gets nothing new: a task that
	// was queued again could come back to a directory that is still in use.
	if !n.Ready || n.Disabled || n.Leaving != "" || n.Restart != "" || orphans {
		x.seat.sit(false)
		return nil
	}
	if free <= 0 {
		x.seat.sit(false)
	}
	ahead := x.ahead()
	if free+ahead <= 0 {
		return nil
	}
	return x.choose(free, ahead)
}

// Short tasks would leave a node idle while a commit is on its way to the disk. So a
// node whose tasks take no time is handed some ahead of its free slots: as many as it
// does in aheadTime, at most mostAhead. What has not begun after aheadBack was behind
// something long and is taken back, so that another node can have it.
const (
	aheadTime = 25 * time.Millisecond
	mostAhead = 32
	aheadBack = 500 * time.Millisecond
)

// ahead is how many slots' worth of tasks the node gets beyond its free ones.
func (x *exchange) ahead() int {
	var took time.Duration
	count := 0
	for _, res := range x.report.Finished {
		if !res.Started.IsZero() && !res.Stopped {
			took += res.Ended.Sub(res.Started)
			count++
		}
	}
	if count == 0 || x.s.benches.hungry(x.at.space, x.at.pool) > 0 {
		return 0
	}
	each := max(took/time.Duration(count), 100*time.Microsecond)
	return min(int(aheadTime*time.Duration(x.n.body.Slots)/each), mostAhead)
}

// choose takes work: of the job with the highest priority, then of the oldest, then
// the task that was added first and fits.
func (x *exchange) choose(free, ahead int) error {
	pool := x.n.r.Parent
	for at, err := range x.tx.InState(store.KindJob, pool, JobActive) {
		if err != nil {
			return err
		}
		if free+ahead <= 0 {
			return nil
		}
		ready, err := x.tx.Count(store.KindTask, at.ID, TaskActive)
		if err != nil {
			return err
		}
		if ready <= 0 {
			continue
		}
		j, err := x.job(at.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if j.r.Clear.State != JobActive || j.r.Clear.Under != pool {
			continue
		}
		// At the end of a queue nothing is kept from other nodes.
		room := free + min(ahead, int(ready)/4)
		limit, err := x.share(j, room, int(ready))
		if err != nil {
			return err
		}
		taken, slots, err := x.take(j, room, free, limit)
		if err != nil {
			return err
		}
		free -= slots
		if taken > 0 && j.body.MaxParallel > 0 {
			// Two nodes must not count at the same time and both find room.
			if err := j.put(x.tx, JobActive, pool); err != nil {
				return err
			}
		}
	}
	return nil
}

// share is how many tasks of a job the node takes at once.
func (x *exchange) share(j jobAt, free, ready int) (int, error) {
	limit := free
	if x.n.body.Fill == "spread" && free > 1 {
		// The nodes that wait beside this one want their part.
		hungry := x.s.benches.hungry(x.at.space, x.n.r.Parent)
		limit = max(1, (ready+hungry)/(hungry+1))
	}
	if most := j.body.MaxParallel; most > 0 {
		var running int64
		for _, state := range []store.State{TaskPreparing, TaskRunning} {
			n, err := x.tx.Count(store.KindTask, j.r.ID, state)
			if err != nil {
				return 0, err
			}
			running += n
		}
		limit = min(limit, most-int(running))
	}
	return limit, nil
}

// take marks up to limit tasks of a job as running here, in room slots of which free
// are so at once.
func (x *exchange) take(j jobAt, room, free, limit int) (taken, slots int, err error) {
	h := x.s.hints.get(x.at.space, j.r.ID, x.now)
	misses := 0
	try := func(from store.RID) error {
		for at, err := range x.tx.InStateBehind(store.KindTask, j.r.ID, TaskActive, 0, from) {
			if err != nil {
				return err
			}
			if taken >= limit || slots >= room || misses > passed {
				return nil
			}
			t, err := taskAtPlace(x.tx, at.Parent, at.ID)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if t.r.Clear.State != TaskActive {
				continue
			}
			if t.body.slots() > min(room-slots, x.n.body.Slots) {
				misses++
				continue
			}
			if err := x.start(j, t, slots+t.body.slots() > free); err != nil {
				return err
			}
			taken++
			slots += t.body.slots()
			if misses == 0 {
				h.behind = at.ID
			}
		}
		return nil
	}
	if err := try(h.behind); err != nil {
		return 0, 0, err
	}
	// What was queued again may lie in front of where the hint begins.
	if taken == 0 && limit > 0 && h.behind != (store.RID{}) {
		h.behind, misses = store.RID{}, 0
		if err := try(store.RID{}); err != nil {
			return 0, 0, err
		}
	}
	x.hints[j.r.ID] = h
	return taken, slots, nil
}

// start begins a run of a task on the node, which may have to wait there for a slot.
func (x *exchange) start(j jobAt, t taskAt, ahead bool) error {
	users, err := x.users(t)
	if err != nil {
		return err
	}
	b := t.body
	b.Run = resource.NewGUID()
	b.Pool, b.Node = rid(x.n.r.Parent), rid(x.n.r.ID)
	b.PoolID, b.NodeID = j.body.PoolID, x.n.r.Name
	b.Started, b.Ended, b.ExitCode, b.Failure = x.now, time.Time{}, nil, nil
	state := TaskRunning
	if len(b.Files) > 0 || ahead {
		state = TaskPreparing
	}
	if err := t.move(x.tx, state); err != nil {
		return err
	}
	r := run{ID: b.Run, Job: rid(j.r.ID), Task: rid(t.r.ID), Slots: b.slots(), Preparing: state == TaskPreparing}
	if ahead {
		r.Ahead = x.now
	}
	x.n.body.Runs = append(x.n.body.Runs, r)
	x.changed = true
	x.orders.Start = append(x.orders.Start, t.order(j, users))
	x.unheard[b.Run] = true
	return nil
}
