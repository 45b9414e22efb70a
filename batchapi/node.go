package batchapi

import (
	"net/http"
	"strings"

	"latchkey/batch"
	"latchkey/identity"
	"latchkey/rest"
)

func (d *Door) nodeRoutes() {
	d.door.Handle("GET /pools/{pool}/nodes", d.listNodes)
	d.door.Handle("GET /pools/{pool}/nodes/{node}", d.getNode)
	d.door.Handle("POST /pools/{pool}/nodes/{node}/reboot", d.rebootNode)
	d.door.Handle("POST /pools/{pool}/nodes/{node}/reimage", d.reimageNode)
	d.door.Handle("POST /pools/{pool}/nodes/{node}/disablescheduling", d.disableScheduling)
	d.door.Handle("POST /pools/{pool}/nodes/{node}/enablescheduling", d.enableScheduling)
}

// nodeOut is a node as it travels to clients.
type nodeOut struct {
	ID             string                 `json:"id"`
	URL            string                 `json:"url"`
	State          string                 `json:"state"`
	Scheduling     string                 `json:"schedulingState"`
	StateTime      timestamp              `json:"stateTransitionTime"`
	BootTime       timestamp              `json:"lastBootTime,omitzero"`
	AllocationTime timestamp              `json:"allocationTime"`
	IPAddress      string                 `json:"ipAddress"`
	AffinityID     string                 `json:"affinityId"`
	VMSize         string                 `json:"vmSize"`
	TotalRun       int                    `json:"totalTasksRun"`
	Running        int                    `json:"runningTasksCount"`
	RunningSlots   int                    `json:"runningTaskSlotsCount"`
	TotalSucceeded int                    `json:"totalTasksSucceeded"`
	Recent         []recentTask           `json:"recentTasks,omitempty"`
	StartTask      *startTask             `json:"startTask,omitempty"`
	StartInfo      *startInfo             `json:"startTaskInfo,omitempty"`
	Certificates   []certificateReference `json:"certificateReferences,omitempty"`
	Errors         []nodeError            `json:"errors,omitempty"`
	Dedicated      bool                   `json:"isDedicated"`
	Agent          nodeAgent              `json:"nodeAgentInfo"`
	Machine        *machineInfo           `json:"virtualMachineInfo,omitempty"`
}

type recentTask struct {
	URL       string        `json:"taskUrl"`
	JobID     string        `json:"jobId"`
	TaskID    string        `json:"taskId"`
	State     string        `json:"taskState"`
	Execution taskExecution `json:"executionInfo"`
}

type startInfo struct {
	State      string       `json:"state"`
	StartTime  timestamp    `json:"startTime"`
	EndTime    timestamp    `json:"endTime,omitzero"`
	ExitCode   *int         `json:"exitCode,omitempty"`
	Failure    *failureInfo `json:"failureInfo,omitempty"`
	RetryCount int          `json:"retryCount"`
	Result     string       `json:"result,omitempty"`
}

type nodeError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type nodeAgent struct {
	Version string    `json:"version"`
	Updated timestamp `json:"lastUpdateTime"`
}

type machineInfo struct {
	Image image `json:"imageReference"`
}

// agentVersion is that of the agents whose directories and variables ours have.
const agentVersion = "1.13.11"

