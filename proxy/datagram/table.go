package datagram

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"

	"weir/proxy/wire"
)

const (
	maxShards = 64
	// leastPerShard is what a shard should be able to hold. Among fewer the oldest of a shard is too far
	// from the oldest of the table.
	leastPerShard = 64
	firstBuckets  = 16
)

// table finds the session of a client. It is bounded: what was idle longest makes room.
type table struct {
	limit  atomic.Int64
	count  atomic.Int64
	seed   maphash.Seed // nobody outside can choose which shard a key is in
	shards []shard
	victim atomic.Uint32 // shard that is looked at next for one to evict
}

// shard is a part of a table: a hash table, and the order of use.
type shard struct {
	mu      sync.Mutex
	buckets []*session // as many as a power of two
	n       int
	newest  *session
	oldest  *session
	_       [64]byte // keeps the next shard off this one's cache lines
}

func newTable(limit int) *table {
	n := maxShards
	for n > 1 && limit/n < leastPerShard {
		n /= 2
	}
	t := &table{seed: maphash.MakeSeed(), shards: make([]shard, n)}
	t.limit.Store(int64(limit))
	for i := range t.shards {
		t.shards[i].buckets = make([]*session, firstBuckets)
	}
	return t
}

// hash is that of a key.
func (t *table) hash(k *wire.UDPKey) uint64 { return maphash.Comparable(t.seed, *k) }

// shard is where a hash belongs. The low bits choose the bucket.
func (t *table) shard(hash uint64) *shard { return &t.shards[hash>>32&uint64(len(t.shards)-1)] }

// find returns the session of a key, held, as the one used last; nil if there is none.
func (t *table) find(k *wire.UDPKey, hash uint64, now int64) *session {
	sh := t.shard(hash)
	sh.mu.Lock()
	s := sh.lookup(k, hash)
	if s != nil {
		s.hold()
		sh.touch(s, now)
	}
	sh.mu.Unlock()
	return s
}

// touch makes s the one of its table that was used last, if it is in one.
func (s *session) touch(now int64) {
	s.mu.Lock()
	sh := s.clients.Load().table.shard(s.hash)
	sh.mu.Lock()
	if s.attached {
		sh.touch(s, now)
	}
	sh.mu.Unlock()
	s.mu.Unlock()
}

// insert adds a session, which is held once for it, and makes room if there is none: the session that
// is returned, if any, was taken out for it. The key is not in the table.
func (t *table) insert(s *session, now int64) (evicted *session) {
	full := t.count.Add(1) > t.limit.Load()
	sh := t.shard(s.hash)
	sh.mu.Lock()
	if full {
		evicted = sh.evict()
	}
	sh.insert(s, now)
	sh.mu.Unlock()
	if full && evicted == nil {
		evicted = t.evictAnywhere(s)
	}
	if evicted != nil {
		t.count.Add(-1)
	}
	return evicted
}

// replace puts s in the place of former, which has the same key, and reports whether that was still
// there: else s is in the table besides.
func (t *table) replace(former, s *session, now int64) bool {
	sh := t.shard(s.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	was := former.attached
	if was {
		sh.remove(former)
	} else {
		t.count.Add(1)
	}
	sh.insert(s, now)
	return was
}

// trim takes out the session that was idle longest if there are more than the limit, which was higher; nil
// if there are not. It looks at every shard.
func (t *table) trim() *session {
	if t.count.Load() <= t.limit.Load() {
		return nil
	}
	oldest, at := int64(math.MaxInt64), 0
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		if s := sh.oldest; s != nil && s.seen < oldest {
			oldest, at = s.seen, i
		}
		sh.mu.Unlock()
	}
	sh := &t.shards[at]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.evict()
	if s != nil {
		t.count.Add(-1)
	}
	return s
}

// evictAnywhere takes out the oldest session of the next shard that has one but s.
func (t *table) evictAnywhere(s *session) *session {
	for range t.shards {
		sh := &t.shards[t.victim.Add(1)%uint32(len(t.shards))]
		sh.mu.Lock()
		var evicted *session
		if sh.oldest != s {
			evicted = sh.evict()
		}
		sh.mu.Unlock()
		if evicted != nil {
			return evicted
		}
	}
	return nil
}

// remove takes s out of its table and reports whether it was in it.
func (s *session) remove() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients.Load().table.takeOut(s)
}

