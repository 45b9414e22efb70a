package batch

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"time"

	"latchkey/compute"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// A Node is a compute node as it is now.
type Node struct {
	ID, PoolID, VMSize           string
	State, Scheduling            string
	Dedicated                    bool
	Created, StateAt, BootAt     time.Time
	Slots, Running, RunningSlots int
	TotalRun, TotalSucceeded     int
	StartTask                    *StartTask
	StartInfo                    *StartInfo
	Certificates                 []CertificateReference
	Recent                       []Task
	Image                        *Image
	Error                        *Failure
}

// StartInfo says how the start task of a node goes.
type StartInfo struct {
	Started, Ended time.Time
	ExitCode       *int     `json:",omitempty"`
	Failure        *Failure `json:",omitempty"`
	// Run tells reports of one run of the start task from those of another.
	Run string `json:",omitempty"`
}

// nodeRecord is how a node is stored. Its state is not stored in it: it follows from
// the rest and is written into the clear field.
type nodeRecord struct {
	Dedicated bool
	Slots     int
	Fill      string
	StateAt   time.Time
	// Boot is the agent's name of its last start; empty until it first polls.
	Boot     string    `json:",omitempty"`
	BootAt   time.Time `json:",omitzero"`
	Ready    bool      `json:",omitempty"`
	HasStart bool      `json:",omitempty"`
	// Lost is why the node has no agent now: "unknown" when its lease ran out,
	// "unusable" when its account was locked.
	Lost     string `json:",omitempty"`
	Disabled bool   `json:",omitempty"`
	// Leaving is what happens to the tasks of a node that leaves its pool.
	Leaving string `json:",omitempty"`
	// Restart is "now", or "idle" for a restart when its tasks are done.
	Restart string            `json:",omitempty"`
	Wipe    bool              `json:",omitempty"`
	Runs    []run             `json:",omitempty"`
	Forget  []compute.TaskDir `json:",omitempty"`
	Start   *StartInfo        `json:",omitempty"`
	Recent  []taskPlace       `json:",omitempty"`
	Run     int               `json:",omitempty"`
	Success int               `json:",omitempty"`
}

// A run is one attempt at one task on a node.
type run struct {
	ID        string
	Job, Task rid
	Slots     int
	// Preparing says that its process was not started yet.
	Preparing bool `json:",omitempty"`
	// Ahead is when it was handed out beyond the node's free slots.
	Ahead time.Time `json:",omitzero"`
	// Stop says what becomes of the task when the agent has ended the run: queued
	// again, ended, or nothing, because it was ended or deleted already.
	Stop string `json:",omitempty"`
}

const (
	stopRequeue   = "requeue"
	stopTerminate = "terminate"
	stopOrphan    = "orphan"
	// stopReturn takes back what was handed out ahead and has not begun: as if nothing
	// had been.
	stopReturn = "return"
)

type taskPlace struct{ Job, Task rid }

// recentTasks is how many tasks a node remembers, as Azure's do.
const recentTasks = 10

// nodeAt is a node's record with what is in it.
type nodeAt struct {
	r    *store.Record
	body *nodeRecord
}

func openNode(r *store.Record) (nodeAt, error) {
	n := nodeAt{r, &nodeRecord{}}
	return n, r.Decode(n.body)
}

// node returns a node to act on.
func node(tx *store.Tx, pool, id store.RID) (nodeAt, error) {
	r, err := tx.Get(store.KindNode, pool, id)
	if err != nil {
		return nodeAt{}, err
	}
	return openNode(r)
}

// nodes lists the nodes of a pool; who acts on one gets it anew.
func nodes(tx *store.Tx, pool store.RID) iter.Seq2[nodeAt, error] {
	return func(yield func(nodeAt, error) bool) {
		for r, err := range tx.Records(store.KindNode, pool, store.RID{}) {
			var n nodeAt
			if err == nil {
				n, err = openNode(r)
			}
			if !yield(n, err) || err != nil {
				return
			}
		}
	}
}

// state works out a node's state from what is known of it.
func (n *nodeRecord) state() store.State {
	switch {
	case n.Leaving != "":
		return NodeLeaving
	case n.Lost == "unknown":
		return NodeUnknown
	case n.Lost != "":
		return NodeUnusable
	case n.Boot == "":
		return NodeCreating
	case n.Restart == "now" && n.Wipe:
		return NodeReimaging
	case n.Restart == "now":
		return NodeRebooting
	case !n.Ready && n.Start != nil && n.Start.Failure != nil:
		return NodeStartTaskFailed
	case !n.Ready && n.HasStart:
		return NodeWaiting
	case !n.Ready:
		return NodeStarting
	case len(n.Runs) > 0:
		return NodeRunning
	case n.Disabled:
		return NodeOffline
	}
	return NodeIdle
}

// put writes a node, whose lease ends at due.
func (n nodeAt) put(tx *store.Tx, due time.Time) error {
	state := n.body.state()
	if from := n.r.Clear.State; state != from {
		if !mayMove(store.KindNode, from, state) {
			return fmt.Errorf("a node cannot go from %s to %s", names[store.KindNode][from], names[store.KindNode][state])
		}
		n.body.StateAt = now()
	}
	return tx.Put(n.r, store.Clear{State: state, Under: n.r.Parent, Due: due}, n.body)
}

