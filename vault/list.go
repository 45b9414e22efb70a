package vault

import (
	"context"
	"encoding/hex"
	"errors"

	"latchkey/identity"
	"latchkey/store"
)

// maxPage is how many keys one page of a list holds at most, and by default.
const maxPage = 25

// A Page asks for a part of a list: what follows the place that an earlier page ended
// with.
type Page struct {
	// Size is from 1 to 25; zero means 25.
	Size int
	// Behind is the Next of the page before; empty begins the list.
	Behind string
}

// behind reads the place and holds the size against its limits.
func (p *Page) behind() (rid store.RID, err error) {
	if p.Size == 0 {
		p.Size = maxPage
	}
	if p.Size < 1 || p.Size > maxPage {
		return rid, badProperty("maxresults", "a page holds 1 to %d, not %d", maxPage, p.Size)
	}
	b, err := hex.DecodeString(p.Behind)
	if err != nil || len(b) != 0 && len(b) != len(rid) {
		return rid, badProperty("$skiptoken", "it is not one that this service gave out")
	}
	copy(rid[:], b)
	return rid, nil
}

// A List is one page of keys. Next is where the next page begins; empty at the end.
type List struct {
	Keys []Version
	Next string
}

// Keys lists the keys of a vault, each with the attributes of its newest version.
func (s *Service) Keys(ctx context.Context, who identity.Caller, vault string, page Page) (out List, err error) {
	err = s.use(ctx, who, opList, Ref{Vault: vault}, func(u *use) error {
		out = List{}
		return s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			return s.page(tx, store.KindVaultKey, v.rid, page, &out.Next, func(r *store.Record) error {
				version, _, err := s.below(tx, r, "")
				if err != nil {
					return err
				}
				item := s.present(v, *version)
				item.KID = s.KeyID(v.Name, item.Key, "")
				out.Keys = append(out.Keys, item)
				return nil
			})
		})
	})
	return out, err
}

// Versions lists the versions of a key.
func (s *Service) Versions(ctx context.Context, who identity.Caller, ref Ref, page Page) (out List, err error) {
	err = s.use(ctx, who, opListVersions, ref, func(u *use) error {
		out = List{}
		return s.Store.View(ctx, store.Space{}, func(tx *store.Tx) error {
			v, err := s.enter(ctx, tx, u)
			if err != nil {
				return err
			}
			if err := checkKeyName(ref.Key); err != nil {
				return err
			}
			key, err := tx.Lookup(store.KindVaultKey, v.rid, ref.Key)
			if errors.Is(err, store.ErrNotFound) {
				return notFound(ref)
			}
			if err != nil {
				return err
			}
			return s.page(tx, store.KindKeyVersion, key.ID, page, &out.Next, func(r *store.Record) error {
				version, err := s.decodeVersion(r)
				if err == nil {
					out.Keys = append(out.Keys, s.present(v, *version))
				}
				return err
			})
		})
	})
	return out, err
}

// page walks through one page of a list and says where the next one begins.
func (s *Service) page(tx *store.Tx, kind store.Kind, parent store.RID, page Page, next *string, each func(*store.Record) error) error {
	behind, err := page.behind()
	if err != nil {
		return err
	}
	var last store.RID
	n := 0
	for r, err := range tx.Records(kind, parent, behind) {
		if err != nil {
			return err
		}
		if n == page.Size {
			*next = hex.EncodeToString(last[:])
			return nil
		}
		if err := each(r); err != nil {
			return err
		}
		last = r.ID
		n++
	}
	return nil
}