// takeOut is for who has the session's mu.
func (t *table) takeOut(s *session) bool {
	sh := t.shard(s.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !s.attached {
		return false
	}
	sh.remove(s)
	t.count.Add(-1)
	return true
}

// move gives s the key of another address of its client, which is not in the table, and reports whether
// s still is.
func (t *table) move(s *session, a *arrival, now int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.clients.Load().table != t {
		return false
	}
	sh := t.shard(s.hash)
	sh.mu.Lock()
	if !s.attached {
		sh.mu.Unlock()
		return false
	}
	sh.remove(s)
	sh.mu.Unlock()
	s.key, s.hash, s.client = a.key, a.hash, a.from.Client()
	sh = t.shard(s.hash)
	sh.mu.Lock()
	sh.insert(s, now)
	sh.mu.Unlock()
	return true
}

// expire takes out at most n sessions of shard i that were used last before the time before, oldest
// first.
func (t *table) expire(i, n int, before int64, list []*session) []*session {
	sh := &t.shards[i]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for range n {
		s := sh.oldest
		if s == nil || s.seen >= before {
			break
		}
		if used := s.used.Load(); used >= before { // replies have come since
			sh.postpone(s, used)
			continue
		}
		sh.remove(s)
		t.count.Add(-1)
		list = append(list, s)
	}
	return list
}

// all lists the sessions, held.
func (t *table) all() (list []*session) {
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		for s := sh.newest; s != nil; s = s.older {
			s.hold()
			list = append(list, s)
		}
		sh.mu.Unlock()
	}
	return list
}

// The methods of a shard want its mu held.

func (sh *shard) bucket(hash uint64) **session { return &sh.buckets[hash&uint64(len(sh.buckets)-1)] }

func (sh *shard) lookup(k *wire.UDPKey, hash uint64) *session {
	for s := *sh.bucket(hash); s != nil; s = s.chain {
		if s.hash == hash && s.key == *k {
			return s
		}
	}
	return nil
}

func (sh *shard) insert(s *session, now int64) {
	if sh.n++; sh.n > len(sh.buckets) {
		sh.grow()
	}
	b := sh.bucket(s.hash)
	s.chain, *b = *b, s
	s.attached, s.seen = true, now
	sh.link(s)
}

// grow doubles the buckets.
func (sh *shard) grow() {
	old := sh.buckets
	sh.buckets = make([]*session, 2*len(old))
	for _, s := range old {
		for s != nil {
			next := s.chain
			b := sh.bucket(s.hash)
			s.chain, *b = *b, s
			s = next
		}
	}
}

func (sh *shard) remove(s *session) {
	at := sh.bucket(s.hash)
	for *at != s {
		at = &(*at).chain
	}
	*at = s.chain
	sh.unlink(s)
	s.chain, s.attached = nil, false
	sh.n--
	if sh.n == 0 && len(sh.buckets) > 8*firstBuckets { // what a flood has left is given back
		sh.buckets = make([]*session, firstBuckets)
	}
}

// evict takes out the oldest session, nil if there is none.
func (sh *shard) evict() *session {
	s := sh.oldest
	if s != nil {
		sh.remove(s)
	}
	return s
}

func (sh *shard) touch(s *session, now int64) {
	s.seen = now
	if sh.newest != s {
		sh.unlink(s)
		sh.link(s)
	}
}

// postpone puts the oldest session where it belongs by its last reply: not far, since those are noted
// in the order before they are much older.
func (sh *shard) postpone(s *session, used int64) {
	s.seen = used
	after := s.newer
	for after != nil && after.seen < used {
		after = after.newer
	}
	if after == s.newer {
		return
	}
	sh.unlink(s)
	if after == nil {
		sh.link(s)
		return
	}
	s.newer, s.older = after, after.older
	after.older.newer = s
	after.older = s
}

func (sh *shard) link(s *session) {
	s.newer, s.older = nil, sh.newest
	if sh.newest != nil {
		sh.newest.newer = s
	}
	sh.newest = s
	if sh.oldest == nil {
		sh.oldest = s
	}
}

func (sh *shard) unlink(s *session) {
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		sh.newest = s.older
	}
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		sh.oldest = s.newer
	}
	s.newer, s.older = nil, nil
}
