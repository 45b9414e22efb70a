package keyring

import (
	"time"

	"latchkey/store"
)

// Status is what the owner is shown of an account's key.
type Status struct {
	Custody Custody
	State   State
	// Reason, Message and Since tell about a Warning or a lock.
	Reason  Reason
	Message string
	Since   time.Time
	// KeyID is the key with the version that is in use.
	KeyID string
	// KeyVersionsNeeded are the versions that the owner must keep.
	KeyVersionsNeeded []string
	// LastChecked is when the vault was last asked; zero if never.
	LastChecked time.Time
	Generation  uint32
	// Resealing is set after a change of hands until all records are under the newest
	// generation.
	Resealing *Progress
}

// Progress is how many records are sealed anew, out of how many.
type Progress struct {
	Done, Total int64
	Started     time.Time
}

// Status returns the state of an account's key. It never waits.
func (r *Ring) Status(space store.Space) (Status, error) {
	e, err := r.entry(space)
	if err != nil {
		return Status{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{
		Custody: e.w.Custody, State: Usable, Reason: e.reason, Message: e.message, Since: e.since,
		LastChecked: e.lastChecked, Generation: e.w.newest(),
	}
	switch {
	case e.set == nil:
		s.State = Locked
	case e.reason != "":
		s.State = Warning
	}
	if e.w.customer() {
		// Every generation is wrapped by the version in use, from the moment at which a
		// change is durable; so that one is all that is needed.
		s.KeyID = e.w.KeyID.String()
		s.KeyVersionsNeeded = []string{s.KeyID}
	}
	if len(e.w.Generations) > 1 {
		state := e.w.Reseal
		s.Resealing = &Progress{Done: min(state.Done, state.Total), Total: state.Total, Started: state.Started}
	}
	return s, nil
}

// Opened fails with fault.KeyUnavailable while an account is locked, and says why.
func (r *Ring) Opened(space store.Space) error {
	sealer, err := r.Sealer(space)
	if err != nil {
		return err
	}
	if used, ok := sealer.(store.Releaser); ok {
		used.Release()
	}
	return nil
}

// CheckInterval is how often vaults are asked.
func (r *Ring) CheckInterval() time.Duration { return r.cfg.CheckInterval }
