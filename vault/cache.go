package vault

import (
	"sync"

	"latchkey/store"
)

// A cache keeps decoded records, so that an unchanged one is read without being
// decoded again and a private key is parsed once. Entries are found by place and by
// version as the store has it at the time of the call: nothing stale is ever found,
// whoever changed the record.
//
// What is cached is shared and must not be changed.
type cache[T any] struct {
	limit int
	mu    sync.Mutex
	m     map[store.RID]cached[T]
}

type cached[T any] struct {
	version uint64
	value   T
}

func (c *cache[T]) find(r *store.Record) (value T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[r.ID]
	if !ok || e.version != r.Version {
		return value, false
	}
	return e.value, true
}

func (c *cache[T]) keep(r *store.Record, value T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[store.RID]cached[T]{}
	}
	if e, ok := c.m[r.ID]; ok && e.version > r.Version {
		return
	} else if !ok && len(c.m) >= c.limit {
		// Any one will do: the order of a map is random, and what is used comes back.
		for id := range c.m {
			delete(c.m, id)
			break
		}
	}
	c.m[r.ID] = cached[T]{r.Version, value}
}

func (c *cache[T]) forget(id store.RID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.m, id)
}
