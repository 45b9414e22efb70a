package batch

import (
	"bytes"
	"sync"
	"time"

	"latchkey/store"
)

// A hint is where in the queue of a job the next task is probably found: nothing in
// front of it is active, unless something was queued again. It is not a fact: whoever
// finds nothing behind it looks from the front, and so does who finds it old.
type hint struct {
	behind store.RID
	since  time.Time
}

// hintAge is how long a task that another server queued again may be overlooked.
const hintAge = time.Second

type hints struct {
	mu sync.Mutex
	of map[hintKey]hint
}

type hintKey struct {
	space store.Space
	job   store.RID
}

// get returns where to begin; an old hint is made new and begins at the front.
func (h *hints) get(space store.Space, job store.RID, now time.Time) hint {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.of[hintKey{space, job}]
	if now.Sub(at.since) > hintAge {
		return hint{since: now}
	}
	return at
}

func (h *hints) set(space store.Space, job store.RID, at hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == nil {
		h.of = map[hintKey]hint{}
	}
	h.of[hintKey{space, job}] = at
}

// back moves a hint in front of a task that is in the queue again.
func (h *hints) back(space store.Space, job, task store.RID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := hintKey{space, job}
	at, ok := h.of[key]
	if !ok || bytes.Compare(at.behind[:], task[:]) < 0 {
		return
	}
	at.behind = task
	for i := len(at.behind) - 1; i >= 0; i-- {
		at.behind[i]--
		if at.behind[i] != 0xff {
			break
		}
	}
	h.of[key] = at
}

// drop forgets the hint of a job that has gone.
func (h *hints) drop(space store.Space, job store.RID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.of, hintKey{space, job})
}
