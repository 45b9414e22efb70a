package store

import (
	"bytes"
	"context"
	"fmt"
)

// A Scrubber is a driver that can drive values that were overwritten or deleted out
// of its files. A driver that cannot, such as one over a database that does so by
// itself, leaves it out.
type Scrubber interface {
	// Scrub returns when the rows with from <= key < to have no older values left in
	// the driver's files.
	Scrub(ctx context.Context, from, to []byte) error
}

// ScrubRecord drives older values of the records of a kind under a parent out of the
// driver's files, as far as the driver can. It needs no key.
func (s *Store) ScrubRecord(ctx context.Context, space Space, kind Kind, parent RID) error {
	prefix := recordKey(space, kind, parent, RID{})[:16+2+16]
	return s.scrub(ctx, prefix, after(prefix))
}

// ScrubSpace is ScrubRecord for all that a space has.
func (s *Store) ScrubSpace(ctx context.Context, space Space) error {
	return s.scrub(ctx, space[:], after(space[:]))
}

func (s *Store) scrub(ctx context.Context, from, to []byte) error {
	driver, ok := s.driver.(Scrubber)
	if !ok {
		return nil
	}
	if err := driver.Scrub(ctx, from, to); err != nil {
		return fmt.Errorf("scrubbing the store's files: %w", err)
	}
	return nil
}

// Size returns how many records a space has. It needs no key, and reads them all.
func (s *Store) Size(ctx context.Context, space Space) (int64, error) {
	prefix := append(bytes.Clone(space[:]), rowRecord)
	var n int64
	for from := prefix; ; {
		rows, err := s.driver.Scan(ctx, from, after(prefix), page)
		if err != nil {
			return 0, fmt.Errorf("counting records: %w", err)
		}
		n += int64(len(rows))
		if len(rows) < page {
			return n, nil
		}
		from = append(bytes.Clone(rows[len(rows)-1].Key), 0)
	}
}
