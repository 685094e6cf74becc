package session

import (
	"hash/maphash"
	"math"
	"sync/atomic"
	"time"

	"weir/balancer"
)

const (
	maxShards = 64
	// leastPerShard is what a shard should be able to hold. Among fewer entries the oldest of a shard
	// is too far from the oldest of the table; so small tables have fewer shards.
	leastPerShard = 64
	// reapBatch is how many expired entries each new one removes, so that a table whose clients come
	// and go stays as small as it can be between two sweeps.
	reapBatch = 2
	// sweepBatch bounds how long Sweep holds a lock: about 50 µs.
	sweepBatch = 256
)

// Table remembers which backend a client was sent to, for a timeout after the last use, for a
// bounded number of clients. All its methods may be called concurrently; each takes the lock of one
// shard at a time. Times are nanoseconds of one monotonic clock. A table keeps the memory of the
// most entries that it had, about 100 bytes each.
type Table struct {
	size    int64
	timeout atomic.Int64
	entries atomic.Int64
	keep    atomic.Bool  // sessions whose backend has left the pool
	seed    maphash.Seed // nobody outside can choose which shard a key is in
	shards  []shard
	victim  atomic.Uint32 // shard that evictFrom looks at next
}

// Stats counts what happened to the sessions of a table since it was made.
type Stats struct {
	Entries   int    // at present, expired ones that were not removed yet included
	Hits      uint64 // found
	Misses    uint64 // not found, expired ones included
	Evictions uint64 // removed to make room
	Expired   uint64 // removed because they had expired
}

// NewTable makes a table for at most size sessions, which is held within 1 and 2^31-1, that expire
// timeout after their last use; at once if it is not positive.
func NewTable(size int, timeout time.Duration) *Table {
	size = min(max(size, 1), math.MaxInt32)
	n := maxShards
	for n > 1 && size/n < leastPerShard {
		n /= 2
	}
	t := &Table{size: int64(size), seed: maphash.MakeSeed(), shards: make([]shard, n)}
	t.timeout.Store(int64(timeout))
	for i := range t.shards {
		t.shards[i].init()
	}
	return t
}

// SetTimeout changes the timeout of all sessions, those in the table included.
func (t *Table) SetTimeout(timeout time.Duration) { t.timeout.Store(int64(timeout)) }

// SetKeep says what becomes of sessions whose backend has left the pool. They end, or, with keep, they
// are lost: they are found, with the backend that has left, until they expire, for those who would
// rather refuse a client than give it another backend. Being found then is no use: no client keeps
// itself out for longer.
func (t *Table) SetKeep(keep bool) { t.keep.Store(keep) }

// Get returns the backend of a session and counts as its use. It is nil if there is no session, if
// it has expired, or if its backend has left the pool, but see SetKeep; whether the backend may be used
// is for the caller to see. Get does not allocate.
func (t *Table) Get(k Key, now int64) *balancer.Backend {
	s := t.shard(&k)
	b := t.get(s, &k, now)
	if b == nil {
		s.misses.Add(1)
	}
	return b
}

// get is Get without counting what is not there.
func (t *Table) get(s *shard, k *Key, now int64) *balancer.Backend {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := t.live(s, k, now)
	if i == 0 {
		return nil
	}
	b := s.use(i, now)
	if b != nil {
		s.hits++
	}
	return b
}

// live finds the entry of a session, 0 if there is none, and removes it if it is not to be used any
// more. s.mu must be held.
func (t *Table) live(s *shard, k *Key, now int64) uint32 {
	i, ok := s.index[*k]
	if !ok {
		return 0
	}
	e := &s.entries[i]
	expired := e.expired(now, t.timeout.Load())
	if !expired && (!e.lost() || t.keep.Load()) {
		return i
	}
	if expired {
		s.expirations++
	}
	s.remove(i)
	t.entries.Add(-1)
	return 0
}

// Put makes b, which is not nil, the backend of a session from now on. If the table is full, a session that was not
// used for long makes room. Put allocates only while the table grows to what it never had before.
func (t *Table) Put(k Key, b *balancer.Backend, now int64) { t.put(k, b, now, replace) }

// GetOrPut returns the backend of a session if there is one, as Get does, and else makes it b, as Put
// does, and returns b. With it, concurrent first flows of a client agree on one backend.
func (t *Table) GetOrPut(k Key, b *balancer.Backend, now int64) *balancer.Backend {
	return t.put(k, b, now, keep)
}

