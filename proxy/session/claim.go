package session

import "weir/balancer"

// Claim makes b the backend of a session that is on had: nil is on none, as is a session that has expired.
// It returns the backend that the session is on then. That is neither if somebody else has moved the session
// since had was found; claimed says that nobody had put it on b before. b is not nil. So concurrent flows of
// a client agree on one backend, whoever of them comes first.
func (t *Table) Claim(k Key, had, b *balancer.Backend, now int64) (on *balancer.Backend, claimed bool) {
	s := t.shard(&k)
	for {
		on, claimed, done := t.tryClaim(s, &k, had, b, now)
		if done {
			return on, claimed
		}
		t.evictAnywhere()
	}
}

// tryClaim is Claim, unless room would have to be made in another shard: then done is false.
func (t *Table) tryClaim(s *shard, k *Key, had, b *balancer.Backend, now int64) (on *balancer.Backend, claimed, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := t.live(s, k, now)
	if i == 0 {
		return b, true, t.enter(s, k, b, now)
	}
	if e := &s.entries[i]; e.backend == had && had != b {
		e.backend, claimed = b, true
	}
	return s.use(i, now), claimed, true
}

// Disclaim undoes a Claim of b whose flow did not come about: the session is on had again, and there is none
// if that is nil or has left the pool. A session that was moved on since stays where it is.
func (t *Table) Disclaim(k Key, b, had *balancer.Backend) {
	s := t.shard(&k)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[k]
	switch {
	case !ok || s.entries[i].backend != b:
	case had == nil || had.Removed():
		s.remove(i)
		t.entries.Add(-1)
	default:
		s.entries[i].backend = had
	}
}