// addNode makes a node of a pool.
func addNode(tx *store.Tx, pr *store.Record, p *poolRecord, dedicated bool) error {
	var b [32]byte
	rand.Read(b[:])
	name := "tvmps_" + hex.EncodeToString(b[:]) + "_p"
	if dedicated {
		name = name[:len(name)-1] + "d"
	}
	body := &nodeRecord{Dedicated: dedicated, Slots: p.Slots, Fill: p.Fill, StateAt: now(), HasStart: p.StartTask != nil}
	_, err := tx.Insert(store.KindNode, pr.ID, name, store.Clear{State: NodeCreating, Under: pr.ID}, body)
	return err
}

// leave makes a node leave its pool: at once if it runs nothing, else when its agent
// has ended, or finished, what it runs.
func (n nodeAt) leave(tx *store.Tx, option string) error {
	if len(n.body.Runs) == 0 {
		return tx.Delete(n.r)
	}
	n.body.Leaving = option
	n.stopRuns(option)
	return n.put(tx, n.r.Clear.Due)
}

// stopRuns asks the agent to end what runs, unless the option lets it finish.
func (n nodeAt) stopRuns(option string) {
	for i := range n.body.Runs {
		if r := &n.body.Runs[i]; r.Stop == "" && (option == stopRequeue || option == stopTerminate) {
			r.Stop = option
		}
	}
}

// checkOption checks what happens to the tasks of a node that has to stop.
func checkOption(name, option string) (string, error) {
	switch option {
	case "", stopRequeue:
		return stopRequeue, nil
	case stopTerminate, "taskcompletion":
		return option, nil
	case "retaineddata":
		return "", Unbuilt(name+" retaineddata", "use taskcompletion")
	}
	return "", BadProperty(name, option, "it must be requeue, terminate or taskcompletion")
}

func (n nodeAt) out(tx *store.Tx, p *poolRecord, recent bool) (Node, error) {
	b := n.body
	out := Node{
		ID: n.r.Name, PoolID: p.ID, VMSize: p.VMSize,
		State: names[store.KindNode][n.r.Clear.State], Scheduling: "enabled",
		Dedicated: b.Dedicated, Created: moment(n.r.ID.Sequence()), StateAt: b.StateAt, BootAt: b.BootAt,
		Slots: b.Slots, Running: len(b.Runs), TotalRun: b.Run, TotalSucceeded: b.Success,
		StartTask: p.StartTask, StartInfo: b.Start, Certificates: p.Certificates,
	}
	if b.Disabled {
		out.Scheduling = "disabled"
	}
	if p.Machine != nil {
		out.Image = &p.Machine.Image
	}
	for _, r := range b.Runs {
		out.RunningSlots += r.Slots
	}
	if b.Lost != "" {
		out.Error = &Failure{Code: "NodeUnreachable", Message: "The node's agent does not answer. It comes back by itself when its agent does."}
	}
	if !recent {
		return out, nil
	}
	jobs := map[rid]*jobRecord{}
	for _, at := range b.Recent {
		t, err := taskByPlace(tx, at, jobs)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return Node{}, err
		}
		out.Recent = append(out.Recent, t)
	}
	return out, nil
}

// lookNode finds a node by the ids of its pool and its own.
func lookNode(tx *store.Tx, poolID, id string) (*poolRecord, nodeAt, error) {
	pr, p, err := pool(tx, poolID)
	if err != nil {
		return nil, nodeAt{}, err
	}
	r, err := tx.Lookup(store.KindNode, pr.ID, id)
	if err != nil {
		return nil, nodeAt{}, missing(err, fault.NodeNotFound, "The specified node %q does not exist in pool %q.", id, poolID)
	}
	n, err := openNode(r)
	return p, n, err
}

// Node returns a node.
func (s *Service) Node(ctx context.Context, who identity.Caller, acct Account, poolID, id string) (Node, error) {
	if err := s.require(ctx, who, acct, readPools); err != nil {
		return Node{}, err
	}
	var out Node
	err := s.store.View(ctx, acct.Space, func(tx *store.Tx) error {
		p, n, err := lookNode(tx, poolID, id)
		if err != nil {
			return err
		}
		out, err = n.out(tx, p, true)
		return err
	})
	return out, err
}

// NodesOf lists the nodes of a pool.
func (s *Service) NodesOf(ctx context.Context, who identity.Caller, acct Account, poolID string, l List[Node]) ([]Node, string, error) {
	if err := s.require(ctx, who, acct, readPools); err != nil {
		return nil, "", err
	}
	var p *poolRecord
	return list(ctx, s, acct.Space, l, store.KindNode, func(tx *store.Tx) (store.RID, error) {
		r, body, err := pool(tx, poolID)
		if err != nil {
			return store.RID{}, err
		}
		p = body
		return r.ID, nil
	}, func(tx *store.Tx, r *store.Record) (Node, error) {
		n, err := openNode(r)
		if err != nil {
			return Node{}, err
		}
		return n.out(tx, p, true)
	})
}
