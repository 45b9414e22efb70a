package store

import (
	"context"
	"errors"
	"fmt"

	"latchkey/resource"
)

// A Tx is one transaction in one space. It is for one goroutine, and gone when the
// function that it was given to returns.
type Tx struct {
	ctx      context.Context
	store    *Store
	space    Space
	sealer   Sealer
	readOnly bool

	// reads, rows and adds become the Commit, by key. A row with version zero is a
	// deletion.
	reads map[string]uint64
	rows  map[string]Row
	adds  map[string]int64
	// records are the records that this transaction wrote, so that it reads its own
	// writes; nil is a deleted one.
	records map[string]*Record
}

var (
	errReadOnly = errors.New("a View must not write")
	errRenamed  = errors.New("the row of another record's name leads to it; one of them was moved")
)

// Lookup returns the record with a name, in any case of its letters. It fails with
// ErrNotFound.
func (tx *Tx) Lookup(kind Kind, parent RID, name string) (*Record, error) {
	tags, err := tx.sealer.Names(nameLabel(tx.space, kind, parent, resource.Fold(name)))
	if err != nil {
		return nil, err
	}
	// While records are being sealed anew, a name may move from an older tag to the
	// newest between two reads: so the newest is asked once more at the end.
	if len(tags) > 1 {
		tags = append(tags, tags[0])
	}
	for _, tag := range tags {
		id, found, err := tx.place(nameKey(tx.space, tag))
		if err != nil {
			return nil, err
		}
		if found {
			return tx.called(name, kind, parent, id)
		}
	}
	return nil, ErrNotFound
}

// called is Get for the record that a name's row leads to. The row is not sealed, so
// what it says counts only if the record says so too: whoever can write to the engine
// could else put one record in another's place.
func (tx *Tx) called(name string, kind Kind, parent, id RID) (*Record, error) {
	r, err := tx.Get(kind, parent, id)
	if err != nil {
		return nil, err
	}
	if !resource.Equal(r.Name, name) {
		return nil, fmt.Errorf("record of kind %d in space %x: %w", kind, tx.space, errRenamed)
	}
	return r, nil
}

// place reads a name row, seeing this transaction's own.
func (tx *Tx) place(key []byte) (id RID, found bool, err error) {
	row, ok := tx.rows[string(key)]
	if ok {
		ok = row.Version != 0
	} else if row, ok, err = tx.store.driver.Get(tx.ctx, key); err != nil {
		return RID{}, false, fmt.Errorf("looking up a name: %w", err)
	} else if !ok {
		tx.remember(key, 0)
	}
	if !ok {
		return RID{}, false, nil
	}
	if len(row.Value) != nameSize {
		return RID{}, false, errors.New("a name's row is not one")
	}
	return RID(row.Value[17:]), true, nil
}

// Get returns the record at a place. It fails with ErrNotFound.
func (tx *Tx) Get(kind Kind, parent, id RID) (*Record, error) {
	key := recordKey(tx.space, kind, parent, id)
	if r, ok := tx.records[string(key)]; ok {
		if r == nil {
			return nil, ErrNotFound
		}
		return r, nil
	}
	row, ok, err := tx.store.driver.Get(tx.ctx, key)
	if err != nil {
		return nil, fmt.Errorf("reading a record: %w", err)
	}
	tx.remember(key, row.Version)
	if !ok {
		return nil, ErrNotFound
	}
	return openRow(tx.sealer, tx.space, row)
}

// remember makes a precondition of what was read first.
func (tx *Tx) remember(key []byte, version uint64) {
	if tx.readOnly {
		return
	}
	if tx.reads == nil {
		tx.reads = map[string]uint64{}
	}
	if _, ok := tx.reads[string(key)]; !ok {
		tx.reads[string(key)] = version
	}
}

// Insert writes a new record. It fails with ErrExists if the name is taken. An empty
// name makes a record that cannot be looked up by name.
func (tx *Tx) Insert(kind Kind, parent RID, name string, fields Clear, v any) (*Record, error) {
	return tx.InsertAt(kind, parent, NewRID(), name, fields, v)
}

// InsertAt is Insert at a place that the caller made with NewRID.
func (tx *Tx) InsertAt(kind Kind, parent, id RID, name string, fields Clear, v any) (*Record, error) {
	r := &Record{Kind: kind, Parent: parent, ID: id, Name: name}
	if name != "" {
		tags, err := tx.nameTags(r)
		if err != nil {
			return nil, err
		}
		for _, tag := range tags {
			if _, taken, err := tx.place(nameKey(tx.space, tag)); err != nil {
				return nil, err
			} else if taken {
				return nil, ErrExists
			}
		}
		tx.put(nameKey(tx.space, tags[0]), nameValue(r), NextSequence())
	}
	return r, tx.Put(r, fields, v)
}

