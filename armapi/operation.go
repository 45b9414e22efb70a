package armapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"latchkey/fault"
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
func (d *Door) accepted(r *http.Request, op subscription.Operation) rest.Reply {
	// Without Retry-After, and with 0, clients wait half a minute.
	return rest.Status(http.StatusAccepted).
		With("Location", d.absolute(r, resultPath(op))).
		With("Retry-After", "1")
}

// resultPath is where Azure puts the results of a namespace's operations.
func resultPath(op subscription.Operation) string {
	inLocation := "/subscriptions/" + op.Subscription + "/providers/" + op.Namespace + "/locations/" + op.Location
	switch resource.Fold(op.Namespace) {
	case "microsoft.resources":
		return "/subscriptions/" + op.Subscription + "/operationresults/" + op.ID
	case "microsoft.batch":
		return inLocation + "/accountOperationResults/" + op.ID
	}
	return inLocation + "/operationResults/" + op.ID
}

func (d *Door) operationRoutes() {
	const inLocation = inSubscription + "/providers/{namespace}/locations/{location}"
	d.handle("GET "+inSubscription+"/operationresults/{operation}", d.operationResult)
	d.handle("GET "+inLocation+"/operationResults/{operation}", d.operationResult)
	d.handle("GET "+inLocation+"/accountOperationResults/{operation}", d.operationResult)
	d.handle("GET "+inLocation+"/operationStatuses/{operation}", d.operationStatus)
	d.handle("GET "+inGroup+"/providers/Microsoft.Batch/batchAccounts/{account}/operationResults/{operation}", d.operationResult)
}

// operation returns the operation of a request to who began it, or may read the
// subscription.
func (d *Door) operation(r *http.Request, who identity.Caller) (subscription.Operation, error) {
	op, err := d.Subscriptions.Operation(r.Context(), r.PathValue("sub"), r.PathValue("operation"))
	if err != nil {
		return subscription.Operation{}, err
	}
	if who.ObjectID != op.Caller {
		err = d.Directory.Require(r.Context(), who, "Microsoft.Resources/subscriptions/operationresults/read", "/subscriptions/"+op.Subscription)
	}
	return op, err
}

// operationResult answers 202 until the operation has ended, and then as the call
// would have been answered at once. The end is never 204: Terraform cannot read that.
func (d *Door) operationResult(r *http.Request, who identity.Caller) (rest.Reply, error) {
	op, err := d.operation(r, who)
	if err != nil {
		return rest.Reply{}, err
	}
	switch op.Status {
	case subscription.InProgress:
		return d.accepted(r, op), nil
	case subscription.Failed:
		return rest.Reply{}, ended(op.Fault)
	}
	id, err := resource.ParseID(op.Target)
	if err != nil {
		return rest.Status(http.StatusOK), nil
	}
	show := d.shows[resource.Fold(id.Type())]
	if show == nil {
		return rest.Status(http.StatusOK), nil
	}
	body, err := show(r.Context(), who, id)
	if f, ok := fault.From(err); ok && f.Code.Status == http.StatusNotFound || errors.Is(err, fault.AuthorizationFailed) {
		return rest.Status(http.StatusOK), nil
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(body), nil
}

// ended is the failure of an operation as its poll answers it. A failure of ours is
// told with a status that says "this is over", because clients repeat a poll that
// gets 500.
func ended(f *fault.Fault) *fault.Fault {
	if f.Code.Status < http.StatusInternalServerError {
		return f
	}
	row := *f.Code
	row.Status = http.StatusConflict
	return &fault.Fault{Code: &row, Message: f.Message, Details: f.Details}
}

// operationOut is the body that clients of Azure-AsyncOperation read.
type operationOut struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Status    string        `json:"status"`
	StartTime time.Time     `json:"startTime"`
	EndTime   *time.Time    `json:"endTime,omitempty"`
	Error     *operationErr `json:"error,omitempty"`
}

type operationErr struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// operationStatus answers 200 with how far the operation is.
func (d *Door) operationStatus(r *http.Request, who identity.Caller) (rest.Reply, error) {
	op, err := d.operation(r, who)
	if err != nil {
		return rest.Reply{}, err
	}
	out := operationOut{
		ID:   "/subscriptions/" + op.Subscription + "/providers/" + op.Namespace + "/locations/" + op.Location + "/operationStatuses/" + op.ID,
		Name: op.ID, Status: string(op.Status), StartTime: op.Started,
	}
	if !op.Ended.IsZero() {
		out.EndTime = &op.Ended
	}
	if op.Fault != nil {
		out.Error = &operationErr{op.Fault.Code.Name, op.Fault.Message}
	}
	reply := rest.OK(out)
	if op.Status == subscription.InProgress {
		reply = reply.With("Retry-After", "1")
	}
	return reply, nil
}
