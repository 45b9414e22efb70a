package armapi

import (
	"context"
	"errors"
	"net/http"

	"latchkey/account"
	"latchkey/batch"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

const poolType = account.Type + "/pools"

func (d *Door) poolRoutes() {
	const (
		all = inGroup + "/providers/Microsoft.Batch/batchAccounts/{account}/pools"
		one = all + "/{pool}"
	)
	d.handle("PUT "+one, d.putPool)
	d.handle("PATCH "+one, d.patchPool)
	d.handle("GET "+one, d.pool)
	d.handle("DELETE "+one, d.deletePool)
	d.handle("GET "+all, d.pools)
	d.handle("POST "+one+"/disableAutoScale", d.disablePoolAutoScale)
	d.handle("POST "+one+"/stopResize", d.stopPoolResize)
	d.handle("GET "+inGroup+"/providers/Microsoft.Batch/batchAccounts/{account}/poolOperationResults/{operation}", d.poolDeletion)

	d.show(poolType, func(ctx context.Context, who identity.Caller, id resource.ID) (any, error) {
		at := account.Address{Subscription: id.Subscription, Group: id.Group, Name: id.Names[0]}
		acct, err := d.batchAccount(ctx, who, at, "pools", "read")
		if err != nil {
			return nil, err
		}
		p, err := d.Batch.Pool(ctx, who, acct, id.Name())
		if err != nil {
			return nil, err
		}
		return d.poolOut(ctx, acct, p)
	})
}

// batchAccount returns the account that something of a type is under. Who may not do
// the verb to it does not learn whether the account is there, and while the account is
// locked nobody hears of anything else, such as what is wrong with a body.
func (d *Door) batchAccount(ctx context.Context, who identity.Caller, at account.Address, kind, verb string) (batch.Account, error) {
	if err := d.Directory.RequireData(ctx, who, account.Type+"/"+kind+"/"+verb, at.ID()); err != nil {
		return batch.Account{}, err
	}
	a, err := d.Accounts.Account(ctx, at)
	if errors.Is(err, fault.NotFound) {
		return batch.Account{}, fault.ParentNotFound.New("Failed to perform '%s' on resource(s) of type 'batchAccounts/%s', "+
			"because the parent resource '%s' could not be found.", verb, kind, at.ID())
	}
	if err != nil {
		return batch.Account{}, err
	}
	return batch.Account{Space: a.Space, ID: a.ID, Name: a.Name, URL: a.URL()}, d.Accounts.Unlocked(a)
}

// putPool makes a pool, or gives one that is there what the body says.
func (d *Door) putPool(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, err := d.batchAccount(r.Context(), who, accountAddress(r), "pools", "write")
	if err != nil {
		return rest.Reply{}, err
	}
	var in poolIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	edit, err := d.poolEdit(r.Context(), who, acct, in)
	if err != nil {
		return rest.Reply{}, err
	}
	spec := batch.PoolSpec{ID: r.PathValue("pool")}
	if err := edit(&spec); err != nil {
		return rest.Reply{}, err
	}
	var p batch.Pool
	if r.Header.Get("If-Match") == "" {
		p, err = d.Batch.AddPool(r.Context(), who, acct, spec)
		if !errors.Is(err, fault.PoolExists) {
			return d.poolReply(r.Context(), acct, p, err)
		}
	}
	p, err = d.Batch.ChangePool(r.Context(), who, acct, spec.ID, condition(r), func(s *batch.PoolSpec) error {
		spec.ID = s.ID
		*s = spec
		return nil
	})
	if errors.Is(err, fault.PoolNotFound) && r.Header.Get("If-Match") != "" {
		err = fault.PreconditionFailed.New("")
	}
	return d.poolReply(r.Context(), acct, p, err)
}

// patchPool changes what the body names. Other targets resize the pool.
func (d *Door) patchPool(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, err := d.batchAccount(r.Context(), who, accountAddress(r), "pools", "write")
	if err != nil {
		return rest.Reply{}, err
	}
	var in poolIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	edit, err := d.poolEdit(r.Context(), who, acct, in)
	if err != nil {
		return rest.Reply{}, err
	}
	p, err := d.Batch.ChangePool(r.Context(), who, acct, r.PathValue("pool"), condition(r), edit)
	return d.poolReply(r.Context(), acct, p, err)
}

// poolReply answers with a pool, unless there is a failure.
func (d *Door) poolReply(ctx context.Context, acct batch.Account, p batch.Pool, failure error) (rest.Reply, error) {
	if failure != nil {
		return rest.Reply{}, inProperties(failure)
	}
	out, err := d.poolOut(ctx, acct, p)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(out).With("ETag", out.ETag), nil
}

func (d *Door) pool(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, err := d.batchAccount(r.Context(), who, accountAddress(r), "pools", "read")
	if err != nil {
		return rest.Reply{}, err
	}
	p, err := d.Batch.Pool(r.Context(), who, acct, r.PathValue("pool"))
	return d.poolReply(r.Context(), acct, p, err)
}

func (d *Door) pools(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, err := d.batchAccount(r.Context(), who, accountAddress(r), "pools", "read")
	if err != nil {
		return rest.Reply{}, err
	}
	want, err := listing(r, poolProperties, poolProperty)
	if err != nil {
		return rest.Reply{}, err
	}
	pools, next, err := d.Batch.Pools(r.Context(), who, acct, want.List)
	if err != nil {
		return rest.Reply{}, err
	}
	out := list[selectedOut]{Value: make([]selectedOut, 0, len(pools)), NextLink: d.nextPage(r, next)}
	for _, p := range pools {
		shown, err := d.poolOut(r.Context(), acct, p)
		if err != nil {
			return rest.Reply{}, err
		}
		item, err := want.choose(shown.proxyOut, shown.Identity, shown.Properties)
		if err != nil {
			return rest.Reply{}, err
		}
		out.Value = append(out.Value, item)
	}
	return rest.OK(out), nil
}

// deletePool answers 202 until the nodes are gone, and 204 if there is no pool.
func (d *Door) deletePool(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, err := d.batchAccount(r.Context(), who, accountAddress(r), "pools", "delete")
	if err != nil {
		return rest.Reply{}, err
	}
	what := deletionOf(r.PathValue("pool"))
	err = d.Batch.DeletePool(r.Context(), who, acct, r.PathValue("pool"), condition(r))
	switch {
	case errors.Is(err, fault.PoolNotFound):
		return rest.Status(http.StatusNoContent), nil
	case err != nil && !errors.Is(err, fault.PoolBeingDeleted):
		return rest.Reply{}, err
	}
	return d.deleting(r, acct, "poolOperationResults", what), nil
}

// poolDeletion says whether a deleted pool is gone.
func (d *Door) poolDeletion(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, err := d.batchAccount(r.Context(), who, accountAddress(r), "pools", "read")
	if errors.Is(err, fault.ParentNotFound) {
		return rest.Status(http.StatusOK), nil
	}
	if err != nil {
		return rest.Reply{}, err
	}
	what, err := parseDeletion(r.PathValue("operation"))
	if err != nil {
		return rest.Reply{}, err
	}
	p, err := d.Batch.Pool(r.Context(), who, acct, what.name)
	switch {
	case errors.Is(err, fault.PoolNotFound), err == nil && p.Created.After(what.asked):
		return rest.Status(http.StatusOK), nil
	case err != nil:
		return rest.Reply{}, err
	}
	return d.deleting(r, acct, "poolOperationResults", what), nil
}

// disablePoolAutoScale leaves a pool as it is: all have a fixed scale.
func (d *Door) disablePoolAutoScale(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, err := d.batchAccount(r.Context(), who, accountAddress(r), "pools", "write")
	if err != nil {
		return rest.Reply{}, err
	}
	p, err := d.Batch.Pool(r.Context(), who, acct, r.PathValue("pool"))
	return d.poolReply(r.Context(), acct, p, err)
}

func (d *Door) stopPoolResize(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, err := d.batchAccount(r.Context(), who, accountAddress(r), "pools", "write")
	if err != nil {
		return rest.Reply{}, err
	}
	p, err := d.Batch.StopResize(r.Context(), who, acct, r.PathValue("pool"), condition(r))
	return d.poolReply(r.Context(), acct, p, err)
}
