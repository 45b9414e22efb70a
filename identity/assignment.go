package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/resource"
	"latchkey/store"
)

// A RoleAssignment gives a principal a role at a scope and everything below it.
type RoleAssignment struct {
	// Name is a GUID that the caller chooses.
	Name, Scope string
	// RoleID is the GUID of the role; on the way in it may be the role's resource id.
	RoleID string
	// PrincipalID is an object id. PrincipalType may be empty on the way in.
	PrincipalID, PrincipalType string
	Description                string
	// Condition is refused: a condition that is not checked would give more than was
	// meant.
	Condition            string
	CreatedBy, UpdatedBy string
	Created, Updated     time.Time
}

// ID returns the resource id of the assignment.
func (a RoleAssignment) ID() string {
	return strings.TrimRight(a.Scope, "/") + "/providers/Microsoft.Authorization/roleAssignments/" + a.Name
}

// RoleDefinitionID returns the resource id of a role as seen from a scope: Azure names
// it below the scope's subscription.
func RoleDefinitionID(scope, role string) string {
	const under = "/providers/Microsoft.Authorization/roleDefinitions/"
	id, err := resource.ParseID(scope)
	if err != nil {
		return under + role
	}
	return "/subscriptions/" + id.Subscription + under + role
}

// recordName is the name of the assignment's record. The same GUID may be used at
// several scopes.
func (a *assignmentRecord) recordName() string { return assignmentName(a.Scope, a.Name) }

func assignmentName(scope, name string) string {
	return resource.Fold(strings.TrimRight(scope, "/") + "|" + name)
}

// stamp sets the times of a new assignment.
func (a *assignmentRecord) stamp() {
	a.Created = time.Now().UTC()
	a.Updated, a.UpdatedBy = a.Created, a.CreatedBy
}

func (a *assignmentRecord) out() RoleAssignment {
	return RoleAssignment{
		Name: a.Name, Scope: a.Scope, RoleID: a.Role, PrincipalID: a.Principal, PrincipalType: a.PrincipalType,
		Description: a.Description, CreatedBy: a.CreatedBy, UpdatedBy: a.UpdatedBy, Created: a.Created, Updated: a.Updated,
	}
}

// AssignRole makes an assignment; by is the object id of who makes it. Making the same
// one again changes nothing (created is false); only its description may be changed
// later. The same role for the same principal at the same scope under another name is
// refused with fault.RoleAssignmentExists.
func (d *Directory) AssignRole(ctx context.Context, by string, in RoleAssignment) (out RoleAssignment, created bool, err error) {
	role, err := d.checkAssignment(&in)
	if err != nil {
		return RoleAssignment{}, false, err
	}
	var a *assignmentRecord
	err = d.change(ctx, func(tx *store.Tx, v *view) error {
		if err := d.checkPrincipal(v, in); err != nil {
			return err
		}
		name := assignmentName(in.Scope, in.Name)
		if old, ok := v.assignments[name]; ok {
			created = false
			if !resource.Equal(old.Principal, in.PrincipalID) || old.Role != role.ID {
				return fault.RoleAssignmentUpdate.New("")
			}
			changed := *old
			a = &changed
			if old.Description == in.Description {
				return nil
			}
			a.Description, a.Updated, a.UpdatedBy = in.Description, time.Now().UTC(), by
			v.assignments[name] = a
			_, err := rewrite(tx, store.KindRole, name, a)
			return err
		}
		for _, other := range v.assignments {
			if resource.Equal(other.Principal, in.PrincipalID) && other.Role == role.ID && sameScope(other.Scope, in.Scope) {
				return fault.RoleAssignmentExists.New("The role assignment already exists. The ID of the existing role assignment is %s.",
					strings.ReplaceAll(other.Name, "-", ""))
			}
		}
		created = true
		a = &assignmentRecord{
			Name: in.Name, Scope: in.Scope, Role: role.ID, Principal: in.PrincipalID, PrincipalType: servicePrincipal,
			Description: in.Description, CreatedBy: by,
		}
		a.stamp()
		v.assignments[name] = a
		_, err := tx.Insert(store.KindRole, store.RID{}, name, store.Clear{}, a)
		return err
	})
	if err != nil {
		return RoleAssignment{}, false, fmt.Errorf("assigning a role: %w", err)
	}
	d.changed(a.Principal)
	return a.out(), created, nil
}

// checkAssignment checks what can be checked without the directory, and fills in what
// may be left out.
func (d *Directory) checkAssignment(in *RoleAssignment) (RoleDefinition, error) {
	if !resource.IsGUID(in.Name) {
		return RoleDefinition{}, fault.RoleAssignmentID.New("The role assignment ID '%s' is not valid. The role assignment ID must be a GUID.", in.Name)
	}
	id, err := resource.ParseID(in.Scope)
	if err != nil {
		return RoleDefinition{}, fault.InvalidParameter.New("The scope '%s' is not valid.", in.Scope)
	}
	if !resource.Equal(id.Subscription, d.bootstrap.SubscriptionID) {
		return RoleDefinition{}, fault.SubscriptionNotFound.New("The subscription '%s' could not be found.", id.Subscription)
	}
	if in.Condition != "" {
		return RoleDefinition{}, fault.InvalidParameter.New("Conditions on role assignments are not supported.")
	}
	role, ok := Role(in.RoleID)
	if !ok {
		guid := in.RoleID[strings.LastIndexByte(in.RoleID, '/')+1:]
		return RoleDefinition{}, fault.RoleDefinitionNotFound.New("The specified role definition with ID '%s' does not exist.", strings.ReplaceAll(guid, "-", ""))
	}
	if !resource.IsGUID(in.PrincipalID) {
		return RoleDefinition{}, fault.InvalidParameter.New("The principal ID '%s' is not valid. The principal ID must be a GUID.", in.PrincipalID)
	}
	in.Scope = strings.TrimRight(in.Scope, "/")
	return role, nil
}

