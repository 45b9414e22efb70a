package keyring

import (
	"context"
	"errors"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"latchkey/resource"
	"latchkey/store"
)

// Run asks the vaults, and seals records anew after changes of hands, until ctx ends.
func (r *Ring) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	for {
		next := r.start(ctx, &work)
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-r.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// start begins whatever is due and returns how long there is nothing more to do.
func (r *Ring) start(ctx context.Context, work *sync.WaitGroup) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	next := time.Hour
	for _, e := range r.entries {
		checked, moving, usable := e.wants()
		if checked && !e.busy {
			if wait := e.due.Sub(now); wait > 0 {
				next = min(next, wait)
			} else {
				e.busy = true
				work.Go(func() { r.checkAndPlan(ctx, e) })
			}
		}
		if moving && usable && !e.resealing {
			if wait := e.resealDue.Sub(now); wait > 0 {
				next = min(next, wait)
			} else {
				e.resealing = true
				work.Go(func() { r.resealAndPlan(ctx, e) })
			}
		}
	}
	return next
}

// wants says what an entry needs: checks, because a customer holds its key; sealing
// anew, because it has more than one generation; and whether that can go on.
func (e *entry) wants() (checked, moving, usable bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.w.customer() && !e.gone, len(e.w.Generations) > 1 && !e.gone, e.set != nil
}

// nudged wakes Run. The caller may hold mu.
func (r *Ring) nudged() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Nudge asks the vault on a host at once about every account whose key it holds. It
// does not wait. Nudges in quick succession are one.
func (r *Ring) Nudge(vaultHost string) {
	u := KeyID{Vault: "https://" + vaultHost}
	host := u.Host()
	r.nudge(func(w wrapping) bool { return w.KeyID.Host() == host })
}

// NudgeIdentity is Nudge for every account whose key an identity reaches. The identity
// is a resource id or a principal id.
func (r *Ring) NudgeIdentity(identity string) {
	r.nudge(func(w wrapping) bool {
		return resource.Equal(w.Custody.Identity, identity) || resource.Equal(w.Custody.Principal, identity)
	})
}

func (r *Ring) nudge(concerned func(wrapping) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.entries {
		e.mu.Lock()
		hit := e.w.customer() && concerned(e.w)
		e.mu.Unlock()
		if hit {
			e.due = time.Time{}
			// A check at work may have asked before the change: so once more behind it.
			e.again = e.busy
		}
	}
	r.nudged()
}

func (r *Ring) checkAndPlan(ctx context.Context, e *entry) {
	var answer error
	select {
	case r.checks <- struct{}{}:
		answer = r.check(ctx, e)
		<-r.checks
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e.busy = false
	e.due = time.Now().Add(r.pause(e, answer))
	if e.again {
		e.again, e.due = false, time.Time{}
	}
	r.nudged()
}

// pause is how long to wait until the next check. While a vault cannot be asked it is
// asked sooner at first and then ever more rarely, but always at the end of the grace.
func (r *Ring) pause(e *entry, answer error) time.Duration {
	interval := r.cfg.CheckInterval
	var none *outage
	if !errors.As(answer, &none) {
		e.failures = 0
		return jitter(interval)
	}
	wait := jitter(min(interval/4<<min(e.failures, 8), 3*interval))
	e.failures++
	e.mu.Lock()
	defer e.mu.Unlock()
	if end := time.Until(e.outage.Add(r.cfg.OutageGrace)); e.set != nil && end > 0 {
		wait = min(wait, end)
	}
	return wait
}

// jitter spreads a wait by a fifth, so that accounts do not ask in step.
func jitter(d time.Duration) time.Duration {
	return d - d/5 + mathrand.N(max(2*d/5, 1))
}

// errUnsteady: a vault said no to something and, asked again, yes to everything.
var errUnsteady = errors.New("its answers changed while it was asked")

// check asks about one account and acts on the answer, which it returns: nil, a
// refusal or an outage.
func (r *Ring) check(ctx context.Context, e *entry) error {
	ctx, done, err := e.take(ctx)
	if err != nil {
		return nil // the service stops, or the account is gone
	}
	defer done()
	if err := r.refresh(ctx, e); err != nil {
		switch {
		case errors.Is(err, store.ErrNotFound):
			// Another process over the same store has deleted the account.
			r.drop(e)
			r.changed(e.space, true)
		case ctx.Err() == nil:
			r.cfg.Log.Error("reading a wrapped key", "account", spaceName(e.space)[:8], "err", err)
		}
		return nil
	}
	w, known := e.snapshot()
	defer known.wipe()
	if !w.customer() {
		return nil
	}
	opened, answer := r.ask(ctx, e, &w, known)
	if ctx.Err() != nil {
		opened.wipe()
		return nil
	}
	r.act(e, w, opened, answer)
	return answer
}

// ask is question, and on a no one more question at once, with a new token: a no has
// consequences, and may have been a slip between two changes of the owner's.
func (r *Ring) ask(ctx context.Context, e *entry, w *wrapping, known secrets) (secrets, error) {
	opened, answer := r.question(ctx, e, w, known)
	var no *refusal
	if (errors.As(answer, &no) || errors.Is(answer, errUnsteady)) && ctx.Err() == nil {
		r.asker.forget(w.KeyID, w.Custody.Identity)
		if opened, answer = r.question(ctx, e, w, known); answer != nil {
			r.asker.forget(w.KeyID, w.Custody.Identity)
		}
	}
	return opened, answer
}

// refresh brings an entry up to what is stored, because another process over the same
// store may have changed it.
func (r *Ring) refresh(ctx context.Context, e *entry) error {
	w, err := r.read(ctx, e.space)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.w = w
	return nil
}

// snapshot returns the wrapping, and copies of the account keys if they are there.
func (e *entry) snapshot() (wrapping, secrets) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.w, e.secrets.clone()
}

