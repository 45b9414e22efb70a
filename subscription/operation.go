package subscription

import (
	"context"
	"time"

	"latchkey/fault"
)

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

// Does says what the work of an action is. Call it before Run. An error that is a
// fault becomes the operation's; any other ends it with InternalServerError.
func (s *Service) Does(action string, work func(ctx context.Context, op Operation) error)

// Start records an operation whose work Run will do.
func (s *Service) Start(ctx context.Context, op Operation) (Operation, error)

// Done records an operation whose work has already been done, so that a client that
// was told to poll finds its end.
func (s *Service) Done(ctx context.Context, op Operation) (Operation, error)
