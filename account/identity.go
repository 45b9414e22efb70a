package account

import (
	"context"
	"errors"
	"slices"
	"strings"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
)

// An IdentityType says what identity an account has.
type IdentityType string

// The types. Azure Batch has no account with both kinds.
const (
	NoIdentity     IdentityType = "None"
	SystemAssigned IdentityType = "SystemAssigned"
	UserAssigned   IdentityType = "UserAssigned"
)

// An Identity is who an account is when it asks a vault.
type Identity struct {
	Type IdentityType
	// PrincipalID and TenantID are of a system-assigned identity.
	PrincipalID, TenantID string
	// User are the user-assigned identities, in the order of their ids.
	User []UserIdentity
	// Born is whether the account was created with an identity. Only such an account
	// may ever have a customer-managed key.
	Born bool
}

// A UserIdentity is a user-assigned identity of an account, by the id with which it
// was assigned.
type UserIdentity struct{ ResourceID, PrincipalID, ClientID string }

func (i Identity) has(resourceID string) bool {
	return slices.ContainsFunc(i.User, func(u UserIdentity) bool { return resource.Equal(u.ResourceID, resourceID) })
}

// IdentityIn is an identity as a caller asks for it.
type IdentityIn struct {
	Type string
	// User are the resource ids of user-assigned identities; nil says nothing.
	User []string
}

// parse returns the type that is asked for.
func (in IdentityIn) parse() (IdentityType, error) {
	for _, t := range []IdentityType{NoIdentity, SystemAssigned, UserAssigned} {
		if resource.Equal(in.Type, string(t)) {
			if t != UserAssigned && len(in.User) > 0 {
				return "", fault.InvalidIdentity.New("The identity type '%s' cannot have user-assigned identities. Use the type 'UserAssigned', or leave 'userAssignedIdentities' out.", t)
			}
			return t, nil
		}
	}
	if in.Type == "" {
		return "", fault.InvalidIdentity.New("The identity needs a 'type': 'None', 'SystemAssigned' or 'UserAssigned'.")
	}
	both := strings.Contains(resource.Fold(in.Type), "systemassigned") && strings.Contains(resource.Fold(in.Type), "userassigned")
	if both {
		return "", fault.InvalidIdentity.New("The identity type '%s' is not supported: a Batch account has either a system-assigned identity or user-assigned identities, not both.", in.Type)
	}
	return "", fault.InvalidIdentity.New("The identity type '%.64s' is not one: it must be 'None', 'SystemAssigned' or 'UserAssigned'.", in.Type)
}

// maxUserIdentities bounds what an account may carry.
const maxUserIdentities = 100

// identify returns the identity that an account will have. undo takes back what was
// made for it, should the change fail.
func (s *Service) identify(ctx context.Context, who identity.Caller, id string, old Identity, in IdentityIn) (out Identity, undo func(), err error) {
	undo = func() {}
	out = Identity{Born: old.Born}
	if out.Type, err = in.parse(); err != nil {
		return out, undo, err
	}
	switch out.Type {
	case SystemAssigned:
		m, err := s.cfg.Directory.SystemIdentity(ctx, id)
		if err != nil {
			return out, undo, err
		}
		if old.Type != SystemAssigned {
			undo = func() { s.dropSystemIdentity(ctx, id) }
		}
		out.PrincipalID, out.TenantID = m.PrincipalID, m.TenantID
	case UserAssigned:
		if in.User == nil && old.Type == UserAssigned {
			out.User = old.User
			break
		}
		out.User, err = s.userIdentities(ctx, who, old, in.User)
	}
	return out, undo, err
}

func (s *Service) userIdentities(ctx context.Context, who identity.Caller, old Identity, ids []string) ([]UserIdentity, error) {
	if len(ids) == 0 {
		return nil, fault.InvalidIdentity.New("The identity type 'UserAssigned' needs at least one identity in 'userAssignedIdentities'.")
	}
	if len(ids) > maxUserIdentities {
		return nil, fault.InvalidIdentity.New("The account may have at most %d user-assigned identities; there are %d.", maxUserIdentities, len(ids))
	}
	var out []UserIdentity
	for _, id := range ids {
		parsed, err := resource.ParseID(id)
		if err != nil || !parsed.Is(identity.UserAssignedType) || parsed.Group == "" {
			return nil, fault.InvalidIdentity.New("'%.512s' is not the resource id of a user-assigned identity.", id)
		}
		if slices.ContainsFunc(out, func(u UserIdentity) bool { return resource.Equal(u.ResourceID, id) }) {
			continue
		}
		m, err := s.cfg.Directory.Identity(ctx, id)
		if errors.Is(err, fault.NotFound) || err == nil && m.System {
			return nil, fault.FailedIdentityOperation.New("Identity operation failed: the user-assigned identity '%s' was not found.", id)
		}
		if err != nil {
			return nil, err
		}
		if !old.has(id) {
			const assign = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
			may, err := s.cfg.Directory.May(ctx, who, assign, id)
			if err != nil {
				return nil, err
			}
			if !may {
				return nil, fault.LinkedAuthorization.New("The client '%s' with object id '%s' has permission to perform action '%s/write'; however, it does not have permission "+
					"to perform action '%s' on the linked scope '%s' or the linked scope is invalid.", who.AppID, who.ObjectID, Type, assign, id)
			}
		}
		out = append(out, UserIdentity{id, m.PrincipalID, m.ClientID})
	}
	slices.SortFunc(out, func(a, b UserIdentity) int {
		return strings.Compare(resource.Fold(a.ResourceID), resource.Fold(b.ResourceID))
	})
	return out, nil
}

// dropSystemIdentity removes an account's own identity. What fails is logged: nobody
// can use an identity whose account is gone.
func (s *Service) dropSystemIdentity(ctx context.Context, id string) {
	if err := s.cfg.Directory.DropSystemIdentity(context.WithoutCancel(ctx), id); err != nil && !errors.Is(err, fault.NotFound) {
		s.cfg.Log.Error("dropping an account's identity", "err", err)
	}
}
