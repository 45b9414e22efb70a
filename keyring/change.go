package keyring

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/store"
)

// Verify asks everything that must be true of a customer's key before an account may
// depend on it. It fails with fault.KeyRefused, whose message says precisely what is
// wrong.
func (r *Ring) Verify(ctx context.Context, c Custody) error {
	if !c.Customer() {
		return nil
	}
	_, _, err := r.verify(ctx, c)
	return err
}

// verify is Verify. It returns the key with its version and the way to it.
func (r *Ring) verify(ctx context.Context, c Custody) (KeyID, *client, error) {
	id, err := r.ParseKeyID(c.KeyID)
	if err != nil {
		return KeyID{}, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	full, way, err := r.examined(ctx, id, c.Identity)
	if err == nil {
		return full, way, nil
	}
	r.asker.forget(id, c.Identity)
	return KeyID{}, nil, tell(err, id, c)
}

func (r *Ring) examined(ctx context.Context, id KeyID, identity string) (KeyID, *client, error) {
	// A new client sees the vault's challenge, which names its tenant, and takes a new
	// token, which is the identity as it is now.
	r.asker.forget(id, identity)
	c, err := r.asker.client(id, identity)
	if err != nil {
		return KeyID{}, nil, classify(opToken, err)
	}
	bundle, err := c.get(ctx, id)
	if missing(err) {
		return KeyID{}, nil, r.permissions(ctx, c, id)
	}
	if err != nil {
		return KeyID{}, nil, err
	}
	if err := examine(bundle, time.Now()); err != nil {
		return KeyID{}, nil, err
	}
	full := id.At(versionOf(string(*bundle.Key.KID)))
	if err := c.roundTrip(ctx, full); err != nil {
		return KeyID{}, nil, err
	}
	return full, c, nil
}

// permissions names every permission that is missing, when one is known to be.
func (r *Ring) permissions(ctx context.Context, c *client, id KeyID) error {
	var lacks []string
	for _, err := range []error{func() error { _, err := c.get(ctx, id); return err }(), c.roundTrip(ctx, id)} {
		var no *refusal
		if errors.As(err, &no) && no.reason == PermissionMissing {
			lacks = append(lacks, no.what)
		}
	}
	if len(lacks) == 0 {
		// It has been granted between two questions.
		return &outage{errUnsteady}
	}
	return &refusal{PermissionMissing, strings.Join(lacks, ", ")}
}

// wrapAll wraps account keys for a new custody and looks whether they come back. The
// generations keep their times.
func (r *Ring) wrapAll(ctx context.Context, c *client, space store.Space, id KeyID, old []generation, s secrets) ([]generation, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	out := make([]generation, 0, len(old))
	for _, g := range old {
		secret := s[g.Number]
		var wrapped generation
		if c == nil {
			var err error
			if wrapped, err = r.wrapPlatform(space, g.Number, secret); err != nil {
				return nil, err
			}
		} else {
			b, _, err := c.wrap(ctx, id, secret)
			if err != nil {
				return nil, err
			}
			back, err := c.unwrap(ctx, id, b)
			if err != nil {
				return nil, err
			}
			same := subtle.ConstantTimeCompare(back, secret) == 1
			clear(back)
			if !same {
				return nil, &refusal{KeyMismatch, "a round trip gives other bytes back"}
			}
			wrapped = newGeneration(space, g.Number, secret, b)
		}
		wrapped.Made = g.Made
		out = append(out, wrapped)
	}
	return out, nil
}

// prepare makes the wrapping of a custody: for a customer's, every check first.
func (r *Ring) prepare(ctx context.Context, space store.Space, c Custody, gens []generation, s secrets) (wrapping, error) {
	w := wrapping{Custody: c, Algorithm: byPlatform}
	var way *client
	if c.Customer() {
		var err error
		if w.KeyID, way, err = r.verify(ctx, c); err != nil {
			return w, err
		}
		w.Algorithm, w.Tenant = byVault, r.cfg.Tenant()
	}
	var err error
	w.Generations, err = r.wrapAll(ctx, way, space, w.KeyID, gens, s)
	return w, tell(err, w.KeyID, c)
}

// Create makes the key of a new account and stores it wrapped, in one transaction with
// also (which may be nil). A customer's key is verified first; one that does not do
// leaves nothing behind.
func (r *Ring) Create(ctx context.Context, space store.Space, c Custody, also func(*store.Tx) error) error {
	secret := envelope.NewSecret()
	made := secrets{1: secret}
	w, err := r.prepare(ctx, space, c, []generation{{Number: 1, Made: time.Now().UTC()}}, made)
	if err != nil {
		made.wipe()
		return err
	}
	err = r.store.Update(context.WithoutCancel(ctx), store.Space{}, func(tx *store.Tx) error {
		if _, err := tx.Insert(store.KindWrapping, store.RID{}, spaceName(space), store.Clear{}, w); err != nil {
			return err
		}
		if also == nil {
			return nil
		}
		return also(tx)
	})
	if err != nil {
		made.wipe()
		return err
	}
	e := newEntry(space, w)
	e.lastChecked = time.Now().UTC()
	e.open(made)
	r.mu.Lock()
	defer r.mu.Unlock()
	e.due = time.Now().Add(jitter(r.cfg.CheckInterval))
	r.entries[space] = e
	r.nudged()
	return nil
}

// Change gives an account's key into another custody: another key, another version,
// another vault, another identity, or other hands. Everything is verified first and
// then written at once, in one transaction with also (which may be nil), so a change
// is made whole or not at all. Records are not rewritten, except after a change of
// hands, and then in the background.
//
// It fails with fault.KeyUnavailable while the account is locked.
func (r *Ring) Change(ctx context.Context, space store.Space, c Custody, also func(*store.Tx) error) error {
	e, err := r.entry(space)
	if err != nil {
		return err
	}
	ctx, done, err := e.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := r.refresh(ctx, e); err != nil {
		return err
	}
	e.mu.Lock()
	if e.set == nil {
		defer e.mu.Unlock()
		return e.unavailable()
	}
	e.mu.Unlock()
	old, s := e.snapshot()
	gens := old.Generations
	for _, g := range gens {
		if s[g.Number] == nil {
			s.wipe()
			return fault.ServerBusy.New("the account's key has just been changed; try again").After(time.Second)
		}
	}
	hands := c.Customer() != old.customer()
	if hands {
		gens = append(gens[:len(gens):len(gens)], generation{Number: old.newest() + 1, Made: time.Now().UTC()})
		s[old.newest()+1] = envelope.NewSecret()
	}
	w, err := r.prepare(ctx, space, c, gens, s)
	if err == nil && old.customer() {
		err = r.consent(ctx, e, &old, s)
	}
	if err != nil {
		s.wipe()
		return err
	}
	if !hands {
		w.Reseal = old.Reseal
	} else {
		w.Reseal = resealing{Started: time.Now().UTC()}
	}
	if !hands && old.Custody == c && old.KeyID == w.KeyID {
		// Nothing changes: what was wrapped stays as it is.
		w = old
	}
	if err := r.write(ctx, space, old, w, also); err != nil {
		s.wipe()
		if errors.Is(err, errGone) {
			return fault.AccountNotFound.New("")
		}
		return err
	}
	e.moved(w, s, hands)
	r.mu.Lock()
	defer r.mu.Unlock()
	// A nudge that came meanwhile stays; else the next check is an interval away.
	if !e.due.IsZero() || !old.customer() {
		e.due = time.Now().Add(jitter(r.cfg.CheckInterval))
	}
	e.resealDue = time.Time{}
	r.nudged()
	return nil
}

// consent asks the owner of an account's key once more before the account key is given
// into another custody: what is in memory would be enough for that, and an owner who
// has just said no must not find the account under another key. An owner who cannot be
// asked has not said no.
func (r *Ring) consent(ctx context.Context, e *entry, w *wrapping, known secrets) error {
	opened, answer := r.ask(ctx, e, w, known)
	if err := ctx.Err(); err != nil {
		opened.wipe()
		return err
	}
	r.act(e, *w, opened, answer)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.set == nil {
		return e.unavailable()
	}
	return nil
}

// moved brings an entry to a wrapping that has just been written.
func (e *entry) moved(w wrapping, s secrets, hands bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.w = w
	if e.set == nil || e.gone {
		s.wipe()
		return
	}
	e.secrets.wipe()
	e.secrets = s
	e.lastChecked, e.outage = time.Now().UTC(), time.Time{}
	if e.reason != "" {
		e.reason, e.message, e.since = "", "", e.lastChecked
	}
	if !hands {
		return
	}
	// The new generation begins as one that is only read. Transactions that began
	// before do not know it: were it sealed under at once, two of them could give one
	// name to two records, each under the tag that the other does not look for. Sealing
	// anew begins with waiting for them; then it becomes the one that seals.
	set := &keyset{keys: append(e.set.keys[:len(e.set.keys):len(e.set.keys)], envelope.NewKey(s[w.newest()], w.newest()))}
	e.swap(set)
}

// follow moves an account whose identifier has no version to the newest version.
func (r *Ring) follow(ctx context.Context, e *entry, c *client, w *wrapping, newest azkeys.KeyBundle, known secrets) error {
	if err := examine(newest, time.Now()); err != nil {
		return err
	}
	s := known
	if slices.ContainsFunc(w.Generations, func(g generation) bool { return s[g.Number] == nil }) {
		// The account is not open: what the version in use has wrapped comes first.
		opened, err := r.unwrap(ctx, c, e.space, *w)
		if err != nil {
			return err
		}
		defer opened.wipe()
		s = opened
	}
	next := *w
	next.KeyID = w.KeyID.At(versionOf(string(*newest.Key.KID)))
	var err error
	if next.Generations, err = r.wrapAll(ctx, c, e.space, next.KeyID, w.Generations, s); err != nil {
		return err
	}
	if err := r.write(ctx, e.space, *w, next, nil); err != nil {
		return err
	}
	e.mu.Lock()
	e.w = next
	e.mu.Unlock()
	*w = next
	r.cfg.Log.Info("an account follows its key to a newer version", "account", spaceName(e.space)[:8])
	return nil
}

// Destroy makes an account's data unreadable for good: it destroys the wrapped keys,
// in one transaction with also (which may be nil), and forgets them. It needs no vault
// and works while the account is locked. An account without keys is no failure.
func (r *Ring) Destroy(ctx context.Context, space store.Space, also func(*store.Tx) error) error {
	r.mu.Lock()
	e := r.entries[space]
	r.mu.Unlock()
	if e != nil {
		// Whatever is at work on the account need not end well any more.
		e.cancel()
		select {
		case e.turn <- struct{}{}:
			defer func() { <-e.turn }()
		case <-ctx.Done():
			// Nobody would ask about this entry again: the next who needs the account
			// makes another, which begins with asking.
			r.drop(e)
			return ctx.Err()
		}
	}
	err := r.store.Update(context.WithoutCancel(ctx), store.Space{}, func(tx *store.Tx) error {
		rec, err := tx.Lookup(store.KindWrapping, store.RID{}, spaceName(space))
		if err == nil {
			err = tx.Delete(rec)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if also == nil {
			return nil
		}
		return also(tx)
	})
	// Even if that failed, what is in memory has been given up; a key that is still
	// stored is then read again.
	if e != nil {
		r.drop(e)
	}
	if err != nil {
		return err
	}
	r.changed(space, true)
	// What the record held before must not be found in the files either.
	if err := r.store.ScrubRecord(context.WithoutCancel(ctx), store.Space{}, store.KindWrapping, store.RID{}); err != nil {
		r.cfg.Log.Error("destroying a wrapped key", "account", spaceName(space)[:8], "err", err)
	}
	return nil
}

// drop takes an account from the ring and forgets its keys.
func (r *Ring) drop(e *entry) {
	r.mu.Lock()
	if r.entries[e.space] == e {
		delete(r.entries, e.space)
	}
	r.mu.Unlock()
	e.cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = true
	e.forget()
}