// Put writes a record again. The record must come from this transaction; it is
// brought up to date, its new Version included.
func (tx *Tx) Put(r *Record, fields Clear, v any) error {
	if tx.readOnly {
		return errReadOnly
	}
	b, start, err := plain(r.Name, v)
	if err != nil {
		return err
	}
	key := recordKey(tx.space, r.Kind, r.Parent, r.ID)
	value := fields.append(make([]byte, 0, clearSize))
	sealed, err := tx.sealer.Seal(binding(key, value), b)
	if err != nil {
		return fmt.Errorf("sealing a record: %w", err)
	}
	tx.unlist(r)
	r.Version, r.Clear, r.body = NextSequence(), fields, b[start:]
	tx.list(r)
	tx.put(key, append(value, sealed...), r.Version)
	tx.keep(key, r)
	return nil
}

// Delete removes a record with its name and its places in lists. The record must
// come from this transaction.
func (tx *Tx) Delete(r *Record) error {
	if tx.readOnly {
		return errReadOnly
	}
	if r.Name != "" {
		tags, err := tx.nameTags(r)
		if err != nil {
			return err
		}
		for _, tag := range tags {
			tx.remove(nameKey(tx.space, tag))
		}
	}
	tx.unlist(r)
	key := recordKey(tx.space, r.Kind, r.Parent, r.ID)
	tx.remove(key)
	tx.keep(key, nil)
	return nil
}

func (tx *Tx) nameTags(r *Record) ([][]byte, error) {
	return tx.sealer.Names(nameLabel(tx.space, r.Kind, r.Parent, resource.Fold(r.Name)))
}

// list enters a record into the lists that its clear fields put it in.
func (tx *Tx) list(r *Record) {
	if r.Clear.State != 0 {
		tx.put(stateKey(tx.space, r.Kind, r.Clear, r.ID), r.Parent[:], r.Version)
		tx.add(counterKey(tx.space, r.Kind, r.Clear.Under, r.Clear.State), 1)
	}
	if !r.Clear.Due.IsZero() {
		tx.put(dueKey(tx.space, r.Kind, r.Clear, r.ID), r.Parent[:], r.Version)
	}
}

// unlist takes a record out of the lists that it was in; a new one was in none.
func (tx *Tx) unlist(r *Record) {
	if r.Version == 0 {
		return
	}
	if r.Clear.State != 0 {
		tx.remove(stateKey(tx.space, r.Kind, r.Clear, r.ID))
		tx.add(counterKey(tx.space, r.Kind, r.Clear.Under, r.Clear.State), -1)
	}
	if !r.Clear.Due.IsZero() {
		tx.remove(dueKey(tx.space, r.Kind, r.Clear, r.ID))
	}
}

func (tx *Tx) put(key, value []byte, version uint64) {
	if tx.rows == nil {
		tx.rows = map[string]Row{}
	}
	tx.rows[string(key)] = Row{Key: key, Value: value, Version: version}
}

func (tx *Tx) remove(key []byte) { tx.put(key, nil, 0) }

func (tx *Tx) add(key []byte, delta int64) {
	if tx.adds == nil {
		tx.adds = map[string]int64{}
	}
	tx.adds[string(key)] += delta
}

func (tx *Tx) keep(key []byte, r *Record) {
	if tx.records == nil {
		tx.records = map[string]*Record{}
	}
	tx.records[string(key)] = r
}

// commit makes the Commit of what the transaction did; nil if it wrote nothing.
func (tx *Tx) commit() *Commit {
	if len(tx.rows) == 0 && len(tx.adds) == 0 {
		return nil
	}
	c := &Commit{
		Reads: make([]Read, 0, len(tx.reads)),
		Puts:  make([]Row, 0, len(tx.rows)),
	}
	for key, version := range tx.reads {
		c.Reads = append(c.Reads, Read{Key: []byte(key), Version: version})
	}
	for _, row := range tx.rows {
		if row.Version == 0 {
			c.Deletes = append(c.Deletes, row.Key)
		} else {
			c.Puts = append(c.Puts, row)
		}
	}
	for key, delta := range tx.adds {
		if delta != 0 {
			c.Adds = append(c.Adds, Add{Key: []byte(key), Delta: delta})
		}
	}
	return c
}
