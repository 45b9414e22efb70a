// Package compute is the node: it asks for work, prepares the directories and the
// environment that Azure's nodes have, starts process trees under limits, serves
// their files, and reports.
//
// Its one idea is that nothing calls a node. An agent polls; what it must do rides
// on the reply, and a node that stops polling is a lease that ran out. The service
// end of the conversation is the Source interface, so that an agent in this process
// and one on another machine speak the same protocol.
package compute

import (
	"context"
	"time"
)

// A Source is what an agent and a provider ask: the service that has the work.
//
// Both calls are long polls: they return as soon as there is something to say, or
// with what there is after a wait of their own (seconds). An error that is
// fault.KeyUnavailable means that the account is locked: the agent kills every
// process tree, forgets the unfinished runs and their files, and goes on asking.
// Any other error means that the service cannot be reached: the agent lets tasks run
// until its lease has run out.
type Source interface {
	// Nodes returns the nodes that a provider must supply now. It waits while the
	// answer would be the one of version seen.
	Nodes(ctx context.Context, seen uint64) (Fleet, error)
	// Poll delivers what happened on a node since its last poll and returns what it
	// must do. It renews the node's lease. A report is processed exactly once or
	// returned as an error and then sent again: results are to be taken by their Run,
	// however often they come.
	//
	// An agent ends ctx when there is more to say while it waits. That only cuts the
	// wait short: a source that has taken the report in returns what orders it has,
	// none as a rule, and no error; one that returns ctx's error has leased nothing.
	// Should orders be lost on the way all the same, the runs are in neither Running
	// nor Finished of the node's next report with the same Boot, and are to be handed
	// out once more; an agent takes no run twice.
	Poll(ctx context.Context, report Report) (Orders, error)
}

// A Fleet is the set of nodes that a provider must supply.
type Fleet struct {
	// Version changes whenever Nodes or Locked do.
	Version uint64
	Nodes   []Node
	// Locked lists accounts whose key is away. Their nodes cannot be listed, so they
	// are not in Nodes; a provider keeps the nodes it has for such an account, and
	// their disks.
	Locked []string
}

// A NodeRef names a node to the service. The parts are opaque to an agent, safe as
// file names, and say nothing about what the customer called things.
type NodeRef struct {
	Account string // one Batch account
	Pool    string
	Node    string
}

// A Node is one node as the provider must run it.
type Node struct {
	Ref NodeRef
	// ID, PoolID, AccountName and AccountURL are the values of the AZ_BATCH_*
	// variables.
	ID, PoolID, AccountName, AccountURL string
	// Slots is how many task slots the node has, at least 1.
	Slots int
	// StartTask runs once before the node takes tasks; nil means none.
	StartTask *StartTask
}

// A StartTask prepares a node.
type StartTask struct {
	CommandLine    string
	Env            []EnvVar
	ResourceFiles  []ResourceFile
	Elevated       bool
	WaitForSuccess bool
	MaxRetries     int // -1 means without end
}

// An EnvVar is one environment variable of a task.
type EnvVar struct{ Name, Value string }

// A ResourceFile is fetched over HTTP before a task starts.
type ResourceFile struct {
	URL string
	// Path is relative to the task's working directory and stays inside it.
	Path string
	// Mode is the file's permission bits in octal, such as 0770; empty means 0770.
	Mode string
}

// A TaskSpec is one run of one task. It is plain text of the customer's and lives in
// memory and on the node's disk only.
type TaskSpec struct {
	// Run names this attempt: a task that is requeued or retried has a new one.
	Run string
	// Job and Task are opaque; JobID and TaskID are the customer's words.
	Job, Task     string
	JobID, TaskID string

	CommandLine   string
	Env           []EnvVar
	ResourceFiles []ResourceFile
	Elevated      bool
	Slots         int
	// MaxWallClock ends the run after that long; zero means never.
	MaxWallClock time.Duration
	// Retention keeps the task's directory that long after it completed; zero means
	// until the task or its node is deleted.
	Retention time.Duration
}

// A Result says how a run ended.
type Result struct {
	Run string
	// Started is zero if no process was started.
	Started, Ended time.Time
	// ExitCode is the process's, 128+n after signal n. It has no meaning when
	// Failure says that nothing was started.
	ExitCode int
	// Failure is nil if the process ended by itself, whatever its exit code.
	Failure *Failure
	// Stopped means that the run ended because Orders asked for it.
	Stopped bool
}

// A Failure is why a run did not end by itself. Code is Azure's, such as
// CommandProgramNotFound, BlobNotFound, MaxWallClockTimeExceeded (see the
// executionInfo of a task); User says whose fault it is.
type Failure struct {
	Code    string
	Message string
	User    bool
	Details map[string]string
}

// A Report is what an agent says when it polls.
type Report struct {
	Node NodeRef
	// Boot is a random name of this start of the agent. When it changes, every run
	// that the service believes to be on the node and that is not in Running is over.
	Boot string
	// Started says how the start task went; nil while it has not ended or there is
	// none.
	Started *Result
	// Ready means that the node may take tasks.
	Ready bool
	// Running are the runs in progress, Finished those that ended since the last poll
	// that was answered.
	Running  []Progress
	Finished []Result
}

// Progress is a run that goes on.
type Progress struct {
	Run string
	// Started is when its process was started; zero while it is being prepared.
	Started time.Time
}

// Orders are what an agent must do.
type Orders struct {
	// Start are new runs. Those for which the agent has no free slot wait on the node,
	// in this order, and count as running without a start time meanwhile: a source may
	// hand out a little more than there are slots, so that none stands idle between
	// two polls.
	Start []TaskSpec
	// Stop are runs to kill; each is reported in Finished with Stopped set, also one
	// that the agent does not know.
	Stop []string
	// Forget are tasks whose directories must go. One that still runs is stopped.
	Forget []TaskDir
	// Restart makes the node boot again: all tasks end, the start task runs again.
	Restart bool
	// Wipe makes Restart begin with an empty disk.
	Wipe bool
	// Lease is how long the node may go on without another answered poll.
	Lease time.Duration
}

// A TaskDir names the directory of a task on a node.
type TaskDir struct{ JobID, TaskID string }
