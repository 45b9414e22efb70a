package armapi

import (
	"net/http"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
	"latchkey/subscription"
	"latchkey/vault"
)

func (d *Door) deletedVaultRoutes() {
	const (
		under      = inSubscription + "/providers/Microsoft.KeyVault"
		inLocation = under + "/locations/{location}"
	)
	d.handle("GET "+under+"/deletedVaults", d.deletedVaults)
	d.handle("GET "+inLocation+"/deletedVaults/{vault}", d.deletedVault)
	d.handle("POST "+inLocation+"/deletedVaults/{vault}/purge", d.purgeVault)
	d.handle("GET "+inLocation+"/deletedManagedHSMs/{hsm}", func(r *http.Request, _ identity.Caller) (rest.Reply, error) {
		return rest.Reply{}, fault.NotFound.New("The specified deleted managed HSM '%s' does not exist.", r.PathValue("hsm"))
	})
}

type deletedVaultOut struct {
	ID         string             `json:"id"`
	Name       string             `json:"name"`
	Type       string             `json:"type"`
	Properties deletedVaultFields `json:"properties"`
}

type deletedVaultFields struct {
	VaultID         string            `json:"vaultId"`
	Location        string            `json:"location"`
	Deleted         time.Time         `json:"deletionDate"`
	Purges          time.Time         `json:"scheduledPurgeDate"`
	Tags            map[string]string `json:"tags"`
	PurgeProtection *bool             `json:"purgeProtectionEnabled,omitempty"`
}

func outDeletedVault(v vault.DeletedVault) deletedVaultOut {
	return deletedVaultOut{
		ID: vault.DeletedVaultID(v.Subscription, v.Location, v.Name), Name: v.Name, Type: vault.Provider + "/deletedVaults",
		Properties: deletedVaultFields{
			VaultID: v.ID, Location: v.Location, Deleted: v.Deleted.Truncate(time.Second), Purges: v.Purges.Truncate(time.Second),
			Tags: notNil(v.Tags), PurgeProtection: onlyTrue(v.PurgeProtection),
		},
	}
}

func (d *Door) deletedVaults(r *http.Request, who identity.Caller) (rest.Reply, error) {
	vaults, err := d.Vaults.DeletedVaults(r.Context(), who, r.PathValue("sub"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(listOf(vaults, outDeletedVault)), nil
}

func (d *Door) deletedVault(r *http.Request, who identity.Caller) (rest.Reply, error) {
	v, err := d.Vaults.DeletedVault(r.Context(), who, r.PathValue("sub"), r.PathValue("location"), r.PathValue("vault"))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(outDeletedVault(v)), nil
}

// purgeVault answers 202, as Azure does, though the vault is gone by then: clients
// poll once and find the end.
func (d *Door) purgeVault(r *http.Request, who identity.Caller) (rest.Reply, error) {
	v, err := d.Vaults.Purge(r.Context(), who, r.PathValue("sub"), r.PathValue("location"), r.PathValue("vault"))
	if err != nil {
		return rest.Reply{}, err
	}
	op, err := d.Subscriptions.Done(r.Context(), subscription.Operation{
		Subscription: v.Subscription, Namespace: vault.Provider, Location: v.Location,
		Action: vault.Provider + "/locations/deletedVaults/purge",
		Target: vault.DeletedVaultID(v.Subscription, v.Location, v.Name), Caller: who.ObjectID,
	})
	if err != nil {
		return rest.Reply{}, err
	}
	return d.accepted(r, op), nil
}
