package datagram

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/config"
	"weir/proxy/wire"
	"weir/telemetry"
)

// crowd sends from any number of addresses of 127.0.0.0/8 with one socket, and hears what is sent to all
// of them.
type crowd struct {
	t    testing.TB
	fd   int
	port uint16
	to   unix.Sockaddr
}

func newCrowd(t testing.TB, to netip.AddrPort) *crowd {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	must(t, unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1))
	must(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20))
	must(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}))
	must(t, unix.Bind(fd, &unix.SockaddrInet4{}))
	sa, err := unix.Getsockname(fd)
	must(t, err)
	return &crowd{t, fd, uint16(sa.(*unix.SockaddrInet4).Port), &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}}
}

// nth is the address of a client.
func nth(i int) [4]byte {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 127<<24|1<<20+uint32(i))
	return a
}

// send sends the number of a client from its address.
func (c *crowd) send(i int) {
	c.t.Helper()
	c.sendPayload(i, binary.BigEndian.AppendUint32(nil, uint32(i)))
}

func (c *crowd) sendPayload(i int, b []byte) {
	c.t.Helper()
	oob := make([]byte, unix.CmsgSpace(unix.SizeofInet4Pktinfo))
	wirePut(oob, nth(i))
	err := unix.Sendmsg(c.fd, b, oob, c.to, 0)
	for err == unix.EINTR {
		err = unix.Sendmsg(c.fd, b, oob, c.to, 0)
	}
	must(c.t, err)
}

// wirePut makes the control message that names the source of a datagram.
func wirePut(oob []byte, from [4]byte) {
	binary.NativeEndian.PutUint64(oob, uint64(unix.CmsgLen(unix.SizeofInet4Pktinfo)))
	binary.NativeEndian.PutUint32(oob[8:], unix.IPPROTO_IP)
	binary.NativeEndian.PutUint32(oob[12:], unix.IP_PKTINFO)
	copy(oob[20:], from[:])
}

// receive returns whom a reply was sent to, and what was in it.
func (c *crowd) receive() (to [4]byte, payload []byte, err error) {
	b, oob := make([]byte, 100), make([]byte, 64)
	n, _, _, _, err := unix.Recvmsg(c.fd, b, oob, 0)
	for err == unix.EINTR {
		n, _, _, _, err = unix.Recvmsg(c.fd, b, oob, 0)
	}
	if err != nil {
		return to, nil, err
	}
	copy(to[:], oob[24:28])
	return to, b[:n], nil
}

// TestManyClients sends from 200,000 clients through a table of 2,000 sessions. Replies that come to the
// wrong client, more sessions than are allowed, and pairs of backend and port that are used again too
// early would show.
func TestManyClients(t *testing.T) {
	clients, sessions := 200_000, 2000
	if raceEnabled || testing.Short() {
		clients = 20_000
	}
	pairs := newPairs()
	var addrs []netip.AddrPort
	for i := range 16 { // 16 × 28,232 pairs
		addrs = append(addrs, pairs.origin(t, fmt.Sprintf("127.0.0.%d:0", 10+i)))
	}
	r := newRig(t, rigOptions{listen: func(l *config.Listener) { l.UDP.MaxSessions = sessions }}, addrs...)
	c := newCrowd(t, r.addr())
	const window = 200 // clients that are asked at a time
	most := 0
	for at := 0; at < clients; at += window {
		for i := at; i < at+window; i++ {
			c.send(i)
		}
		seen := map[int]bool{}
		for len(seen) < window {
			to, payload, err := c.receive()
			if err != nil {
				t.Fatalf("%d of %d clients from %d on were answered: %v; dropped: %+v", len(seen), window, at, err, r.stats().Counts())
			}
			i := int(binary.BigEndian.Uint32(payload))
			if nth(i) != to || seen[i] || i < at || i >= at+window {
				t.Fatalf("client %d was answered at %v", i, to)
			}
			seen[i] = true
		}
		most = max(most, r.clients.Count())
	}
	if most > sessions+1 { // one more while it takes the place of another
		t.Errorf("%d sessions, allowed are %d", most, sessions)
	}
	if early := pairs.twice(); early != 0 {
		t.Errorf("%d pairs of backend and port were used again within udp_idle", early)
	}
	if got, want := r.stats().Outcome(telemetry.OutcomeEvicted), uint64(clients-sessions); got != want {
		t.Errorf("%d sessions were evicted, want %d", got, want)
	}
}

