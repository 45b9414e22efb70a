package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"latchkey/resource"
)

// Reseal seals up to limit records of a space under the newest generation of its
// key, beginning behind cursor (nil to begin). It returns the cursor for the next
// call, nil when the end is reached, and how many records it sealed. Records keep
// their versions: nobody sees that they were sealed anew. Records that are written
// meanwhile are of the newest generation by themselves.
func (s *Store) Reseal(ctx context.Context, space Space, cursor []byte, limit int) (next []byte, sealed int, err error) {
	prefix := append(bytes.Clone(space[:]), rowRecord)
	from := prefix
	if cursor != nil {
		from = append(bytes.Clone(cursor), 0)
	}
	rows, err := s.driver.Scan(ctx, from, after(prefix), limit)
	if err != nil {
		return nil, 0, fmt.Errorf("reading records to seal anew: %w", err)
	}
	for _, row := range rows {
		done, err := s.resealRow(ctx, space, row)
		if err != nil {
			return nil, sealed, err
		}
		if done {
			sealed++
		}
	}
	if len(rows) < limit {
		return nil, sealed, nil
	}
	return rows[len(rows)-1].Key, sealed, nil
}

// resealRow does one record in one commit with its name. A record that moves
// meanwhile was written by somebody else, under the newest generation, but its name
// may still be under an older tag: so it is looked at again.
func (s *Store) resealRow(ctx context.Context, space Space, row Row) (bool, error) {
	sealer, err := s.keys.Sealer(space)
	if err != nil {
		return false, err
	}
	defer release(sealer)
	for {
		r, err := openRow(sealer, space, row)
		if err != nil {
			return false, err
		}
		commit := &Commit{Reads: []Read{{Key: row.Key, Version: row.Version}}}
		fresh := sealer.Fresh(row.Value[clearSize:])
		if !fresh {
			b, _, err := plain(r.Name, json.RawMessage(r.body))
			if err != nil {
				return false, err
			}
			value := bytes.Clone(row.Value[:clearSize])
			out, err := sealer.Seal(binding(row.Key, value), b)
			if err != nil {
				return false, fmt.Errorf("sealing a record anew: %w", err)
			}
			commit.Puts = append(commit.Puts, Row{Key: row.Key, Value: append(value, out...), Version: row.Version})
		}
		if err := s.renameInto(ctx, commit, sealer, space, r); err != nil {
			return false, err
		}
		if len(commit.Puts) == 0 && len(commit.Deletes) == 0 {
			return false, nil
		}
		err = s.driver.Commit(ctx, commit)
		if err == nil {
			return !fresh, nil
		}
		if !errors.Is(err, ErrConflict) {
			return false, fmt.Errorf("sealing a record anew: %w", err)
		}
		var ok bool
		if row, ok, err = s.driver.Get(ctx, row.Key); err != nil || !ok {
			return false, err
		}
	}
}

// renameInto adds to commit what moves a record's name under the newest tag.
func (s *Store) renameInto(ctx context.Context, commit *Commit, sealer Sealer, space Space, r *Record) error {
	if r.Name == "" {
		return nil
	}
	tags, err := sealer.Names(nameLabel(space, r.Kind, r.Parent, resource.Fold(r.Name)))
	if err != nil {
		return err
	}
	for _, tag := range tags[1:] {
		key := nameKey(space, tag)
		row, ok, err := s.driver.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("reading a name to seal anew: %w", err)
		}
		if !ok || !bytes.Equal(row.Value, nameValue(r)) {
			continue
		}
		commit.Reads = append(commit.Reads, Read{Key: key, Version: row.Version})
		commit.Deletes = append(commit.Deletes, key)
		commit.Puts = append(commit.Puts, Row{Key: nameKey(space, tags[0]), Value: row.Value, Version: row.Version})
	}
	return nil
}
