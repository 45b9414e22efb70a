package vaultapi

import (
	"net/http"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
)

type releaseIn struct {
	Target     string `json:"target"`
	Nonce      string `json:"nonce"`
	Encryption string `json:"enc"`
}

// release checks the request and asks; no key is ever released.
func (d *Door) release(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in releaseIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	if in.Target == "" {
		return rest.Reply{}, fault.BadParameter.New("Property target has invalid value: it must be given")
	}
	switch in.Encryption {
	case "", "CKM_RSA_AES_KEY_WRAP", "RSA_AES_KEY_WRAP_256", "RSA_AES_KEY_WRAP_384":
	default:
		return rest.Reply{}, fault.BadParameter.New("Property enc has invalid value: '%s' is not an algorithm for releasing keys", in.Encryption)
	}
	return rest.Reply{}, d.Vaults.Release(r.Context(), who, d.ref(r))
}

func (d *Door) attestation(r *http.Request, who identity.Caller) (rest.Reply, error) {
	return rest.Reply{}, d.Vaults.Attestation(r.Context(), who, d.ref(r))
}

type randomIn struct {
	Count rest.Int `json:"count"`
}

func (d *Door) random(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in randomIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	b, err := d.Vaults.Random(r.Context(), who, d.vault(r), int(min(max(in.Count, -1), whole)))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(valueBody{b}), nil
}