func (d *Directory) checkPrincipal(v *view, in RoleAssignment) error {
	if _, ok := v.principals[resource.Fold(in.PrincipalID)]; !ok {
		return fault.PrincipalNotFound.New("Principal %s does not exist in the directory %s. Check that you have the correct principal ID.",
			strings.ReplaceAll(in.PrincipalID, "-", ""), d.tenant.ID)
	}
	if in.PrincipalType != "" && !resource.Equal(in.PrincipalType, servicePrincipal) {
		return fault.UnmatchedPrincipalType.New("The PrincipalId '%s' has type '%s', which is different from specified PrincipalType '%s'.",
			strings.ReplaceAll(in.PrincipalID, "-", ""), servicePrincipal, in.PrincipalType)
	}
	return nil
}

func sameScope(a, b string) bool {
	return resource.Equal(strings.TrimRight(a, "/"), strings.TrimRight(b, "/"))
}

// RoleAssignment returns the assignment of a name at a scope. It fails with
// fault.RoleAssignmentNotFound.
func (d *Directory) RoleAssignment(ctx context.Context, scope, name string) (RoleAssignment, error) {
	v, err := d.current(ctx)
	if err != nil {
		return RoleAssignment{}, err
	}
	a, ok := v.assignments[assignmentName(scope, name)]
	if !ok {
		return RoleAssignment{}, fault.RoleAssignmentNotFound.New("The role assignment '%s' is not found.", name)
	}
	return a.out(), nil
}

// RemoveRole removes an assignment and returns it. It fails with
// fault.RoleAssignmentNotFound, and with fault.LastAdminAssignment if nobody would be
// left who may give roles on the subscription.
func (d *Directory) RemoveRole(ctx context.Context, scope, name string) (RoleAssignment, error) {
	var gone RoleAssignment
	err := d.change(ctx, func(tx *store.Tx, v *view) error {
		key := assignmentName(scope, name)
		a, ok := v.assignments[key]
		if !ok {
			return fault.RoleAssignmentNotFound.New("The role assignment '%s' is not found.", name)
		}
		gone = a.out()
		delete(v.assignments, key)
		if v.adminOf(a) && !v.hasAdmin(a.Scope) {
			return fault.LastAdminAssignment.New("")
		}
		return remove(tx, store.KindRole, key)
	})
	if err != nil {
		return RoleAssignment{}, fmt.Errorf("removing a role: %w", err)
	}
	d.changed(gone.PrincipalID)
	return gone, nil
}

// adminOf reports whether an assignment lets somebody who exists give roles on a whole
// subscription.
func (v *view) adminOf(a *assignmentRecord) bool {
	role, ok := Role(a.Role)
	if !ok || !role.may("Microsoft.Authorization/roleAssignments/write") {
		return false
	}
	id, err := resource.ParseID(a.Scope)
	_, exists := v.principals[resource.Fold(a.Principal)]
	return err == nil && id.Group == "" && id.Provider == "" && exists
}

func (v *view) hasAdmin(scope string) bool {
	for _, a := range v.assignments {
		if sameScope(a.Scope, scope) && v.adminOf(a) {
			return true
		}
	}
	return false
}

// DropScope removes the assignments at and below a resource that is gone.
func (d *Directory) DropScope(ctx context.Context, scope string) error {
	id, err := resource.ParseID(scope)
	if err != nil || id.Group == "" {
		return errors.New("dropping role assignments: only those of a group or a resource go")
	}
	v, err := d.current(ctx)
	if err != nil {
		return err
	}
	below := func(v *view) (names []string) {
		for name, a := range v.assignments {
			if resource.Within(a.Scope, scope) {
				names = append(names, name)
			}
		}
		return names
	}
	if len(below(v)) == 0 {
		return nil
	}
	var principals []string
	err = d.change(ctx, func(tx *store.Tx, v *view) error {
		principals = nil
		for _, name := range below(v) {
			principals = append(principals, v.assignments[name].Principal)
			delete(v.assignments, name)
			if err := remove(tx, store.KindRole, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("dropping role assignments: %w", err)
	}
	d.changed(principals...)
	return nil
}

// RoleAssignments lists the assignments that hold at a scope, and unless the filter
// leaves them out those below it, the oldest first.
func (d *Directory) RoleAssignments(ctx context.Context, scope string, f RoleFilter) ([]RoleAssignment, error) {
	v, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	out := []RoleAssignment{}
	for _, a := range v.assignments {
		holds := resource.Within(scope, a.Scope) || !f.AtScope && resource.Within(a.Scope, scope)
		if holds && (f.PrincipalID == "" || resource.Equal(f.PrincipalID, a.Principal)) {
			out = append(out, a.out())
		}
	}
	slices.SortFunc(out, func(a, b RoleAssignment) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID(), b.ID()))
	})
	return out, nil
}
