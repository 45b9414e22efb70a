package subscription

import (
	"context"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
)

// A Subscription is one of the tenant's.
type Subscription struct{ ID, Tenant, Name string }

// Subscriptions lists the tenant's subscriptions on which a caller may read anything.
func (s *Service) Subscriptions(ctx context.Context, who identity.Caller) ([]Subscription, error) {
	all, err := s.directory.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	out := []Subscription{}
	for _, sub := range all {
		seen, err := s.sees(ctx, who, sub.ID)
		if err != nil {
			return nil, err
		}
		if seen {
			out = append(out, Subscription{sub.ID, s.directory.Tenant(), sub.Name})
		}
	}
	return out, nil
}

// sees reports whether a caller has any role on a subscription or below it: one who
// may read a single group finds the subscription in the list, as in Azure.
func (s *Service) sees(ctx context.Context, who identity.Caller, subscription string) (bool, error) {
	if who.ObjectID == "" {
		return false, nil
	}
	roles, err := s.directory.RoleAssignments(ctx, "/subscriptions/"+subscription, identity.RoleFilter{PrincipalID: who.ObjectID})
	return len(roles) > 0, err
}

// Subscription returns a subscription without asking who calls. It fails with
// fault.SubscriptionNotFound, or with fault.InvalidSubscription if the id is not one.
func (s *Service) Subscription(ctx context.Context, id string) (Subscription, error) {
	if !resource.IsGUID(id) {
		return Subscription{}, fault.InvalidSubscription.New("The provided subscription identifier '%s' is malformed or invalid.", id)
	}
	all, err := s.directory.Subscriptions(ctx)
	if err != nil {
		return Subscription{}, err
	}
	for _, sub := range all {
		if resource.Equal(sub.ID, id) {
			return Subscription{sub.ID, s.directory.Tenant(), sub.Name}, nil
		}
	}
	return Subscription{}, fault.SubscriptionNotFound.New("The subscription '%s' could not be found.", id)
}

// ReadSubscription returns a subscription to a caller who has any role in it.
func (s *Service) ReadSubscription(ctx context.Context, who identity.Caller, id string) (Subscription, error) {
	sub, err := s.Subscription(ctx, id)
	if err != nil {
		return Subscription{}, err
	}
	seen, err := s.sees(ctx, who, sub.ID)
	if err != nil {
		return Subscription{}, err
	}
	if !seen {
		return Subscription{}, s.directory.Require(ctx, who, "Microsoft.Resources/subscriptions/read", "/subscriptions/"+sub.ID)
	}
	return sub, nil
}
