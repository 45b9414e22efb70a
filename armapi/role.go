package armapi

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/subscription"
)

func (d *Door) roleRoutes() {
	const at = "/{scope...}/providers/Microsoft.Authorization/"
	d.handle("GET "+at+"roleAssignments", d.listRoleAssignments)
	d.handle("GET "+at+"roleAssignments/{name}", d.getRoleAssignment)
	d.handle("PUT "+at+"roleAssignments/{name}", d.putRoleAssignment)
	d.handle("DELETE "+at+"roleAssignments/{name}", d.deleteRoleAssignment)
	d.handle("GET "+at+"roleDefinitions", d.listRoleDefinitions)
	d.handle("GET "+at+"roleDefinitions/{name}", d.getRoleDefinition)
	for _, method := range []string{"PUT", "DELETE"} {
		d.handle(method+" "+at+"roleDefinitions/{name}", func(*http.Request, identity.Caller) (rest.Reply, error) {
			return rest.Reply{}, unsupported("A custom role")
		})
	}
	d.handle("GET "+at+"permissions", d.listPermissions)
	// There is no way to make either of these, so there are none.
	d.handle("GET "+at+"denyAssignments", d.listNone)
	d.handle("GET "+inSubscription+"/providers/Microsoft.Authorization/classicAdministrators", d.listNone)
}

// scope returns what the roles of a request are on, with the words of an id spelled
// as Azure does, and fails unless it is there. The empty scope is the tenant.
func (d *Door) scope(r *http.Request) (string, error) {
	path := r.PathValue("scope")
	if path == "" {
		return "/", nil
	}
	id, err := resource.ParseID("/" + path)
	if err != nil {
		return "", fault.InvalidParameter.New("The scope '/%s' is not valid.", path)
	}
	if _, err := d.Subscriptions.Subscription(r.Context(), id.Subscription); err != nil {
		return "", err
	}
	if id.Group != "" {
		if _, err := d.Subscriptions.Group(r.Context(), id.Subscription, id.Group); err != nil {
			return "", err
		}
	}
	if id.Provider != "" {
		if _, err := d.Subscriptions.Find(r.Context(), id); err != nil {
			return "", err
		}
	}
	return id.String(), nil
}

// allowedScope is scope for a caller who may do an action there. Who may not does not
// learn what is there.
func (d *Door) allowedScope(r *http.Request, who identity.Caller, action string) (string, error) {
	if err := d.Directory.Require(r.Context(), who, action, "/"+r.PathValue("scope")); err != nil {
		return "", err
	}
	return d.scope(r)
}

type assignmentIn struct {
	Properties struct {
		RoleDefinitionID string `json:"roleDefinitionId"`
		PrincipalID      string `json:"principalId"`
		PrincipalType    string `json:"principalType"`
		Description      string `json:"description"`
		Condition        string `json:"condition"`
	} `json:"properties"`
}

type assignmentOut struct {
	ID         string                  `json:"id"`
	Name       string                  `json:"name"`
	Type       string                  `json:"type"`
	Properties assignmentPropertiesOut `json:"properties"`
}

// assignmentPropertiesOut has, as in Azure, null for what is not there.
type assignmentPropertiesOut struct {
	RoleDefinitionID string    `json:"roleDefinitionId"`
	PrincipalID      string    `json:"principalId"`
	PrincipalType    string    `json:"principalType"`
	Scope            string    `json:"scope"`
	Condition        *string   `json:"condition"`
	ConditionVersion *string   `json:"conditionVersion"`
	CreatedOn        time.Time `json:"createdOn"`
	UpdatedOn        time.Time `json:"updatedOn"`
	CreatedBy        string    `json:"createdBy"`
	UpdatedBy        string    `json:"updatedBy"`
	Delegated        *string   `json:"delegatedManagedIdentityResourceId"`
	Description      *string   `json:"description"`
}

func showAssignment(a identity.RoleAssignment) assignmentOut {
	out := assignmentOut{
		ID: a.ID(), Name: a.Name, Type: "Microsoft.Authorization/roleAssignments",
		Properties: assignmentPropertiesOut{
			RoleDefinitionID: identity.RoleDefinitionID(a.Scope, a.RoleID),
			PrincipalID:      a.PrincipalID, PrincipalType: a.PrincipalType, Scope: a.Scope,
			CreatedOn: a.Created, UpdatedOn: a.Updated, CreatedBy: a.CreatedBy, UpdatedBy: a.UpdatedBy,
		},
	}
	if a.Description != "" {
		out.Properties.Description = &a.Description
	}
	return out
}

func (d *Door) listRoleAssignments(r *http.Request, who identity.Caller) (rest.Reply, error) {
	scope, err := d.allowedScope(r, who, "Microsoft.Authorization/roleAssignments/read")
	if err != nil {
		return rest.Reply{}, err
	}
	filter, err := identity.ParseRoleFilter(rest.Query(r, "$filter"))
	if err != nil {
		return rest.Reply{}, err
	}
	all, err := d.Directory.RoleAssignments(r.Context(), scope, filter)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(listOf(all, showAssignment)), nil
}

