// Package store remembers: sealed records in an ordered space, changed by
// transactions that are done whole or not at all.
//
// A record belongs to a Space (one Batch account, or the control plane), is of a
// Kind, and has a name that nobody can read without the space's key. Services change
// records in Update; the store keeps the lists by creation, by state and by time and
// the counters in the same commit. What can be read without a key is declared in
// clear.go, and nowhere else.
//
// The one line that takes a revoked key seriously is in begin: a space whose key is
// away has no transactions.
//
// Transactions are optimistic. A transaction remembers the version of every record
// that it looked up and commits only if none has moved; otherwise its function runs
// again. Lists are not part of that: who acts on a list looks up what it acts on.
package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync/atomic"
	"time"

	"latchkey/fault"
)

// A Sealer seals and opens the records of one space.
type Sealer interface {
	Seal(ad, plain []byte) ([]byte, error)
	Open(ad, sealed []byte) ([]byte, error)
	// Names returns the tags of a name, one for each generation of the key that is
	// still in use, the newest first.
	Names(label []byte) ([][]byte, error)
	// Fresh reports whether a sealed record is of the newest generation.
	Fresh(sealed []byte) bool
}

// A Releaser is a Sealer that wants to know when it is no longer used. Whoever holds
// the keys can so tell when the last transaction that began before a change of
// generation has ended.
type Releaser interface{ Release() }

func release(s Sealer) {
	if r, ok := s.(Releaser); ok {
		r.Release()
	}
}

// Keys gives out the sealer of a space, or the fault that says why there is none.
type Keys interface {
	Sealer(space Space) (Sealer, error)
}

// Errors of transactions.
var (
	// ErrNotFound: there is no such record.
	ErrNotFound = errors.New("no such record")
	// ErrExists: the name is taken.
	ErrExists = errors.New("the name is taken")
)

// A Store is the records of one driver, sealed by one set of keys.
type Store struct {
	driver Driver
	keys   Keys
}

// New returns a store over driver. It does not close the driver.
func New(driver Driver, keys Keys) *Store {
	return &Store{driver: driver, keys: keys}
}

// NewSpace returns the number of a new space.
func NewSpace() Space {
	var s Space
	rand.Read(s[:])
	return s
}

// retries is how often a transaction is tried again when records have moved under
// it. The waits between them grow to 16 ms, so a transaction fails only after some
// seconds of losing every time.
const retries = 400

// Update runs fn and commits what it wrote. If a record that fn looked up has moved
// meanwhile, fn runs again, so it must have no effect outside its Tx. It fails
// before fn runs if the space's key is away. There must be no network use in fn.
func (s *Store) Update(ctx context.Context, space Space, fn func(*Tx) error) error {
	for try := 0; ; try++ {
		err := s.try(ctx, space, fn)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if try == retries {
			return fault.ServerBusy.New("too many changes to the same resource at once; try again")
		}
		// The first tries are free: most conflicts are with one commit that has just
		// ended.
		if try > 2 {
			limit := min(time.Duration(try)*200*time.Microsecond, 16*time.Millisecond)
			select {
			case <-time.After(mathrand.N(limit)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// try runs a transaction once.
func (s *Store) try(ctx context.Context, space Space, fn func(*Tx) error) error {
	tx, err := s.begin(ctx, space)
	if err != nil {
		return err
	}
	defer release(tx.sealer)
	if err := fn(tx); err != nil {
		return err
	}
	commit := tx.commit()
	if commit == nil {
		return nil
	}
	return s.driver.Commit(ctx, commit)
}

// View runs fn, which must only read.
func (s *Store) View(ctx context.Context, space Space, fn func(*Tx) error) error {
	tx, err := s.begin(ctx, space)
	if err != nil {
		return err
	}
	defer release(tx.sealer)
	tx.readOnly = true
	return fn(tx)
}

// begin is where a locked account stops: without a sealer there is no transaction.
func (s *Store) begin(ctx context.Context, space Space) (*Tx, error) {
	sealer, err := s.keys.Sealer(space)
	if err != nil {
		return nil, err
	}
	return &Tx{ctx: ctx, store: s, space: space, sealer: sealer}, nil
}

// Count returns how many records under a record are in a state. It needs no key.
func (s *Store) Count(ctx context.Context, space Space, kind Kind, under RID, state State) (int64, error) {
	row, ok, err := s.driver.Get(ctx, counterKey(space, kind, under, state))
	if err != nil || !ok {
		return 0, err
	}
	if len(row.Value) != 8 {
		return 0, fmt.Errorf("the row at %x is not a counter", row.Key)
	}
	return int64(binary.BigEndian.Uint64(row.Value)), nil
}

// DeleteSpace removes every record of a space. It needs no key.
func (s *Store) DeleteSpace(ctx context.Context, space Space) error {
	return s.driver.DeleteRange(ctx, space[:], after(space[:]))
}

// Check opens a record of a space, if there is one, and says whether the space's key
// is the one that it was sealed under. A name that is looked up under a wrong key is
// merely not found, so who opens a store asks this before anything is written.
func (s *Store) Check(ctx context.Context, space Space) error {
	sealer, err := s.keys.Sealer(space)
	if err != nil {
		return err
	}
	defer release(sealer)
	prefix := append(bytes.Clone(space[:]), rowRecord)
	rows, err := s.driver.Scan(ctx, prefix, after(prefix), 1)
	if err != nil || len(rows) == 0 {
		return err
	}
	_, err = openRow(sealer, space, rows[0])
	return err
}

var lastSequence atomic.Uint64

// NextSequence returns a number greater than every number that it returned before,
// near the time in nanoseconds, so that numbers of several processes interleave by
// time.
func NextSequence() uint64 {
	for {
		last := lastSequence.Load()
		next := max(uint64(time.Now().UnixNano()), last+1)
		if lastSequence.CompareAndSwap(last, next) {
			return next
		}
	}
}

// NewRID returns the place for a new record.
func NewRID() RID {
	var r RID
	binary.BigEndian.PutUint64(r[:], NextSequence())
	rand.Read(r[8:])
	return r
}
