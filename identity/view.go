package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"latchkey/resource"
	"latchkey/store"
)

// What is stored. These are neither what callers see nor what travels.
type (
	// tenantRecord is rewritten by every change of the directory; its version says
	// which directory a view shows.
	tenantRecord struct {
		ID, Name, Domain string
		// Owner is the client id of the first application.
		Owner string
	}
	subscriptionRecord struct{ ID, Name string }
	applicationRecord  struct {
		ClientID, ObjectID, RegistrationID, Name string
		Secret                                   []byte // its hash
	}
	identityRecord struct {
		ResourceID, Name, Location string
		PrincipalID, ClientID      string
		Isolation                  string            `json:",omitempty"`
		Tags                       map[string]string `json:",omitempty"`
		System                     bool
		Created                    time.Time
		// Grant is the secret of the identity's endpoint, once somebody asked for it.
		Grant string `json:",omitempty"`

		version uint64
	}
	assignmentRecord struct {
		Name, Scope, Role, Principal, PrincipalType string
		Description                                 string `json:",omitempty"`
		CreatedBy, UpdatedBy                        string
		Created, Updated                            time.Time
	}
)

// homeName is the name of the one tenant's record.
const homeName = "home"

// A view is the opened directory as of one version of the tenant's record. Views are
// never changed: a change makes a new one.
type view struct {
	version       uint64
	subscriptions []subscriptionRecord
	// applications are by client id.
	applications map[string]*applicationRecord
	// identities are by folded resource id, managed ones of both sorts.
	identities map[string]*identityRecord
	// assignments are by record name, byPrincipal by the folded id of who holds them.
	assignments map[string]*assignmentRecord
	byPrincipal map[string][]*assignmentRecord
	// keys are by key id; signer is the newest.
	keys   map[string]*signingKey
	signer *signingKey

	// principals are all that can hold a token, by folded object id; byClient is the
	// same by client id.
	principals, byClient map[string]Principal
	// byGrant are the identities that have a grant, by the hash of its secret.
	byGrant map[[sha256.Size]byte]*identityRecord
}

