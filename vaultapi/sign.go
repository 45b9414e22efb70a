package vaultapi

import (
	"net/http"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
)

type verifyIn struct {
	Algorithm string  `json:"alg"`
	Digest    bytes64 `json:"digest"`
	Signature bytes64 `json:"value"`
}

type verifyOut struct {
	Value bool `json:"value"`
}

func (d *Door) verify(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in verifyIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	for _, p := range []struct {
		name  string
		given bool
	}{{"alg", in.Algorithm != ""}, {"digest", in.Digest != nil}, {"value", in.Signature != nil}} {
		if !p.given {
			return rest.Reply{}, fault.BadParameter.New("Property %s has invalid value: it must be given", p.name)
		}
	}
	ok, err := d.Vaults.Verify(r.Context(), who, d.ref(r), in.Algorithm, in.Digest, in.Signature)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(verifyOut{ok}), nil
}