func (d *Door) getRoleAssignment(r *http.Request, who identity.Caller) (rest.Reply, error) {
	scope, err := d.allowedScope(r, who, "Microsoft.Authorization/roleAssignments/read")
	if err != nil {
		return rest.Reply{}, err
	}
	a, err := d.Directory.RoleAssignment(r.Context(), scope, r.PathValue("name"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(showAssignment(a)), nil
}

func (d *Door) putRoleAssignment(r *http.Request, who identity.Caller) (rest.Reply, error) {
	scope, err := d.allowedScope(r, who, "Microsoft.Authorization/roleAssignments/write")
	if err != nil {
		return rest.Reply{}, err
	}
	var in assignmentIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	p := in.Properties
	for name, value := range map[string]string{"roleDefinitionId": p.RoleDefinitionID, "principalId": p.PrincipalID} {
		if value == "" {
			return rest.Reply{}, fault.InvalidRequestContent.New("The request content was invalid: the property 'properties.%s' is required.", name)
		}
	}
	a, created, err := d.Directory.AssignRole(r.Context(), who.ObjectID, identity.RoleAssignment{
		Name: r.PathValue("name"), Scope: scope, RoleID: p.RoleDefinitionID, PrincipalID: p.PrincipalID,
		PrincipalType: p.PrincipalType, Description: p.Description, Condition: p.Condition,
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return made(created, showAssignment(a)), nil
}

func (d *Door) deleteRoleAssignment(r *http.Request, who identity.Caller) (rest.Reply, error) {
	scope, err := d.allowedScope(r, who, "Microsoft.Authorization/roleAssignments/delete")
	if err != nil {
		return rest.Reply{}, err
	}
	a, err := d.Directory.RemoveRole(r.Context(), scope, r.PathValue("name"))
	if errors.Is(err, fault.RoleAssignmentNotFound) {
		return rest.Status(http.StatusNoContent), nil
	}
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(showAssignment(a)), nil
}

type definitionOut struct {
	ID         string                  `json:"id"`
	Name       string                  `json:"name"`
	Type       string                  `json:"type"`
	Properties definitionPropertiesOut `json:"properties"`
}

type definitionPropertiesOut struct {
	RoleName         string          `json:"roleName"`
	Type             string          `json:"type"`
	Description      string          `json:"description"`
	AssignableScopes []string        `json:"assignableScopes"`
	Permissions      []permissionOut `json:"permissions"`
}

type permissionOut struct {
	Actions        []string `json:"actions"`
	NotActions     []string `json:"notActions"`
	DataActions    []string `json:"dataActions"`
	NotDataActions []string `json:"notDataActions"`
}

const builtInRole = "BuiltInRole"

func showDefinition(scope string, role identity.RoleDefinition) definitionOut {
	return definitionOut{
		ID: identity.RoleDefinitionID(scope, role.ID), Name: role.ID, Type: "Microsoft.Authorization/roleDefinitions",
		Properties: definitionPropertiesOut{
			RoleName: role.Name, Type: builtInRole, Description: role.Description,
			AssignableScopes: []string{"/"}, Permissions: []permissionOut{showPermission(role)},
		},
	}
}

func showPermission(role identity.RoleDefinition) permissionOut {
	some := func(s []string) []string {
		if s == nil {
			return []string{}
		}
		return s
	}
	return permissionOut{some(role.Actions), some(role.NotActions), some(role.DataActions), some(role.NotDataActions)}
}

// readDefinitions returns the scope of a request about role definitions. Those of the
// tenant, which are the same for everybody, are for everybody.
func (d *Door) readDefinitions(r *http.Request, who identity.Caller) (string, error) {
	if r.PathValue("scope") == "" {
		return "/", nil
	}
	return d.allowedScope(r, who, "Microsoft.Authorization/roleDefinitions/read")
}

func (d *Door) listRoleDefinitions(r *http.Request, who identity.Caller) (rest.Reply, error) {
	scope, err := d.readDefinitions(r, who)
	if err != nil {
		return rest.Reply{}, err
	}
	filter, err := subscription.ParseFilter(rest.Query(r, "$filter"), "roleName", "type", "atScopeAndBelow()", "atScope()")
	if err != nil {
		return rest.Reply{}, err
	}
	out := list[definitionOut]{Value: []definitionOut{}}
	for _, role := range identity.RoleDefinitions() {
		kept := filter.Keeps(func(property string) string {
			if property == "type" {
				return builtInRole
			}
			return role.Name
		})
		if kept {
			out.Value = append(out.Value, showDefinition(scope, role))
		}
	}
	return rest.OK(out), nil
}

func (d *Door) getRoleDefinition(r *http.Request, who identity.Caller) (rest.Reply, error) {
	scope, err := d.readDefinitions(r, who)
	if err != nil {
		return rest.Reply{}, err
	}
	name := r.PathValue("name")
	role, ok := identity.Role(name)
	if !ok || strings.Contains(name, "/") {
		return rest.Reply{}, fault.NoRoleDefinition.New("The specified role definition with ID '%s' does not exist.", name)
	}
	return rest.OK(showDefinition(scope, role)), nil
}

// listPermissions tells a caller what the caller's own roles allow at a scope.
func (d *Door) listPermissions(r *http.Request, who identity.Caller) (rest.Reply, error) {
	scope, err := d.allowedScope(r, who, "Microsoft.Authorization/permissions/read")
	if err != nil {
		return rest.Reply{}, err
	}
	roles, err := d.Directory.RoleAssignments(r.Context(), scope, identity.RoleFilter{AtScope: true, PrincipalID: who.ObjectID})
	if err != nil {
		return rest.Reply{}, err
	}
	out := list[permissionOut]{Value: []permissionOut{}}
	for _, a := range roles {
		if role, ok := identity.Role(a.RoleID); ok {
			out.Value = append(out.Value, showPermission(role))
		}
	}
	return rest.OK(out), nil
}

// listNone lists what there cannot be.
func (d *Door) listNone(r *http.Request, who identity.Caller) (rest.Reply, error) {
	if _, err := d.allowedScope(r, who, "Microsoft.Authorization/denyAssignments/read"); err != nil && r.PathValue("scope") != "" {
		return rest.Reply{}, err
	}
	return rest.OK(list[struct{}]{Value: []struct{}{}}), nil
}