func writeNode(base string, n batch.Node) nodeOut {
	out := nodeOut{
		ID: n.ID, URL: base + "/pools/" + n.PoolID + "/nodes/" + n.ID, State: n.State, Scheduling: n.Scheduling,
		StateTime: timestamp(n.StateAt), BootTime: timestamp(n.BootAt), AllocationTime: timestamp(n.Created),
		// Nodes of the local provider share their host's loopback address.
		IPAddress: "127.0.0.1", AffinityID: n.ID, VMSize: n.VMSize,
		TotalRun: n.TotalRun, Running: n.Running, RunningSlots: n.RunningSlots, TotalSucceeded: n.TotalSucceeded,
		StartTask: startTaskOut(n.StartTask), Certificates: referencesOut(n.Certificates), Dedicated: n.Dedicated,
		Agent: nodeAgent{agentVersion, timestamp(n.Created)},
	}
	for _, t := range n.Recent {
		out.Recent = append(out.Recent, recentTask{
			URL: base + taskPath(t.JobID, t.ID), JobID: t.JobID, TaskID: t.ID, State: t.State, Execution: executionOut(t.State, t.Execution),
		})
	}
	if i := n.StartInfo; i != nil {
		out.StartInfo = &startInfo{
			State: "completed", StartTime: timestamp(i.Started), EndTime: timestamp(i.Ended), ExitCode: i.ExitCode,
			Failure: failureOut(i.Failure), Result: "success",
		}
		if i.Failure != nil {
			out.StartInfo.Result = "failure"
		}
	} else if n.StartTask != nil && !n.BootAt.IsZero() {
		out.StartInfo = &startInfo{State: "running", StartTime: timestamp(n.BootAt)}
	}
	if n.Error != nil {
		out.Errors = []nodeError{{n.Error.Code, n.Error.Message}}
	}
	if n.Image != nil {
		out.Machine = &machineInfo{imageOut(*n.Image)}
	}
	return out
}

func (d *Door) listNodes(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct := account(r)
	return list(r, "nodes", func(n batch.Node) nodeOut { return writeNode(acct.URL, n) },
		func(l batch.List[batch.Node]) ([]batch.Node, string, error) {
			return d.Batch.NodesOf(r.Context(), who, acct, r.PathValue("pool"), l)
		})
}

func (d *Door) getNode(r *http.Request, who identity.Caller) (rest.Reply, error) {
	n, err := d.Batch.Node(r.Context(), who, account(r), r.PathValue("pool"), r.PathValue("node"))
	if err != nil {
		return rest.Reply{}, err
	}
	return entity(r, "nodes", writeNode(account(r).URL, n), 0)
}

// nodeBody says what happens to the tasks of a node.
type nodeBody struct {
	Reboot  string `json:"nodeRebootOption"`
	Reimage string `json:"nodeReimageOption"`
	Disable string `json:"nodeDisableSchedulingOption"`
}

// ordered does something to a node and says where it is.
func (d *Door) ordered(r *http.Request, status int, do func(pool, node string, in nodeBody) error) (rest.Reply, error) {
	var in nodeBody
	if err := decodeOptional(r, &in); err != nil {
		return rest.Reply{}, err
	}
	pool, node := r.PathValue("pool"), r.PathValue("node")
	if err := do(pool, node, in); err != nil {
		return rest.Reply{}, err
	}
	return changed(r, status, "/pools/"+pool+"/nodes/"+node, 0), nil
}

func (d *Door) rebootNode(r *http.Request, who identity.Caller) (rest.Reply, error) {
	return d.ordered(r, http.StatusAccepted, func(pool, node string, in nodeBody) error {
		return d.Batch.RestartNode(r.Context(), who, account(r), pool, node, strings.ToLower(in.Reboot), false)
	})
}

func (d *Door) reimageNode(r *http.Request, who identity.Caller) (rest.Reply, error) {
	return d.ordered(r, http.StatusAccepted, func(pool, node string, in nodeBody) error {
		return d.Batch.RestartNode(r.Context(), who, account(r), pool, node, strings.ToLower(in.Reimage), true)
	})
}

func (d *Door) disableScheduling(r *http.Request, who identity.Caller) (rest.Reply, error) {
	return d.ordered(r, http.StatusOK, func(pool, node string, in nodeBody) error {
		return d.Batch.DisableScheduling(r.Context(), who, account(r), pool, node, strings.ToLower(in.Disable))
	})
}

func (d *Door) enableScheduling(r *http.Request, who identity.Caller) (rest.Reply, error) {
	return d.ordered(r, http.StatusOK, func(pool, node string, _ nodeBody) error {
		return d.Batch.EnableScheduling(r.Context(), who, account(r), pool, node)
	})
}
