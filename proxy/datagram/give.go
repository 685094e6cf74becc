package datagram

import (
	"cmp"
	"slices"

	"weir/proxy/wire"
)

// Give makes c the owner of the datagrams to come, and of the sessions of those that have come.
func (k *Socket) Give(c *Clients) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if former := k.clients.Swap(c); former != nil && former != c {
		for _, s := range former.of(k) {
			s.pass(former, c)
			s.release()
		}
	}
}

// succeed makes other sockets answer the clients of k that have used one of their addresses, and their
// owners those of the sessions. What has come for k meanwhile is carried on. Its goroutine has ended.
func (k *Socket) succeed(others []*Socket) {
	port := k.listener.Addr().Port()
	if !slices.ContainsFunc(others, func(o *Socket) bool { return o.listener.Addr().Port() == port }) {
		return
	}
	k.mu.Lock()
	k.leaving = true
	k.mu.Unlock()
	for range 2 { // the second time it is quick, and hardly anything comes meanwhile that would be lost
		k.drain()
		for _, next := range others {
			k.pass(next)
		}
	}
}

// pass is that for one of them.
func (k *Socket) pass(next *Socket) {
	k.mu.Lock()
	defer k.mu.Unlock()
	former, c := k.clients.Load(), next.clients.Load()
	for _, s := range former.of(k) {
		if from := s.from(); next.listener.Covers(&from) {
			s.reply.Store(&way{next, next.listener.Peer(&from)})
			s.pass(former, c)
		}
		s.release()
	}
}

// drain carries what waits to be received.
func (k *Socket) drain() {
	b := wire.NewUDPBatch(socketSlots, true)
	for n := k.listener.Take(b); n > 0; n = k.listener.Take(b) {
		k.serveBatch(b, n)
	}
}

// of lists the sessions that came in by a socket, held, the one that was used last at the end.
func (c *Clients) of(k *Socket) (list []*session) {
	for _, s := range c.table.all() {
		if s.reply.Load().socket != k {
			s.release()
			continue
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *session) int { return cmp.Compare(a.used.Load(), b.used.Load()) })
	return list
}

// pass moves a session from former to c, unless it has ended. The socket that serves it holds its mu, so
// nobody else looks for it.
func (s *session) pass(former, c *Clients) {
	if former == c {
		return
	}
	was, evicted := c.adopt(s)
	if was {
		former.gone()
	}
	if evicted != nil {
		evicted.ended(endEvicted)
	}
}

// adopt takes over a session, in whose place of its former table there is nobody then. It reports whether
// it was there; evicted, if any, has made room for it.
func (c *Clients) adopt(s *session) (was bool, evicted *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.clients.Load().table.takeOut(s) {
		return false, nil
	}
	c.count.Add(1)
	s.clients.Store(c)
	s.hash = c.table.hash(&s.key)
	return true, c.table.insert(s, s.used.Load())
}

// from is where the datagrams of the client come from and go to.
func (s *session) from() wire.UDPFrom {
	s.mu.Lock()
	defer s.mu.Unlock()
	return wire.UDPFromKey(s.key)
}
