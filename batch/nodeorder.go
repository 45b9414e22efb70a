package batch

import (
	"context"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/store"
)

// orderNode lets fn change a node on the wish of the pool's owner; its agent learns it
// at once.
func (s *Service) orderNode(ctx context.Context, who identity.Caller, acct Account, poolID, id string, fn func(nodeAt) error) error {
	if err := s.require(ctx, who, acct, writePools); err != nil {
		return err
	}
	var at nodePlace
	err := s.store.Update(ctx, acct.Space, func(tx *store.Tx) error {
		_, n, err := lookNode(tx, poolID, id)
		if err != nil {
			return err
		}
		if n.body.Leaving != "" {
			return fault.NodeStateInvalid.New("The node is leaving its pool.")
		}
		if err := fn(n); err != nil {
			return err
		}
		at = nodePlace{acct.Space, n.r.Parent, n.r.ID}
		return n.put(tx, n.r.Clear.Due)
	})
	if err == nil {
		s.benches.wakeNode(at.space, at.node)
	}
	return err
}

// RestartNode boots a node again; with wipe its disk is emptied first. The option says
// what happens to its tasks: requeue (also if empty), terminate or taskcompletion.
func (s *Service) RestartNode(ctx context.Context, who identity.Caller, acct Account, poolID, id, option string, wipe bool) error {
	name := "nodeRebootOption"
	if wipe {
		name = "nodeReimageOption"
	}
	option, err := checkOption(name, option)
	if err != nil {
		return err
	}
	return s.orderNode(ctx, who, acct, poolID, id, func(n nodeAt) error {
		switch n.r.Clear.State {
		case NodeCreating, NodeUnknown, NodeRebooting, NodeReimaging:
			return fault.NodeStateInvalid.New("The node is %s and cannot be restarted.", names[store.KindNode][n.r.Clear.State])
		}
		n.body.Restart, n.body.Wipe = "now", wipe
		if option == "taskcompletion" {
			n.body.Restart = "idle"
		}
		n.stopRuns(option)
		return nil
	})
}

// DisableScheduling keeps new tasks from a node. Running ones are queued again, ended,
// or left alone, as the option says: requeue (also if empty), terminate or
// taskcompletion.
func (s *Service) DisableScheduling(ctx context.Context, who identity.Caller, acct Account, poolID, id, option string) error {
	switch option {
	case "", stopRequeue, stopTerminate, "taskcompletion":
	default:
		return BadProperty("nodeDisableSchedulingOption", option, "it must be requeue, terminate or taskcompletion")
	}
	if option == "" {
		option = stopRequeue
	}
	return s.orderNode(ctx, who, acct, poolID, id, func(n nodeAt) error {
		if n.body.Disabled {
			return fault.NodeSchedulingState.New("Scheduling on the node is disabled already.")
		}
		n.body.Disabled = true
		n.stopRuns(option)
		return nil
	})
}

// EnableScheduling lets a node take tasks again.
func (s *Service) EnableScheduling(ctx context.Context, who identity.Caller, acct Account, poolID, id string) error {
	return s.orderNode(ctx, who, acct, poolID, id, func(n nodeAt) error {
		if !n.body.Disabled {
			return fault.NodeSchedulingState.New("Scheduling on the node is enabled already.")
		}
		n.body.Disabled = false
		return nil
	})
}
