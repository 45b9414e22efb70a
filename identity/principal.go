package identity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"latchkey/fault"
	"latchkey/resource"
	"latchkey/store"
)

// Kinds of callers.
const (
	KindApplication = "application"
	KindManaged     = "managed identity"
	KindUser        = "user"
	KindAccountKey  = "account key"
)

// servicePrincipal is Azure's word for the type of every principal that we have.
const servicePrincipal = "ServicePrincipal"

// A Principal is something that can hold a token and be given a role: an application
// or a managed identity. There are no users.
type Principal struct {
	ObjectID, ClientID, Name string
	// Kind is KindApplication or KindManaged.
	Kind string
	// ResourceID is the id of a managed identity, or of the resource whose identity it
	// is.
	ResourceID string
	// RegistrationID is the object id of an application itself, which is not the one
	// of its service principal.
	RegistrationID string
}

func (a *applicationRecord) principal() Principal {
	return Principal{ObjectID: a.ObjectID, ClientID: a.ClientID, Name: a.Name, Kind: KindApplication, RegistrationID: a.RegistrationID}
}

func (m *identityRecord) principal() Principal {
	return Principal{ObjectID: m.PrincipalID, ClientID: m.ClientID, Name: m.Name, Kind: KindManaged, ResourceID: m.ResourceID}
}

// Principals lists every principal, by name.
func (d *Directory) Principals(ctx context.Context) ([]Principal, error) {
	v, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Principal, 0, len(v.principals))
	for _, p := range v.principals {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Principal) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ObjectID, b.ObjectID))
	})
	return out, nil
}

// Principal returns the principal with an object id or a client id.
func (d *Directory) Principal(ctx context.Context, id string) (p Principal, ok bool, err error) {
	v, err := d.current(ctx)
	if err != nil {
		return Principal{}, false, err
	}
	p, ok = v.principal(id)
	return p, ok, nil
}

func (v *view) principal(id string) (Principal, bool) {
	id = resource.Fold(id)
	if p, ok := v.principals[id]; ok {
		return p, true
	}
	p, ok := v.byClient[id]
	return p, ok
}

// Why an application gets no token.
var (
	// ErrNoApplication: there is no application with this client id.
	ErrNoApplication = errors.New("there is no such application")
	// ErrWrongSecret: the application is there, the secret is not its.
	ErrWrongSecret = errors.New("the secret is wrong")
)

// CreateApplication makes an application with a secret, which is returned once and
// never again. It has no roles.
func (d *Directory) CreateApplication(ctx context.Context, name string) (Principal, string, error) {
	secret := newSecret()
	app := applicationRecord{
		ClientID: resource.NewGUID(), ObjectID: resource.NewGUID(), RegistrationID: resource.NewGUID(),
		Name: name, Secret: hashSecret(secret),
	}
	err := d.change(ctx, func(tx *store.Tx, v *view) error {
		v.applications[app.ClientID] = &app
		_, err := tx.Insert(store.KindApplication, store.RID{}, app.ClientID, store.Clear{}, app)
		return err
	})
	if err != nil {
		return Principal{}, "", fmt.Errorf("making an application: %w", err)
	}
	d.changed(app.ObjectID)
	return app.principal(), secret, nil
}

// DeleteApplication removes an application. Its tokens work no more.
func (d *Directory) DeleteApplication(ctx context.Context, clientID string) error {
	clientID = resource.Fold(clientID)
	var gone Principal
	err := d.change(ctx, func(tx *store.Tx, v *view) error {
		app, ok := v.applications[clientID]
		if !ok {
			return ErrNoApplication
		}
		if clientID == d.tenant.Owner {
			return fault.Conflict.New("The application '%s' is the owner of the directory and cannot be deleted.", app.Name)
		}
		gone = app.principal()
		delete(v.applications, clientID)
		return remove(tx, store.KindApplication, clientID)
	})
	if err != nil {
		return fmt.Errorf("deleting an application: %w", err)
	}
	d.changed(gone.ObjectID)
	return nil
}

// ResetSecret gives an application a new secret and returns it. The old one stops
// working; tokens that were issued for it live on.
func (d *Directory) ResetSecret(ctx context.Context, clientID string) (string, error) {
	clientID = resource.Fold(clientID)
	secret := newSecret()
	err := d.change(ctx, func(tx *store.Tx, v *view) error {
		app, ok := v.applications[clientID]
		if !ok {
			return ErrNoApplication
		}
		changed := *app
		changed.Secret = hashSecret(secret)
		v.applications[clientID] = &changed
		_, err := rewrite(tx, store.KindApplication, clientID, changed)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("resetting a secret: %w", err)
	}
	return secret, nil
}

// CheckSecret returns the application with a client id if the secret is its own;
// ErrNoApplication or ErrWrongSecret if not.
func (d *Directory) CheckSecret(ctx context.Context, clientID, secret string) (Principal, error) {
	v, err := d.current(ctx)
	if err != nil {
		return Principal{}, err
	}
	app, ok := v.applications[resource.Fold(clientID)]
	if !ok {
		return Principal{}, ErrNoApplication
	}
	if !app.knows(secret) {
		return Principal{}, ErrWrongSecret
	}
	return app.principal(), nil
}

// OwnerSecret returns the application whose secret this is, for callers that know
// nothing but the secret; ErrWrongSecret if there is none.
func (d *Directory) OwnerSecret(ctx context.Context, secret string) (Principal, error) {
	v, err := d.current(ctx)
	if err != nil {
		return Principal{}, err
	}
	found, ok := Principal{}, false
	for _, app := range v.applications {
		if app.knows(secret) {
			found, ok = app.principal(), true
		}
	}
	if !ok {
		return Principal{}, ErrWrongSecret
	}
	return found, nil
}
