package server

import (
	"context"

	"latchkey/account"
	"latchkey/subscription"
	"latchkey/vault"
)

// What can be in a resource group, as the subscription service sees it. No service
// knows another; here they meet.

type accountMembers struct{ accounts *account.Service }

func (m accountMembers) List(ctx context.Context, scope string) ([]subscription.Resource, error) {
	in, err := m.accounts.Within(ctx, scope)
	if err != nil {
		return nil, err
	}
	out := make([]subscription.Resource, 0, len(in))
	for _, a := range in {
		out = append(out, subscription.Resource{
			ID: a.ID, Location: a.Location, Tags: a.Tags, PrincipalID: a.Identity.PrincipalID, Created: a.Created, Changed: a.Changed,
		})
	}
	return out, nil
}

func (m accountMembers) Delete(ctx context.Context, id string) error {
	return m.accounts.Remove(ctx, id)
}

type vaultMembers struct{ vaults *vault.Service }

func (m vaultMembers) List(ctx context.Context, scope string) ([]subscription.Resource, error) {
	in, err := m.vaults.Within(ctx, scope)
	if err != nil {
		return nil, err
	}
	out := make([]subscription.Resource, 0, len(in))
	for _, v := range in {
		out = append(out, subscription.Resource{ID: v.ID, Location: v.Location, Tags: v.Tags, Created: v.Created.At, Changed: v.Modified.At})
	}
	return out, nil
}

func (m vaultMembers) Delete(ctx context.Context, id string) error { return m.vaults.Remove(ctx, id) }
