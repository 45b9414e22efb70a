package subscription_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/fault"
	"latchkey/subscription"
)

func TestOperationGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	held := &stubborn{asked: make(chan struct{})}
	w, done := d.open(t, true, held)
	g := w.mustGroup(t, "g1")
	held.id = g.ID() + "/providers/Microsoft.Batch/batchAccounts/a1"
	op, err := w.DeleteGroup(t.Context(), w.owner, w.sub, "g1")
	if err != nil {
		t.Fatal(err)
	}
	<-held.asked
	done()

	held.free = true
	w, done = d.open(t, true, held)
	defer done()
	if op = w.ended(t, op.ID); op.Status != subscription.Succeeded {
		t.Fatalf("after the restart the deletion ended %s with %v, want %s", op.Status, op.Fault, subscription.Succeeded)
	}
	if _, err := w.Group(t.Context(), w.sub, "g1"); !errors.Is(err, fault.GroupNotFound) {
		t.Errorf("Group = %v, want %v", err, fault.GroupNotFound)
	}
}

const action = "Microsoft.Batch/batchAccounts/test"

func (w world) mustStart(t *testing.T) subscription.Operation {
	t.Helper()
	op, err := w.Start(t.Context(), subscription.Operation{
		Subscription: w.sub, Namespace: "Microsoft.Batch", Location: "westus2", Action: action, Target: "/subscriptions/" + w.sub, Caller: "c1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func TestOperationEndsAsItsWorkDoes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		work   subscription.Work
		status subscription.Status
		code   string
	}{
		"done":            {func(context.Context, subscription.Operation) error { return nil }, subscription.Succeeded, ""},
		"a fault is told": {func(context.Context, subscription.Operation) error { return fault.Conflict.New("no") }, subscription.Failed, "Conflict"},
		"any other error is ours": {
			func(context.Context, subscription.Operation) error { return errors.New("secret") },
			subscription.Failed, "InternalServerError",
		},
		"a panic is ours": {func(context.Context, subscription.Operation) error { panic("secret") }, subscription.Failed, "InternalServerError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, done := newDisk(t).open(t, false)
			t.Cleanup(done)
			w.Does(action, test.work)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go w.Run(ctx)
			op := w.ended(t, w.mustStart(t).ID)
			if op.Status != test.status || (op.Fault != nil) != (test.code != "") || op.Fault != nil && op.Fault.Code.Name != test.code {
				t.Errorf("the operation ended %s with %v, want %s with %q", op.Status, op.Fault, test.status, test.code)
			}
			if op.Ended.Before(op.Started) {
				t.Errorf("it ended at %v, before it began at %v", op.Ended, op.Started)
			}
			cancel()
		})
	}
}

func TestLongWorkIsDoneOnceWhileItsLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, done := newDisk(t).open(t, false)
		defer done()
		begun := 0
		w.Does(action, func(ctx context.Context, _ subscription.Operation) error {
			begun++
			select {
			case <-time.After(10 * time.Minute):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan struct{})
		go func() { w.Run(ctx); close(stopped) }()
		id := w.mustStart(t).ID
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		if op, err := w.Operation(t.Context(), w.sub, id); err != nil || op.Status != subscription.InProgress || begun != 1 {
			t.Errorf("after 9 minutes: %v, %v, begun %d times, want in progress, once", op.Status, err, begun)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if op, err := w.Operation(t.Context(), w.sub, id); err != nil || op.Status != subscription.Succeeded || begun != 1 {
			t.Errorf("after 11 minutes: %v, %v, begun %d times, want succeeded, once", op.Status, err, begun)
		}
		// Clients take "not found" for "still running", so the end is kept for hours,
		// and not for ever.
		time.Sleep(11 * time.Hour)
		synctest.Wait()
		if _, err := w.Operation(t.Context(), w.sub, id); err != nil {
			t.Errorf("after 11 hours: %v, want it still there", err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if _, err := w.Operation(t.Context(), w.sub, id); !errors.Is(err, fault.NotFound) {
			t.Errorf("after 13 hours: %v, want %v", err, fault.NotFound)
		}
		cancel()
		<-stopped
	})
}

func TestOperationIsFoundInItsSubscriptionOnly(t *testing.T) {
	t.Parallel()
	w := setup(t)
	op, err := w.Done(t.Context(), subscription.Operation{Subscription: w.sub, Namespace: "Microsoft.Batch", Location: "westus2"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := w.Operation(t.Context(), w.sub, op.ID); err != nil || got.Status != subscription.Succeeded {
		t.Errorf("Operation = %v, %v, want %s", got.Status, err, subscription.Succeeded)
	}
	if _, err := w.Operation(t.Context(), "another", op.ID); !errors.Is(err, fault.NotFound) {
		t.Errorf("Operation of another subscription = %v, want %v", err, fault.NotFound)
	}
}
