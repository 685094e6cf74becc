package datagram

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// rig is a udp listener with a pool.
type rig struct {
	t       testing.TB
	engine  *Engine
	pool    *Pool
	clients *Clients
	socket  *Socket
	listen  *config.Listener
	config  *config.Pool
	logs    *observer.ObservedLogs
	budget  *admit.Descriptors
	line    string // file of the access log
	access  *telemetry.AccessLog

	failed   atomic.Int64               // backends that were reported as not there
	backends map[*balancer.Backend]bool // every one that was ever in service
	stopped  bool
	gone     bool // the socket is another process's
}

// rigOptions is what a test wants to have otherwise.
type rigOptions struct {
	address string // of the listener
	listen  func(*config.Listener)
	pool    func(*config.Pool)
	limit   uint64    // of descriptors
	ports   portRange // towards backends; zero: the usual ones
	adopt   int       // a listening socket to go on with, which is not served yet; 0: none
}

// newRig serves backends. Nothing may be left of it when the test ends.
func newRig(t testing.TB, o rigOptions, backends ...netip.AddrPort) *rig {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	if o.limit == 0 {
		o.limit = 20_000
	}
	if o.address == "" {
		o.address = "127.0.0.1:0"
	}
	r := &rig{
		t: t, logs: logs, budget: admit.NewDescriptors(o.limit), backends: map[*balancer.Backend]bool{},
		line: filepath.Join(t.TempDir(), "access.log"),
	}
	r.engine = &Engine{
		Log: zap.New(core), Telemetry: telemetry.New(telemetry.Options{}), Descriptors: r.budget, MaxSessions: 8000,
		ConnectFailed: func(string, *balancer.Backend, error) { r.failed.Add(1) },
	}
	var err error
	r.access, err = telemetry.OpenAccessLog(config.AccessLog{Output: r.line, Format: "json", Sample: 1}, func(n uint64) { t.Errorf("%d lines lost", n) })
	must(t, err)
	r.engine.AccessLog.Store(r.access)
	must(t, r.engine.Start())
	if o.ports.first != 0 {
		r.engine.portRange = o.ports
	}
	r.config = &config.Pool{
		Name: "app", Protocol: config.UDP, Algorithm: config.WeightedRoundRobin, Hash: config.Hash{Weighted: true, CIDOffset: 1, CIDLength: 3},
		DrainTimeout: 5 * time.Minute, Rebalance: config.Rebalance{Move: true},
		Health: &config.HealthCheck{Initial: config.InitialUp}, // so that a test can report backends down
	}
	for i, b := range backends {
		r.config.Backends = append(r.config.Backends, &config.Backend{Name: fmt.Sprint("b", i+1), Address: b, Weight: 1, State: config.Ready})
	}
	if o.pool != nil {
		o.pool(r.config)
	}
	r.pool = r.engine.NewPool(r.config, 0, time.Now())
	r.listen = &config.Listener{Name: "dns", Protocol: config.UDP, Pool: "app", Timeouts: config.ClientTimeouts{UDPIdle: time.Minute}}
	if o.listen != nil {
		o.listen(r.listen)
	}
	r.clients = r.engine.NewClients(r.site(nil))
	if o.adopt != 0 {
		r.socket, err = r.engine.Adopt(o.adopt, 0, false)
	} else {
		r.socket, err = r.engine.Open(o.address, nil)
	}
	must(t, err)
	r.socket.Give(r.clients)
	if o.adopt == 0 {
		r.socket.Serve()
	}
	r.note()
	t.Cleanup(r.stop)
	return r
}

func (r *rig) site(previous *Site) *Site {
	return r.engine.NewSite(SiteOptions{Config: r.listen, Pools: map[string]*Pool{"app": r.pool}, Previous: previous})
}

// note remembers the backends in service.
func (r *rig) note() {
	for _, m := range r.pool.Balancer.Snapshot().Members() {
		r.backends[m.Backend] = true
	}
}

