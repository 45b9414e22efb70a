package identity

import (
	"context"

	"latchkey/fault"
	"latchkey/resource"
)

// Require asks whether the caller may do an action on a resource, a group or a
// subscription: "Microsoft.Batch/batchAccounts/write" on its id. Roles that were given
// further up count. It fails with fault.AuthorizationFailed.
func (d *Directory) Require(ctx context.Context, who Caller, action, scope string) error {
	return d.require(ctx, who, action, scope, (*RoleDefinition).may)
}

// RequireData asks whether the caller may do an action on the data of a resource:
// "Microsoft.KeyVault/vaults/keys/wrap/action" on the id of a vault or a key. A caller
// that signed with the key of a Batch account may do everything with that account's
// data. It fails with fault.AuthorizationFailed.
func (d *Directory) RequireData(ctx context.Context, who Caller, action, scope string) error {
	if who.Account != "" && resource.Within(scope, who.Account) {
		return nil
	}
	return d.require(ctx, who, action, scope, (*RoleDefinition).mayData)
}

// May is Require as a question.
func (d *Directory) May(ctx context.Context, who Caller, action, scope string) (bool, error) {
	v, err := d.current(ctx)
	if err != nil {
		return false, err
	}
	return v.may(who, action, scope, (*RoleDefinition).may), nil
}

func (d *Directory) require(ctx context.Context, who Caller, action, scope string, may func(*RoleDefinition, string) bool) error {
	v, err := d.current(ctx)
	if err != nil {
		return err
	}
	if v.may(who, action, scope, may) {
		return nil
	}
	return fault.AuthorizationFailed.New("The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' "+
		"or the scope is invalid. If access was recently granted, please refresh your credentials.", who.AppID, who.ObjectID, action, scope)
}

func (v *view) may(who Caller, action, scope string, may func(*RoleDefinition, string) bool) bool {
	if who.ObjectID == "" || who.Account != "" {
		return false
	}
	for _, a := range v.byPrincipal[resource.Fold(who.ObjectID)] {
		role, ok := Role(a.Role)
		if ok && resource.Within(scope, a.Scope) && may(&role, action) {
			return true
		}
	}
	return false
}