// pairs is what backends see: which of their clients' addresses have been whose.
type pairs struct {
	mu   sync.Mutex
	who  map[[2]netip.AddrPort]uint32
	more int // datagrams of somebody else from an address that had been used
}

func newPairs() *pairs { return &pairs{who: map[[2]netip.AddrPort]uint32{}} }

// origin starts a backend that answers with what it was asked.
func (p *pairs) origin(t testing.TB, address string) netip.AddrPort {
	o := &pairOrigin{pairs: p}
	o.start(t, address)
	return o.addr
}

func (p *pairs) twice() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.more
}

func (p *pairs) note(backend, from netip.AddrPort, client uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := [2]netip.AddrPort{backend, from}
	if who, known := p.who[k]; known && who != client {
		p.more++
	}
	p.who[k] = client
}

// TestQuarantine: the port of a session that has ended is not used towards its backend for udp_idle after
// its last datagram, and then is.
func TestQuarantine(t *testing.T) {
	p := &ports{}
	few := portRange{first: 40000, last: 40003}
	now := int64(time.Hour)
	taken := map[uint16]bool{}
	for range 4 {
		port := p.claim(few, now)
		if port < few.first || port > few.last || taken[port] {
			t.Fatalf("claimed %d after %v", port, taken)
		}
		taken[port] = true
	}
	if port := p.claim(few, now); port != 0 {
		t.Fatalf("claimed %d, and all are in use", port)
	}
	p.vacate(40001, now+int64(time.Minute))
	for _, at := range []time.Duration{0, time.Second, 59 * time.Second, time.Minute - 1} {
		if port := p.claim(few, now+int64(at)); port != 0 {
			t.Errorf("claimed %d after %v", port, at)
		}
	}
	if port := p.claim(few, now+int64(time.Minute+100*time.Millisecond)); port != 40001 {
		t.Errorf("claimed %d once it may be used again", port)
	}
}

// TestQuarantineInUse drives it through a rig whose ports are few: with all of them used lately, a new
// client is not served at all.
func TestQuarantineInUse(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{ports: portRange{first: 25000, last: 25007}, listen: func(l *config.Listener) { l.UDP.MaxSessions = 1 }}, o.addr)
	for range 8 { // each evicts the one before
		newClient(t, "", r.addr()).ask("a")
	}
	c := newClient(t, "", r.addr())
	c.send("b")
	eventually(t, "the datagram is dropped", func() bool { return r.stats().Drops(telemetry.DropPorts) == 1 })
	c.silent()
	if n := len(o.sources()); n != 8 {
		t.Errorf("the backend has seen %d clients", n)
	}
}

// TestForeignPort: a port that somebody else has is passed over.
func TestForeignPort(t *testing.T) {
	o := newOrigin(t, "", echo)
	taken := newOrigin(t, "0.0.0.0:0", nil)
	r := newRig(t, rigOptions{ports: portRange{first: taken.addr.Port(), last: taken.addr.Port()}}, o.addr)
	newClient(t, "", r.addr()).send("a")
	eventually(t, "the datagram is dropped", func() bool { return r.stats().Drops(telemetry.DropPorts) == 1 })
	// Of some ports in a row, others are nobody's.
	r = newRig(t, rigOptions{ports: portRange{first: taken.addr.Port() - 4, last: taken.addr.Port() + 4}}, o.addr)
	if got := newClient(t, "", r.addr()).ask("b"); got != "b" {
		t.Errorf("got %q", got)
	}
}

