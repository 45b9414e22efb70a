package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
)

// InStateBehind is InState, beginning behind the record that has the priority and the
// place given. Who takes records from the front of a long list one by one begins
// where it was: an engine steps over what was taken at a price.
func (tx *Tx) InStateBehind(kind Kind, under RID, state State, priority int32, behind RID) iter.Seq2[Place, error] {
	prefix := statePrefix(tx.space, kind, under, state)
	from := after(stateKey(tx.space, kind, Clear{State: state, Priority: priority, Under: under}, behind))
	return tx.places(from, after(prefix))
}

// Totals returns how many records of a kind are in each state, whatever they are
// counted under. It needs no key.
func (s *Store) Totals(ctx context.Context, space Space, kind Kind) (map[State]int64, error) {
	prefix := counterKey(space, kind, RID{}, 0)[:16+2]
	totals := map[State]int64{}
	for from := prefix; ; {
		rows, err := s.driver.Scan(ctx, from, after(prefix), page)
		if err != nil {
			return nil, fmt.Errorf("reading counters: %w", err)
		}
		for _, row := range rows {
			if len(row.Value) != 8 {
				return nil, fmt.Errorf("the row at %x is not a counter", row.Key)
			}
			totals[State(row.Key[len(row.Key)-1])] += int64(binary.BigEndian.Uint64(row.Value))
		}
		if len(rows) < page {
			return totals, nil
		}
		from = append(bytes.Clone(rows[len(rows)-1].Key), 0)
	}
}
