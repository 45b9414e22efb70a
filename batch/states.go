package batch

import (
	"slices"

	"latchkey/store"
)

// The states of pools, nodes, jobs, tasks and certificates. The numbers are stored
// and stay readable without a key; they never change meaning. docs/states.md draws
// the tables of moves below.

// Pools.
const (
	PoolActive   store.State = 1
	PoolDeleting store.State = 2
)

// How a pool is being resized; not a state that is counted.
const (
	Steady   = "steady"
	Resizing = "resizing"
	Stopping = "stopping"
)

// Nodes.
const (
	NodeCreating        store.State = 1
	NodeStarting        store.State = 2
	NodeWaiting         store.State = 3 // for the start task
	NodeStartTaskFailed store.State = 4
	NodeIdle            store.State = 5
	NodeRunning         store.State = 6
	NodeUnusable        store.State = 7
	NodeUnknown         store.State = 8
	NodeOffline         store.State = 9
	NodeRebooting       store.State = 10
	NodeReimaging       store.State = 11
	NodeLeaving         store.State = 12
)

// Jobs.
const (
	JobActive      store.State = 1
	JobDisabling   store.State = 2
	JobDisabled    store.State = 3
	JobEnabling    store.State = 4
	JobTerminating store.State = 5
	JobCompleted   store.State = 6
	JobDeleting    store.State = 7
)

// Tasks. Two of Azure's states are two of ours each, so that they can be counted and
// found apart: an active task that waits for others is TaskBlocked, a completed one
// has succeeded or failed.
const (
	TaskActive    store.State = 1
	TaskBlocked   store.State = 2
	TaskPreparing store.State = 3
	TaskRunning   store.State = 4
	TaskSucceeded store.State = 5
	TaskFailed    store.State = 6
)

// Certificates.
const (
	CertificateActive       store.State = 1
	CertificateDeleting     store.State = 2
	CertificateDeleteFailed store.State = 3
)

// live are the states of a node whose agent polls, away those that anything else may
// bring it to.
var (
	live = []store.State{NodeStarting, NodeWaiting, NodeStartTaskFailed, NodeIdle, NodeRunning, NodeOffline}
	away = []store.State{NodeRebooting, NodeReimaging, NodeUnknown, NodeUnusable, NodeLeaving, 0}
)

// moves says where a record of a kind may go from each state. What is made begins in
// the first; what may be removed says so by moving to 0.
var moves = map[store.Kind]map[store.State][]store.State{
	store.KindPool: {
		PoolActive:   {PoolDeleting},
		PoolDeleting: {0},
	},
	// A node's state follows from what its agent says, which may have skipped some.
	store.KindNode: {
		NodeCreating:        append(slices.Clone(live), NodeUnknown, NodeUnusable, NodeLeaving, 0),
		NodeStarting:        append(slices.Clone(live), away...),
		NodeWaiting:         append(slices.Clone(live), away...),
		NodeStartTaskFailed: append(slices.Clone(live), away...),
		NodeIdle:            append(slices.Clone(live), away...),
		NodeRunning:         append(slices.Clone(live), away...),
		NodeOffline:         append(slices.Clone(live), away...),
		NodeRebooting:       append(slices.Clone(live), away...),
		NodeReimaging:       append(slices.Clone(live), away...),
		NodeUnknown:         append(slices.Clone(live), NodeUnusable, NodeLeaving, 0),
		NodeUnusable:        append(slices.Clone(live), NodeRebooting, NodeReimaging, NodeUnknown, NodeLeaving, 0),
		// A node stops leaving when its resize is stopped.
		NodeLeaving: append(slices.Clone(live), NodeUnknown, NodeUnusable, 0),
	},
	store.KindJob: {
		JobActive:    {JobDisabling, JobTerminating, JobDeleting},
		JobDisabling: {JobDisabled, JobEnabling, JobTerminating, JobDeleting},
		JobDisabled:  {JobDisabling, JobEnabling, JobTerminating, JobDeleting},
		JobEnabling:  {JobActive, JobDisabling, JobTerminating, JobDeleting},
		// Back to active: all tasks were complete, and then one more was added.
		JobTerminating: {JobCompleted, JobActive, JobDeleting},
		JobCompleted:   {JobDeleting},
		JobDeleting:    {0},
	},
	store.KindTask: {
		TaskActive:    {TaskPreparing, TaskRunning, TaskFailed, 0},
		TaskBlocked:   {TaskActive, TaskFailed, 0},
		TaskPreparing: {TaskRunning, TaskActive, TaskSucceeded, TaskFailed, 0},
		TaskRunning:   {TaskActive, TaskSucceeded, TaskFailed, 0},
		TaskSucceeded: {0},
		TaskFailed:    {TaskActive, TaskBlocked, 0},
	},
	store.KindCertificate: {
		CertificateActive:       {CertificateDeleting},
		CertificateDeleting:     {CertificateDeleteFailed, 0},
		CertificateDeleteFailed: {CertificateActive, CertificateDeleting},
	},
}

// mayMove reports whether the table has the move. To stay is no move.
func mayMove(kind store.Kind, from, to store.State) bool {
	return from == to || slices.Contains(moves[kind][from], to)
}

// names has Azure's words for states.
var names = map[store.Kind]map[store.State]string{
	store.KindPool: {PoolActive: "active", PoolDeleting: "deleting"},
	store.KindNode: {
		NodeCreating: "creating", NodeStarting: "starting", NodeWaiting: "waitingforstarttask",
		NodeStartTaskFailed: "starttaskfailed", NodeIdle: "idle", NodeRunning: "running",
		NodeUnusable: "unusable", NodeUnknown: "unknown", NodeOffline: "offline",
		NodeRebooting: "rebooting", NodeReimaging: "reimaging", NodeLeaving: "leavingpool",
	},
	store.KindJob: {
		JobActive: "active", JobDisabling: "disabling", JobDisabled: "disabled", JobEnabling: "enabling",
		JobTerminating: "terminating", JobCompleted: "completed", JobDeleting: "deleting",
	},
	store.KindTask: {
		TaskActive: "active", TaskBlocked: "active", TaskPreparing: "preparing", TaskRunning: "running",
		TaskSucceeded: "completed", TaskFailed: "completed",
	},
	store.KindCertificate: {
		CertificateActive: "active", CertificateDeleting: "deleting", CertificateDeleteFailed: "deletefailed",
	},
}