// backend is one in service.
func (r *rig) backend(name string) *balancer.Backend {
	r.t.Helper()
	for _, m := range r.pool.Balancer.Snapshot().Members() {
		if m.Backend.Name() == name {
			return m.Backend
		}
	}
	r.t.Fatalf("no backend %s", name)
	return nil
}

// stop ends everything and looks for what is left.
func (r *rig) stop() {
	if r.stopped {
		return
	}
	r.stopped = true
	r.clients.Stop()
	if !r.gone {
		r.socket.Stop()
	}
	r.clients.Stop()
	r.clients.Wait()
	now := time.Now()
	r.pool.Close(now)
	if !r.pool.Ended(now.Add(time.Minute)) {
		r.t.Error("the pool says that something is left")
	}
	r.engine.Sweep(wire.Now() + int64(time.Hour))
	if n := len(r.engine.ports.books); n != 0 {
		r.t.Errorf("the ports of %d backends are left", n)
	}
	must(r.t, r.engine.Close())
	must(r.t, r.access.Close())
	for b := range r.backends {
		if n := b.Active(); n != 0 {
			r.t.Errorf("%d leases are left on %s", n, b.Name())
		}
		if n := b.Peer().(*peer).count(); n != 0 {
			r.t.Errorf("%d sessions are left on %s", n, b.Name())
		}
		if n := b.Peer().(*peer).stats.Counts().Open; n != 0 {
			r.t.Errorf("%d sockets to %s are left", n, b.Name())
		}
	}
	if n := r.budget.Used(); n != 0 {
		r.t.Errorf("%d descriptors are left", n)
	}
	if n := r.engine.Telemetry.Listener("dns").Counts().Active; n != 0 {
		r.t.Errorf("%d sessions are left", n)
	}
	if n := len(r.pool.ids.sessions); n != 0 {
		r.t.Errorf("%d connection IDs are left", n)
	}
	for _, e := range r.logs.FilterLevelExact(zap.ErrorLevel).All() {
		r.t.Errorf("logged as an error: %s %v", e.Message, e.ContextMap())
	}
}

func (r *rig) stats() *telemetry.UDP { return r.engine.Telemetry.UDP("dns", "app") }

// addr is where clients send to.
func (r *rig) addr() netip.AddrPort { return r.socket.listener.Addr() }

// logLine is a line of the access log.
type logLine struct {
	Client, Backend, Outcome, Reason, Proto, Pool string
	ClientPort                                    uint16 `json:"client_port"`
	EndedBy                                       string `json:"ended_by"`
	BytesIn                                       int64  `json:"bytes_in"`
	BytesOut                                      int64  `json:"bytes_out"`
	DatagramsIn                                   int64  `json:"datagrams_in"`
	DatagramsOut                                  int64  `json:"datagrams_out"`
}

// lines stops the rig and reads its access log.
func (r *rig) lines() (lines []logLine) {
	r.t.Helper()
	r.stop()
	text, err := os.ReadFile(r.line)
	must(r.t, err)
	for line := range strings.Lines(string(text)) {
		var l logLine
		must(r.t, json.Unmarshal([]byte(line), &l))
		lines = append(lines, l)
	}
	return lines
}

// must fails the test on an error of an operation that is not what is tested.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what comes about by itself.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// origin is a backend: it answers what reply says, nothing for nil.
type origin struct {
	conn *net.UDPConn
	addr netip.AddrPort
	done chan struct{}

	mu    sync.Mutex
	seen  map[netip.AddrPort]int // datagrams by source
	reply func([]byte) [][]byte
}

// newOrigin starts a backend on an address of the loopback network, "127.0.0.1:0" for "".
func newOrigin(t testing.TB, address string, reply func([]byte) [][]byte) *origin {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	a, err := net.ResolveUDPAddr("udp", address)
	must(t, err)
	c, err := net.ListenUDP("udp", a)
	must(t, err)
	must(t, c.SetReadBuffer(4<<20))
	o := &origin{conn: c, addr: c.LocalAddr().(*net.UDPAddr).AddrPort(), done: make(chan struct{}), seen: map[netip.AddrPort]int{}, reply: reply}
	o.addr = netip.AddrPortFrom(o.addr.Addr().Unmap(), o.addr.Port())
	go o.run()
	t.Cleanup(o.close)
	return o
}

