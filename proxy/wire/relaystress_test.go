package wire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/lbtest"
)

// TestRelayStress: many pairs at the same time, each of which carries as much as chance has it, with stalls,
// through small socket buffers or large ones, plain or under TLS, and ends in one of the ways there are. What
// arrives is the beginning of what was sent; it is the whole where an end arrives, and the end of a
// stream that was reset never does. WEIR_RELAY_STRESS is for how long pairs begin.
func TestRelayStress(t *testing.T) {
	for _, procs := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			before := lbtest.Descriptors()
			s := newStress(t)
			s.run(stressTime(t), 100)
			t.Logf("seed %d, %d pairs: %v", s.seed, s.pairs.Load(), s.summary())
			if n := waitingIn(s.relays); n != 0 {
				t.Errorf("%d sockets are waited for, want none", n)
			}
			if s.pipes.Close(); s.pipes.Open() != 0 {
				t.Errorf("%d pipes are left", s.pipes.Open())
			}
			must(t, s.listener.Close())
			must(t, s.relays.Close())
			lbtest.Eventually(t, patience, func() bool { return lbtest.Descriptors() <= before })
		})
	}
}

// TestRelaysStandStill: pairs whose sides read nothing, with all buffers full and some of them ended, take no CPU
// time. WEIR_RELAY_STANDING is how many.
func TestRelaysStandStill(t *testing.T) {
	pairs := 200
	if n := os.Getenv("WEIR_RELAY_STANDING"); n != "" {
		var err error
		pairs, err = strconv.Atoi(n)
		must(t, err)
	}
	s := newStress(t)
	random := rand.New(rand.NewPCG(s.seed, 0))
	var full, over sync.WaitGroup
	var relays []*Relay
	for i := range pairs {
		a, client, _ := s.connect(random)
		b, backend, _ := s.connect(random)
		r := s.relays.NewRelay(a, b, RelayOptions{Idle: time.Hour, HalfClose: time.Hour, Pipes: s.pipes})
		over.Add(1)
		r.Start(func(Ending) {
			_, _ = a.Abort(), b.Abort()
			over.Done()
		})
		relays = append(relays, r)
		for side, c := range []*net.TCPConn{client, backend} {
			defer c.Close()
			must(t, c.SetWriteBuffer(4<<10))
			must(t, setSendBuffer(r.conns[side], 4<<10))
			full.Go(func() {
				if i%3 != side {
					fill(t, c)
				}
				if i%4 == side {
					_ = c.CloseWrite()
				}
			})
		}
	}
	full.Wait()
	before := cpu(t)
	<-time.After(time.Second) // over which it is measured
	if used := cpu(t) - before; used > 50*time.Millisecond {
		t.Errorf("%v of CPU time in 1 s", used)
	} else {
		t.Logf("%v of CPU time in 1 s", used)
	}
	for _, r := range relays {
		r.Stop()
	}
	over.Wait()
	s.pipes.Close()
	must(t, errors.Join(s.listener.Close(), s.relays.Close()))
	if s.pipes.Open() != 0 || waitingIn(s.relays) != 0 {
		t.Errorf("%d pipes and %d sockets are left", s.pipes.Open(), waitingIn(s.relays))
	}
}

