package subscription

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// DeleteGroup marks a group as going and starts the operation that empties it. Asking
// again returns the same operation.
func (s *Service) DeleteGroup(ctx context.Context, who identity.Caller, subscription, name string) (Operation, error) {
	if err := s.directory.Require(ctx, who, deleteGroup, resource.GroupID(subscription, name)); err != nil {
		return Operation{}, err
	}
	var op Operation
	err := s.update(ctx, func(tx *store.Tx) error {
		g, r, err := findGroup(tx, subscription, name)
		if err != nil {
			return err
		}
		if g.Deleting {
			op = Operation{ID: g.operation, Subscription: g.Subscription, Status: InProgress, Action: deleteGroup, Target: g.ID(), Location: g.Location}
			return nil
		}
		op, err = s.Begin(tx, Operation{
			Subscription: g.Subscription, Namespace: "Microsoft.Resources", Location: g.Location,
			Action: deleteGroup, Target: g.ID(), Caller: who.ObjectID,
		})
		if err != nil {
			return err
		}
		g.Deleting, g.operation, g.Changed = true, op.ID, time.Now().UTC()
		v, fields := groupOut(g)
		return tx.Put(r, fields, v)
	})
	if err != nil {
		return Operation{}, err
	}
	s.Wake()
	return op, nil
}

// emptyPasses bounds how often the members of a group are listed: one may appear late,
// if its creation had begun before the group was marked.
const emptyPasses = 20

// emptyGroup is the work of a group's deletion. If something in the group cannot be
// deleted, the group stays and is usable again, as in Azure.
func (s *Service) emptyGroup(ctx context.Context, op Operation) error {
	id, err := resource.ParseID(op.Target)
	if err != nil {
		return err
	}
	g, err := s.Group(ctx, id.Subscription, id.Group)
	if errors.Is(err, fault.GroupNotFound) || err == nil && g.operation != op.ID {
		// An earlier run came to the end and only its note is missing.
		return nil
	}
	if err != nil {
		return err
	}
	left, err := s.empty(ctx, op.Target)
	if err == nil && len(left) == 0 {
		return s.removeGroup(ctx, g)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.log.Error("emptying a group", "operation", op.ID, "err", err)
	}
	if back := s.keepGroup(ctx, g); back != nil {
		return back
	}
	return fault.GroupDeletionBlocked.New("Deletion of resource group '%s' failed as resources with identifiers '%s' could not be deleted. The provisioning state of the resource group will be rolled back.",
		g.Name, strings.Join(left, ","))
}

// empty deletes what is in a scope and returns what is left.
func (s *Service) empty(ctx context.Context, scope string) (left []string, err error) {
	for pass := range emptyPasses {
		left, err = nil, nil
		for _, m := range s.members {
			in, lerr := m.List(ctx, scope)
			if lerr != nil {
				return left, fmt.Errorf("listing members: %w", lerr)
			}
			for _, r := range in {
				left = append(left, r.ID)
				derr := m.Delete(ctx, r.ID)
				if f, told := fault.From(derr); derr != nil && !(told && f.Code.Status == http.StatusNotFound) {
					err = errors.Join(err, derr)
				}
			}
			if err != nil {
				// What comes later may be used by what did not go.
				break
			}
		}
		if len(left) == 0 {
			return nil, nil
		}
		// Some members go a while after they were told to.
		select {
		case <-ctx.Done():
			return left, ctx.Err()
		case <-time.After(time.Duration(pass) * 50 * time.Millisecond):
		}
	}
	return left, err
}

func (s *Service) removeGroup(ctx context.Context, g Group) error {
	err := s.directory.DropScope(ctx, g.ID())
	if err != nil {
		return fmt.Errorf("removing the roles on a group: %w", err)
	}
	return s.update(ctx, func(tx *store.Tx) error {
		r, err := tx.Get(store.KindGroup, store.RID{}, g.place)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.Delete(r)
	})
}

// keepGroup makes a group usable again.
func (s *Service) keepGroup(ctx context.Context, g Group) error {
	return s.update(ctx, func(tx *store.Tx) error {
		r, err := tx.Get(store.KindGroup, store.RID{}, g.place)
		if err != nil {
			return err
		}
		back, err := groupIn(r)
		if err != nil {
			return err
		}
		back.Deleting, back.operation = false, ""
		v, fields := groupOut(back)
		return tx.Put(r, fields, v)
	})
}
