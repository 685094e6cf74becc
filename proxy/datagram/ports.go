package datagram

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// portBook knows which local ports are in use towards each backend address, or were until recently. A
// late reply for a session that has ended must not reach another one, so a pair of both is not used
// again at once.
type portBook struct {
	mu    sync.Mutex
	books map[netip.AddrPort]*ports
}

// ports are those towards one address.
type ports struct {
	users int // peers; the book's mu must be held

	mu     sync.Mutex
	pages  [256]*[256]uint32 // by port: when it may be used again, in ticks
	busy   int               // those in use
	latest uint32            // of the others
	none   uint32            // no port may be used before, as the last search has shown; 0: there may be one
}

const (
	tick  = 1 << 26 // ns: 67 ms, so that 32 bits are 9 years
	inUse = math.MaxUint32
)

// ticks rounds up.
func ticks(at int64) uint32 { return uint32((at + tick - 1) / tick) }

// join returns the ports towards an address; leave is called once for it.
func (b *portBook) join(backend netip.AddrPort) *ports {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.books[backend]
	if p == nil {
		p = &ports{}
		if b.books == nil {
			b.books = map[netip.AddrPort]*ports{}
		}
		b.books[backend] = p
	}
	p.users++
	return p
}

func (b *portBook) leave(p *ports) {
	b.mu.Lock()
	p.users--
	b.mu.Unlock()
}

// sweep forgets the ports of addresses that nobody uses any more, once all of them may be used again.
func (b *portBook) sweep(now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for addr, p := range b.books {
		if p.users == 0 && p.over(now) {
			delete(b.books, addr)
		}
	}
}

func (p *ports) over(now int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy == 0 && int64(p.latest)*tick <= now
}

// claim takes a port of the range that is free, in no order that a stranger could foresee; 0 if there
// is none. Once a search has found none, there is no other before one can succeed: a flood of new
// clients must not cost the clients that are there more than it has to.
func (p *ports) claim(r portRange, now int64) uint16 {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, span := uint32(now/tick), uint32(r.last-r.first)+1
	if at < p.none {
		return 0
	}
	start, none := rand.Uint32N(span), uint32(inUse)
	for i := range span {
		port := r.first + uint16((start+i)%span)
		if r.reserved.has(port) {
			continue
		}
		entry := p.entry(port)
		if *entry <= at {
			*entry = inUse
			p.busy++
			return port
		}
		none = min(none, *entry)
	}
	p.none = none
	return 0
}

// vacate gives a port back that may be used again at the time until.
func (p *ports) vacate(port uint16, until int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	*p.entry(port) = ticks(until)
	p.none = min(p.none, ticks(until))
	p.latest = max(p.latest, ticks(until))
}

// yieldWait is how long the last of those who use a session may take to let go of it.
const yieldWait = 100 * time.Millisecond

// yield ends the sessions that have the port of an address on this side, and reports whether there were
// some: a listener that a reload adds must not find its port taken by chance.
func (e *Engine) yield(address string) (were bool) {
	a, err := net.ResolveUDPAddr("udp", address)
	if err != nil || a.Port == 0 {
		return false
	}
	e.mu.Lock()
	loops := e.loops
	e.mu.Unlock()
	for _, l := range loops {
		for _, s := range l.on(uint16(a.Port)) {
			s.end(endYielded)
			for end := time.Now().Add(yieldWait); s.refs.Load() > 1 && time.Now().Before(end); {
				time.Sleep(yieldWait / 100)
			}
			s.release()
			were = true
		}
	}
	return were
}

// on lists the sessions that have a port on this side, held.
func (l *loop) on(port uint16) (list []*session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, at := range l.slots {
		if s := at.session; s != nil && s.port == port {
			s.hold()
			list = append(list, s)
		}
	}
	return list
}

// entry is that of a port. mu must be held.
func (p *ports) entry(port uint16) *uint32 {
	page := p.pages[port>>8]
	if page == nil {
		page = new([256]uint32)
		p.pages[port>>8] = page
	}
	return &page[port&255]
}

// portRange is where local ports are taken from.
type portRange struct {
	first, last uint16
	reserved    *portSet // of them, those that are left to others; nil: none
}

// usualPorts is what Linux has by default, and what is taken if it does not say.
var usualPorts = portRange{first: 32768, last: 60999}

// localPorts reads the range that the kernel takes local ports from, and what it leaves out.
func localPorts() portRange {
	r := usualPorts
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		r = parseRange(string(text))
	}
	if text, err = os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports"); err == nil {
		r.reserved = parseReserved(string(text))
	}
	return r
}

// parseRange reads two numbers; usualPorts if that is not what they are.
func parseRange(text string) (r portRange) {
	if n, err := fmt.Sscan(text, &r.first, &r.last); n != 2 || err != nil || r.first == 0 || r.last < r.first {
		return usualPorts
	}
	return r
}

// portSet is a set of ports.
type portSet [1 << 16 / 64]uint64

func (s *portSet) has(port uint16) bool { return s != nil && s[port/64]&(1<<(port%64)) != 0 }

// parseReserved reads a list of ports and ranges, "8080,9000-9010"; nil if it has none. What is not
// understood is passed over: the kernel has written it.
func parseReserved(text string) *portSet {
	var set *portSet
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err := strconv.ParseUint(from, 10, 16)
		last, err2 := strconv.ParseUint(to, 10, 16)
		if err != nil || err2 != nil {
			continue
		}
		if set == nil {
			set = &portSet{}
		}
		for port := first; port <= last; port++ {
			set[port/64] |= 1 << (port % 64)
		}
	}
	return set
}

// usualIdle stands for an udp_idle that sets no bound.
const usualIdle = 60 * time.Second
