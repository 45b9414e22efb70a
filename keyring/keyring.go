// Package keyring holds each account's keys while their owner allows it.
//
// An account key is stored wrapped: by the platform key, or by a key that never
// leaves the owner's vault. The ring has it unwrapped once and asks the vault again
// every check interval. While the vault agrees, records open without a network call;
// when it refuses, the ring forgets the key and the account is locked; when it agrees
// again, the account is opened. A vault that cannot be asked has not refused: the ring
// goes on until the outage grace has passed.
//
// The ring is the store's Keys: a transaction of a locked account does not begin.
// Nothing else in the service knows about revocation.
package keyring

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"latchkey/envelope"
	"latchkey/fault"
	"latchkey/resource"
	"latchkey/store"
)

// Config says what the ring works with.
type Config struct {
	// Platform is the operator's root key, 32 random bytes. It must be set.
	Platform []byte
	// Cloud is the profile whose vaults are addressed by resource id.
	Cloud resource.Cloud
	// Vaults are further host suffixes below which a vault may be; those of Cloud and
	// of Azure's own clouds always count. No other host is ever asked.
	Vaults []string
	// Tenant returns the tenant that a vault must be in. Nil compares nothing.
	Tenant func() string
	// Credential returns what asks for the tokens of an identity: the resource id of a
	// user-assigned identity, or the principal id of a system-assigned one. It must be
	// set if a customer holds a key.
	Credential func(tenant, identity string) azcore.TokenCredential
	// HTTP reaches the vaults. Nil means http.DefaultClient.
	HTTP *http.Client
	// CheckInterval is how often each vault is asked; zero means 10 seconds.
	CheckInterval time.Duration
	// OutageGrace is how long an account stays usable while its vault cannot be asked;
	// zero means 15 minutes.
	OutageGrace time.Duration
	// Parallel is how many vaults are asked at the same time; zero means 16.
	Parallel int
	Log      *slog.Logger
}

// firstAnswer is how long a transaction waits for the first answer about an account's
// key after the service has started. Vaults answer in milliseconds; who waits longer
// is better told to come back.
const firstAnswer = time.Second

// A Ring is the keys of all accounts. It implements store.Keys.
type Ring struct {
	cfg      Config
	control  *keyset       // seals the control plane
	platform *envelope.Key // wraps account keys
	store    *store.Store
	asker    *asker
	wake     chan struct{}
	checks   chan struct{} // one token for each check at work
	reseals  chan struct{} // one token for each account being sealed anew

	mu       sync.Mutex
	entries  map[store.Space]*entry
	onChange []func(space store.Space, locked bool)
}

// New returns a ring without accounts, which can seal the control plane. It panics if
// the root key has the wrong length.
func New(cfg Config) *Ring {
	if len(cfg.Platform) != envelope.SecretSize {
		panic("keyring: a root key has 32 bytes")
	}
	if cfg.CheckInterval <= 0 {
		cfg.CheckInterval = 10 * time.Second
	}
	if cfg.OutageGrace <= 0 {
		cfg.OutageGrace = 15 * time.Minute
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = 16
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Tenant == nil {
		cfg.Tenant = func() string { return "" }
	}
	r := &Ring{
		cfg:      cfg,
		control:  &keyset{keys: []*envelope.Key{root(cfg.Platform, "latchkey control plane v1")}},
		platform: root(cfg.Platform, "latchkey wrapping v1"),
		wake:     make(chan struct{}, 1),
		checks:   make(chan struct{}, cfg.Parallel),
		reseals:  make(chan struct{}, 2),
		entries:  map[store.Space]*entry{},
	}
	r.asker = newAsker(cfg)
	return r
}

// root derives one of the platform's own keys, so that what seals the control plane
// never wraps an account key.
func root(secret []byte, info string) *envelope.Key {
	b, err := hkdf.Expand(sha256.New, secret, info, envelope.SecretSize)
	if err != nil {
		panic("keyring: " + err.Error())
	}
	defer clear(b)
	return envelope.NewKey(b, 1)
}

// Load reads the wrapped keys from st, which must have been made with this ring.
// Accounts under the platform key are usable when it returns; those of customers
// begin locked and are asked about as soon as Run runs.
func (r *Ring) Load(ctx context.Context, st *store.Store) error {
	r.store = st
	var loaded []*entry
	err := st.View(ctx, store.Space{}, func(tx *store.Tx) error {
		for rec, err := range tx.Records(store.KindWrapping, store.RID{}, store.RID{}) {
			if err != nil {
				return err
			}
			space, ok := parseSpace(rec.Name)
			if !ok {
				return errors.New("a wrapped key names no account")
			}
			var w wrapping
			if err := rec.Decode(&w); err != nil {
				return err
			}
			loaded = append(loaded, newEntry(space, w))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, e := range loaded {
		if err := r.enter(e); err != nil {
			return err
		}
	}
	return nil
}

// enter makes an entry known. An account under the platform key is opened at once.
func (r *Ring) enter(e *entry) error {
	if !e.w.customer() {
		secrets, err := r.unwrapPlatform(e.space, e.w)
		if err != nil {
			return err
		}
		e.open(secrets)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.entries[e.space]; !known {
		r.entries[e.space] = e
	}
	r.nudged()
	return nil
}

// Sealer implements store.Keys. The zero space is the control plane. A locked account
// has none: it fails with fault.KeyUnavailable, and says why.
func (r *Ring) Sealer(space store.Space) (store.Sealer, error) {
	if space == (store.Space{}) {
		return &sealer{set: r.control}, nil
	}
	e, err := r.entry(space)
	if err != nil {
		return nil, err
	}
	return e.sealer()
}

// entry returns an account's entry. One that this process has not seen yet may have
// been made by another over the same store.
func (r *Ring) entry(space store.Space) (*entry, error) {
	r.mu.Lock()
	e := r.entries[space]
	r.mu.Unlock()
	if e != nil {
		return e, nil
	}
	if r.store == nil {
		return nil, fault.AccountNotFound.New("")
	}
	w, err := r.read(context.Background(), space)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.AccountNotFound.New("")
	}
	if err != nil {
		return nil, err
	}
	if err := r.enter(newEntry(space, w)); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e = r.entries[space]; e == nil {
		return nil, fault.AccountNotFound.New("")
	}
	return e, nil
}

// OnChange has f called after an account was locked or opened. It must be called
// before Run; f must not block for long.
func (r *Ring) OnChange(f func(space store.Space, locked bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onChange = append(r.onChange, f)
}

func (r *Ring) changed(space store.Space, locked bool) {
	r.mu.Lock()
	calls := r.onChange
	r.mu.Unlock()
	for _, f := range calls {
		f(space, locked)
	}
}

func spaceName(s store.Space) string { return hex.EncodeToString(s[:]) }

func parseSpace(name string) (s store.Space, ok bool) {
	b, err := hex.DecodeString(name)
	if err != nil || len(b) != len(s) {
		return s, false
	}
	copy(s[:], b)
	return s, true
}