// cpu is the time that this process has used.
func cpu(t *testing.T) time.Duration {
	var u unix.Rusage
	must(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// stressTime is for how long pairs begin.
func stressTime(t *testing.T) time.Duration {
	if s := os.Getenv("WEIR_RELAY_STRESS"); s != "" {
		d, err := time.ParseDuration(s)
		must(t, err)
		return d
	}
	return 500 * time.Millisecond
}

// stress is the surroundings of the pairs.
type stress struct {
	t        *testing.T
	seed     uint64
	relays   *Relays
	pipes    *Pipes
	cert     *lbtest.Certificate
	listener net.Listener
	dialing  sync.Mutex // so that a dial and an accept belong together
	pairs    atomic.Int64
	ends     [CauseDefect + 1]atomic.Int64
}

func newStress(t *testing.T) *stress {
	relays, err := NewRelays()
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return &stress{
		t: t, seed: rand.Uint64(), relays: relays, pipes: NewPipes(16, nil, nil),
		cert: lbtest.NewCertificate(t, "127.0.0.1"), listener: l,
	}
}

// run lets pairs begin for a while, of which so many are there at a time.
func (s *stress) run(d time.Duration, atATime int) {
	end := time.Now().Add(d)
	var all sync.WaitGroup
	for i := range atATime {
		random := rand.New(rand.NewPCG(s.seed, uint64(i)))
		all.Go(func() {
			for time.Now().Before(end) && !s.t.Failed() {
				s.pair(random)
			}
		})
	}
	all.Wait()
}

func (s *stress) summary() (list [CauseDefect + 1]int64) {
	for i := range s.ends {
		list[i] = s.ends[i].Load()
	}
	return list
}

// connect makes one connection.
func (s *stress) connect(random *rand.Rand) (c *Conn, peer *net.TCPConn, tight bool) {
	s.dialing.Lock()
	c, err := Dial(s.listener.Addr().(*net.TCPAddr).AddrPort(), patience)
	if err != nil {
		panic(err)
	}
	accepted, err := s.listener.Accept()
	s.dialing.Unlock()
	if err != nil {
		panic(err)
	}
	peer = accepted.(*net.TCPConn)
	if tight = random.IntN(2) == 0; tight { // the least that there may be
		err = errors.Join(setSendBuffer(c, 1), unix.SetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1),
			peer.SetReadBuffer(1), peer.SetWriteBuffer(1))
	}
	if err = errors.Join(err, peer.SetDeadline(time.Now().Add(6*patience))); err != nil {
		s.t.Error(err)
	}
	return c, peer, tight
}

// plan is what one side does.
type plan struct {
	seed   int
	size   int // bytes that it sends
	resets bool
	raw    *net.TCPConn
	over   net.Conn // TLS, or raw
	failed bool     // to send; a socket tells of a reset only once, and to whom it does is a matter of chance
	ended  bool     // what it receives
	got    int
}

// pair is the life of one relay.
func (s *stress) pair(random *rand.Rand) {
	s.pairs.Add(1)
	a, client, tightA := s.connect(random)
	b, backend, tightB := s.connect(random)
	plans := [2]plan{{raw: client, over: client}, {raw: backend, over: backend}}
	cut := random.IntN(8) == 0 // from outside
	resets := random.IntN(3) == 0
	for i := range plans {
		p := &plans[i]
		p.seed, p.size = random.IntN(pattern), random.IntN(3000)
		switch random.IntN(10) {
		case 0:
			p.size = random.IntN(2 << 20)
		case 1:
			p.size = 0
		case 2:
			p.size = SmallSize * random.IntN(5)
		}
		if tightA || tightB { // which the timers of the kernel make slow
			p.size = min(p.size, 16<<10)
		}
		p.resets = resets && random.IntN(2) == 0
	}
	o := RelayOptions{Idle: time.Hour, HalfClose: time.Hour, Pipes: s.pipes}
	if random.IntN(6) == 0 {
		plans[Client].over, o.Layers[Client] = s.shake(a, client, tls.Server, func(c net.Conn, t *tls.Config) *tls.Conn { return tls.Client(c, t) })
		if random.IntN(2) == 0 {
			plans[Backend].over, o.Layers[Backend] = s.shake(b, backend, tls.Client, func(c net.Conn, t *tls.Config) *tls.Conn { return tls.Server(c, t) })
		}
	}
	r := s.relays.NewRelay(a, b, o)
	ended := make(chan Ending, 1)
	var all sync.WaitGroup
	begin := func() {
		r.Start(func(e Ending) {
			shut := (*Conn).Abort
			if e.Cause == CauseEnd {
				shut = (*Conn).Close
			}
			_, _ = shut(a), shut(b) // of no consequence: the sides look
			ended <- e
		})
	}
	late := random.IntN(4) == 0
	if !late {
		begin()
	}
	for i := range plans {
		p, from := &plans[i], &plans[1-i]
		seeds := [2]uint64{random.Uint64(), random.Uint64()}
		if p.resets {
			seeds[1] = 0
		}
		all.Go(func() { s.sends(p, rand.New(rand.NewPCG(seeds[0], 0))) })
		all.Go(func() { s.receives(p, from, cut, rand.New(rand.NewPCG(seeds[1], 0))) })
	}
	if late {
		begin()
	}
	if cut {
		<-time.After(time.Duration(random.IntN(2000)) * time.Microsecond)
		r.Stop()
	}
	all.Wait()
	for i := range plans {
		p, from := &plans[i], &plans[1-i]
		_ = p.raw.Close()
		if p.ended && !p.failed && (p.got != from.size || from.resets) {
			s.t.Errorf("the end after %d bytes of %d; %d are sent; cut: %v, reset: %v, %v, late: %v, layers %v",
				p.got, from.size, p.size, cut, from.resets, p.resets, late, o.Layers)
		}
	}
	select {
	case e := <-ended:
		s.ends[e.Cause].Add(1)
		if e.Cause != CauseEnd && !cut && !plans[0].resets && !plans[1].resets {
			s.t.Errorf("ended by %+v", e)
		}
	case <-time.After(patience):
		s.t.Errorf("a relay does not end: %+v", plans)
		r.Stop()
		<-ended
	}
}

// shake puts TLS on one of the connections.
func (s *stress) shake(c *Conn, peer net.Conn, of, opposite func(net.Conn, *tls.Config) *tls.Conn) (net.Conn, Layer) {
	config := &tls.Config{Certificates: []tls.Certificate{s.cert.Pair}, InsecureSkipVerify: true}
	l, over := NewSecure(c, of, config), opposite(peer, config)
	done := make(chan error, 1)
	go func() { done <- over.Handshake() }()
	if err := errors.Join(l.Handshake(After(Now(), 6*patience)), <-done); err != nil {
		s.t.Error(err)
	}
	return over, l
}

// pattern is after how many bytes what is sent begins anew.
const pattern = 65521

var patterns = func() []byte {
	b := make([]byte, 2*pattern)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(b[:pattern])
	copy(b[pattern:], b[:pattern])
	return b
}()

// piece is n bytes of what a side sends, from an offset on; n is less than pattern.
func (p *plan) piece(offset, n int) []byte {
	at := (p.seed + offset) % pattern
	return patterns[at : at+n]
}

// sends sends all, and ends in order; or it resets at some point.
func (s *stress) sends(p *plan, random *rand.Rand) {
	until := p.size
	if p.resets {
		until = random.IntN(p.size + 1)
	}
	for sent := 0; sent < until; {
		n := min(1+random.IntN(60<<10), until-sent)
		if random.IntN(3) == 0 {
			n = min(n, 1+random.IntN(100))
		}
		n, err := p.over.Write(p.piece(sent, n))
		if sent += n; err != nil {
			p.failed = true
			break // the other side sees what is missing
		}
		stall(random)
	}
	if p.resets {
		if random.IntN(2) == 0 {
			stall(random)
		}
		_ = p.raw.SetLinger(0)
		_ = p.raw.Close()
		return
	}
	p.failed = p.over.(interface{ CloseWrite() error }).CloseWrite() != nil || p.failed
	if p.over != net.Conn(p.raw) {
		_ = p.raw.CloseWrite()
	}
}

// receives takes what the other side has sent.
func (s *stress) receives(p, from *plan, cut bool, random *rand.Rand) {
	b := make([]byte, 60<<10)
	for got := 0; ; {
		n, err := p.over.Read(b[:1+random.IntN(len(b))])
		if !bytes.Equal(b[:n], from.piece(got, n)) {
			s.t.Errorf("what comes at %d is not what was sent", got)
		}
		got += n
		switch {
		case err == io.EOF:
			p.ended, p.got = true, got
			return
		case err != nil && !cut && !p.resets && !from.resets:
			s.t.Errorf("after %d bytes of %d: %v", got, from.size, err)
			return
		case err != nil:
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.t.Errorf("nothing comes after %d bytes of %d", got, from.size)
			}
			return
		}
		stall(random)
	}
}
