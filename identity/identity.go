// Package identity knows who calls and what they may do.
//
// The Directory is one tenant: its applications, its managed identities, who holds
// which role where, and the keys that sign tokens. All of it is sealed records of the
// control plane, and all of it is small, so the Directory keeps an opened copy (the
// view) and answers from there. Every change also rewrites the tenant's own record,
// and every question first looks whether that record is the one that the view was
// made from. So an answer is never older than the last change, whoever made it, and
// still costs no more than one small read: a role that is taken away is gone at the
// next call.
//
// Who calls is a Caller, found by Authenticate. What they may do is Require and
// RequireData, with Azure's roles, actions and scopes. The other methods change or
// show the directory and do not ask who calls; the door in front of them does.
package identity

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"latchkey/resource"
	"latchkey/store"
)

// Config is what Open needs.
type Config struct {
	// Store holds the control plane. Required.
	Store *store.Store
	// Cloud says what the hosts are called; issuer and audiences come from it.
	// Required.
	Cloud resource.Cloud
	// Secret is the secret of the first application, as the program kept it since it
	// was made. If it is empty or not the right one, a new secret is made and
	// Bootstrap returns it: so a program that lost its file, or stopped before it had
	// written it, is not locked out.
	Secret string
	// Log may be nil.
	Log *slog.Logger
}

// Bootstrap is what a first start makes and later starts find.
type Bootstrap struct {
	TenantID, SubscriptionID string
	// ClientID and ObjectID are those of the first application, the owner of the
	// subscription.
	ClientID, ObjectID string
	// Secret is the application's secret, in clear.
	Secret string
	// Fresh says that Secret is new and has to be kept by the caller: the directory
	// stores a hash of it.
	Fresh bool
}

// ownerName is the display name of the first application.
const ownerName = "latchkey-owner"

// A Directory is one tenant. It is safe for concurrent use.
type Directory struct {
	store     *store.Store
	cloud     resource.Cloud
	log       *slog.Logger
	home      store.RID // the place of the tenant's record
	tenant    tenantRecord
	bootstrap Bootstrap
	audiences []string

	view    atomic.Pointer[view]
	loading sync.Mutex // so that a stale view is loaded once
	tokens  tokenCache

	mu       sync.Mutex
	onChange []func(principalID string)
}

// Open finds the directory in the store or makes it: a tenant, a subscription, a
// signing key, and an application that owns the subscription.
func Open(ctx context.Context, c Config) (*Directory, error) {
	d := &Directory{store: c.Store, cloud: c.Cloud, log: c.Log}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.audiences = audiencesOf(c.Cloud)
	if err := d.find(ctx); errors.Is(err, store.ErrNotFound) {
		err = d.make(ctx)
		if err != nil {
			return nil, fmt.Errorf("making the directory: %w", err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("opening the directory: %w", err)
	}
	if err := d.owner(ctx, c.Secret); err != nil {
		return nil, fmt.Errorf("finding the owner: %w", err)
	}
	return d, nil
}

// find reads the tenant's record.
func (d *Directory) find(ctx context.Context) error {
	return d.store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		r, err := tx.Lookup(store.KindTenant, store.RID{}, homeName)
		if err != nil {
			return err
		}
		d.home = r.ID
		return r.Decode(&d.tenant)
	})
}

