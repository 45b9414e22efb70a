package identity

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/resource"
	"latchkey/store"
)

// UserAssignedType is the resource type of a user-assigned identity.
const UserAssignedType = "Microsoft.ManagedIdentity/userAssignedIdentities"

// A ManagedIdentity is a principal that has no secret: the service takes tokens for
// it. A user-assigned one is a resource of its own; a system-assigned one belongs to
// the resource whose id it carries and goes away with it.
type ManagedIdentity struct {
	ResourceID, Name, Location      string
	PrincipalID, ClientID, TenantID string
	// IsolationScope is None or Regional, or empty if nothing was said.
	IsolationScope string
	Tags           map[string]string
	System         bool
	Created        time.Time
	ETag           string
}

func (d *Directory) managed(m *identityRecord) ManagedIdentity {
	return ManagedIdentity{
		ResourceID: m.ResourceID, Name: m.Name, Location: m.Location,
		PrincipalID: m.PrincipalID, ClientID: m.ClientID, TenantID: d.tenant.ID,
		IsolationScope: m.Isolation, Tags: maps.Clone(m.Tags), System: m.System, Created: m.Created,
		ETag: `"` + strconv.FormatUint(m.version, 16) + `"`,
	}
}

// CreateIdentity makes a user-assigned identity or brings one up to date; created
// tells which. Of in it uses ResourceID, Location, IsolationScope and Tags.
func (d *Directory) CreateIdentity(ctx context.Context, in ManagedIdentity) (out ManagedIdentity, created bool, err error) {
	id, err := checkIdentity(in)
	if err != nil {
		return ManagedIdentity{}, false, err
	}
	var m *identityRecord
	err = d.change(ctx, func(tx *store.Tx, v *view) error {
		old, ok := v.identities[resource.Fold(in.ResourceID)]
		if created = !ok; ok {
			if !sameLocation(old.Location, in.Location) {
				return fault.LocationConflict.New("The resource '%s' already exists in location '%s' in resource group '%s'. "+
					"A resource with the same name cannot be created in location '%s'. Please select a new resource name.",
					id.Name(), old.Location, id.Group, in.Location)
			}
			changed := *old
			changed.Isolation, changed.Tags = in.IsolationScope, maps.Clone(in.Tags)
			m = &changed
			return d.putIdentity(tx, v, m)
		}
		m = &identityRecord{
			ResourceID: in.ResourceID, Name: id.Name(), Location: in.Location,
			PrincipalID: resource.NewGUID(), ClientID: resource.NewGUID(),
			Isolation: in.IsolationScope, Tags: maps.Clone(in.Tags), Created: time.Now().UTC(),
		}
		return d.insertIdentity(tx, v, m)
	})
	if err != nil {
		return ManagedIdentity{}, false, fmt.Errorf("making an identity: %w", err)
	}
	if created {
		d.changed(m.PrincipalID)
	}
	return d.managed(m), created, nil
}

// TagIdentity replaces the tags of a user-assigned identity.
func (d *Directory) TagIdentity(ctx context.Context, resourceID string, tags map[string]string) (ManagedIdentity, error) {
	if err := checkTags(tags); err != nil {
		return ManagedIdentity{}, err
	}
	var m identityRecord
	err := d.change(ctx, func(tx *store.Tx, v *view) error {
		old, ok := v.identities[resource.Fold(resourceID)]
		if !ok || old.System {
			return noIdentity(resourceID)
		}
		m = *old
		m.Tags = maps.Clone(tags)
		return d.putIdentity(tx, v, &m)
	})
	if err != nil {
		return ManagedIdentity{}, fmt.Errorf("tagging an identity: %w", err)
	}
	return d.managed(&m), nil
}

func (d *Directory) insertIdentity(tx *store.Tx, v *view, m *identityRecord) error {
	r, err := tx.Insert(store.KindIdentity, store.RID{}, m.ResourceID, store.Clear{}, m)
	if err != nil {
		return err
	}
	m.version = r.Version
	v.identities[resource.Fold(m.ResourceID)] = m
	return nil
}

