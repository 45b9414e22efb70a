package vaultapi

import (
	"net/http"

	"latchkey/identity"
	"latchkey/rest"
	"latchkey/vault"
)

// rotationPolicy is a rotation policy, in both directions.
type rotationPolicy struct {
	ID         string             `json:"id,omitempty"`
	Actions    []lifetimeAction   `json:"lifetimeActions"`
	Attributes rotationAttributes `json:"attributes"`
}

type lifetimeAction struct {
	Trigger struct {
		AfterCreate  string `json:"timeAfterCreate,omitempty"`
		BeforeExpiry string `json:"timeBeforeExpiry,omitempty"`
	} `json:"trigger"`
	Action struct {
		Type string `json:"type"`
	} `json:"action"`
}

// rotationAttributes are the attributes of a policy. The times are ours: what a client
// sends of them does not count.
type rotationAttributes struct {
	Expiry  string   `json:"expiryTime,omitempty"`
	Created rest.Int `json:"created,omitempty"`
	Updated rest.Int `json:"updated,omitempty"`
}

func (in rotationPolicy) policy() vault.RotationPolicy {
	out := vault.RotationPolicy{Expiry: in.Attributes.Expiry}
	for _, a := range in.Actions {
		out.Actions = append(out.Actions, vault.LifetimeAction{
			Type: a.Action.Type, AfterCreate: a.Trigger.AfterCreate, BeforeExpiry: a.Trigger.BeforeExpiry,
		})
	}
	return out
}

func rotationOut(p vault.RotationPolicy) rotationPolicy {
	out := rotationPolicy{ID: p.ID, Actions: []lifetimeAction{}, Attributes: rotationAttributes{Expiry: p.Expiry}}
	if !p.Created.IsZero() {
		out.Attributes.Created, out.Attributes.Updated = rest.Int(p.Created.Unix()), rest.Int(p.Updated.Unix())
	}
	for _, a := range p.Actions {
		var action lifetimeAction
		action.Action.Type = a.Type
		action.Trigger.AfterCreate, action.Trigger.BeforeExpiry = a.AfterCreate, a.BeforeExpiry
		out.Actions = append(out.Actions, action)
	}
	return out
}

func (d *Door) rotateKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	key, err := d.Vaults.Rotate(r.Context(), who, d.ref(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(bundle(key)), nil
}

func (d *Door) rotationPolicy(r *http.Request, who identity.Caller) (rest.Reply, error) {
	p, err := d.Vaults.RotationPolicy(r.Context(), who, d.ref(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(rotationOut(p)), nil
}

func (d *Door) setRotationPolicy(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in rotationPolicy
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	p, err := d.Vaults.SetRotationPolicy(r.Context(), who, d.ref(r), in.policy())
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(rotationOut(p)), nil
}
