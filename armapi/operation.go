package armapi

import (
	"context"
	"net/http"

	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/subscription"
)

// A showFunc returns the body of a resource, as its GET gives it.
type showFunc func(ctx context.Context, who identity.Caller, id resource.ID) (any, error)

// show says how the resources of a full type, such as Microsoft.Batch/batchAccounts,
// are rendered when an operation that made or changed one has ended.
func (d *Door) show(fullType string, f showFunc) { d.shows[resource.Fold(fullType)] = f }

// accepted answers a call that goes on as an operation: 202, no body, and where to
// ask how it goes. The operation comes from subscription.Service: Start for work that
// runs in the background, Done for work that has already ended.
//
// When the operation has ended well, the poll's answer is 200 with what show renders
// for op.Target, or 200 with no body if the target is gone.
func (d *Door) accepted(r *http.Request, op subscription.Operation) rest.Reply