// TestEviction: what was idle longest makes room, replies and datagrams of the client counting as use.
func TestEviction(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{listen: func(l *config.Listener) { l.UDP.MaxSessions = 3 }}, o.addr)
	a, b, c := newClient(t, "", r.addr()), newClient(t, "", r.addr()), newClient(t, "", r.addr())
	for _, one := range []*client{a, b, c, a} {
		one.ask("x")
	}
	newClient(t, "", r.addr()).ask("x") // b goes
	before := len(o.sources())
	a.ask("x")
	c.ask("x")
	if n := len(o.sources()); n != before {
		t.Error("a session that was used lately has gone")
	}
	b.ask("x")
	if n := len(o.sources()); n != before+1 {
		t.Error("the session that was idle longest has not gone")
	}
	if n := r.stats().Outcome(telemetry.OutcomeEvicted); n != 2 {
		t.Errorf("%d sessions were evicted, want 2", n)
	}
}

// TestLowerBound: with a lower bound the sessions that are too many come to their end, those first that were
// idle longest.
func TestLowerBound(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{}, o.addr)
	var list []*client
	for range 10 {
		c := newClient(t, "", r.addr())
		c.ask("a")
		list = append(list, c)
	}
	r.listen.UDP.MaxSessions = 3
	r.clients.SetSite(r.site(r.clients.Site()))
	r.clients.Sweep(wire.Now())
	if n := r.clients.Count(); n > 3 {
		t.Errorf("%d sessions", n)
	}
	if n := r.stats().Outcome(telemetry.OutcomeEvicted); n != 7 {
		t.Errorf("%d have made room", n)
	}
	sources := len(o.sources())
	list[9].ask("b")
	if n := len(o.sources()); n != sources {
		t.Error("the one that was used last has made room, too")
	}
}

// TestOverrun: what the kernel throws away because nobody takes it is counted, once.
func TestOverrun(t *testing.T) {
	r := newRig(t, rigOptions{}, newOrigin(t, "", echo).addr)
	c := newClient(t, "", r.addr())
	r.socket.mu.Lock() // it is busy
	large := strings.Repeat("x", 60_000)
	lost := func() uint32 {
		n, ok := r.socket.listener.Lost()
		if !ok {
			t.Skip("this kernel does not say")
		}
		return n
	}
	for range 10_000 {
		if c.send(large); lost() >= 5 {
			break
		}
	}
	n := lost()
	r.socket.mu.Unlock()
	if n == 0 {
		t.Fatal("the buffer has no end")
	}
	for range 2 {
		r.socket.Sweep(wire.Now())
	}
	if got := r.stats().Drops(telemetry.DropOverrun); got != uint64(n) {
		t.Errorf("%d are counted, %d were lost", got, n)
	}
	if warned := r.logs.FilterMessage("datagrams are dropped").Len(); warned != 1 {
		t.Errorf("%d lines in the log", warned)
	}
}

// TestDescriptorBudget: what there is no descriptor for is dropped and counted.
func TestDescriptorBudget(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{limit: 10}, o.addr) // 4 for new work
	served, refused := 0, 0
	for range 8 {
		c := newClient(t, "", r.addr())
		drops := r.stats().Drops(telemetry.DropDescriptors)
		c.send("a")
		eventually(t, "an answer, or none", func() bool {
			return r.stats().Drops(telemetry.DropDescriptors) > drops || r.stats().Counts().Sent > uint64(served)
		})
		if r.stats().Drops(telemetry.DropDescriptors) > drops {
			refused++
		} else {
			served++
		}
	}
	if served == 0 || served > 9 || refused == 0 {
		t.Errorf("%d clients were served, %d refused", served, refused)
	}
	r.expireAfter(time.Hour)
	if got := newClient(t, "", r.addr()).ask("z"); got != "z" {
		t.Errorf("got %q once descriptors are free again", got)
	}
}

