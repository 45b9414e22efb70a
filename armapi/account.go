package armapi

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"

	"latchkey/account"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/subscription"
)

func (d *Door) accountRoutes() {
	const (
		inGroup        = inGroup + "/providers/Microsoft.Batch"
		inSubscription = inSubscription + "/providers/Microsoft.Batch"
		one            = inGroup + "/batchAccounts/{account}"
	)
	d.handle("PUT "+one, d.putAccount)
	d.handle("PATCH "+one, d.patchAccount)
	d.handle("GET "+one, d.account)
	d.handle("HEAD "+one, d.headAccount)
	d.handle("DELETE "+one, d.deleteAccount)
	d.handle("GET "+inGroup+"/batchAccounts", d.accounts)
	d.handle("GET "+inSubscription+"/batchAccounts", d.accounts)
	d.handle("POST "+one+"/listKeys", d.accountKeys)
	d.handle("POST "+one+"/regenerateKeys", d.regenerateAccountKey)
	d.handle("POST "+one+"/syncAutoStorageKeys", d.syncAutoStorageKeys)
	d.handle("GET "+one+"/outboundNetworkDependenciesEndpoints", d.accountDependencies)
	d.handle("POST "+inSubscription+"/locations/{location}/checkNameAvailability", d.checkAccountName)
	d.handle("GET "+inSubscription+"/locations/{location}/quotas", d.accountQuota)
	d.batchRoutes()

	d.show(account.Type, func(ctx context.Context, who identity.Caller, id resource.ID) (any, error) {
		a, err := d.Accounts.Read(ctx, who, account.Address{Subscription: id.Subscription, Group: id.Group, Name: id.Name()})
		if err != nil {
			return nil, err
		}
		return d.accountOut(ctx, a)
	})
}

// accountAddress names the account of a request.
func accountAddress(r *http.Request) account.Address {
	return account.Address{Subscription: r.PathValue("sub"), Group: r.PathValue("group"), Name: r.PathValue("account")}
}

// putAccount answers as Azure does: a new account is a long-running operation, though
// ours has ended when the answer goes out; 201 is what tools do not take here.
func (d *Door) putAccount(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in accountIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	creation, err := in.creation()
	if err != nil {
		return rest.Reply{}, err
	}
	a, created, err := d.Accounts.Put(r.Context(), who, accountAddress(r), creation)
	if err != nil {
		return rest.Reply{}, err
	}
	if created {
		return d.acceptedAccount(r, who, a, account.Type+"/write")
	}
	return d.accountReply(r, a)
}

func (d *Door) acceptedAccount(r *http.Request, who identity.Caller, a account.Account, action string) (rest.Reply, error) {
	op, err := d.Subscriptions.Done(r.Context(), subscription.Operation{
		Subscription: a.Subscription, Namespace: account.Provider, Location: a.Location,
		Action: action, Target: a.ID, Caller: who.ObjectID,
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return d.accepted(r, op), nil
}

func (d *Door) patchAccount(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in accountIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	change, err := in.change()
	if err != nil {
		return rest.Reply{}, err
	}
	a, err := d.Accounts.Update(r.Context(), who, accountAddress(r), change)
	if err != nil {
		return rest.Reply{}, err
	}
	return d.accountReply(r, a)
}

func (d *Door) account(r *http.Request, who identity.Caller) (rest.Reply, error) {
	a, err := d.Accounts.Read(r.Context(), who, accountAddress(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return d.accountReply(r, a)
}

func (d *Door) accountReply(r *http.Request, a account.Account) (rest.Reply, error) {
	out, err := d.accountOut(r.Context(), a)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(out), nil
}

func (d *Door) headAccount(r *http.Request, who identity.Caller) (rest.Reply, error) {
	_, err := d.Accounts.Read(r.Context(), who, accountAddress(r))
	return head(err)
}

// deleteAccount answers 202 with an operation that has ended: tools ask for one.
func (d *Door) deleteAccount(r *http.Request, who identity.Caller) (rest.Reply, error) {
	a, was, err := d.Accounts.Delete(r.Context(), who, accountAddress(r))
	if err != nil {
		return rest.Reply{}, err
	}
	if !was {
		return rest.Status(http.StatusNoContent), nil
	}
	return d.acceptedAccount(r, who, a, account.Type+"/delete")
}

func (d *Door) accounts(r *http.Request, who identity.Caller) (rest.Reply, error) {
	all, err := d.Accounts.List(r.Context(), who, r.PathValue("sub"), r.PathValue("group"))
	if err != nil {
		return rest.Reply{}, err
	}
	all, next, err := paged(d, r, all, func(a account.Account) string { return a.Created.Format(time.RFC3339Nano) + resource.Fold(a.ID) })
	if err != nil {
		return rest.Reply{}, err
	}
	out := list[accountOut]{Value: make([]accountOut, 0, len(all)), NextLink: next}
	for _, a := range all {
		shown, err := d.accountOut(r.Context(), a)
		if err != nil {
			return rest.Reply{}, err
		}
		out.Value = append(out.Value, shown)
	}
	return rest.OK(out), nil
}

type accountKeysOut struct {
	AccountName string `json:"accountName"`
	Primary     string `json:"primary"`
	Secondary   string `json:"secondary"`
}

func keysOut(a account.Account) rest.Reply {
	primary, secondary := a.SharedKeys()
	return rest.OK(accountKeysOut{a.Name, base64.StdEncoding.EncodeToString(primary), base64.StdEncoding.EncodeToString(secondary)})
}

func (d *Door) accountKeys(r *http.Request, who identity.Caller) (rest.Reply, error) {
	a, err := d.Accounts.Keys(r.Context(), who, accountAddress(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return keysOut(a), nil
}

func (d *Door) regenerateAccountKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in struct {
		KeyName string `json:"keyName"`
	}
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	a, err := d.Accounts.RegenerateKey(r.Context(), who, accountAddress(r), in.KeyName)
	if err != nil {
		return rest.Reply{}, err
	}
	return keysOut(a), nil
}

func (d *Door) syncAutoStorageKeys(r *http.Request, who identity.Caller) (rest.Reply, error) {
	if err := d.Accounts.SyncAutoStorageKeys(r.Context(), who, accountAddress(r)); err != nil {
		return rest.Reply{}, err
	}
	return rest.Status(http.StatusNoContent), nil
}

func (d *Door) checkAccountName(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in struct {
		Name *string `json:"name"`
		Type *string `json:"type"`
	}
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Name == nil {
		return rest.Reply{}, fault.MissingRequiredProperty.New("The required property 'name' is missing.").With("PropertyName", "name")
	}
	if in.Type == nil || !resource.Equal(*in.Type, account.Type) {
		return rest.Reply{}, fault.InvalidPropertyValue.New("The property 'type' must be '%s'.", account.Type).With("PropertyName", "type")
	}
	ok, reason, message, err := d.Accounts.NameAvailable(r.Context(), who, r.PathValue("sub"), r.PathValue("location"), *in.Name)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(struct {
		Available bool   `json:"nameAvailable"`
		Reason    string `json:"reason,omitempty"`
		Message   string `json:"message,omitempty"`
	}{ok, reason, message}), nil
}

func (d *Door) accountQuota(r *http.Request, who identity.Caller) (rest.Reply, error) {
	n, err := d.Accounts.Quota(r.Context(), who, r.PathValue("sub"), r.PathValue("location"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(struct {
		AccountQuota int `json:"accountQuota"`
	}{n}), nil
}
