package subscription

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
)

// Members are the resources of one kind that live in groups: the accounts, the
// vaults, the identities. Their services do not know this package; who builds both
// puts an adapter between.
type Members interface {
	// List returns the resources at or below an id: of a subscription, of a group, or of
	// one resource.
	List(ctx context.Context, scope string) ([]Resource, error)
	// Delete removes one because its group is deleted. It may return before the
	// resource is gone from List. One that is gone already is no failure.
	Delete(ctx context.Context, id string) error
}

// A Resource is what lists of resources tell of one.
type Resource struct {
	ID, Location string
	Kind         string
	Tags         map[string]string
	// Identity is the resource's own identity, as its GET shows it; nil for none.
	Identity any
	// SKU, as the GET shows it; nil for none.
	SKU any
	// PrincipalID is that of a system-assigned identity, for filters.
	PrincipalID string
	// State is the provisioning state; empty means Succeeded.
	State            string
	Created, Changed time.Time
}

const readResources = "Microsoft.Resources/subscriptions/resources/read"

// Resources lists what is at or below a subscription or group, as far as a caller may
// read it and a filter keeps it, in the order of ids.
func (s *Service) Resources(ctx context.Context, who identity.Caller, scope string, filter Filter) ([]Resource, error) {
	all := []Resource{}
	for _, m := range s.members {
		in, err := m.List(ctx, scope)
		if err != nil {
			return nil, fmt.Errorf("listing resources: %w", err)
		}
		for _, r := range in {
			if filter.keepsResource(r) {
				all = append(all, r)
			}
		}
	}
	slices.SortFunc(all, func(a, b Resource) int { return cmp.Compare(resource.Fold(a.ID), resource.Fold(b.ID)) })
	return visible(ctx, s, who, readResources, scope, all, func(r Resource) string { return r.ID })
}

// Find returns the resource of an id, or the one that the id lies in. It fails with
// fault.NotFound.
func (s *Service) Find(ctx context.Context, id resource.ID) (Resource, error) {
	if len(id.Types) > 0 {
		top := resource.New(id.Subscription, id.Group, id.Provider, id.Types[0], id.Names[0])
		for _, m := range s.members {
			in, err := m.List(ctx, top)
			if err != nil {
				return Resource{}, fmt.Errorf("looking for a resource: %w", err)
			}
			for _, r := range in {
				if resource.Equal(r.ID, top) {
					return r, nil
				}
			}
		}
	}
	return Resource{}, NoResource(id)
}

// NoResource is the failure of an id that names nothing.
func NoResource(id resource.ID) error {
	return fault.NotFound.New("The Resource '%s/%s' under resource group '%s' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
		id.Type(), strings.Join(id.Names, "/"), id.Group)
}

// identities are the user-assigned identities as Members.
type identities struct{ directory *identity.Directory }

// Identities returns the user-assigned identities of a directory as Members.
func Identities(d *identity.Directory) Members { return identities{d} }

// List implements Members.
func (i identities) List(ctx context.Context, scope string) ([]Resource, error) {
	in, err := i.directory.Identities(ctx, scope)
	if err != nil {
		return nil, err
	}
	out := make([]Resource, 0, len(in))
	for _, m := range in {
		out = append(out, Resource{ID: m.ResourceID, Location: m.Location, Tags: m.Tags, Created: m.Created, Changed: m.Created})
	}
	return out, nil
}

// Delete implements Members.
func (i identities) Delete(ctx context.Context, id string) error {
	return i.directory.DeleteIdentity(ctx, id)
}
