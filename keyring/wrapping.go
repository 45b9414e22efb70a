package keyring

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/resource"
	"latchkey/store"
)

// The algorithms that wrap account keys.
const (
	byPlatform = "A256GCM"
	byVault    = "RSA-OAEP-256"
)

// A Custody says who holds an account's key.
type Custody struct {
	// KeyID is the key in the owner's vault as the owner gave it. Empty means that the
	// platform holds the key, and then all else is empty.
	KeyID string
	// Identity is how Config.Credential knows the identity that asks the vault.
	Identity string
	// Principal is the identity's object id; a change of it asks the vault at once.
	Principal string
}

// Customer reports whether the key is the customer's.
func (c Custody) Customer() bool { return c.KeyID != "" }

// wrapping is what is stored of an account's key: one record in the control plane,
// named after the account's space.
type wrapping struct {
	Custody Custody
	// Algorithm is how every generation is wrapped. By a vault: KeyID is the key with
	// its version, Tenant where the vault was.
	Algorithm string
	KeyID     KeyID
	Tenant    string
	// Generations are the account keys still in use, the oldest first. There is more
	// than one only while records are being sealed anew.
	Generations []generation
	Reseal      resealing
}

// generation is one wrapped account key.
type generation struct {
	Number  uint32
	Wrapped []byte
	// Commitment tells whether what was unwrapped is what was wrapped.
	Commitment []byte
	Made       time.Time
}

// resealing is how far records have been sealed under the newest generation.
type resealing struct {
	Cursor      []byte
	Done, Total int64
	Started     time.Time
}

func (w wrapping) customer() bool { return w.Algorithm == byVault }

func (w wrapping) newest() uint32 { return w.Generations[len(w.Generations)-1].Number }

// follows reports whether the owner gave an identifier without a version.
func (r *Ring) follows(w wrapping) bool {
	id, err := r.ParseKeyID(w.Custody.KeyID)
	return err == nil && id.Version == ""
}

// secrets are unwrapped account keys by generation.
type secrets map[uint32][]byte

func (s secrets) wipe() {
	for _, b := range s {
		clear(b)
	}
}

func (s secrets) clone() secrets {
	c := secrets{}
	for n, b := range s {
		c[n] = bytes.Clone(b)
	}
	return c
}

// wrapPlatform wraps one generation under the platform key.
func (r *Ring) wrapPlatform(space store.Space, number uint32, secret []byte) (generation, error) {
	sealed, err := r.platform.Seal(wrapAD(space, number), secret)
	if err != nil {
		return generation{}, fmt.Errorf("wrapping an account key: %w", err)
	}
	return newGeneration(space, number, secret, sealed), nil
}

func newGeneration(space store.Space, number uint32, secret, wrapped []byte) generation {
	return generation{
		Number:     number,
		Wrapped:    wrapped,
		Commitment: envelope.Commitment(secret, space[:], number),
		Made:       time.Now().UTC(),
	}
}

func (r *Ring) unwrapPlatform(space store.Space, w wrapping) (secrets, error) {
	out := secrets{}
	for _, g := range w.Generations {
		secret, err := r.platform.Open(wrapAD(space, g.Number), g.Wrapped)
		if err != nil {
			return nil, fmt.Errorf("unwrapping an account key: %w", err)
		}
		if !g.commits(space, secret) {
			return nil, errors.New("unwrapping an account key: it is not the one that was wrapped")
		}
		out[g.Number] = secret
	}
	return out, nil
}

// commits reports whether secret is the account key that was wrapped.
func (g generation) commits(space store.Space, secret []byte) bool {
	return len(secret) == envelope.SecretSize &&
		subtle.ConstantTimeCompare(envelope.Commitment(secret, space[:], g.Number), g.Commitment) == 1
}

// wrapAD binds a key wrapped by the platform to its account and generation.
func wrapAD(space store.Space, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append([]byte("account key of "), space[:]...), number)
}

// read returns an account's wrapping as it is stored now.
func (r *Ring) read(ctx context.Context, space store.Space) (w wrapping, err error) {
	err = r.store.View(ctx, store.Space{}, func(tx *store.Tx) error {
		rec, err := tx.Lookup(store.KindWrapping, store.RID{}, spaceName(space))
		if err != nil {
			return err
		}
		return rec.Decode(&w)
	})
	if err == nil && len(w.Generations) == 0 {
		err = errors.New("reading a wrapped key: it has no generation")
	}
	return w, err
}

// write stores an account's wrapping in the place of old, in one transaction with also.
// It is not given up when the caller goes away: the outcome must be known.
func (r *Ring) write(ctx context.Context, space store.Space, old, w wrapping, also func(*store.Tx) error) error {
	return r.store.Update(context.WithoutCancel(ctx), store.Space{}, func(tx *store.Tx) error {
		rec, err := tx.Lookup(store.KindWrapping, store.RID{}, spaceName(space))
		if errors.Is(err, store.ErrNotFound) {
			return errGone
		}
		if err != nil {
			return err
		}
		var stored wrapping
		if err := rec.Decode(&stored); err != nil {
			return err
		}
		if !sameKeys(stored, old) {
			return fault.Conflict.New("the account's key was changed at the same time by another request; try again")
		}
		if err := tx.Put(rec, store.Clear{}, w); err != nil {
			return err
		}
		if also == nil {
			return nil
		}
		return also(tx)
	})
}

// errGone: the account has been deleted meanwhile.
var errGone = errors.New("the account key has been destroyed")

// sameKeys reports whether two wrappings hold the same account keys in the same way.
func sameKeys(a, b wrapping) bool {
	return a.Custody == b.Custody && a.Algorithm == b.Algorithm && resource.Equal(a.KeyID.String(), b.KeyID.String()) &&
		slices.EqualFunc(a.Generations, b.Generations, func(x, y generation) bool {
			return x.Number == y.Number && bytes.Equal(x.Wrapped, y.Wrapped)
		})
}
