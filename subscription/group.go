package subscription

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// A Group is a resource group.
type Group struct {
	Subscription, Name, Location string
	// ManagedBy is the id of a resource that looks after the group, as the caller gave
	// it; may be empty.
	ManagedBy string
	Tags      map[string]string
	// Deleting says that the group is on its way out and takes no new resources.
	Deleting         bool
	Created, Changed time.Time

	// operation is the one that deletes the group.
	operation string
	place     store.RID
}

// ID returns the group's resource id.
func (g Group) ID() string { return resource.GroupID(g.Subscription, g.Name) }

// Cursor is the group's place in lists: later groups have greater ones.
func (g Group) Cursor() string { return string(g.place[:]) }

// GroupType is the resource type of groups.
const GroupType = "Microsoft.Resources/resourceGroups"

// The actions that roles allow on groups.
const (
	readGroup   = "Microsoft.Resources/subscriptions/resourceGroups/read"
	writeGroup  = "Microsoft.Resources/subscriptions/resourceGroups/write"
	deleteGroup = "Microsoft.Resources/subscriptions/resourceGroups/delete"
)

// The states of a group.
const (
	groupActive   store.State = 1
	groupDeleting store.State = 2
)

// groupRecord is a group as it is stored; its name is "subscription/name".
type groupRecord struct {
	Location         string
	ManagedBy        string            `json:",omitempty"`
	Tags             map[string]string `json:",omitempty"`
	Operation        string            `json:",omitempty"`
	Created, Changed time.Time
}

func groupKey(subscription, name string) string { return subscription + "/" + name }

func groupIn(r *store.Record) (Group, error) {
	var stored groupRecord
	if err := r.Decode(&stored); err != nil {
		return Group{}, err
	}
	subscription, name, _ := strings.Cut(r.Name, "/")
	return Group{
		Subscription: subscription, Name: name, Location: stored.Location, ManagedBy: stored.ManagedBy,
		Tags: stored.Tags, Deleting: r.Clear.State == groupDeleting, Created: stored.Created, Changed: stored.Changed,
		operation: stored.Operation, place: r.ID,
	}, nil
}

func groupOut(g Group) (groupRecord, store.Clear) {
	c := store.Clear{State: groupActive}
	if g.Deleting {
		c.State = groupDeleting
	}
	return groupRecord{g.Location, g.ManagedBy, g.Tags, g.operation, g.Created, g.Changed}, c
}

// Group returns a group without asking who calls, for services that need it to be
// there. It fails with fault.GroupNotFound.
func (s *Service) Group(ctx context.Context, subscription, name string) (Group, error) {
	var g Group
	err := s.view(ctx, func(tx *store.Tx) (err error) {
		g, _, err = findGroup(tx, subscription, name)
		return err
	})
	return g, err
}

// Usable fails unless a group is there and takes resources. It works in the caller's
// transaction of the control plane, so that a resource that is written in it cannot
// miss the group's deletion.
func (s *Service) Usable(tx *store.Tx, subscription, name string) error {
	g, _, err := findGroup(tx, subscription, name)
	if err != nil {
		return err
	}
	return g.usable()
}

func (g Group) usable() error {
	if g.Deleting {
		return fault.GroupBeingDeleted.New("The resource group '%s' is in deprovisioning state and cannot perform this operation.", g.Name)
	}
	return nil
}

func findGroup(tx *store.Tx, subscription, name string) (Group, *store.Record, error) {
	r, err := tx.Lookup(store.KindGroup, store.RID{}, groupKey(subscription, name))
	if errors.Is(err, store.ErrNotFound) {
		return Group{}, nil, fault.GroupNotFound.New("Resource group '%s' could not be found.", name)
	}
	if err != nil {
		return Group{}, nil, fmt.Errorf("looking up a group: %w", err)
	}
	g, err := groupIn(r)
	return g, r, err
}

// ReadGroup returns a group to a caller.
func (s *Service) ReadGroup(ctx context.Context, who identity.Caller, subscription, name string) (Group, error) {
	if err := s.directory.Require(ctx, who, readGroup, resource.GroupID(subscription, name)); err != nil {
		return Group{}, err
	}
	return s.Group(ctx, subscription, name)
}

