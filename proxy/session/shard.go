package session

import (
	"sync"
	"sync/atomic"

	"weir/balancer"
)

// entry is one session. Entries are linked by their position: the list of those in use runs from the
// one used last to the oldest, through entries[0], which is its head and holds no session; unused
// ones are chained through next.
type entry struct {
	key        Key
	used       int64             // time of the last use
	backend    *balancer.Backend // nil: several claim the session
	prev, next uint32
}

// expired reports whether timeout has passed since the last use.
func (e *entry) expired(now, timeout int64) bool { return now-e.used >= timeout }

// lost reports whether the backend of the session has left the pool.
func (e *entry) lost() bool { return e.backend != nil && e.backend.Removed() }

// contest settles that b claims the session, too.
func (e *entry) contest(b *balancer.Backend) {
	switch owner := e.backend; {
	case owner == nil || owner == b:
	case owner.Health() == balancer.Up && !owner.Removed():
		e.backend = nil
	default:
		e.backend = b
	}
}

// shard is a part of a table: a map into a slice, and the order of use.
type shard struct {
	mu          sync.Mutex // guards what follows, but for misses
	index       map[Key]uint32
	entries     []entry
	free        uint32 // first unused entry; 0: none
	hits        uint64
	evictions   uint64
	expirations uint64
	misses      atomic.Uint64
	_           [64]byte // keeps the next shard off this one's cache lines
}

// init makes the shard ready.
func (s *shard) init() {
	s.index = map[Key]uint32{}
	s.entries = make([]entry, 1)
}

// oldest is the entry that was not used for longest; 0 if there is none.
func (s *shard) oldest() uint32 { return s.entries[0].prev }

// use notes a use of i, unless it is lost, and returns its backend. Callers may come a little out of
// order: time does not go back.
func (s *shard) use(i uint32, now int64) *balancer.Backend {
	e := &s.entries[i]
	if e.lost() {
		return e.backend
	}
	e.used = max(e.used, now)
	if s.entries[0].next != i {
		s.unlink(i)
		s.link(i)
	}
	return e.backend
}

// insert adds a session that is not there.
func (s *shard) insert(k *Key, b *balancer.Backend, now int64) {
	i := s.free
	if i == 0 {
		i = uint32(len(s.entries))
		s.entries = append(s.entries, entry{})
	} else {
		s.free = s.entries[i].next
	}
	s.entries[i] = entry{key: *k, used: now, backend: b}
	s.link(i)
	s.index[*k] = i
}

// remove takes out entry i.
func (s *shard) remove(i uint32) {
	e := &s.entries[i]
	delete(s.index, e.key)
	s.unlink(i)
	*e = entry{next: s.free}
	s.free = i
}

// evict removes the oldest entry and reports whether there was one.
func (s *shard) evict() bool {
	i := s.oldest()
	if i == 0 {
		return false
	}
	s.remove(i)
	s.evictions++
	return true
}

// forget removes every entry of b and returns how many there were. It takes the lock.
func (s *shard) forget(b *balancer.Backend) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for i := range s.entries[1:] {
		if s.entries[i+1].backend == b {
			s.remove(uint32(i + 1))
			n++
		}
	}
	return n
}

// restore gives lost entries to the backends of the same names and returns how many there were. It
// takes the lock.
func (s *shard) restore(byName map[string]*balancer.Backend) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for i := range s.entries[1:] {
		e := &s.entries[i+1]
		if !e.lost() {
			continue
		}
		if b := byName[e.backend.Name()]; b != nil {
			e.backend = b
			n++
		}
	}
	return n
}

// link puts i at the front of the list.
func (s *shard) link(i uint32) {
	first := s.entries[0].next
	s.entries[i].prev, s.entries[i].next = 0, first
	s.entries[first].prev = i
	s.entries[0].next = i
}

// unlink takes i out of the list.
func (s *shard) unlink(i uint32) {
	prev, next := s.entries[i].prev, s.entries[i].next
	s.entries[prev].next = next
	s.entries[next].prev = prev
}
