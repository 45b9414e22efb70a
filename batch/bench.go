package batch

import (
	"sync"

	"latchkey/store"
)

// benches is where polls wait. It is about this process only: a node that waits at
// another server comes by itself when its poll has waited long enough.
type benches struct {
	mu    sync.Mutex
	seats map[benchKey]map[store.RID]*seat
}

type benchKey struct {
	space store.Space
	pool  store.RID
}

// A seat belongs to one node while this process knows it.
type seat struct {
	// exchange lets one poll of a node at a time talk to the store.
	exchange sync.Mutex
	// unheard are the runs whose start was put into a reply that the agent has not
	// confirmed yet by naming them. Guarded by exchange.
	unheard map[string]bool

	mu sync.Mutex
	// turn is the newest poll of the node; an older one that still waits gives up.
	turn uint64
	// wake holds one token. hungry says that the node waits with free slots.
	wake    chan struct{}
	hungry  bool
	waiting bool
}

// seat returns the seat of a node, which is kept until leave was called as often.
func (b *benches) seat(space store.Space, pool, node store.RID) *seat {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seats == nil {
		b.seats = map[benchKey]map[store.RID]*seat{}
	}
	key := benchKey{space, pool}
	if b.seats[key] == nil {
		b.seats[key] = map[store.RID]*seat{}
	}
	s := b.seats[key][node]
	if s == nil {
		s = &seat{wake: make(chan struct{}, 1), unheard: map[string]bool{}}
		b.seats[key][node] = s
	}
	return s
}

// drop forgets a node that has gone.
func (b *benches) drop(space store.Space, pool, node store.RID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := benchKey{space, pool}
	delete(b.seats[key], node)
	if len(b.seats[key]) == 0 {
		delete(b.seats, key)
	}
}

// take makes the caller the newest poll of the node and sends away the one before.
func (s *seat) take() uint64 {
	s.mu.Lock()
	s.turn++
	turn := s.turn
	s.mu.Unlock()
	s.rouse()
	return turn
}

// overtaken reports whether a newer poll has come.
func (s *seat) overtaken(turn uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turn != turn
}

// sit says whether the node waits for work.
func (s *seat) sit(hungry bool) {
	s.mu.Lock()
	s.hungry = hungry
	s.mu.Unlock()
}

// wait says whether a poll of the node waits.
func (s *seat) wait(waiting bool) {
	s.mu.Lock()
	s.waiting = waiting
	s.mu.Unlock()
}

// rouse puts the token in, if it is not there already.
func (s *seat) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// wakeNode wakes the poll of a node.
func (b *benches) wakeNode(space store.Space, node store.RID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, seats := range b.seats {
		if key.space == space {
			if s := seats[node]; s != nil {
				s.rouse()
			}
		}
	}
}

// wakePool wakes every poll of a pool.
func (b *benches) wakePool(space store.Space, pool store.RID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.seats[benchKey{space, pool}] {
		s.rouse()
	}
}

// wakeHungry wakes up to n polls of a pool that wait with free slots.
func (b *benches) wakeHungry(space store.Space, pool store.RID, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.seats[benchKey{space, pool}] {
		if n == 0 {
			return
		}
		s.mu.Lock()
		hungry := s.hungry
		s.hungry = false
		s.mu.Unlock()
		if hungry {
			s.rouse()
			n--
		}
	}
}

// hungry counts the nodes of a pool that wait with free slots and have found no work.
func (b *benches) hungry(space store.Space, pool store.RID) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, s := range b.seats[benchKey{space, pool}] {
		s.mu.Lock()
		if s.hungry && s.waiting {
			n++
		}
		s.mu.Unlock()
	}
	return n
}

// wakeSpace wakes every poll of an account.
func (b *benches) wakeSpace(space store.Space) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, seats := range b.seats {
		if key.space == space {
			for _, s := range seats {
				s.rouse()
			}
		}
	}
}
