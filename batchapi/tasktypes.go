package batchapi

import (
	"strings"
	"time"

	"latchkey/batch"
	"latchkey/rest"
)

// taskBody is a task as clients send it.
type taskBody struct {
	ID             string           `json:"id"`
	DisplayName    string           `json:"displayName"`
	CommandLine    string           `json:"commandLine"`
	Container      unbuilt          `json:"containerSettings"`
	Exits          *exitConditions  `json:"exitConditions"`
	ResourceFiles  []resourceFile   `json:"resourceFiles"`
	OutputFiles    unbuilt          `json:"outputFiles"`
	Environment    []nameValue      `json:"environmentSettings"`
	Affinity       *affinity        `json:"affinityInfo"`
	Constraints    *taskConstraints `json:"constraints"`
	Slots          *rest.Int        `json:"requiredSlots"`
	User           *userIdentity    `json:"userIdentity"`
	MultiInstance  unbuilt          `json:"multiInstanceSettings"`
	DependsOn      *dependencies    `json:"dependsOn"`
	Packages       unbuilt          `json:"applicationPackageReferences"`
	Authentication unbuilt          `json:"authenticationTokenSettings"`
}

type affinity struct {
	ID string `json:"affinityId"`
}

type taskConstraints struct {
	MaxWallClock *rest.Duration `json:"maxWallClockTime,omitempty"`
	Retention    *rest.Duration `json:"retentionTime,omitempty"`
	MaxRetries   *rest.Int      `json:"maxTaskRetryCount,omitempty"`
}

func (c *taskConstraints) in() (batch.Constraints, error) {
	var out batch.Constraints
	if c == nil {
		return out, nil
	}
	if err := whole("constraints.maxTaskRetryCount", c.MaxRetries); err != nil {
		return out, err
	}
	if c.MaxWallClock != nil && *c.MaxWallClock != rest.Unlimited {
		d := time.Duration(*c.MaxWallClock)
		out.MaxWallClock = &d
	}
	if c.Retention != nil {
		d := time.Duration(*c.Retention)
		out.Retention = &d
	}
	if c.MaxRetries != nil {
		n := int(*c.MaxRetries)
		out.MaxRetries = &n
	}
	return out, nil
}

func constraintsOut(c batch.Constraints) taskConstraints {
	wall, keep, retries := rest.Unlimited, rest.Duration(7*24*time.Hour), rest.Int(0)
	if c.MaxWallClock != nil {
		wall = rest.Duration(*c.MaxWallClock)
	}
	if c.Retention != nil {
		keep = rest.Duration(*c.Retention)
	}
	if c.MaxRetries != nil {
		retries = rest.Int(*c.MaxRetries)
	}
	return taskConstraints{&wall, &keep, &retries}
}

type exitConditions struct {
	Codes         []exitCode   `json:"exitCodes,omitempty"`
	Ranges        []exitRange  `json:"exitCodeRanges,omitempty"`
	PreProcessing *exitOptions `json:"preProcessingError,omitempty"`
	FileUpload    *exitOptions `json:"fileUploadError,omitempty"`
	Default       *exitOptions `json:"default,omitempty"`
}

type exitCode struct {
	Code    rest.Int    `json:"code"`
	Options exitOptions `json:"exitOptions"`
}

type exitRange struct {
	Start   rest.Int    `json:"start"`
	End     rest.Int    `json:"end"`
	Options exitOptions `json:"exitOptions"`
}

type exitOptions struct {
	Job        string `json:"jobAction,omitempty"`
	Dependency string `json:"dependencyAction,omitempty"`
}

func (o *exitOptions) in() *batch.ExitAction {
	if o == nil {
		return nil
	}
	return &batch.ExitAction{Job: strings.ToLower(o.Job), Dependency: strings.ToLower(o.Dependency)}
}

