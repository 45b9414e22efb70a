package vault

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/store"
)

// A KeyType is Azure's name for a kind of key. The HSM kinds are protected by
// software here, like all others.
type KeyType string

// The key types that can be made.
const (
	RSA    KeyType = "RSA"
	RSAHSM KeyType = "RSA-HSM"
	EC     KeyType = "EC"
	ECHSM  KeyType = "EC-HSM"
)

// operations are the key operations in Azure's spelling and order.
var operations = []string{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey", "import", "export"}

// Attributes are what an owner sets on a key version. Nil means: not given.
type Attributes struct {
	Enabled            *bool
	NotBefore, Expires *time.Time
	Exportable         *bool
}

// A Draft is what a caller wants a new key version to be.
type Draft struct {
	Type KeyType
	// Size is in bits; zero is the type's default. Exponent is zero for the default.
	// Both are for RSA keys.
	Size, Exponent int
	// Curve is for EC keys; empty is the default.
	Curve string
	// Ops nil means all that fit the type.
	Ops []string
	Attributes
	Tags          map[string]string
	ReleasePolicy bool
}

// storedKey is the record of a key, live or deleted. Its versions are records below
// it.
type storedKey struct {
	Name string
	// Current is the place of the newest version.
	Current store.RID
	// Deleted and Purges are set while the key is deleted; Purging means that there
	// is no way back.
	Deleted, Purges time.Time
	Purging         bool
	// Rotation is nil as long as nobody has set a policy.
	Rotation *RotationPolicy
	// Notified is the version whose near expiry has been told.
	Notified string
}

func checkKeyName(name string) error {
	ok := len(name) >= 1 && len(name) <= 127
	for i := 0; ok && i < len(name); i++ {
		ok = isLetter(name[i]) || name[i] == '-' || '0' <= name[i] && name[i] <= '9'
	}
	if !ok {
		return fault.BadParameter.New("The request URI contains an invalid name: %s", name)
	}
	return nil
}

// check says what is wrong with a draft.
func (d Draft) check() error {
	if err := d.Type.check(); err != nil {
		return err
	}
	if d.Type.isRSA() {
		if err := checkRSA(d.Size, d.Exponent); err != nil {
			return err
		}
	} else if err := checkCurve(d.Curve); err != nil {
		return err
	}
	return checkExport(d.Exportable, d.ReleasePolicy)
}

// checkExport refuses keys that could leave.
func checkExport(exportable *bool, policy bool) error {
	switch {
	case exportable != nil && *exportable && !policy:
		return fault.BadParameter.New("AKV.SKR.1004: Exportable keys must have release policy.")
	case exportable != nil && *exportable:
		return badProperty("attributes.exportable", "keys cannot be released from this vault")
	case policy:
		return fault.BadParameter.New("AKV.SKR.1005: Non-exportable keys must not have release policy.")
	}
	return nil
}

func badProperty(property, format string, args ...any) error {
	return fault.BadParameter.New("Property %s has invalid value: "+format, append([]any{property}, args...)...)
}

// canonicalOps returns key operations in Azure's spelling.
func canonicalOps(ops []string) ([]string, error) {
	out := make([]string, 0, len(ops))
	for _, op := range ops {
		i := slices.IndexFunc(operations, func(known string) bool { return resource.Equal(op, known) })
		if i < 0 {
			return nil, badProperty("key_ops", "'%s' is not a key operation", op)
		}
		if known := operations[i]; known == "import" || known == "export" {
			return nil, badProperty("key_ops", "'%s' is for keys that are carried from one HSM to another, and such keys are not made here", known)
		}
		if !slices.Contains(out, operations[i]) {
			out = append(out, operations[i])
		}
	}
	return out, nil
}

// checkTags holds tags against Key Vault's limits.
func checkTags(tags map[string]string) error {
	if len(tags) > 15 {
		return badProperty("tags", "a key has at most 15 tags")
	}
	for name, value := range tags {
		if len(name) > 256 || len(value) > 256 {
			return badProperty("tags", "names and values of tags have at most 256 characters")
		}
	}
	return nil
}

// apply sets the attributes that were given.
func (v *Version) apply(a Attributes) error {
	set(&v.Enabled, a.Enabled)
	set(&v.NotBefore, a.NotBefore)
	set(&v.Expires, a.Expires)
	if !v.NotBefore.IsZero() && !v.Expires.IsZero() && !v.Expires.After(v.NotBefore) {
		return badProperty("attributes.exp", "a key must expire after it becomes valid")
	}
	return nil
}

// Create makes a key, or a new version of one that there is.
func (s *Service) Create(ctx context.Context, who identity.Caller, ref Ref, in Draft) (Version, error) {
	return s.add(ctx, who, opCreate, ref, func() (Version, []byte, error) {
		if err := in.check(); err != nil {
			return Version{}, nil, err
		}
		version, err := newVersion(in.Type, in.Ops, in.Attributes, in.Tags)
		if err != nil {
			return Version{}, nil, err
		}
		secret, err := s.generate(ctx, in.Type, in.Size, in.Curve)
		return version, secret, err
	})
}

// add makes a key, or a new version of one that there is, of what prepare returns.
func (s *Service) add(ctx context.Context, who identity.Caller, op operation, ref Ref, prepare func() (Version, []byte, error)) (out Version, err error) {
	err = s.use(ctx, who, op, ref, func(u *use) error {
		// The caller is asked for a reason before anything is computed for it.
		err := s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			return s.creatable(tx, v, ref.Key)
		})
		if err != nil {
			return err
		}
		version, secret, err := prepare()
		if err != nil {
			return err
		}
		err = s.Store.Update(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			if err := s.creatable(tx, v, ref.Key); err != nil {
				return err
			}
			added, err := addVersion(tx, v, ref.Key, version, secret)
			out = s.present(v, added)
			return err
		})
		if err != nil {
			return err
		}
		u.version = out.ID
		return nil
	})
	if err != nil {
		return Version{}, err
	}
	s.changed(ref.Vault)
	return out, nil
}

