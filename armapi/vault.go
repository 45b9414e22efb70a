package armapi

import (
	"context"
	"net/http"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
	"latchkey/subscription"
	"latchkey/vault"
)

func (d *Door) vaultRoutes() {
	const (
		inGroup        = inGroup + "/providers/Microsoft.KeyVault"
		inSubscription = inSubscription + "/providers/Microsoft.KeyVault"
	)
	d.handle("PUT "+inGroup+"/vaults/{vault}", d.putVault)
	d.handle("PATCH "+inGroup+"/vaults/{vault}", d.patchVault)
	d.handle("GET "+inGroup+"/vaults/{vault}", d.vault)
	d.handle("HEAD "+inGroup+"/vaults/{vault}", d.headVault)
	d.handle("DELETE "+inGroup+"/vaults/{vault}", d.deleteVault)
	d.handle("PUT "+inGroup+"/vaults/{vault}/accessPolicies/{change}", d.changePolicies)
	d.handle("GET "+inGroup+"/vaults/{vault}/privateEndpointConnections", d.vaultConnections)
	d.handle("GET "+inGroup+"/vaults", d.vaults)
	d.handle("GET "+inSubscription+"/vaults", d.vaults)
	d.handle("POST "+inSubscription+"/checkNameAvailability", d.checkVaultName)
	d.handle("POST "+inSubscription+"/locations/{location}/checkNameAvailability", d.checkVaultName)
	d.deletedVaultRoutes()

	// There are no managed HSMs, and tools that list vaults list them too.
	none := func(*http.Request, identity.Caller) (rest.Reply, error) {
		return rest.OK(list[struct{}]{Value: []struct{}{}}), nil
	}
	d.handle("GET "+inGroup+"/managedHSMs", none)
	d.handle("GET "+inSubscription+"/managedHSMs", none)
	d.handle("GET "+inSubscription+"/deletedManagedHSMs", none)
	d.handle("GET "+inGroup+"/managedHSMs/{hsm}", func(r *http.Request, _ identity.Caller) (rest.Reply, error) {
		return rest.Reply{}, fault.NotFound.New("The Resource 'Microsoft.KeyVault/managedHSMs/%s' under resource group '%s' was not found. "+
			"For more details please go to https://aka.ms/ARMResourceNotFoundFix", r.PathValue("hsm"), r.PathValue("group"))
	})

	d.show(vault.Type, func(ctx context.Context, who identity.Caller, id resource.ID) (any, error) {
		v, err := d.Vaults.Vault(ctx, who, vault.Address{Subscription: id.Subscription, Group: id.Group, Name: id.Name()})
		return d.vaultOut(v), err
	})
}

// vaultAddress names the vault of a request.
func vaultAddress(r *http.Request) vault.Address {
	return vault.Address{Subscription: r.PathValue("sub"), Group: r.PathValue("group"), Name: r.PathValue("vault")}
}

// rolesByDefault is the api-version from which on roles decide in new vaults unless the
// request says otherwise.
const rolesByDefault = "2026-02-01"

func (d *Door) putVault(r *http.Request, who identity.Caller) (rest.Reply, error) {
	in, err := vaultBody(r)
	if err != nil {
		return rest.Reply{}, err
	}
	in.RolesByDefault = rest.Query(r, "api-version") >= rolesByDefault
	v, _, err := d.Vaults.Put(r.Context(), who, vaultAddress(r), in)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(d.vaultOut(v)), nil
}

func (d *Door) patchVault(r *http.Request, who identity.Caller) (rest.Reply, error) {
	in, err := vaultBody(r)
	if err != nil {
		return rest.Reply{}, err
	}
	v, err := d.Vaults.Update(r.Context(), who, vaultAddress(r), in)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(d.vaultOut(v)), nil
}

// vaultBody reads what a vault is to be.
func vaultBody(r *http.Request) (vault.Settings, error) {
	var in vaultIn
	if err := rest.Decode(r, &in); err != nil {
		return vault.Settings{}, err
	}
	if err := subscription.CheckTags(in.Tags); err != nil {
		return vault.Settings{}, err
	}
	return in.settings()
}

func (d *Door) vault(r *http.Request, who identity.Caller) (rest.Reply, error) {
	v, err := d.Vaults.Vault(r.Context(), who, vaultAddress(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(d.vaultOut(v)), nil
}

func (d *Door) headVault(r *http.Request, who identity.Caller) (rest.Reply, error) {
	_, err := d.Vaults.Vault(r.Context(), who, vaultAddress(r))
	return head(err)
}

func (d *Door) deleteVault(r *http.Request, who identity.Caller) (rest.Reply, error) {
	was, err := d.Vaults.Delete(r.Context(), who, vaultAddress(r))
	if err != nil {
		return rest.Reply{}, err
	}
	if !was {
		return rest.Status(http.StatusNoContent), nil
	}
	return rest.Status(http.StatusOK), nil
}

func (d *Door) vaults(r *http.Request, who identity.Caller) (rest.Reply, error) {
	vaults, err := d.Vaults.Vaults(r.Context(), who, r.PathValue("sub"), r.PathValue("group"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(listOf(vaults, d.vaultOut)), nil
}

func (d *Door) vaultConnections(r *http.Request, who identity.Caller) (rest.Reply, error) {
	if _, err := d.Vaults.Vault(r.Context(), who, vaultAddress(r)); err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(list[struct{}]{Value: []struct{}{}}), nil
}

func (d *Door) changePolicies(r *http.Request, who identity.Caller) (rest.Reply, error) {
	how := vault.PolicyChange(resource.Fold(r.PathValue("change")))
	if how != vault.AddPolicies && how != vault.ReplacePolicies && how != vault.RemovePolicies {
		return rest.Reply{}, fault.VaultBadRequest.New("An invalid value was provided for 'operationKind'. It must be add, replace or remove.")
	}
	var in struct {
		Properties struct {
			Policies *[]accessPolicyJSON `json:"accessPolicies"`
		} `json:"properties"`
	}
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Properties.Policies == nil {
		return rest.Reply{}, fault.VaultBadRequest.New("An invalid value was provided for 'accessPolicies'. It must be given.")
	}
	v, err := d.Vaults.ChangePolicies(r.Context(), who, vaultAddress(r), how, accessPoliciesIn(*in.Properties.Policies))
	if err != nil {
		return rest.Reply{}, err
	}
	var out accessPoliciesBody
	out.ID = v.ID + "/accessPolicies/"
	out.Type = vault.Type + "/accessPolicies"
	out.Location = v.Location
	out.Properties.Policies = accessPoliciesOut(v.Policies)
	return rest.OK(out), nil
}

func (d *Door) checkVaultName(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in struct {
		Name *string `json:"name"`
		Type *string `json:"type"`
	}
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Name == nil {
		return rest.Reply{}, fault.VaultBadRequest.New("An invalid value was provided for 'name'. It must be given.")
	}
	if in.Type == nil || !resource.Equal(*in.Type, vault.Type) {
		return rest.Reply{}, fault.VaultBadRequest.New("An invalid value was provided for 'type'. It must be %s.", vault.Type)
	}
	ok, reason, message, err := d.Vaults.NameAvailable(r.Context(), who, r.PathValue("sub"), *in.Name)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(struct {
		Available bool   `json:"nameAvailable"`
		Reason    string `json:"reason,omitempty"`
		Message   string `json:"message,omitempty"`
	}{ok, reason, message}), nil
}