func (d *Directory) putIdentity(tx *store.Tx, v *view, m *identityRecord) error {
	r, err := rewrite(tx, store.KindIdentity, m.ResourceID, m)
	if err != nil {
		return err
	}
	m.version = r.Version
	v.identities[resource.Fold(m.ResourceID)] = m
	return nil
}

// Identity returns the user-assigned identity with a resource id, or the
// system-assigned identity of the resource with that id. It fails with
// fault.NotFound.
func (d *Directory) Identity(ctx context.Context, resourceID string) (ManagedIdentity, error) {
	v, err := d.current(ctx)
	if err != nil {
		return ManagedIdentity{}, err
	}
	m, ok := v.identities[resource.Fold(resourceID)]
	if !ok {
		return ManagedIdentity{}, noIdentity(resourceID)
	}
	return d.managed(m), nil
}

// FindIdentity returns the managed identity that a selector means: a resource id, a
// client id, a principal id, or the name of a user-assigned identity if only one has
// it.
func (d *Directory) FindIdentity(ctx context.Context, selector string) (m ManagedIdentity, ok bool, err error) {
	v, err := d.current(ctx)
	if err != nil {
		return ManagedIdentity{}, false, err
	}
	r, ok := v.identity(selector)
	if !ok {
		return ManagedIdentity{}, false, nil
	}
	return d.managed(r), true, nil
}

func (v *view) identity(selector string) (*identityRecord, bool) {
	if strings.HasPrefix(selector, "/") {
		m, ok := v.identities[resource.Fold(selector)]
		return m, ok
	}
	if p, ok := v.principal(selector); ok && p.Kind == KindManaged {
		m, ok := v.identities[resource.Fold(p.ResourceID)]
		return m, ok
	}
	var found *identityRecord
	for _, m := range v.identities {
		if !m.System && resource.Equal(m.Name, selector) {
			if found != nil {
				return nil, false
			}
			found = m
		}
	}
	return found, found != nil
}

// Identities lists the user-assigned identities at or below a scope, the oldest
// first.
func (d *Directory) Identities(ctx context.Context, scope string) ([]ManagedIdentity, error) {
	v, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	out := []ManagedIdentity{}
	for _, m := range v.identities {
		if !m.System && resource.Within(m.ResourceID, scope) {
			out = append(out, d.managed(m))
		}
	}
	slices.SortFunc(out, func(a, b ManagedIdentity) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ResourceID, b.ResourceID))
	})
	return out, nil
}

// DeleteIdentity removes a user-assigned identity; its tokens work no more. Its role
// assignments stay, as in Azure, and mean nobody. It fails with fault.NotFound.
func (d *Directory) DeleteIdentity(ctx context.Context, resourceID string) error {
	return d.dropIdentity(ctx, resourceID, false)
}

// SystemIdentity returns the identity of a resource, making it if there is none.
func (d *Directory) SystemIdentity(ctx context.Context, resourceID string) (ManagedIdentity, error) {
	id, err := resource.ParseID(resourceID)
	if err != nil {
		return ManagedIdentity{}, fault.InvalidIdentity.New("The resource id '%s' is not valid.", resourceID)
	}
	v, err := d.current(ctx)
	if err != nil {
		return ManagedIdentity{}, err
	}
	if m, ok := v.identities[resource.Fold(resourceID)]; ok {
		return d.managed(m), nil
	}
	var m *identityRecord
	made := false
	err = d.change(ctx, func(tx *store.Tx, v *view) error {
		var ok bool
		if m, ok = v.identities[resource.Fold(resourceID)]; ok {
			made = false
			return nil
		}
		made = true
		m = &identityRecord{
			ResourceID: resourceID, Name: id.Name(), System: true,
			PrincipalID: resource.NewGUID(), ClientID: resource.NewGUID(), Created: time.Now().UTC(),
		}
		return d.insertIdentity(tx, v, m)
	})
	if err != nil {
		return ManagedIdentity{}, fmt.Errorf("making a system-assigned identity: %w", err)
	}
	if made {
		d.changed(m.PrincipalID)
	}
	return d.managed(m), nil
}