// creatable says why a name cannot be given to a key: it is not one, or a deleted key
// has it.
func (s *Service) creatable(tx *store.Tx, v *Vault, name string) error {
	if err := checkKeyName(name); err != nil {
		return err
	}
	r, err := tx.Lookup(store.KindDeletedKey, v.rid, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var k storedKey
	if err := r.Decode(&k); err != nil {
		return err
	}
	if k.Purging {
		return fault.KeyConflict.New("Key %s is currently being deleted and cannot be re-created; retry later.", name).Because("ObjectIsBeingDeleted")
	}
	return fault.KeyConflict.New("Key %s is currently in a deleted but recoverable state, and its name cannot be reused; "+
		"in this state, the key can only be recovered or purged.", name).Because("ObjectIsDeletedButRecoverable")
}

// newVersion returns a version that has everything but its key.
func newVersion(t KeyType, ops []string, a Attributes, tags map[string]string) (Version, error) {
	now := time.Now().UTC().Truncate(time.Second)
	v := Version{Type: t, Ops: t.ops(), Enabled: true, Created: now, Updated: now, Tags: tags}
	if err := checkTags(tags); err != nil {
		return Version{}, err
	}
	if ops != nil {
		var err error
		if v.Ops, err = canonicalOps(ops); err != nil {
			return Version{}, err
		}
	}
	if err := v.apply(a); err != nil {
		return Version{}, err
	}
	var id [16]byte
	rand.Read(id[:])
	v.ID = hex.EncodeToString(id[:])
	return v, nil
}

// generate makes a private key.
func (s *Service) generate(ctx context.Context, t KeyType, size int, curve string) ([]byte, error) {
	return s.compute(ctx, func() ([]byte, error) { return newSecret(t, size, curve) })
}

// compute does what keeps a processor busy for long when one is free for it.
func (s *Service) compute(ctx context.Context, do func() ([]byte, error)) ([]byte, error) {
	select {
	case s.making <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.making }()
	return do()
}

// addVersion stores a version as the newest of a key, making the key if there is none.
func addVersion(tx *store.Tx, v *Vault, name string, version Version, secret []byte) (Version, error) {
	m, err := parseMaterial(secret)
	if err != nil {
		return Version{}, err
	}
	version.Public = m.public()
	place := store.NewRID()
	key, err := tx.Lookup(store.KindVaultKey, v.rid, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		k := storedKey{Name: name, Current: place}
		version.Key = name
		key, err = tx.Insert(store.KindVaultKey, v.rid, name, store.Clear{Due: k.due(&version)}, k)
		if err != nil {
			return Version{}, err
		}
	case err != nil:
		return Version{}, err
	default:
		var k storedKey
		if err := key.Decode(&k); err != nil {
			return Version{}, err
		}
		k.Current = place
		// The name keeps the case in which it was first written.
		version.Key = k.Name
		if err := tx.Put(key, store.Clear{Due: k.due(&version)}, k); err != nil {
			return Version{}, err
		}
	}
	if _, err := tx.InsertAt(store.KindKeyVersion, key.ID, place, version.ID, store.Clear{}, storedVersion{version, secret}); err != nil {
		return Version{}, err
	}
	return version, nil
}