// current returns a view that is not older than this call.
func (d *Directory) current(ctx context.Context) (*view, error) {
	var version uint64
	err := d.store.View(ctx, store.Space{}, func(tx *store.Tx) (err error) {
		version, err = d.version(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the tenant: %w", err)
	}
	if v := d.view.Load(); v != nil && v.version == version {
		return v, nil
	}
	return d.reload(ctx)
}

// version reads which directory is the current one.
func (d *Directory) version(tx *store.Tx) (uint64, error) {
	r, err := tx.Get(store.KindTenant, store.RID{}, d.home)
	if err != nil {
		return 0, err
	}
	return r.Version, nil
}

// reload reads the directory anew.
func (d *Directory) reload(ctx context.Context) (*view, error) {
	d.loading.Lock()
	defer d.loading.Unlock()
	var v *view
	err := d.store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		for {
			before, err := d.version(tx)
			if err != nil {
				return err
			}
			if v = d.view.Load(); v != nil && v.version == before {
				return nil
			}
			if v, err = readView(tx); err != nil {
				return err
			}
			// Lists are not one moment: what changed while they were read shows in the
			// version.
			after, err := d.version(tx)
			if err != nil {
				return err
			}
			if v.version = after; before == after {
				d.view.Store(v)
				return nil
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading the directory: %w", err)
	}
	return v, nil
}

func readView(tx *store.Tx) (*view, error) {
	v := &view{
		applications: map[string]*applicationRecord{}, identities: map[string]*identityRecord{},
		assignments: map[string]*assignmentRecord{}, keys: map[string]*signingKey{},
	}
	err := errors.Join(
		read(tx, store.KindSubscription, func(_ *store.Record, s *subscriptionRecord) error {
			v.subscriptions = append(v.subscriptions, *s)
			return nil
		}),
		read(tx, store.KindApplication, func(_ *store.Record, a *applicationRecord) error {
			v.applications[a.ClientID] = a
			return nil
		}),
		read(tx, store.KindIdentity, func(r *store.Record, m *identityRecord) error {
			m.version = r.Version
			v.identities[resource.Fold(m.ResourceID)] = m
			return nil
		}),
		read(tx, store.KindRole, func(_ *store.Record, a *assignmentRecord) error {
			v.assignments[a.recordName()] = a
			return nil
		}),
		read(tx, store.KindSigningKey, func(_ *store.Record, k *keyRecord) error {
			key, err := k.open()
			if err != nil {
				return err
			}
			v.keys[k.KID] = key
			return nil
		}),
	)
	v.index()
	return v, err
}

// read decodes every record of a kind.
func read[T any](tx *store.Tx, kind store.Kind, fn func(*store.Record, *T) error) error {
	for r, err := range tx.Records(kind, store.RID{}, store.RID{}) {
		if err != nil {
			return err
		}
		v := new(T)
		if err := r.Decode(v); err != nil {
			return err
		}
		if err := fn(r, v); err != nil {
			return err
		}
	}
	return nil
}

// index fills in what is derived.
func (v *view) index() {
	v.byPrincipal = map[string][]*assignmentRecord{}
	for _, a := range v.assignments {
		p := resource.Fold(a.Principal)
		v.byPrincipal[p] = append(v.byPrincipal[p], a)
	}
	v.signer = v.newest()
	v.principals, v.byClient = map[string]Principal{}, map[string]Principal{}
	for _, a := range v.applications {
		v.admit(a.principal())
	}
	v.byGrant = map[[sha256.Size]byte]*identityRecord{}
	for _, m := range v.identities {
		v.admit(m.principal())
		if m.Grant != "" {
			v.byGrant[sha256.Sum256([]byte(m.Grant))] = m
		}
	}
}

func (v *view) admit(p Principal) {
	v.principals[resource.Fold(p.ObjectID)] = p
	v.byClient[resource.Fold(p.ClientID)] = p
}

// next returns a copy of v that a change may write to. What is derived is shared and
// still shows the directory before the change.
func (v *view) next() *view {
	return &view{
		byPrincipal: v.byPrincipal, principals: v.principals, byClient: v.byClient, signer: v.signer,
		subscriptions: slices.Clone(v.subscriptions), applications: maps.Clone(v.applications),
		identities: maps.Clone(v.identities), assignments: maps.Clone(v.assignments), keys: maps.Clone(v.keys),
	}
}

// change runs fn in a transaction with the directory as it is in that transaction.
// All changes meet at the tenant's record, so fn may decide by what it sees in v. It
// writes the records and brings v, which is its own copy, up to date.
func (d *Directory) change(ctx context.Context, fn func(tx *store.Tx, v *view) error) error {
	var next *view
	err := d.store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
		next = nil
		home, err := tx.Get(store.KindTenant, store.RID{}, d.home)
		if err != nil {
			return err
		}
		v := d.view.Load()
		if v == nil || v.version != home.Version {
			if v, err = readView(tx); err != nil {
				return err
			}
		}
		changed := v.next()
		if err := fn(tx, changed); err != nil {
			return err
		}
		if err := tx.Put(home, store.Clear{}, d.tenant); err != nil {
			return err
		}
		changed.version = home.Version
		next = changed
		return nil
	})
	if err != nil {
		return err
	}
	next.index()
	// If another change came in between, the version in the store is that one's and
	// the next question reads the directory anew.
	d.view.Store(next)
	return nil
}

// rewrite replaces the contents of a record that has a name.
func rewrite(tx *store.Tx, kind store.Kind, name string, v any) (*store.Record, error) {
	r, err := tx.Lookup(kind, store.RID{}, name)
	if err != nil {
		return nil, err
	}
	return r, tx.Put(r, store.Clear{}, v)
}

// remove deletes a record that has a name.
func remove(tx *store.Tx, kind store.Kind, name string) error {
	r, err := tx.Lookup(kind, store.RID{}, name)
	if err != nil {
		return err
	}
	return tx.Delete(r)
}
