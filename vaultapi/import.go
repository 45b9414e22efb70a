package vaultapi

import (
	"encoding/json"
	"net/http"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
	"latchkey/vault"
)

type importIn struct {
	HSM           bool              `json:"Hsm"`
	Key           *privateKeyIn     `json:"key"`
	Attributes    *attributesIn     `json:"attributes"`
	Tags          map[string]string `json:"tags"`
	ReleasePolicy json.RawMessage   `json:"release_policy"`
}

// privateKeyIn is a JSON Web Key with its private part. It comes in and never goes
// out.
type privateKeyIn struct {
	Type     string   `json:"kty"`
	Ops      []string `json:"key_ops"`
	N        bytes64  `json:"n"`
	E        bytes64  `json:"e"`
	D        bytes64  `json:"d"`
	P        bytes64  `json:"p"`
	Q        bytes64  `json:"q"`
	DP       bytes64  `json:"dp"`
	DQ       bytes64  `json:"dq"`
	QI       bytes64  `json:"qi"`
	Curve    string   `json:"crv"`
	X        bytes64  `json:"x"`
	Y        bytes64  `json:"y"`
	Transfer bytes64  `json:"key_hsm"`
}

func (in importIn) key() (out vault.Import, err error) {
	if in.Key == nil {
		return out, fault.BadParameter.New("Property key has invalid value: it must be given")
	}
	k := in.Key
	out = vault.Import{
		Key: vault.PrivateKey{
			Type: vault.KeyType(k.Type), Ops: k.Ops, N: k.N, E: k.E, D: k.D, P: k.P, Q: k.Q, DP: k.DP, DQ: k.DQ, QI: k.QI,
			Curve: k.Curve, X: k.X, Y: k.Y, Transfer: k.Transfer,
		},
		HSM: in.HSM, Tags: in.Tags, ReleasePolicy: present(in.ReleasePolicy),
	}
	out.Attributes, err = in.Attributes.attributes()
	return out, err
}

func (d *Door) importKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in importIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	key, err := in.key()
	if err != nil {
		return rest.Reply{}, err
	}
	version, err := d.Vaults.Import(r.Context(), who, d.ref(r), key)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(bundle(version)), nil
}