// TestMemory states what a session costs, without its socket: one of UDP, and one of QUIC whose client has used
// as many connection IDs as are known.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector keeps memory of its own")
	}
	tests := []struct {
		name     string
		protocol config.Protocol
		first    func(i int) []byte
		more     func(i int) [][]byte
		most     uint64 // bytes
	}{
		{"UDP", config.UDP, func(i int) []byte { return fmt.Appendf(nil, "%08d", i) }, func(int) [][]byte { return nil }, 1100},
		{"QUIC", config.QUIC, func(i int) []byte {
			b := make([]byte, 64)
			longHeader(b, fmt.Sprintf("%08d", i))
			return b
		}, func(i int) (list [][]byte) {
			for k := 1; k < idsPerSession; k++ {
				b := make([]byte, 64)
				shortHeader(b, fmt.Sprintf("%08d", i+k*10_000))
				list = append(list, b)
			}
			return list
		}, 1500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := newOrigin(t, "", echo)
			r := newRig(t, rigOptions{pool: func(p *config.Pool) { p.Protocol = tt.protocol }}, o.addr)
			c := newCrowd(t, r.addr())
			heap := func() uint64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			ask := func(i int) {
				for _, p := range append([][]byte{tt.first(i)}, tt.more(i)...) {
					c.sendPayload(i, p)
					_, _, err := c.receive()
					must(t, err)
				}
			}
			ask(0)
			const n = 4000
			before := heap()
			for i := 1; i <= n; i++ {
				ask(i)
			}
			if got := r.clients.Count(); got != n+1 {
				t.Fatalf("%d sessions", got)
			}
			o.mu.Lock()
			clear(o.seen)
			o.seen = nil
			o.mu.Unlock()
			each := (heap() - before) / n
			o.mu.Lock()
			o.seen = map[netip.AddrPort]int{}
			o.mu.Unlock()
			t.Logf("%d bytes for each session", each)
			if each > tt.most {
				t.Errorf("a session takes %d bytes", each)
			}
		})
	}
}

// TestTableModel runs the table against a map: find, insert, remove, expire.
func TestTableModel(t *testing.T) {
	tb := newTable(100)
	model := map[wire.UDPKey]*session{}
	cl := &Clients{table: tb}
	key := func(i int) (k wire.UDPKey) {
		binary.NativeEndian.PutUint32(k.Client[:], uint32(i))
		return k
	}
	now := int64(0)
	for step := range 20_000 {
		now++
		k := key(step * 7919 % 251)
		h := tb.hash(&k)
		s := tb.find(&k, h, now)
		if s != model[k] {
			t.Fatalf("step %d: found %p, want %p", step, s, model[k])
		}
		switch {
		case s == nil:
			s = &session{key: k, hash: h}
			s.clients.Store(cl)
			s.refs.Store(1)
			s.used.Store(now)
			if evicted := tb.insert(s, now); evicted != nil {
				if model[evicted.key] != evicted {
					t.Fatalf("step %d: evicted what was not there", step)
				}
				delete(model, evicted.key)
			}
			model[k] = s
		case step%5 == 0:
			if !s.remove() || s.remove() {
				t.Fatalf("step %d: not removed once", step)
			}
			delete(model, k)
		default:
			s.used.Store(now)
		}
		if step%1000 == 999 {
			for i := range tb.shards {
				for _, s := range tb.expire(i, 1000, now-50, nil) {
					if s.used.Load() >= now-50 || model[s.key] != s {
						t.Fatalf("step %d: expired what was used %d ago", step, now-s.used.Load())
					}
					delete(model, s.key)
				}
			}
			for _, s := range model {
				if s.used.Load() < now-50 {
					t.Fatalf("step %d: not expired", step)
				}
			}
		}
		if n := int(tb.count.Load()); n != len(model) || n > 100 {
			t.Fatalf("step %d: %d sessions, want %d", step, n, len(model))
		}
	}
}
