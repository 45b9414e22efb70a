package subscription

import (
	"context"
	"errors"
	"fmt"
	"time"

	"latchkey/fault"
	"latchkey/resource"
	"latchkey/store"
)

// A Status is how far an operation is. The words are those of the wire.
type Status string

// The states of an operation. It begins InProgress and ends in one of the others.
const (
	InProgress Status = "InProgress"
	Succeeded  Status = "Succeeded"
	Failed     Status = "Failed"
)

// stateOf is the stored number of each status.
var stateOf = map[Status]store.State{InProgress: 1, Succeeded: 2, Failed: 3}

// An Operation is a call that goes on after its answer. It is durable: one that was
// running when the service stopped runs again at the next start.
type Operation struct {
	// ID is made by Start and Done.
	ID string
	// Subscription, Namespace (such as Microsoft.Batch) and Location make the address
	// to poll.
	Subscription, Namespace, Location string
	// Action names the work, such as "Microsoft.Batch/batchAccounts/delete"; Does says
	// what it is. It may run more than once, so it must come to the same end.
	Action string
	// Target is the id of the resource that is worked on.
	Target string
	// Caller is the object id of who began it; it may always ask how it goes.
	Caller string
	// Status is InProgress, Succeeded or Failed.
	Status Status
	// Fault says why a failed one failed.
	Fault          *fault.Fault
	Started, Ended time.Time
}

// kept is how long an ended operation can be asked for. Clients of Azure take "not
// found" for "still running", so it must outlive every patience.
const kept = 12 * time.Hour

// operationRecord is an operation as it is stored.
type operationRecord struct {
	Subscription, Namespace, Location string
	Action, Target, Caller            string
	Status                            Status
	Fault                             *faultRecord `json:",omitempty"`
	Started, Ended                    time.Time
}

// faultRecord is a fault as it is stored: the row is written out, because a row of a
// later release may read otherwise.
type faultRecord struct {
	Code, Message string
	Status        int
	Details       []fault.Detail `json:",omitempty"`
}

func (r operationRecord) operation(id string) Operation {
	op := Operation{
		ID: id, Subscription: r.Subscription, Namespace: r.Namespace, Location: r.Location,
		Action: r.Action, Target: r.Target, Caller: r.Caller,
		Status: r.Status, Started: r.Started, Ended: r.Ended,
	}
	if r.Fault != nil {
		row := &fault.Code{Name: r.Fault.Code, Status: r.Fault.Status, Text: r.Fault.Message}
		op.Fault = &fault.Fault{Code: row, Message: r.Fault.Message, Details: r.Fault.Details}
	}
	return op
}

func operationOut(op Operation) operationRecord {
	r := operationRecord{
		Subscription: op.Subscription, Namespace: op.Namespace, Location: op.Location,
		Action: op.Action, Target: op.Target, Caller: op.Caller,
		Status: op.Status, Started: op.Started, Ended: op.Ended,
	}
	if op.Fault != nil {
		r.Fault = &faultRecord{op.Fault.Code.Name, op.Fault.Message, op.Fault.Code.Status, op.Fault.Details}
	}
	return r
}

// Start records an operation whose work Run will do.
func (s *Service) Start(ctx context.Context, op Operation) (Operation, error) {
	err := s.update(ctx, func(tx *store.Tx) (err error) {
		op, err = s.Begin(tx, op)
		return err
	})
	if err != nil {
		return Operation{}, fmt.Errorf("starting an operation: %w", err)
	}
	s.Wake()
	return op, nil
}

// Begin is Start inside of a transaction of the control plane, so that a change and
// the work that it asks for are one write. Call Wake when the transaction has ended.
func (s *Service) Begin(tx *store.Tx, op Operation) (Operation, error) {
	if s.works[op.Action] == nil {
		panic("subscription: nothing does " + op.Action)
	}
	now := time.Now().UTC()
	op.ID, op.Status, op.Started, op.Fault = resource.NewGUID(), InProgress, now, nil
	// Due at once: the first sweep takes it.
	_, err := tx.Insert(store.KindOperation, store.RID{}, op.ID, store.Clear{State: stateOf[InProgress], Due: now}, operationOut(op))
	return op, err
}

// Done records an operation whose work has already been done, so that a client that
// was told to poll finds its end.
func (s *Service) Done(ctx context.Context, op Operation) (Operation, error) {
	now := time.Now().UTC()
	op.ID, op.Status, op.Started, op.Ended = resource.NewGUID(), Succeeded, now, now
	err := s.update(ctx, func(tx *store.Tx) error {
		_, err := tx.Insert(store.KindOperation, store.RID{}, op.ID, store.Clear{State: stateOf[Succeeded], Due: now.Add(kept)}, operationOut(op))
		return err
	})
	if err != nil {
		return Operation{}, fmt.Errorf("recording an operation: %w", err)
	}
	return op, nil
}

// Operation returns an operation. It fails with fault.NotFound.
func (s *Service) Operation(ctx context.Context, subscription, id string) (Operation, error) {
	var op Operation
	err := s.view(ctx, func(tx *store.Tx) error {
		r, err := tx.Lookup(store.KindOperation, store.RID{}, id)
		if err != nil {
			return err
		}
		var stored operationRecord
		if err := r.Decode(&stored); err != nil {
			return err
		}
		op = stored.operation(r.Name)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && !resource.Equal(op.Subscription, subscription) {
		return Operation{}, fault.NotFound.New("The operation '%s' could not be found.", id)
	}
	return op, err
}