// make writes a new directory. If another process is quicker, that one's is used.
func (d *Directory) make(ctx context.Context) error {
	key, err := newSigningKey()
	if err != nil {
		return err
	}
	tenant := tenantRecord{ID: resource.NewGUID(), Name: "Latchkey", Domain: domainOf(d.cloud)}
	subscription := subscriptionRecord{ID: resource.NewGUID(), Name: "Latchkey"}
	app := applicationRecord{
		ClientID: resource.NewGUID(), ObjectID: resource.NewGUID(), RegistrationID: resource.NewGUID(), Name: ownerName,
	}
	tenant.Owner = app.ClientID
	role := assignmentRecord{
		Name: resource.NewGUID(), Scope: "/subscriptions/" + subscription.ID, Role: RoleOwner,
		Principal: app.ObjectID, PrincipalType: servicePrincipal, CreatedBy: app.ObjectID,
	}
	role.stamp()
	err = d.store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
		for _, r := range []struct {
			kind store.Kind
			name string
			v    any
		}{
			{store.KindTenant, homeName, tenant},
			{store.KindSubscription, subscription.ID, subscription},
			{store.KindApplication, app.ClientID, app},
			{store.KindSigningKey, key.KID, key},
			{store.KindRole, role.recordName(), role},
		} {
			if _, err := tx.Insert(r.kind, store.RID{}, r.name, store.Clear{}, r.v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	return d.find(ctx)
}

// owner fills in Bootstrap, giving the owner a new secret if the one that the
// program kept is not right.
func (d *Directory) owner(ctx context.Context, secret string) error {
	v, err := d.current(ctx)
	if err != nil {
		return err
	}
	if len(v.subscriptions) == 0 {
		return errors.New("the tenant has no subscription")
	}
	app, ok := v.applications[d.tenant.Owner]
	if !ok {
		return fmt.Errorf("the application %s is gone", d.tenant.Owner)
	}
	d.bootstrap = Bootstrap{
		TenantID: d.tenant.ID, SubscriptionID: v.subscriptions[0].ID,
		ClientID: app.ClientID, ObjectID: app.ObjectID, Secret: secret,
	}
	if !app.knows(secret) {
		d.bootstrap.Fresh = true
		d.bootstrap.Secret, err = d.ResetSecret(ctx, app.ClientID)
	}
	return err
}

// Bootstrap returns what Open made or found.
func (d *Directory) Bootstrap() Bootstrap { return d.bootstrap }

// Tenant returns the tenant's id.
func (d *Directory) Tenant() string { return d.tenant.ID }

// TenantName returns the tenant's display name.
func (d *Directory) TenantName() string { return d.tenant.Name }

// Domain returns the tenant's domain name, which stands for its id in the authority's
// paths.
func (d *Directory) Domain() string { return d.tenant.Domain }

// IsTenant reports whether name is the tenant's id or its domain name.
func (d *Directory) IsTenant(name string) bool {
	return resource.Equal(name, d.tenant.ID) || resource.Equal(name, d.tenant.Domain)
}

// A Subscription is one subscription of the tenant.
type Subscription struct{ ID, Name string }

// Subscription returns the subscription that the first start made.
func (d *Directory) Subscription() string { return d.bootstrap.SubscriptionID }

// Subscriptions lists the tenant's subscriptions.
func (d *Directory) Subscriptions(ctx context.Context) ([]Subscription, error) {
	v, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]Subscription, 0, len(v.subscriptions))
	for _, s := range v.subscriptions {
		out = append(out, Subscription(s))
	}
	return out, nil
}

// OnChange has fn called after each change of a principal or of its roles, with the
// principal's object id. It is called on the goroutine that made the change, so it
// must be quick and must not change the directory.
func (d *Directory) OnChange(fn func(principalID string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onChange = append(d.onChange, fn)
}

func (d *Directory) changed(principals ...string) {
	d.mu.Lock()
	fns := d.onChange
	d.mu.Unlock()
	for _, p := range principals {
		for _, fn := range fns {
			fn(p)
		}
	}
}

// domainOf is the tenant's domain name: the cloud's own, or one that nobody can
// register where the cloud is Azure's.
func domainOf(c resource.Cloud) string {
	if domain, ok := strings.CutPrefix(c.Login, "login."); ok && c.Name != "AzureCloud" {
		domain, _, _ = strings.Cut(domain, ":")
		return domain
	}
	return "latchkey.local"
}

// newSecret returns 260 random bits in capital letters and digits: nothing that a
// shell, a form or a URL would touch.
func newSecret() string { return rand.Text() + rand.Text() }

// hashSecret is enough for secrets that nobody can guess; a slow hash is for
// passwords that people choose.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func (a *applicationRecord) knows(secret string) bool {
	return len(a.Secret) > 0 && subtle.ConstantTimeCompare(hashSecret(secret), a.Secret) == 1
}
