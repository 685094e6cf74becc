package stream

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"weir/balancer"
	"weir/config"
	"weir/internal/lbtest"
	"weir/proxy/admit"
	"weir/proxy/wire"
	"weir/telemetry"
)

// patience bounds every wait of a test that should be over at once.
const patience = 10 * time.Second

func TestMain(m *testing.M) { lbtest.Main(m) }

// rig is a listener with a pool.
type rig struct {
	t       *testing.T
	engine  *Engine
	pool    *Pool
	clients *Clients
	listen  *config.Listener
	config  *config.Pool
	addr    string
	logs    *observer.ObservedLogs
	budget  *admit.Descriptors
	line    string      // file of the access log
	tls     *tls.Config // of the pool

	failed   atomic.Int64               // connects that were reported
	backends map[*balancer.Backend]bool // every one that was ever in service
	accepted chan struct{}
	socket   *wire.Listener
	stopped  bool
}

// newRig serves backends by a pool that change may alter first. Nothing may be left of it when the
// test ends.
func newRig(t *testing.T, change func(*config.Listener, *config.Pool), backends ...netip.AddrPort) *rig {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	r := &rig{t: t, logs: logs, budget: admit.NewDescriptors(10000), accepted: make(chan struct{}),
		line: filepath.Join(t.TempDir(), "access.log"), backends: map[*balancer.Backend]bool{}}
	watcher, err := wire.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	relays, err := wire.NewRelays()
	if err != nil {
		t.Fatal(err)
	}
	r.engine = &Engine{Relays: relays, Log: zap.New(core), Telemetry: telemetry.New(telemetry.Options{}), Descriptors: r.budget, Watcher: watcher,
		Pipes: wire.NewPipes(64, r.budget.EnterReserved, r.budget.Leave), ConnectFailed: r.connectFailed}
	access, err := telemetry.OpenAccessLog(config.AccessLog{Output: r.line, Sample: 1}, func(uint64) { t.Error("a line is lost") })
	if err != nil {
		t.Fatal(err)
	}
	r.engine.AccessLog.Store(access)
	r.listen = &config.Listener{Name: "db", Pool: "sql", Protocol: config.TCP, Timeouts: config.ClientTimeouts{TCPIdle: time.Hour},
		TCP: config.TCPOptions{Keepalive: 15 * time.Second}}
	r.config = &config.Pool{Name: "sql", Protocol: config.TCP, Algorithm: config.WeightedRoundRobin,
		Timeouts: config.BackendTimeouts{Queue: patience, Connect: patience, HalfClose: time.Hour},
		Retries:  config.Retries{Attempts: 2, On: []config.RetryOn{config.RetryConnectFailure}}}
	r.config.Backends = members(backends...)
	if change != nil {
		change(r.listen, r.config)
	}
	r.pool = r.engine.NewPool(r.config, nil, 0, time.Now())
	r.note()
	r.clients = r.engine.NewClients(r.engine.NewSite(SiteOptions{Config: r.listen, Pools: map[string]*Pool{"sql": r.pool}}))
	if r.socket, err = wire.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	r.addr = r.socket.Addr().String()
	go r.accept()
	t.Cleanup(func() {
		r.stop()
		if err := errors.Join(access.Close(), watcher.Close(), relays.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// members are ready backends a, b, c…
func members(addrs ...netip.AddrPort) (list []*config.Backend) {
	for i, addr := range addrs {
		list = append(list, &config.Backend{Name: string(rune('a' + i)), Address: addr, Weight: 1, State: config.Ready})
	}
	return list
}

func (r *rig) connectFailed(pool string, b *balancer.Backend, err error) {
	if pool != "sql" || b == nil || err == nil {
		r.t.Errorf("a failure of %s in %s is reported: %v", b.Name(), pool, err)
	}
	r.failed.Add(1)
}

func (r *rig) accept() {
	defer close(r.accepted)
	for {
		conn, err := r.socket.Accept()
		if err != nil {
			return
		}
		r.clients.Serve(conn)
	}
}

// note remembers the backends in service.
func (r *rig) note() {
	for _, m := range r.pool.Balancer.Snapshot().Members() {
		r.backends[m.Backend] = true
	}
}

// apply changes the pool.
func (r *rig) apply(change func(*config.Pool)) {
	r.t.Helper()
	c := *r.config
	change(&c)
	r.config = &c
	r.pool.Apply(&c, r.tls, time.Now())
	r.note()
}

// backend is the member of that name.
func (r *rig) backend(name string) *balancer.Backend {
	for _, m := range r.pool.Balancer.Snapshot().Members() {
		if m.Backend.Name() == name {
			return m.Backend
		}
	}
	r.t.Fatalf("no backend %s", name)
	return nil
}

// stop ends the listener, and looks for what must be gone then.
func (r *rig) stop() {
	r.t.Helper()
	if r.stopped {
		return
	}
	r.stopped = true
	if err := r.socket.Close(); err != nil {
		r.t.Error(err)
	}
	<-r.accepted
	r.clients.Stop()
	r.clients.Wait()
	now := time.Now()
	r.pool.Close(now)
	r.pool.Sweep(wire.Now())
	if !r.pool.Ended(now.Add(time.Minute)) || len(r.pool.retired) != 0 {
		r.t.Error("the pool says that something is left")
	}
	r.engine.Pipes.Close()
	for b := range r.backends {
		p := b.Peer().(*peer)
		if b.Active() != 0 || p.count() != 0 || p.stats.Counts().Open != 0 {
			r.t.Errorf("backend %s has %d leases, %d sessions and %d connections left", b.Name(), b.Active(), p.count(), p.stats.Counts().Open)
		}
	}
	if n := r.budget.Used(); n != 0 {
		r.t.Errorf("%d descriptors are in the budget", n)
	}
	if c := r.engine.Telemetry.Listener("db").Counts(); c.Active != 0 {
		r.t.Errorf("%d connections are counted as open", c.Active)
	}
	if n := r.pool.Balancer.Queued(); n != 0 {
		r.t.Errorf("%d places in the queue are taken", n)
	}
}

// dial connects a client.
func (r *rig) dial() *net.TCPConn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// dialFrom connects a client from that address.
func (r *rig) dialFrom(address string) *net.TCPConn {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	c, err := d.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// refused connects a client that is to be reset at once, perhaps before package net has looked.
func (r *rig) refused() {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	wantReset(r.t, c)
}

// named is a backend that says its name and then echoes.
func named(t testing.TB, name string) *lbtest.TCP {
	return lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		if _, err := io.WriteString(c, name); err != nil {
			return
		}
		_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) // by splicing it would keep pipes
	})
}

// want reads exactly text.
func want(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if got := take(t, c, len(text)); got != text {
		t.Fatalf("got %q, want %q", got, text)
	}
}

// take reads n bytes.
func take(t testing.TB, c net.Conn, n int) string {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatalf("got %q, %v", b, err)
	}
	return string(b)
}

// wantReset wants nothing more, and then a reset.
func wantReset(t testing.TB, c net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) || len(b) > 0 {
		t.Errorf("got %q, %v, want a reset", b, err)
	}
}

