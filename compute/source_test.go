package compute_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/compute"
	"latchkey/fault"
)

// A service is the other end of the protocol, in memory: a queue of tasks per node.
// It hands runs out until a report knows them, takes results by their run, and can be
// made to misbehave.
type service struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced whenever something changes
	version uint64
	locked  []string
	nodes   map[compute.NodeRef]*serviceNode
	results map[string]compute.Result
	// down makes every poll fail; shut makes them fail with KeyUnavailable.
	down, shut bool
	lease      time.Duration
	polls      int
}

type serviceNode struct {
	node    compute.Node
	queue   []compute.TaskSpec
	leased  map[string]compute.TaskSpec
	orders  compute.Orders
	report  compute.Report
	reports int
}

func newService() *service {
	return &service{
		changed: make(chan struct{}), version: 1, lease: time.Minute,
		nodes: map[compute.NodeRef]*serviceNode{}, results: map[string]compute.Result{},
	}
}

// change does something under the lock and wakes whoever waits.
func (s *service) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *service) Nodes(ctx context.Context, seen uint64) (compute.Fleet, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		if s.version != seen {
			fleet := compute.Fleet{Version: s.version, Locked: slices.Clone(s.locked)}
			for _, n := range s.nodes {
				if !slices.Contains(s.locked, n.node.Ref.Account) {
					fleet.Nodes = append(fleet.Nodes, n.node)
				}
			}
			s.mu.Unlock()
			return fleet, nil
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return compute.Fleet{}, ctx.Err()
		case <-changed:
		}
	}
}

func (s *service) Poll(ctx context.Context, report compute.Report) (compute.Orders, error) {
	beat := time.After(2 * time.Second)
	for first := true; ; first = false {
		s.mu.Lock()
		changed := s.changed
		if first {
			s.polls++
		}
		switch n := s.nodes[report.Node]; {
		case s.down:
			s.mu.Unlock()
			return compute.Orders{}, errors.New("the service is down")
		case s.shut || n == nil:
			s.mu.Unlock()
			return compute.Orders{}, fault.KeyUnavailable
		default:
			if first {
				s.take(n, report)
			}
			if orders := s.give(n, report); len(orders.Start)+len(orders.Stop)+len(orders.Forget) > 0 || orders.Restart {
				s.mu.Unlock()
				return orders, nil
			}
		}
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return compute.Orders{}, ctx.Err()
		case <-beat:
			return compute.Orders{Lease: s.lease}, nil
		case <-changed:
		}
	}
}

// take believes a report.
func (s *service) take(n *serviceNode, report compute.Report) {
	for _, res := range report.Finished {
		if _, known := n.leased[res.Run]; known {
			delete(n.leased, res.Run)
			s.results[res.Run] = res
		}
	}
	running := map[string]bool{}
	for _, p := range report.Running {
		running[p.Run] = true
	}
	reboot := n.report.Boot != "" && n.report.Boot != report.Boot
	for run, spec := range n.leased {
		if running[run] {
			continue
		}
		// Lost on the way, or by the node: again.
		delete(n.leased, run)
		if reboot {
			spec.Run += "'"
		}
		n.queue = append(n.queue, spec)
	}
	n.report = report
	n.reports++
	close(s.changed)
	s.changed = make(chan struct{})
}

// give says what a node must do.
func (s *service) give(n *serviceNode, report compute.Report) compute.Orders {
	orders := n.orders
	n.orders = compute.Orders{}
	orders.Lease = s.lease
	for report.Ready && len(n.queue) > 0 && len(n.leased) < n.node.Slots {
		spec := n.queue[0]
		n.queue = n.queue[1:]
		n.leased[spec.Run] = spec
		orders.Start = append(orders.Start, spec)
	}
	return orders
}

// A world is a service and the provider that works for it.
type world struct {
	t      testing.TB
	dir    string
	secret string
	*service
	local *compute.Local
	stop  func()
}

// place makes a directory that tasks with users of their own can get to.
func place(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o711), os.Chmod(dir, 0o711)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func setup(t testing.TB, change ...func(*compute.Config)) *world {
	t.Helper()
	w := &world{t: t, dir: place(t), service: newService()}
	w.secret = filepath.Join(w.dir, "root", "key")
	if err := errors.Join(os.Mkdir(filepath.Dir(w.secret), 0o755), os.WriteFile(w.secret, []byte("the root key"), 0o644)); err != nil {
		t.Fatal(err)
	}
	w.begin(change...)
	return w
}

// begin starts a provider on the world's directory.
func (w *world) begin(change ...func(*compute.Config)) {
	w.t.Helper()
	c := compute.Config{
		Dir: filepath.Join(w.dir, "nodes"), Source: w.service, Hide: []string{w.dir},
		Logger: slog.New(slog.NewTextHandler(logWriter{w.t}, nil)),
	}
	for _, f := range change {
		f(&c)
	}
	local, err := compute.NewLocal(c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.local = local
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- local.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		begun := time.Now()
		if err := <-done; err != nil {
			w.t.Errorf("Run = %v, want nil", err)
		}
		if took := time.Since(begun); took > 2*time.Second {
			w.t.Errorf("stopping took %v, want 2s at most", took)
		}
	})
	w.t.Cleanup(w.stop)
}

