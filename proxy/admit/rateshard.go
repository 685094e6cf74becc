package admit

import (
	"math/bits"
	"sync"
)

// shardCount is far above the number of cores that meet in one table, so that they seldom wait for
// one another.
const shardCount = 64

// split takes a shard and a place inside it from different bits of a hash.
func split(hash uint64) (shard, place uint64) {
	return hash % shardCount, hash / shardCount
}

// window is how many places an entry may take: those from its hash on. With 16, of as many clients
// as fill half of the table 0.03 % are forgotten early, of three quarters 1.3 %; with 8 it is 0.5 %
// and 3.9 %. With 32 a flood of new clients costs a fifth more time (BenchmarkRate).
const window = 16

// rateShard is a part of a Rate's table. It stands alone on its cache lines.
type rateShard struct {
	mu     sync.Mutex
	places []place // a power of two of them, at least window
	_      [96]byte
}

// place holds the state of one client. Since a state that has passed is as good as none, an entry
// need never be removed, and the zero place is free.
type place struct {
	key   address
	state int64 // gcra's
}

// init makes room for at least entries clients.
func (s *rateShard) init(entries int) {
	entries = max(entries, window)
	s.places = make([]place, 1<<bits.Len(uint(entries-1)))
}

// take takes one event of a client, whose places begin at start, and returns gcra's wait.
func (s *rateShard) take(key address, start uint64, g gcra, now int64) (wait int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.find(key, start)
	if p.key != key {
		*p = place{key: key}
	}
	next, wait := g.take(p.state, now)
	if wait <= 0 {
		p.state = next
	}
	return wait
}

// find returns the place of key, or else the place that it takes over: the one with the earliest
// state, which is a free one if there is any. mu must be held.
func (s *rateShard) find(key address, start uint64) *place {
	last := uint64(len(s.places) - 1)
	earliest := &s.places[start&last]
	for i := range uint64(window) {
		p := &s.places[(start+i)&last]
		if p.key == key {
			return p
		}
		if p.state < earliest.state {
			earliest = p
		}
	}
	return earliest
}

func (s *rateShard) count(now int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for i := range s.places {
		if s.places[i].state > now {
			n++
		}
	}
	return n
}
