package batch

import (
	"context"
	"encoding/hex"

	"latchkey/fault"
	"latchkey/store"
)

// A List says which page of a list is wanted. Lists come in the order in which things
// were made, so a page stays what it is while things are added.
type List[T any] struct {
	// After is the token that the page before ended with; empty for the first.
	After string
	// Max is how many things a page has at most; zero means 1000.
	Max int
	// Keep chooses what is listed; nil keeps everything.
	Keep func(T) bool
}

// looked is how many records a page looks at when its filter keeps few: then it ends
// early, perhaps empty, with a token to go on.
const looked = 20000

// list collects a page of the records of a kind. parent finds what they are under,
// nil for the account.
func list[T any](ctx context.Context, s *Service, space store.Space, l List[T], kind store.Kind,
	parent func(*store.Tx) (store.RID, error), open func(*store.Tx, *store.Record) (T, error),
) (page []T, next string, err error) {
	if l.Max <= 0 {
		l.Max = 1000
	}
	var behind store.RID
	if l.After != "" {
		b, err := hex.DecodeString(l.After)
		if err != nil || len(b) != len(behind) {
			return nil, "", fault.InvalidQueryParameter.New("The value of $skiptoken is not one that this service gave out.").
				With("QueryParameterName", "$skiptoken")
		}
		copy(behind[:], b)
	}
	err = s.store.View(ctx, space, func(tx *store.Tx) error {
		var under store.RID
		if parent != nil {
			var err error
			if under, err = parent(tx); err != nil {
				return err
			}
		}
		last, seen := behind, 0
		for r, err := range tx.Records(kind, under, behind) {
			if err != nil {
				return err
			}
			if len(page) == l.Max || seen == looked {
				next = hex.EncodeToString(last[:])
				return nil
			}
			seen++
			item, err := open(tx, r)
			if err != nil {
				return err
			}
			if l.Keep == nil || l.Keep(item) {
				page = append(page, item)
			}
			last = r.ID
		}
		return nil
	})
	return page, next, err
}
