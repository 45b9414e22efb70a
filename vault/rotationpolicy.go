package vault

import (
	"context"
	"errors"
	"time"

	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// A RotationPolicy says when a key gets a new version by itself, and for how long a
// version that rotation makes is good. It is stored as it is.
type RotationPolicy struct {
	Actions []LifetimeAction
	// Expiry is the ISO 8601 period after which a version that rotation makes expires;
	// empty for never.
	Expiry string
	// Created and Updated are zero for the policy of a key for which none was set.
	Created, Updated time.Time

	// ID is the policy's address, filled in when it is read.
	ID string `json:"-"`
}

// A LifetimeAction is what is done with a key at a time. One of the two times, ISO 8601
// periods, is set.
type LifetimeAction struct {
	// Type is Rotate or Notify.
	Type                      string
	AfterCreate, BeforeExpiry string
}

// The types of lifetime actions.
const (
	Rotate = "Rotate"
	Notify = "Notify"
)

// notifyBefore is when the expiry of a key is told if nobody says otherwise.
var notifyBefore = LifetimeAction{Type: Notify, BeforeExpiry: "P30D"}

// The shortest times that Azure takes, in days: of a version's life, and between a
// trigger and either end of it. Because a trigger never comes within a week of a
// version's birth, a rotation never causes the next one.
const (
	minExpiry  = 28
	minTrigger = 7
)

// complete returns the policy as it is kept: spelled as Azure spells it, and with the
// notification that every key has.
func (p RotationPolicy) complete() RotationPolicy {
	out := RotationPolicy{Expiry: p.Expiry}
	notify := notifyBefore
	for _, a := range p.Actions {
		if resource.Equal(a.Type, Notify) {
			notify.BeforeExpiry = a.BeforeExpiry
		} else {
			a.Type = Rotate
			out.Actions = append(out.Actions, a)
		}
	}
	out.Actions = append(out.Actions, notify)
	return out
}

// check says what is wrong with a policy.
func (p RotationPolicy) check() error {
	now := time.Now().UTC()
	var expires time.Time
	if p.Expiry != "" {
		life, ok := parsePeriod(p.Expiry)
		if !ok {
			return badProperty("attributes.expiryTime", "'%s' is not a period of ISO 8601", p.Expiry)
		}
		if expires = life.after(now); expires.Before(now.AddDate(0, 0, minExpiry)) {
			return badProperty("attributes.expiryTime", "it must be at least %d days, and it is %s", minExpiry, p.Expiry)
		}
	}
	seen := map[string]bool{}
	for _, a := range p.Actions {
		kind := resource.Fold(a.Type)
		if kind != resource.Fold(Rotate) && kind != resource.Fold(Notify) {
			return badProperty("lifetimeActions.action.type", "'%s' is neither Rotate nor Notify", a.Type)
		}
		if seen[kind] {
			return badProperty("lifetimeActions", "there can be one action of the type %s", a.Type)
		}
		seen[kind] = true
		if err := a.check(now, expires); err != nil {
			return err
		}
	}
	return nil
}

// check holds the trigger of an action against the life of a version that is made now;
// expires is zero if it has no end.
func (a LifetimeAction) check(now, expires time.Time) error {
	const trigger = "lifetimeActions.trigger"
	rotate := resource.Equal(a.Type, Rotate)
	switch {
	case (a.AfterCreate == "") == (a.BeforeExpiry == ""):
		return badProperty(trigger, "the action %s must have one of timeAfterCreate and timeBeforeExpiry", a.Type)
	case a.AfterCreate != "" && !rotate:
		return badProperty(trigger+".timeAfterCreate", "it is for the action Rotate only")
	case a.AfterCreate != "":
		wait, ok := parsePeriod(a.AfterCreate)
		if !ok {
			return badProperty(trigger+".timeAfterCreate", "'%s' is not a period of ISO 8601", a.AfterCreate)
		}
		at := wait.after(now)
		if at.Before(now.AddDate(0, 0, minTrigger)) || !expires.IsZero() && at.After(expires.AddDate(0, 0, -minTrigger)) {
			return badProperty(trigger+".timeAfterCreate", "it must be at least %d days, and end at least %d days before the expiry", minTrigger, minTrigger)
		}
		return nil
	}
	wait, ok := parsePeriod(a.BeforeExpiry)
	if !ok {
		return badProperty(trigger+".timeBeforeExpiry", "'%s' is not a period of ISO 8601", a.BeforeExpiry)
	}
	if rotate && expires.IsZero() {
		return badProperty(trigger+".timeBeforeExpiry", "rotation before the expiry needs attributes.expiryTime")
	}
	if wait.after(now).Before(now.AddDate(0, 0, minTrigger)) || !expires.IsZero() && wait.before(expires).Before(now.AddDate(0, 0, minTrigger)) {
		return badProperty(trigger+".timeBeforeExpiry", "it must be at least %d days, and begin at least %d days after the creation", minTrigger, minTrigger)
	}
	return nil
}

// RotationPolicy returns the policy of a key. Every key has one: without any set, its
// expiry is told and it is not rotated.
func (s *Service) RotationPolicy(ctx context.Context, who identity.Caller, ref Ref) (out RotationPolicy, err error) {
	err = s.use(ctx, who, opGetRotation, ref, func(u *use) error {
		return s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			_, k, err := s.key(tx, v, ref)
			if err != nil {
				return err
			}
			out = k.policy()
			out.ID = s.KeyID(v.Name, k.Name, "") + "/rotationpolicy"
			return nil
		})
	})
	return out, err
}

// SetRotationPolicy sets the policy of a key. A policy without actions is the default
// one again.
func (s *Service) SetRotationPolicy(ctx context.Context, who identity.Caller, ref Ref, in RotationPolicy) (out RotationPolicy, err error) {
	err = s.use(ctx, who, opSetRotation, ref, func(u *use) error {
		return s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			r, k, err := s.key(tx, v, ref)
			if err != nil {
				return err
			}
			if err := in.check(); err != nil {
				return err
			}
			out = in.complete()
			out.Updated = time.Now().UTC().Truncate(time.Second)
			if out.Created = out.Updated; k.Rotation != nil {
				out.Created = k.Rotation.Created
			}
			kept := out
			k.Rotation = &kept
			current, _, err := s.below(tx, r, "")
			if err != nil {
				return err
			}
			out.ID = s.KeyID(v.Name, k.Name, "") + "/rotationpolicy"
			return tx.Put(r, store.Clear{Due: k.due(current)}, k)
		})
	})
	if err != nil {
		return RotationPolicy{}, err
	}
	s.changed(ref.Vault)
	return out, nil
}

// key returns a live key's record and what it holds.
func (s *Service) key(tx *store.Tx, v *Vault, ref Ref) (*store.Record, storedKey, error) {
	var k storedKey
	if err := checkKeyName(ref.Key); err != nil {
		return nil, k, err
	}
	r, err := tx.Lookup(store.KindVaultKey, v.rid, ref.Key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, k, notFound(ref)
	}
	if err != nil {
		return nil, k, err
	}
	return r, k, r.Decode(&k)
}

// policy returns the key's policy, or the one that keys have for which none was set.
func (k storedKey) policy() RotationPolicy {
	if k.Rotation == nil {
		return RotationPolicy{}.complete()
	}
	return *k.Rotation
}