type logWriter struct{ t testing.TB }

func (l logWriter) Write(p []byte) (int, error) {
	if testing.Verbose() {
		os.Stderr.Write(p)
	}
	return len(p), nil
}

// node adds a node with slots to the fleet.
func (w *world) node(account, name string, slots int, start ...*compute.StartTask) compute.NodeRef {
	ref := compute.NodeRef{Account: account, Pool: "p1", Node: name}
	n := compute.Node{Ref: ref, ID: "tvm-" + name, PoolID: "Pool", AccountName: account, AccountURL: "https://" + account + ".example.net", Slots: slots}
	if len(start) > 0 {
		n.StartTask = start[0]
	}
	w.change(func() {
		w.nodes[ref] = &serviceNode{node: n, leased: map[string]compute.TaskSpec{}}
		w.version++
	})
	return ref
}

// add queues a task; its run has the task's name.
func (w *world) add(ref compute.NodeRef, task, command string, change ...func(*compute.TaskSpec)) string {
	spec := compute.TaskSpec{Run: task, Job: "j", Task: task, JobID: "job", TaskID: task, CommandLine: command, Slots: 1}
	for _, f := range change {
		f(&spec)
	}
	w.change(func() { w.nodes[ref].queue = append(w.nodes[ref].queue, spec) })
	return spec.Run
}

// order adds to what the node is told next.
func (w *world) order(ref compute.NodeRef, do func(*compute.Orders)) {
	w.change(func() { do(&w.nodes[ref].orders) })
}

// until waits for something to become true, asking whenever the service has changed.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		w.mu.Lock()
		changed := w.changed
		yes := ok()
		w.mu.Unlock()
		if yes {
			return
		}
		select {
		case <-changed:
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			w.t.Fatalf("waiting until %s: not after 20s; results so far: %v", what, slices.Collect(maps.Keys(w.results)))
		}
	}
}

// result waits for a run's result.
func (w *world) result(run string) compute.Result {
	w.t.Helper()
	var res compute.Result
	w.until("run "+run+" has a result", func() (ok bool) { res, ok = w.results[run]; return })
	return res
}

// run adds a shell script as a task and waits for its end.
func (w *world) run(ref compute.NodeRef, task, script string, change ...func(*compute.TaskSpec)) compute.Result {
	w.t.Helper()
	return w.result(w.add(ref, task, shell(script), change...))
}

// shell makes a command line of a script.
func shell(script string) string {
	return `/bin/sh -c '` + strings.ReplaceAll(script, `'`, `'\''`) + `'`
}

// output reads a file of a task through the provider.
func (w *world) output(ref compute.NodeRef, task, name string) string {
	w.t.Helper()
	files, err := w.local.TaskFiles(ref, "job", task)
	if err != nil {
		w.t.Fatalf("TaskFiles(%s) = %v", task, err)
	}
	defer files.Close()
	f, info, err := files.Open(name)
	if err != nil {
		w.t.Fatalf("Open(%s of %s) = %v", name, task, err)
	}
	defer f.Close()
	data := make([]byte, info.Size)
	if _, err := f.Read(data); err != nil && info.Size > 0 {
		w.t.Fatal(err)
	}
	return string(data)
}

// disk is where a node's disk is.
func (w *world) disk(ref compute.NodeRef) string {
	return filepath.Join(w.dir, "nodes", ref.Account, ref.Pool, ref.Node)
}

// alive reports whether a process lives; zombies do not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	after := stat[strings.LastIndexByte(string(stat), ')')+2:]
	return after[0] != 'Z' && after[0] != 'X'
}

// pids waits until a task has written n process numbers into a file of its own and
// all of them live: an earlier attempt may have left the file.
func (w *world) pids(ref compute.NodeRef, task, name string, n int) []int {
	w.t.Helper()
	path := filepath.Join(w.disk(ref), "workitems", "job", "job-1", task, "wd", name)
	var pids []int
	w.until(fmt.Sprintf("%d processes of %s live", n, task), func() bool {
		data, _ := os.ReadFile(path)
		pids = nil
		for field := range strings.FieldsSeq(string(data)) {
			var pid int
			fmt.Sscan(field, &pid)
			if alive(pid) {
				pids = append(pids, pid)
			}
		}
		return len(pids) == n
	})
	return pids
}

// dead waits until none of the processes lives.
func (w *world) dead(pids []int) {
	w.t.Helper()
	w.until(fmt.Sprintf("processes %v are dead", pids), func() bool {
		return !slices.ContainsFunc(pids, alive)
	})
}
