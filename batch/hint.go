package batch

import (
	"sync"

	"latchkey/store"
)

// A hint is where in the queue of a job the next task is probably found: nothing in
// front of it is active, unless something was queued again. It is not a fact: whoever
// finds nothing behind it looks from the front.
type hint struct{ behind store.RID }

type hints struct {
	mu sync.Mutex
	of map[hintKey]hint
}

type hintKey struct {
	space store.Space
	job   store.RID
}

func (h *hints) get(space store.Space, job store.RID) (hint, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, ok := h.of[hintKey{space, job}]
	return at, ok
}

// set keeps a hint; the zero one is forgotten.
func (h *hints) set(space store.Space, job store.RID, at hint) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at == (hint{}) {
		delete(h.of, hintKey{space, job})
		return
	}
	if h.of == nil {
		h.of = map[hintKey]hint{}
	}
	h.of[hintKey{space, job}] = at
}