func (o *origin) close() {
	o.conn.Close()
	<-o.done
}

func (o *origin) run() {
	defer close(o.done)
	b := make([]byte, 1<<16)
	for {
		n, from, err := o.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		o.mu.Lock()
		o.seen[from]++
		o.mu.Unlock()
		if o.reply == nil {
			continue
		}
		for _, p := range o.reply(b[:n]) {
			_, _ = o.conn.WriteToUDPAddrPort(p, from)
		}
	}
}

// sources lists who has sent something.
func (o *origin) sources() (list []netip.AddrPort) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for a := range o.seen {
		list = append(list, a)
	}
	slices.SortFunc(list, netip.AddrPort.Compare)
	return list
}

func (o *origin) received() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, k := range o.seen {
		n += k
	}
	return n
}

// echo answers with what it was asked.
func echo(p []byte) [][]byte { return [][]byte{p} }

// named answers with a name and what it was asked.
func named(name string) func([]byte) [][]byte {
	return func(p []byte) [][]byte { return [][]byte{append([]byte(name+" "), p...)} }
}

// client sends from an address of its own to the rig.
type client struct {
	t    testing.TB
	conn *net.UDPConn
}

// newClient makes a client with a local address ("127.0.0.7:0"; "" for any) that hears to alone.
func newClient(t testing.TB, local string, to netip.AddrPort) *client {
	t.Helper()
	var from *net.UDPAddr
	if local != "" {
		var err error
		from, err = net.ResolveUDPAddr("udp", local)
		must(t, err)
	}
	c, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(to))
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return &client{t, c}
}

func (c *client) send(text string) {
	c.t.Helper()
	_, err := c.conn.Write([]byte(text))
	must(c.t, err)
}

// receive returns what comes within patience.
func (c *client) receive() string {
	c.t.Helper()
	must(c.t, c.conn.SetReadDeadline(time.Now().Add(patience)))
	b := make([]byte, 1<<16)
	n, err := c.conn.Read(b)
	must(c.t, err)
	return string(b[:n])
}

func (c *client) ask(text string) string {
	c.t.Helper()
	c.send(text)
	return c.receive()
}

// silent wants nothing to have come.
func (c *client) silent() {
	c.t.Helper()
	must(c.t, c.conn.SetReadDeadline(time.Now().Add(-time.Second)))
	raw, err := c.conn.SyscallConn()
	must(c.t, err)
	must(c.t, raw.Control(func(fd uintptr) {
		if n, _, err := unix.Recvfrom(int(fd), make([]byte, 100), unix.MSG_DONTWAIT); err != unix.EAGAIN {
			c.t.Errorf("received %d bytes, %v", n, err)
		}
	}))
}

// expireAll lets the rig's clock run on by d.
func (r *rig) expireAfter(d time.Duration) { r.clients.Sweep(wire.Now() + int64(d)) }

// pairOrigin is a backend that notes which client each of its sources has been.
type pairOrigin struct {
	pairs *pairs
	conn  *net.UDPConn
	addr  netip.AddrPort
	done  chan struct{}
}

func (o *pairOrigin) start(t testing.TB, address string) {
	t.Helper()
	a, err := net.ResolveUDPAddr("udp", address)
	must(t, err)
	o.conn, err = net.ListenUDP("udp4", a)
	must(t, err)
	must(t, o.conn.SetReadBuffer(4<<20))
	o.addr, o.done = o.conn.LocalAddr().(*net.UDPAddr).AddrPort(), make(chan struct{})
	go o.run()
	t.Cleanup(func() {
		o.conn.Close()
		<-o.done
	})
}

func (o *pairOrigin) run() {
	defer close(o.done)
	b := make([]byte, 100)
	for {
		n, from, err := o.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		o.pairs.note(o.addr, from, binary.BigEndian.Uint32(b))
		_, _ = o.conn.WriteToUDPAddrPort(b[:n], from)
	}
}
