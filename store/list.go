package store

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"time"
)

// page is how many rows a list asks the driver for at once.
const page = 128

// Records lists the records of a kind under a parent in the order in which they were
// made, beginning behind the place given. It does not see what this transaction
// wrote.
func (tx *Tx) Records(kind Kind, parent, behind RID) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		prefix := recordKey(tx.space, kind, parent, RID{})[:16+2+16]
		from := prefix
		if behind != (RID{}) {
			from = after(recordKey(tx.space, kind, parent, behind))
		}
		for row, err := range tx.scan(from, after(prefix)) {
			if err != nil {
				yield(nil, err)
				return
			}
			r, err := openRow(tx.sealer, tx.space, row)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// A Place says where a record is.
type Place struct{ Parent, ID RID }

// InState lists the places of the records of a kind under a record that are in a
// state, the highest priority first and within it by age. Who acts on a place looks
// the record up and looks at its state again.
func (tx *Tx) InState(kind Kind, under RID, state State) iter.Seq2[Place, error] {
	prefix := statePrefix(tx.space, kind, under, state)
	return tx.places(prefix, after(prefix))
}

// Due lists the places of the records of a kind whose time has come, the oldest
// first.
func (tx *Tx) Due(kind Kind, now time.Time) iter.Seq2[Place, error] {
	prefix := duePrefix(tx.space, kind)
	return tx.places(prefix, after(dueKey(tx.space, kind, Clear{Due: now}, RID{})[:len(prefix)+8]))
}

func (tx *Tx) places(from, to []byte) iter.Seq2[Place, error] {
	return func(yield func(Place, error) bool) {
		for row, err := range tx.scan(from, to) {
			if err != nil {
				yield(Place{}, err)
				return
			}
			if len(row.Value) != 16 || len(row.Key) < 16 {
				yield(Place{}, errors.New("a list's row is not one"))
				return
			}
			if !yield(Place{Parent: RID(row.Value), ID: RID(row.Key[len(row.Key)-16:])}, nil) {
				return
			}
		}
	}
}

// Count returns how many records under a record are in a state, as committed.
func (tx *Tx) Count(kind Kind, under RID, state State) (int64, error) {
	return tx.store.Count(tx.ctx, tx.space, kind, under, state)
}

// scan reads rows page by page; the first page is small, because most lists are
// left early.
func (tx *Tx) scan(from, to []byte) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for limit := 8; ; limit = page {
			rows, err := tx.store.driver.Scan(tx.ctx, from, to, limit)
			if err != nil {
				yield(Row{}, fmt.Errorf("reading a list: %w", err))
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if len(rows) < limit {
				return
			}
			from = append(bytes.Clone(rows[len(rows)-1].Key), 0)
		}
	}
}
