package keyring

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/store"
)

// A State says whether an account can be used.
type State string

// The states of an account's key.
const (
	Usable State = "Usable"
	// Warning: usable, but the vault cannot be asked.
	Warning State = "Warning"
	Locked  State = "Locked"
)

// entry is one account on the ring.
type entry struct {
	space store.Space
	// turn is held by the one check or change at work on the account. It is held over
	// questions to the vault, so nothing that a transaction needs waits for it.
	turn chan struct{}
	// ctx ends when the account is deleted.
	ctx    context.Context
	cancel context.CancelFunc
	// first is closed when the first answer about the key is there.
	first     chan struct{}
	firstOnce sync.Once

	mu      sync.Mutex
	w       wrapping
	secrets secrets
	// set is nil while the account is locked. retired are the sets before it with which
	// transactions are still at work.
	set     *keyset
	retired []*keyset
	gone    bool

	reason      Reason
	message     string
	since       time.Time
	lastChecked time.Time
	outage      time.Time // when the vault could first not be asked; zero: it can

	// Guarded by the ring's mu.
	due       time.Time
	failures  int
	busy      bool
	again     bool
	resealing bool
	resealDue time.Time
}

func newEntry(space store.Space, w wrapping) *entry {
	e := &entry{
		space: space, w: w, turn: make(chan struct{}, 1), first: make(chan struct{}),
		reason: Starting, message: Starting.sentence(w.KeyID, w.Custody, ""), since: time.Now().UTC(),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// take waits for the entry's turn. The context that it returns also ends when the
// account is deleted.
func (e *entry) take(ctx context.Context) (context.Context, func(), error) {
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-e.ctx.Done():
		return nil, nil, fault.AccountNotFound.New("")
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(e.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
		<-e.turn
	}, nil
}

// open makes the account usable with what was unwrapped, which it keeps.
func (e *entry) open(s secrets) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		s.wipe()
		return
	}
	set := &keyset{}
	for i := len(e.w.Generations) - 1; i >= 0; i-- {
		number := e.w.Generations[i].Number
		set.keys = append(set.keys, envelope.NewKey(s[number], number))
	}
	e.swap(set)
	e.secrets.wipe()
	e.secrets = s
	e.reason, e.message, e.since, e.outage = "", "", time.Now().UTC(), time.Time{}
	e.firstOnce.Do(func() { close(e.first) })
}

// swap makes set the one that new transactions use. The caller holds mu.
func (e *entry) swap(set *keyset) {
	if e.set != nil && e.set.users > 0 {
		e.set.ended = make(chan struct{})
		e.retired = append(e.retired, e.set)
	}
	e.set = set
}

// release notes that a transaction has ended.
func (e *entry) release(set *keyset) {
	e.mu.Lock()
	defer e.mu.Unlock()
	set.users--
	if set.users == 0 && set.ended != nil {
		close(set.ended)
		e.retired = slices.DeleteFunc(e.retired, func(other *keyset) bool { return other == set })
	}
}

// lock forgets the account's keys. It reports whether that is news.
func (e *entry) lock(reason Reason, message string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	news := e.set != nil || e.reason == Starting
	if news {
		e.since = time.Now().UTC()
	}
	e.reason, e.message = reason, message
	e.forget()
	e.firstOnce.Do(func() { close(e.first) })
	return news
}

// forget wipes what is in memory. The caller holds mu.
func (e *entry) forget() {
	if e.set != nil {
		for _, k := range e.set.keys {
			k.Wipe()
		}
		e.swap(nil)
	}
	// After a change of hands some keys are only in the sets before.
	for _, set := range e.retired {
		for _, k := range set.keys {
			k.Wipe()
		}
	}
	e.secrets.wipe()
	e.secrets = nil
}

// sealer returns what seals and opens the account's records.
func (e *entry) sealer() (store.Sealer, error) {
	e.mu.Lock()
	starting := e.set == nil && e.reason == Starting
	e.mu.Unlock()
	if starting {
		select {
		case <-e.first:
		case <-time.After(firstAnswer):
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.set == nil {
		return nil, e.unavailable()
	}
	e.set.users++
	return &sealer{entry: e, set: e.set}, nil
}

// unavailable is the failure of everything that is done with a locked account. The
// caller holds mu.
func (e *entry) unavailable() error {
	if e.gone {
		return fault.AccountNotFound.New("")
	}
	f := fault.KeyUnavailable.New("The account is locked. %s", e.message).
		With("reason", string(e.reason)).
		With("since", e.since.Format(time.RFC3339)).
		With("key", e.w.KeyID.String())
	if e.reason == Starting {
		f.After(time.Second)
	}
	return f
}

// keyset is the generations that a transaction works with, the one that seals first.
type keyset struct {
	keys []*envelope.Key
	// users counts the transactions at work with it; ended is made when it is no longer
	// the one for new transactions, and closed by the last. Guarded by the entry's mu.
	users int
	ended chan struct{}
}

// sealer implements store.Sealer and store.Releaser for one transaction.
type sealer struct {
	entry *entry // nil for the control plane
	set   *keyset
}

// Seal implements store.Sealer.
func (s *sealer) Seal(ad, plain []byte) ([]byte, error) {
	out, err := s.set.keys[0].Seal(ad, plain)
	return out, s.explain(err)
}

// Open implements store.Sealer.
func (s *sealer) Open(ad, sealed []byte) ([]byte, error) {
	key := s.set.keys[0]
	for _, k := range s.set.keys[1:] {
		if k.Generation() == envelope.Generation(sealed) {
			key = k
		}
	}
	out, err := key.Open(ad, sealed)
	return out, s.explain(err)
}

// Names implements store.Sealer.
func (s *sealer) Names(label []byte) ([][]byte, error) {
	tags := make([][]byte, len(s.set.keys))
	for i, k := range s.set.keys {
		tag, err := k.Name(label)
		if err != nil {
			return nil, s.explain(err)
		}
		tags[i] = tag
	}
	return tags, nil
}

// Fresh implements store.Sealer.
func (s *sealer) Fresh(sealed []byte) bool {
	return envelope.Generation(sealed) == s.set.keys[0].Generation()
}

// Release implements store.Releaser.
func (s *sealer) Release() {
	if s.entry != nil {
		s.entry.release(s.set)
	}
}

// explain turns the failure of a transaction that was at work when its account was
// locked into the one that it would have had a moment later.
func (s *sealer) explain(err error) error {
	if s.entry == nil || !errors.Is(err, envelope.ErrWiped) {
		return err
	}
	s.entry.mu.Lock()
	defer s.entry.mu.Unlock()
	if s.entry.set != nil {
		// It has been opened again meanwhile.
		return fault.ServerBusy.New("the account was locked for a moment; try again").After(time.Second)
	}
	return s.entry.unavailable()
}
