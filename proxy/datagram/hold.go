package datagram

import (
	"bytes"
	"math"
	"net/netip"
	"sync"
	"time"

	"weir/balancer"
	"weir/proxy/wire"
	"weir/telemetry"
)

// What a socket holds at most; what comes beyond is dropped. It is for the moments after a start:
// clients repeat what they have asked.
const (
	heldMost  = 1024    // payloads
	heldBytes = 1 << 20 // of them
	heldShare = 4       // one client address takes a quarter of either at most
)

// unbounded is the time until which something is held that has no time-out.
const unbounded = math.MaxInt64

// held is a payload of a client that has no session, and cannot have one before a backend of its pool
// has had its first verdict.
type held struct {
	from    wire.UDPFrom
	payload []byte
	until   int64 // the time that it may wait is over
}

// waiting has what a socket holds, in the order in which it came. The socket's mu guards it.
type waiting struct {
	list     []held
	bytes    int
	watched  bool           // a goroutine looks after the list
	watchers sync.WaitGroup // that goroutine
}

// hold keeps the payload of an arrival that no session is there for, if every backend is still being
// checked. It reports whether it did. The pool's time-out for its queue bounds the wait.
func (k *Socket) hold(a *arrival) bool {
	p := a.site.target.pool
	if p == nil || a.clients.draining.Load() || !p.unchecked() {
		return false
	}
	until := a.until
	if until == 0 {
		until = unbounded
		if d := p.settings.Load().queue; d > 0 {
			until = k.now + int64(d)
		}
	}
	w := &k.waiting
	if until <= k.now || len(w.list) == heldMost || w.bytes+len(a.payload) > heldBytes || !w.share(a) {
		return false
	}
	w.list = append(w.list, held{a.from, bytes.Clone(a.payload), until})
	w.bytes += len(a.payload)
	if !w.watched {
		w.watched = true
		w.watchers.Go(k.watch)
	}
	return true
}

// share reports whether the client has held less than it may.
func (w *waiting) share(a *arrival) bool {
	client := subscriber(a.from.Client().Addr())
	n, size := 1, len(a.payload)
	for i := range w.list {
		if h := &w.list[i]; subscriber(h.from.Client().Addr()) == client {
			n, size = n+1, size+len(h.payload)
		}
	}
	return n <= heldMost/heldShare && size <= heldBytes/heldShare
}

// subscriberBits is how much of an IPv6 address says who it is.
const subscriberBits = 64

// subscriber is what stands for a client: of IPv6 its network.
func subscriber(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, err := a.Prefix(subscriberBits)
	if err != nil {
		return a // it is none of either family
	}
	return p.Addr()
}

// unchecked reports whether no backend has had a verdict. It costs more than a look only while there
// is no eligible one.
func (p *Pool) unchecked() bool {
	if p.Balancer.Snapshot().Tier() != balancer.TierNone {
		return false
	}
	lease, err := p.Balancer.Acquire(balancer.Flow{}, nil)
	if err == nil {
		lease.Release() // there is one since
	}
	return err == balancer.ErrChecking
}

// watch carries on what is held, as soon as it can be, and ends with the list.
func (k *Socket) watch() {
	for {
		changed, wait := k.revisit()
		if changed == nil {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-timer.C:
		case <-k.stopping:
			timer.Stop()
			k.abandon()
			return
		}
		timer.Stop()
	}
}

// revisit tries everything that is held once. It returns what tells of a change, nil if nothing is left,
// and after what time to look anyhow.
func (k *Socket) revisit() (changed <-chan struct{}, wait time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.recovered()
	w := &k.waiting
	c := k.clients.Load()
	if c == nil { // the socket rests
		w.list, w.bytes, w.watched = nil, 0, false
		return nil, 0
	}
	site := c.site.Load()
	if p := site.target.pool; p != nil {
		changed = p.Balancer.Snapshot().Replaced() // before the tries, so that none is missed
	}
	list := w.list
	w.list, w.bytes = nil, 0
	k.now = wire.Now()
	for _, h := range list {
		a := arrival{clients: c, site: site, from: h.from, key: h.from.Key(), until: h.until}
		k.carryAny(&a, h.payload)
		k.finishRun()
	}
	if len(w.list) == 0 {
		w.watched = false
		return nil, 0
	}
	return changed, time.Duration(max(w.list[0].until-k.now, 0))
}

// abandon drops what is held: the socket is closed.
func (k *Socket) abandon() {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := &k.waiting
	c := k.clients.Load()
	for _, h := range w.list {
		c.drop(c.site.Load(), telemetry.DropDraining, datagramsIn(len(h.payload), h.from.Segment), k.now)
	}
	w.list, w.bytes, w.watched = nil, 0, false
}