func (e *exitConditions) in() *batch.ExitRules {
	if e == nil {
		return nil
	}
	out := &batch.ExitRules{PreProcessing: e.PreProcessing.in(), FileUpload: e.FileUpload.in(), Default: e.Default.in()}
	for _, c := range e.Codes {
		out.Codes = append(out.Codes, batch.ExitRange{Start: int(c.Code), End: int(c.Code), Action: *c.Options.in()})
	}
	for _, c := range e.Ranges {
		out.Ranges = append(out.Ranges, batch.ExitRange{Start: int(c.Start), End: int(c.End), Action: *c.Options.in()})
	}
	return out
}

func optionsOut(a *batch.ExitAction) *exitOptions {
	if a == nil {
		return nil
	}
	return &exitOptions{a.Job, a.Dependency}
}

func exitsOut(e *batch.ExitRules) *exitConditions {
	if e == nil {
		return nil
	}
	out := &exitConditions{PreProcessing: optionsOut(e.PreProcessing), FileUpload: optionsOut(e.FileUpload), Default: optionsOut(e.Default)}
	for _, c := range e.Codes {
		out.Codes = append(out.Codes, exitCode{rest.Int(c.Start), *optionsOut(&c.Action)})
	}
	for _, c := range e.Ranges {
		out.Ranges = append(out.Ranges, exitRange{rest.Int(c.Start), rest.Int(c.End), *optionsOut(&c.Action)})
	}
	return out
}

type dependencies struct {
	IDs    []string  `json:"taskIds,omitempty"`
	Ranges []idRange `json:"taskIdRanges,omitempty"`
}

type idRange struct {
	Start rest.Int `json:"start"`
	End   rest.Int `json:"end"`
}

func (b *taskBody) spec() (batch.TaskSpec, error) {
	err := refuse(
		refusal{"containerSettings", b.Container, "tasks run as processes"},
		refusal{"outputFiles", b.OutputFiles, "read the task's files from its node"},
		refusal{"multiInstanceSettings", b.MultiInstance, ""},
		refusal{"applicationPackageReferences", b.Packages, "use resource files"},
		refusal{"authenticationTokenSettings", b.Authentication, ""},
	)
	if err != nil {
		return batch.TaskSpec{}, err
	}
	if err := whole("requiredSlots", b.Slots); err != nil {
		return batch.TaskSpec{}, err
	}
	if b.Slots != nil && *b.Slots < 1 {
		return batch.TaskSpec{}, batch.BadProperty("requiredSlots", "", "it must be at least 1")
	}
	files, err := resourceFiles("resourceFiles", b.ResourceFiles)
	if err != nil {
		return batch.TaskSpec{}, err
	}
	limits, err := b.Constraints.in()
	if err != nil {
		return batch.TaskSpec{}, err
	}
	out := batch.TaskSpec{
		ID: b.ID, DisplayName: b.DisplayName, CommandLine: b.CommandLine, Env: environment(b.Environment), Files: files,
		User: b.User.in(), Slots: number(b.Slots, 0), Constraints: limits, Exits: b.Exits.in(),
	}
	if b.Affinity != nil {
		out.Affinity = b.Affinity.ID
	}
	if b.DependsOn != nil {
		out.DependsOn = b.DependsOn.IDs
		for _, r := range b.DependsOn.Ranges {
			start, end := r.Start, r.End
			if err := whole("dependsOn.taskIdRanges.start", &start); err != nil {
				return out, err
			}
			if err := whole("dependsOn.taskIdRanges.end", &end); err != nil {
				return out, err
			}
			out.Ranges = append(out.Ranges, batch.IDRange{Start: int(start), End: int(end)})
		}
	}
	return out, nil
}