// conflict says what becomes of a session that is there when another backend is put.
type conflict uint8

const (
	replace conflict = iota // it moves
	keep                    // it stays, and was found
	contest                 // it moves if its backend is not up; else nobody has it until it expires
)

// put enters a session and returns its backend.
func (t *Table) put(k Key, b *balancer.Backend, now int64, c conflict) *balancer.Backend {
	s := t.shard(&k)
	for {
		got, done := t.tryPut(s, &k, b, now, c)
		if done {
			return got
		}
		t.evictAnywhere()
	}
}

// tryPut is put, unless room would have to be made in another shard: then done is false.
func (t *Table) tryPut(s *shard, k *Key, b *balancer.Backend, now int64, c conflict) (got *balancer.Backend, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := t.live(s, k, now); i != 0 {
		switch e := &s.entries[i]; {
		case c == replace:
			e.backend = b
		case c == keep:
			s.hits++
		default:
			e.contest(b)
		}
		return s.use(i, now), true
	}
	return b, t.enter(s, k, b, now)
}

// enter adds a session that is not there, unless room would have to be made in another shard, which it
// reports. s.mu must be held.
func (t *Table) enter(s *shard, k *Key, b *balancer.Backend, now int64) bool {
	t.reap(s, now, reapBatch)
	// An entry that is evicted leaves its place in the count to the new one.
	if !t.reserve() && !s.evict() {
		return false
	}
	s.insert(k, b, now)
	return true
}

// Delete ends a session and reports whether there was one.
func (t *Table) Delete(k Key) bool {
	s := t.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[k]
	if ok {
		s.remove(i)
		t.entries.Add(-1)
	}
	return ok
}

// Forget ends all sessions of a backend, which is not nil, and returns how many there were. It looks
// at every entry, and lets go of the backend's memory.
func (t *Table) Forget(b *balancer.Backend) int {
	forgotten := 0
	for i := range t.shards {
		n := t.shards[i].forget(b)
		t.entries.Add(-int64(n))
		forgotten += n
	}
	return forgotten
}

// Restore gives lost sessions to the backends of the pool that have the names of those that left, and
// returns how many there were. It looks at every entry.
func (t *Table) Restore(backends []*balancer.Backend) int {
	byName := make(map[string]*balancer.Backend, len(backends))
	for _, b := range backends {
		byName[b.Name()] = b
	}
	restored := 0
	for i := range t.shards {
		restored += t.shards[i].restore(byName)
	}
	return restored
}

// Sweep removes expired sessions, at most 256 from each shard, and reports whether there may be more,
// in which case it is to be called again soon; else about once a second.
func (t *Table) Sweep(now int64) (more bool) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		more = t.reap(s, now, sweepBatch) == sweepBatch || more
		s.mu.Unlock()
	}
	return more
}

// Stats sums the counters of the shards. Entries is never above the size of the table: while it is
// used, the entries of its shards, counted one after the other, could be.
func (t *Table) Stats() Stats {
	sum := Stats{Entries: int(t.entries.Load())}
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		sum.Hits += s.hits
		sum.Evictions += s.evictions
		sum.Expired += s.expirations
		s.mu.Unlock()
		sum.Misses += s.misses.Load()
	}
	return sum
}

// shard is where k belongs.
func (t *Table) shard(k *Key) *shard {
	return &t.shards[maphash.Bytes(t.seed, k[:])&uint64(len(t.shards)-1)]
}

// reserve counts one entry more, unless the table is full.
func (t *Table) reserve() bool {
	for {
		n := t.entries.Load()
		if n >= t.size {
			return false
		}
		if t.entries.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// reap removes up to limit expired entries. All entries have the same timeout, so the oldest of the
// shard is the first to expire. s.mu must be held.
func (t *Table) reap(s *shard, now int64, limit int) int {
	timeout := t.timeout.Load()
	n := 0
	for n < limit {
		i := s.oldest()
		if i == 0 || !s.entries[i].expired(now, timeout) {
			break
		}
		s.remove(i)
		n++
	}
	s.expirations += uint64(n)
	t.entries.Add(-int64(n))
	return n
}

// evictAnywhere makes room in the next shard that has an entry. No lock may be held.
func (t *Table) evictAnywhere() {
	for range t.shards {
		s := &t.shards[t.victim.Add(1)%uint32(len(t.shards))]
		s.mu.Lock()
		evicted := s.evict()
		s.mu.Unlock()
		if evicted {
			t.entries.Add(-1)
			return
		}
	}
}
