package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"latchkey/fault"
	"latchkey/resource"
	"latchkey/store"
)

// A Grant lets a program on this machine be a user-assigned identity: who knows its
// Secret gets the identity's tokens.
type Grant struct {
	Identity ManagedIdentity
	// Secret is lower-case hex: it travels in URLs, and one client folds those. It
	// stays the same as long as the identity lives, so that programs which were given
	// it outlive a restart of the service.
	Secret string
}

// GrantIdentity returns the grant of a user-assigned identity, which is selected as
// for FindIdentity. It fails with fault.NotFound.
func (d *Directory) GrantIdentity(ctx context.Context, selector string) (Grant, error) {
	v, err := d.current(ctx)
	if err != nil {
		return Grant{}, err
	}
	m, ok := v.identity(selector)
	if !ok || m.System {
		return Grant{}, fault.NotFound.New("There is no user-assigned identity '%s', or more than one has this name.", selector)
	}
	if m.Grant == "" {
		b := make([]byte, sha256.Size)
		rand.Read(b)
		secret, id := hex.EncodeToString(b), m.ResourceID
		err = d.change(ctx, func(tx *store.Tx, v *view) error {
			old, ok := v.identities[resource.Fold(id)]
			if !ok {
				return noIdentity(id)
			}
			changed := *old
			if changed.Grant == "" {
				changed.Grant = secret
			}
			m = &changed
			return d.putIdentity(tx, v, m)
		})
		if err != nil {
			return Grant{}, fmt.Errorf("granting an identity: %w", err)
		}
	}
	return Grant{Identity: d.managed(m), Secret: m.Grant}, nil
}

// GrantedIdentity returns the identity whose grant has this secret.
func (d *Directory) GrantedIdentity(ctx context.Context, secret string) (m ManagedIdentity, ok bool, err error) {
	v, err := d.current(ctx)
	if err != nil {
		return ManagedIdentity{}, false, err
	}
	// The map is asked for a hash: how long that takes tells nothing about the secret.
	r, ok := v.byGrant[sha256.Sum256([]byte(secret))]
	if !ok {
		return ManagedIdentity{}, false, nil
	}
	return d.managed(r), true, nil
}