// wantEnd wants an end in order.
func wantEnd(t testing.TB, c net.Conn) {
	t.Helper()
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Errorf("got %q, %v, want the end", b, err)
	}
}

// entry is what the access log says of a connection.
type entry struct {
	Listener, Client, Proto, Pool, Backend, Outcome, Reason string
	EndedBy                                                 string `json:"ended_by"`
	In                                                      int64  `json:"bytes_in"`
	Out                                                     int64  `json:"bytes_out"`
	Attempts                                                int
	Duration                                                float64 `json:"duration_ms"`
	SNI                                                     string
}

// entries waits for n lines of the access log.
func (r *rig) entries(n int) (list []entry) {
	r.t.Helper()
	var text []byte
	lbtest.Eventually(r.t, patience, func() bool {
		var err error
		text, err = os.ReadFile(r.line)
		return err == nil && bytes.Count(text, []byte("\n")) >= n
	})
	for line := range bytes.Lines(text) {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			r.t.Fatalf("%v in %s", err, line)
		}
		list = append(list, e)
	}
	if len(list) != n {
		r.t.Errorf("%d lines, want %d", len(list), n)
	}
	return list
}

// wantOutcome waits for the end of n connections with this outcome, and returns what the log says of
// the last one.
func (r *rig) wantOutcome(o telemetry.Outcome, endedBy string, n int) entry {
	r.t.Helper()
	list := r.entries(n)
	last := list[len(list)-1]
	if last.Outcome != o.String() || last.EndedBy != endedBy || last.Proto != "TCP" || last.Listener != "db" {
		r.t.Errorf("logged as %+v, want %s by %s", last, o, endedBy)
	}
	stats := r.engine.Telemetry
	if got := stats.TCP("db", "sql").Outcome(o) + stats.TCP("db", "").Outcome(o); got != uint64(n) {
		r.t.Errorf("%d connections counted as %s, want %d", got, o, n)
	}
	return last
}

// keepOpen reads to the end and ends nothing itself.
func keepOpen(ctx context.Context, c *net.TCPConn) {
	_, _ = io.Copy(io.Discard, c)
	<-ctx.Done()
}

// blackhole is an address that does not answer: a socket that listens and whose queue is full.
func blackhole(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	err = errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0))
	name, nameErr := unix.Getsockname(fd)
	if err = errors.Join(err, nameErr); err != nil {
		t.Fatal(err)
	}
	for range 3 { // one is taken; the others find no place
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(c) })
		if err := unix.Connect(c, name); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	bound := name.(*unix.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(bound.Addr), uint16(bound.Port))
}