// taskOut is a task as it travels to clients.
type taskOut struct {
	ID           string          `json:"id"`
	DisplayName  string          `json:"displayName,omitempty"`
	URL          string          `json:"url"`
	ETag         string          `json:"eTag"`
	LastModified timestamp       `json:"lastModified"`
	CreationTime timestamp       `json:"creationTime"`
	Exits        *exitConditions `json:"exitConditions,omitempty"`
	State        string          `json:"state"`
	StateTime    timestamp       `json:"stateTransitionTime"`
	Previous     string          `json:"previousState,omitempty"`
	PreviousTime timestamp       `json:"previousStateTransitionTime,omitzero"`
	CommandLine  string          `json:"commandLine"`
	Files        []resourceFile  `json:"resourceFiles,omitempty"`
	Environment  []nameValue     `json:"environmentSettings,omitempty"`
	Affinity     *affinity       `json:"affinityInfo,omitempty"`
	Constraints  taskConstraints `json:"constraints"`
	Slots        int             `json:"requiredSlots"`
	User         *userIdentity   `json:"userIdentity,omitempty"`
	Execution    taskExecution   `json:"executionInfo"`
	Node         *taskNode       `json:"nodeInfo,omitempty"`
	DependsOn    *dependencies   `json:"dependsOn,omitempty"`
}

type taskExecution struct {
	StartTime   timestamp    `json:"startTime,omitzero"`
	EndTime     timestamp    `json:"endTime,omitzero"`
	ExitCode    *int         `json:"exitCode,omitempty"`
	Failure     *failureInfo `json:"failureInfo,omitempty"`
	RetryCount  int          `json:"retryCount"`
	LastRetry   timestamp    `json:"lastRetryTime,omitzero"`
	Requeues    int          `json:"requeueCount"`
	LastRequeue timestamp    `json:"lastRequeueTime,omitzero"`
	Result      string       `json:"result,omitempty"`
}

type taskNode struct {
	AffinityID string `json:"affinityId"`
	NodeURL    string `json:"nodeUrl"`
	PoolID     string `json:"poolId"`
	NodeID     string `json:"nodeId"`
	Root       string `json:"taskRootDirectory"`
	RootURL    string `json:"taskRootDirectoryUrl"`
}

func executionOut(state string, e batch.Execution) taskExecution {
	out := taskExecution{
		RetryCount: e.Retries, LastRetry: timestamp(e.RetriedAt), Requeues: e.Requeues, LastRequeue: timestamp(e.RequeuedAt),
	}
	switch state {
	case "completed":
		out.StartTime, out.EndTime = timestamp(e.Started), timestamp(e.Ended)
		out.ExitCode, out.Failure, out.Result = e.ExitCode, failureOut(e.Failure), "failure"
		if e.Succeeded {
			out.Result = "success"
		}
	case "running", "preparing":
		out.StartTime = timestamp(e.Started)
	}
	return out
}

func writeTask(base string, t batch.Task) taskOut {
	out := taskOut{
		ID: t.ID, DisplayName: t.DisplayName, URL: base + "/jobs/" + t.JobID + "/tasks/" + t.ID,
		ETag: eTag(t.Modified), LastModified: lastModified(t.Modified), CreationTime: timestamp(t.Created), Exits: exitsOut(t.Exits),
		State: t.State, StateTime: timestamp(t.StateAt), Previous: t.Previous, PreviousTime: timestamp(t.PreviousAt),
		CommandLine: t.CommandLine, Files: resourceFilesOut(t.Files), Environment: environmentOut(t.Env),
		Constraints: constraintsOut(t.Constraints), Slots: max(1, t.Slots), User: userOut(t.User),
		Execution: executionOut(t.State, t.Execution),
	}
	if out.User == nil {
		out.User = &userIdentity{AutoUser: &autoUser{Scope: "pool", Elevation: "nonadmin"}}
	}
	if t.Affinity != "" {
		out.Affinity = &affinity{t.Affinity}
	}
	if t.NodeID != "" && t.State != "active" {
		node, root := base+"/pools/"+t.PoolID+"/nodes/"+t.NodeID, "workitems/"+t.JobID+"/job-1/"+t.ID
		out.Node = &taskNode{t.NodeID, node, t.PoolID, t.NodeID, root, node + "/files/" + root}
	}
	if len(t.DependsOn)+len(t.Ranges) > 0 {
		out.DependsOn = &dependencies{IDs: t.DependsOn}
		for _, r := range t.Ranges {
			out.DependsOn.Ranges = append(out.DependsOn.Ranges, idRange{rest.Int(r.Start), rest.Int(r.End)})
		}
	}
	return out
}