// question asks everything there is to ask about an account's key. On agreement it
// returns the account keys, unwrapped. For an identifier without a version it moves w
// to the newest version first.
func (r *Ring) question(ctx context.Context, e *entry, w *wrapping, known secrets) (secrets, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	c, err := r.asker.client(w.KeyID, w.Custody.Identity)
	if err != nil {
		return nil, classify(opToken, err)
	}
	if err := c.token.alive(ctx); err != nil {
		return nil, err
	}
	id := w.KeyID
	if r.follows(*w) {
		id = id.At("")
	}
	bundle, err := c.get(ctx, id)
	if err != nil && id.Version == "" && !missing(err) {
		// What is newest may be what the owner has just shut, or is about to open: what
		// counts is the version in use.
		bundle, err = c.get(ctx, w.KeyID)
	}
	if missing(err) {
		return nil, r.permissions(ctx, c, w.KeyID)
	}
	if err != nil {
		return nil, err
	}
	if newest := versionOf(string(*bundle.Key.KID)); newest != w.KeyID.Version {
		if err := r.follow(ctx, e, c, w, bundle, known); err != nil {
			// Said at every check, so not loudly: it may be so for as long as the owner
			// likes.
			r.cfg.Log.Debug("a newer version of a key cannot be used yet", "account", spaceName(e.space)[:8], "err", err)
			if bundle, err = c.get(ctx, w.KeyID); err != nil {
				return nil, err
			}
		}
	}
	if err := examine(bundle, time.Now()); err != nil {
		return nil, err
	}
	return r.unwrap(ctx, c, e.space, *w)
}

// unwrap has every generation unwrapped, and a round trip made: the permission to wrap
// is part of the owner's agreement, though it is needed only for the next rotation.
func (r *Ring) unwrap(ctx context.Context, c *client, space store.Space, w wrapping) (secrets, error) {
	out := secrets{}
	for _, g := range w.Generations {
		secret, err := c.unwrap(ctx, w.KeyID, g.Wrapped)
		if err != nil {
			out.wipe()
			if missing(err) {
				return nil, r.permissions(ctx, c, w.KeyID)
			}
			return nil, err
		}
		if !g.commits(space, secret) {
			clear(secret)
			out.wipe()
			return nil, &refusal{KeyMismatch, "another key comes back"}
		}
		out[g.Number] = secret
	}
	if _, _, err := c.wrap(ctx, w.KeyID, make([]byte, 32)); err != nil {
		out.wipe()
		return nil, err
	}
	return out, nil
}

// act draws the consequence of an answer.
func (r *Ring) act(e *entry, w wrapping, opened secrets, answer error) {
	e.mu.Lock()
	e.lastChecked = time.Now().UTC()
	usable := e.set != nil && len(e.set.keys) == len(w.Generations)
	e.mu.Unlock()
	var no *refusal
	var none *outage
	log := r.cfg.Log.With("account", spaceName(e.space)[:8])
	switch {
	case answer == nil && !usable:
		e.open(opened)
		log.Info("an account was opened")
		r.changed(e.space, false)
	case answer == nil:
		opened.wipe()
		if e.agreed() {
			log.Info("the vault of an account answers again")
		}
	case errors.As(answer, &no):
		if e.lock(no.reason, no.reason.sentence(w.KeyID, w.Custody, no.what)) {
			log.Warn("an account was locked", "reason", no.reason)
			r.changed(e.space, true)
		}
	case errors.As(answer, &none):
		log.Warn("the vault of an account cannot be asked", "err", none)
		if e.unanswered(VaultUnreachable.sentence(w.KeyID, w.Custody, none.says()), r.cfg.OutageGrace) {
			log.Warn("an account was locked", "reason", VaultUnreachable)
			r.changed(e.space, true)
		}
	default:
		log.Error("asking about an account's key", "err", answer)
	}
}

// agreed notes that the vault agrees; it reports whether it could not be asked before.
func (e *entry) agreed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	was := !e.outage.IsZero()
	if was {
		e.outage, e.reason, e.message, e.since = time.Time{}, "", "", time.Now().UTC()
	}
	return was
}

// unanswered notes that the vault could not be asked, and locks the account when that
// has lasted for the grace. An account that has not been opened since the start has
// nothing to go on with: it stays as it is.
func (e *entry) unanswered(message string, grace time.Duration) (locked bool) {
	e.mu.Lock()
	now := time.Now().UTC()
	if e.outage.IsZero() {
		e.outage = now
	}
	over := now.Sub(e.outage) >= grace
	switch {
	case e.set != nil && !over:
		if e.reason == "" {
			e.since = e.outage
		}
		e.reason, e.message = VaultUnreachable, message
	case e.set == nil && e.reason == VaultUnreachable:
		e.message = message
	}
	lock := e.set != nil && over || e.set == nil && e.reason == Starting
	e.mu.Unlock()
	return lock && e.lock(VaultUnreachable, message)
}
