package exchange

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"weir/balancer"
	"weir/config"
	"weir/internal/lbtest"
	"weir/proxy/http1"
	"weir/proxy/wire"
	"weir/telemetry"
)

// bench is an engine with one pool, and clients that are served by hand.
type bench struct {
	engine  *Engine
	pool    *Pool
	clients *Clients
	addr    string
	logs    *observer.ObservedLogs
}

func newBench(t *testing.T, connectFailed func(string, *balancer.Backend, error), backends ...netip.AddrPort) *bench {
	t.Helper()
	watcher, err := wire.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	arrivals, err := wire.NewArrivals()
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	b := &bench{engine: &Engine{Log: zap.New(core), Telemetry: telemetry.New(telemetry.Options{}), Watcher: watcher, Arrivals: arrivals, ConnectFailed: connectFailed}, logs: logs}
	pc := &config.Pool{Name: "app", Protocol: config.HTTP, Algorithm: config.WeightedRoundRobin,
		Retries: config.Retries{Attempts: 1, On: []config.RetryOn{config.RetryConnectFailure}}}
	for i, addr := range backends {
		pc.Backends = append(pc.Backends, &config.Backend{Name: string(rune('a' + i)), Address: addr, Weight: 1, State: config.Ready})
	}
	b.pool = b.engine.NewPool(pc, nil, 0, time.Now())
	b.clients = b.engine.NewClients(b.engine.NewSite(SiteOptions{
		Config: &config.Listener{Name: "web", Pool: "app"}, Pools: map[string]*Pool{"app": b.pool},
	}))
	l, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.addr = l.Addr().String()
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.clients.Entrance().Serve(conn)
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-accepted
		b.clients.Stop()
		b.clients.Wait()
		b.pool.Close(time.Now())
		if err := errors.Join(arrivals.Close(), watcher.Close()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// A defect of ours costs the connection that met it, and no other.
func TestPanicEndsOnlyItsConnection(t *testing.T) {
	b := newBench(t, func(string, *balancer.Backend, error) { panic("a defect") }, lbtest.Refusing(t))
	other := b.dial(t)
	for range 3 {
		c := b.dial(t)
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %q %v, want a reset", got, err)
		}
	}
	if _, err := io.WriteString(other, "BAD\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(other); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ") {
		t.Errorf("another connection got %q %v, want its answer", got, err)
	}
	other.Close()
	lbtest.Eventually(t, 10*time.Second, func() bool { return b.clients.Count() == 0 })
	for _, m := range b.pool.Balancer.Snapshot().Members() {
		if n := m.Backend.Active(); n != 0 {
			t.Errorf("%d leases are left", n)
		}
	}
	if n := b.logs.FilterMessageSnippet("panic").Len(); n != 3 {
		t.Errorf("%d panics are logged, want 3", n)
	}
}

func TestPanicInAnUploadEndsOnlyItsConnection(t *testing.T) {
	o := lbtest.NewTCP(t, lbtest.Hang())
	b := newBench(t, nil, o.Addr())
	w, err := wire.Dial(o.Addr(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	c := &client{set: b.clients} // without a connection
	u := &upload{c: c, backend: &backendConn{stream: stream{wire: w}}, ended: make(chan struct{})}
	u.run()
	select {
	case <-u.ended:
	default:
		t.Error("the upload has not ended")
	}
	if !c.gone.Load() || u.complete || u.endedAt.Load() == 0 {
		t.Error("the exchange goes on")
	}
	if n := b.logs.FilterMessageSnippet("panic").Len(); n != 1 {
		t.Errorf("%d panics are logged, want 1", n)
	}
}

// Nothing may point into a buffer that was given back.
func TestRoomForgetsWhatItMoves(t *testing.T) {
	for _, start := range []int{0, 10} {
		c := &client{work: &work{in: wire.GetBuffer(wire.SmallSize), start: start, end: wire.SmallSize}}
		w := c.work
		const head = "GET /secret HTTP/1.1\r\nHost: h\r\nA: b"
		copy(w.in.B[start:], head)
		if _, err := http1.ParseRequest(w.in.B[start:start+len(head)], &w.req, http1.Limits{}); err != nil || string(w.req.Method) != "GET" {
			t.Fatalf("got %q %v", w.req.Method, err)
		}
		c.room()
		if w.req.Method != nil || w.req.Target != nil || len(w.req.Fields) != 0 {
			t.Errorf("start %d: the head still points to %q", start, w.req.Method)
		}
		if string(w.in.B[w.start:w.start+11]) != "GET /secret" || w.end-w.start != wire.SmallSize-start || w.end == len(w.in.B) {
			t.Errorf("start %d: the bytes are not where they should be", start)
		}
		w.in.Put()
	}
}

// A lack of descriptors is not the backend's fault, and must not take it out of service.
func TestLocalFailuresAreNotReported(t *testing.T) {
	var reported []error
	b := newBench(t, func(_ string, _ *balancer.Backend, err error) { reported = append(reported, err) }, lbtest.Refusing(t))
	for _, err := range []error{syscall.EMFILE, syscall.EADDRNOTAVAIL, syscall.ECONNREFUSED, wire.ErrTimeout} {
		c := &client{set: b.clients, work: &work{}}
		lease, lerr := b.pool.Balancer.Acquire(balancer.Flow{}, nil)
		if lerr != nil {
			t.Fatal(lerr)
		}
		c.work.x = exchange{target: &Target{pool: b.pool}, lease: lease, leased: true}
		c.connectFailed(err)
		if lease.Backend().Active() != 0 || c.work.x.leased {
			t.Error("the lease is still held")
		}
	}
	if len(reported) != 2 || reported[0] != syscall.ECONNREFUSED || reported[1] != wire.ErrTimeout {
		t.Errorf("reported %v, want the refusal and the time-out", reported)
	}
}

func TestBudget(t *testing.T) {
	b := newBench(t, nil, lbtest.Refusing(t))
	var budget budget
	const second = int64(time.Second)
	pick := func(n int) {
		for range n {
			l, err := b.pool.Balancer.Acquire(balancer.Flow{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			l.Release()
		}
	}
	allowed := func(now int64) (n int) {
		for budget.allow(b.pool.Balancer, 0.2, now) {
			n++
		}
		return n
	}
	if got := allowed(second); got != budgetFloor {
		t.Errorf("%d retries without requests, want %d", got, budgetFloor)
	}
	pick(100)
	if got := allowed(2 * second); got != 20-budgetFloor {
		t.Errorf("%d more retries after 100 requests, want %d", got, 20-budgetFloor)
	}
	if got := allowed(12 * second); got != budgetFloor {
		t.Errorf("%d retries in a new window, want %d", got, budgetFloor)
	}
}