// DropSystemIdentity removes the identity of a resource, if it has one. Should the
// resource get an identity again, it is another one.
func (d *Directory) DropSystemIdentity(ctx context.Context, resourceID string) error {
	v, err := d.current(ctx)
	if err != nil {
		return err
	}
	if m, ok := v.identities[resource.Fold(resourceID)]; !ok || !m.System {
		return nil
	}
	return d.dropIdentity(ctx, resourceID, true)
}

func (d *Directory) dropIdentity(ctx context.Context, resourceID string, system bool) error {
	gone := ""
	err := d.change(ctx, func(tx *store.Tx, v *view) error {
		m, ok := v.identities[resource.Fold(resourceID)]
		if !ok || m.System != system {
			return noIdentity(resourceID)
		}
		gone = m.PrincipalID
		delete(v.identities, resource.Fold(resourceID))
		return remove(tx, store.KindIdentity, resourceID)
	})
	if err != nil {
		return fmt.Errorf("deleting an identity: %w", err)
	}
	d.changed(gone)
	return nil
}

func noIdentity(resourceID string) error {
	id, err := resource.ParseID(resourceID)
	if err != nil {
		return fault.NotFound.New("The Resource '%s' was not found.", resourceID)
	}
	return fault.NotFound.New("The Resource '%s/%s' under resource group '%s' was not found. "+
		"For more details please go to https://aka.ms/ARMResourceNotFoundFix", id.Type(), id.Name(), id.Group)
}

// sameLocation compares locations as Azure does: West US 2 is westus2.
func sameLocation(a, b string) bool {
	return resource.Equal(strings.ReplaceAll(a, " ", ""), strings.ReplaceAll(b, " ", ""))
}

func checkIdentity(in ManagedIdentity) (resource.ID, error) {
	id, err := resource.ParseID(in.ResourceID)
	if err != nil || !id.Is(UserAssignedType) || id.Group == "" {
		return id, fault.InvalidParameter.New("'%s' is not the id of a user-assigned identity.", in.ResourceID)
	}
	if !validIdentityName(id.Name()) {
		return id, fault.InvalidResourceName.New("The identity name '%s' is invalid: it must have 3 to 128 letters, digits, "+
			"hyphens and underscores, and begin with a letter or a digit.", id.Name())
	}
	if strings.TrimSpace(in.Location) == "" {
		return id, fault.LocationRequired.New("")
	}
	switch in.IsolationScope {
	case "", "None", "Regional":
	default:
		return id, fault.InvalidParameter.New("The isolationScope '%s' is invalid: it must be 'None' or 'Regional'.", in.IsolationScope)
	}
	return id, checkTags(in.Tags)
}

func validIdentityName(name string) bool {
	if len(name) < 3 || len(name) > 128 {
		return false
	}
	for i, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || c != '-' && c != '_') {
			return false
		}
	}
	return true
}

// checkTags knows Azure's limits for tags.
func checkTags(tags map[string]string) error {
	if len(tags) > 50 {
		return fault.InvalidParameter.New("A resource may have at most 50 tags; there are %d.", len(tags))
	}
	for name, value := range tags {
		if name == "" || len(name) > 512 || strings.ContainsAny(name, `<>%&\?/`) {
			return fault.InvalidParameter.New("The tag name '%s' is invalid.", name)
		}
		if len(value) > 256 {
			return fault.InvalidParameter.New("The value of the tag '%s' is longer than 256 characters.", name)
		}
	}
	return nil
}
