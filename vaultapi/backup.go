package vaultapi

import (
	"net/http"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
)

// valueBody is a body that holds bytes and nothing else.
type valueBody struct {
	Value bytes64 `json:"value"`
}

func (d *Door) backupKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	sealed, err := d.Vaults.Backup(r.Context(), who, d.ref(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(valueBody{sealed}), nil
}

func (d *Door) restoreKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in valueBody
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Value == nil {
		return rest.Reply{}, fault.BadParameter.New("Property value has invalid value: it must be given")
	}
	key, err := d.Vaults.Restore(r.Context(), who, d.vault(r), in.Value)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(bundle(key)), nil
}