// PutGroup makes a group or replaces its tags and its manager. Created tells which.
func (s *Service) PutGroup(ctx context.Context, who identity.Caller, in Group) (g Group, created bool, err error) {
	if err := s.directory.Require(ctx, who, writeGroup, in.ID()); err != nil {
		return Group{}, false, err
	}
	if err := checkGroupName(in.Name); err != nil {
		return Group{}, false, err
	}
	if err := CheckTags(in.Tags); err != nil {
		return Group{}, false, err
	}
	location, err := Place(in.Location, GroupType)
	if errors.Is(err, fault.LocationNotAvailable) {
		err = fault.GroupLocationInvalid.New("The provided location '%s' is not available for resource group. List of available regions is '%s'.",
			in.Location, locationNames)
	}
	if err != nil {
		return Group{}, false, err
	}
	err = s.update(ctx, func(tx *store.Tx) error {
		now := time.Now().UTC()
		old, r, err := findGroup(tx, in.Subscription, in.Name)
		if created = errors.Is(err, fault.GroupNotFound); created {
			g = Group{
				Subscription: in.Subscription, Name: in.Name, Location: location,
				ManagedBy: in.ManagedBy, Tags: in.Tags, Created: now, Changed: now,
			}
			v, fields := groupOut(g)
			_, err = tx.Insert(store.KindGroup, store.RID{}, groupKey(g.Subscription, g.Name), fields, v)
			return err
		}
		if err != nil {
			return err
		}
		if err := old.usable(); err != nil {
			return err
		}
		if old.Location != location {
			return fault.GroupLocationConflict.New("Invalid resource group location '%s'. The Resource group already exists in location '%s'.",
				in.Location, old.Location)
		}
		g = old
		g.Tags, g.ManagedBy, g.Changed = in.Tags, in.ManagedBy, now
		v, fields := groupOut(g)
		return tx.Put(r, fields, v)
	})
	if err != nil {
		return Group{}, false, err
	}
	return g, created, nil
}

// A GroupChange is what PATCH may change; a nil field stays as it is.
type GroupChange struct {
	Tags      *map[string]string
	ManagedBy *string
}

// ChangeGroup changes a group's tags or manager.
func (s *Service) ChangeGroup(ctx context.Context, who identity.Caller, subscription, name string, in GroupChange) (Group, error) {
	if err := s.directory.Require(ctx, who, writeGroup, resource.GroupID(subscription, name)); err != nil {
		return Group{}, err
	}
	if in.Tags != nil {
		if err := CheckTags(*in.Tags); err != nil {
			return Group{}, err
		}
	}
	var g Group
	err := s.update(ctx, func(tx *store.Tx) error {
		var r *store.Record
		var err error
		if g, r, err = findGroup(tx, subscription, name); err != nil {
			return err
		}
		if err := g.usable(); err != nil {
			return err
		}
		if in.Tags != nil {
			g.Tags = *in.Tags
		}
		if in.ManagedBy != nil {
			g.ManagedBy = *in.ManagedBy
		}
		g.Changed = time.Now().UTC()
		v, fields := groupOut(g)
		return tx.Put(r, fields, v)
	})
	return g, err
}

// Groups lists the groups of a subscription that a caller may read and a filter
// keeps, the oldest first.
func (s *Service) Groups(ctx context.Context, who identity.Caller, subscription string, filter Filter) ([]Group, error) {
	all := []Group{}
	err := s.view(ctx, func(tx *store.Tx) error {
		for r, err := range tx.Records(store.KindGroup, store.RID{}, store.RID{}) {
			if err != nil {
				return err
			}
			g, err := groupIn(r)
			if err != nil {
				return err
			}
			if resource.Equal(g.Subscription, subscription) && filter.keepsGroup(g) {
				all = append(all, g)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing groups: %w", err)
	}
	return visible(ctx, s, who, readGroup, "/subscriptions/"+subscription, all, Group.ID)
}

// visible keeps what a caller may read: all, if the role is on the scope above, and
// else what the caller has a role on.
func visible[T any](ctx context.Context, s *Service, who identity.Caller, action, scope string, all []T, id func(T) string) ([]T, error) {
	may, err := s.directory.May(ctx, who, action, scope)
	if err != nil || may {
		return all, err
	}
	seen := []T{}
	for _, v := range all {
		if may, err = s.directory.May(ctx, who, action, id(v)); err != nil {
			return nil, err
		}
		if may {
			seen = append(seen, v)
		}
	}
	return seen, nil
}

// checkGroupName knows Azure's rule: letters and digits of any script and -_.(), not
// ending in a full stop, 1 to 90 of them.
func checkGroupName(name string) error {
	if n := utf8.RuneCountInString(name); n == 0 || n > 90 {
		return fault.GroupNameInvalid.New("The resource group name '%s' must have 1 to 90 characters.", name)
	}
	var bad []string
	for _, c := range name {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-_.()", c) {
			bad = append(bad, string(c))
		}
	}
	if len(bad) > 0 {
		return fault.GroupNameInvalid.New("The provided resource group name '%s' has these invalid characters: '%s'. The name can only be a letter, digit, '-', '.', '(', ')' or '_'.",
			name, strings.Join(bad, ""))
	}
	if strings.HasSuffix(name, ".") {
		return fault.GroupNameInvalid.New("The provided resource group name '%s' ends with a period, and it must not.", name)
	}
	return nil
}
