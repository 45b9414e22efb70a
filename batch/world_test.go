package batch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"latchkey/batch"
	"latchkey/compute"
	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// keys is a ring of one generation per space, which a test can lock.
type keys struct {
	mu     sync.Mutex
	held   map[store.Space]*envelope.Key
	locked map[store.Space]bool
}

func (k *keys) Sealer(space store.Space) (store.Sealer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.locked[space] {
		return nil, fault.KeyUnavailable.New("")
	}
	if k.held[space] == nil {
		k.held[space] = envelope.NewKey(envelope.NewSecret(), 1)
	}
	return sealer{k.held[space]}, nil
}

func (k *keys) lock(space store.Space, locked bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.locked[space] = locked
}

type sealer struct{ *envelope.Key }

func (s sealer) Names(label []byte) ([][]byte, error) {
	tag, err := s.Name(label)
	return [][]byte{tag}, err
}

func (s sealer) Fresh([]byte) bool { return true }

// everybody lets everybody do everything: who may is identity's to test.
type everybody struct{}

func (everybody) RequireData(context.Context, identity.Caller, string, string) error { return nil }

// A world is a service over a real store with one account.
type world struct {
	*batch.Service
	t    testing.TB
	ctx  context.Context
	keys *keys
	acct batch.Account
	who  identity.Caller
	st   *store.Store
}

func newWorld(t testing.TB) *world {
	t.Helper()
	driver, err := store.OpenPebble(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, ctx: t.Context(), keys: &keys{held: map[store.Space]*envelope.Key{}, locked: map[store.Space]bool{}},
		acct: batch.Account{Space: store.NewSpace(), ID: "/subscriptions/s/resourceGroups/g/providers/Microsoft.Batch/batchAccounts/a", Name: "a", URL: "https://a.westus2.batch.azure.com"},
	}
	w.st = store.New(driver, w.keys)
	w.restart()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// restart makes a new service over the same store, as another process would.
func (w *world) restart() {
	w.Service = batch.New(batch.Config{
		Store:     w.st,
		Accounts:  func(context.Context) ([]batch.Account, error) { return []batch.Account{w.acct}, nil },
		Directory: everybody{},
		Log:       slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func pool(id string, nodes int) batch.PoolSpec {
	return batch.PoolSpec{
		ID: id, VMSize: "standard_d2", Dedicated: nodes,
		Machine: &batch.Machine{
			Image:     batch.Image{Publisher: "canonical", Offer: "ubuntu-24_04-lts", SKU: "server"},
			NodeAgent: "batch.node.ubuntu 24.04",
		},
	}
}

func (w *world) addPool(id string, nodes int, edit ...func(*batch.PoolSpec)) {
	w.t.Helper()
	spec := pool(id, nodes)
	for _, e := range edit {
		e(&spec)
	}
	_, err := w.AddPool(w.ctx, w.who, w.acct, spec)
	w.check(err)
}

func (w *world) addJob(id, poolID string, edit ...func(*batch.JobSpec)) {
	w.t.Helper()
	spec := batch.JobSpec{ID: id, PoolID: poolID}
	for _, e := range edit {
		e(&spec)
	}
	_, err := w.AddJob(w.ctx, w.who, w.acct, spec)
	w.check(err)
}

func (w *world) addTask(job, id string, edit ...func(*batch.TaskSpec)) {
	w.t.Helper()
	spec := batch.TaskSpec{ID: id, CommandLine: "true"}
	for _, e := range edit {
		e(&spec)
	}
	_, err := w.AddTask(w.ctx, w.who, w.acct, job, spec)
	w.check(err)
}

func (w *world) task(job, id string) batch.Task {
	w.t.Helper()
	return must(w.Task(w.ctx, w.who, w.acct, job, id))(w.t)
}

func (w *world) job(id string) batch.Job {
	w.t.Helper()
	return must(w.Job(w.ctx, w.who, w.acct, id))(w.t)
}

func (w *world) nodes(poolID string) []batch.Node {
	w.t.Helper()
	page, _, err := w.NodesOf(w.ctx, w.who, w.acct, poolID, batch.List[batch.Node]{})
	w.check(err)
	return page
}

// eventually waits until ok holds.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// refs lists the nodes as a provider sees them.
func (w *world) refs() []compute.Node {
	w.t.Helper()
	return must(w.Nodes(w.ctx, 0))(w.t).Nodes
}

// A hand is an agent that does what the test says.
type hand struct {
	w       *world
	ref     compute.NodeRef
	boot    string
	running map[string]compute.TaskSpec
	// orders are the last ones.
	orders compute.Orders
}

func (w *world) hand(node compute.Node) *hand {
	return &hand{w: w, ref: node.Ref, boot: fmt.Sprint(time.Now().UnixNano()), running: map[string]compute.TaskSpec{}}
}

// poll reports results and takes the orders in. It waits for something to do.
func (h *hand) poll(results ...compute.Result) compute.Orders {
	h.w.t.Helper()
	orders, err := h.try(results...)
	h.w.check(err)
	return orders
}

func (h *hand) try(results ...compute.Result) (compute.Orders, error) {
	report := compute.Report{Node: h.ref, Boot: h.boot, Ready: true, Finished: results}
	for _, r := range results {
		delete(h.running, r.Run)
	}
	for id := range h.running {
		report.Running = append(report.Running, compute.Progress{Run: id, Started: time.Now()})
	}
	orders, err := h.w.Poll(h.w.ctx, report)
	if err != nil {
		return orders, err
	}
	for _, s := range orders.Start {
		h.running[s.Run] = s
	}
	h.orders = orders
	return orders, nil
}

// quick polls without waiting for work.
func (h *hand) quick(results ...compute.Result) compute.Orders {
	h.w.t.Helper()
	ctx, cancel := context.WithTimeout(h.w.ctx, 30*time.Millisecond)
	defer cancel()
	w := *h.w
	w.ctx = ctx
	orders, err := (&hand{w: &w, ref: h.ref, boot: h.boot, running: h.running}).try(results...)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		h.w.t.Fatal(err)
	}
	return orders
}

// exit is the result of a process.
func exit(run string, code int) compute.Result {
	return compute.Result{Run: run, Started: time.Now().Add(-time.Second), Ended: time.Now(), ExitCode: code}
}

// stopped is the result of a run that was killed.
func stopped(run string) compute.Result {
	return compute.Result{Run: run, Started: time.Now().Add(-time.Second), Ended: time.Now(), ExitCode: 137, Stopped: true}
}
