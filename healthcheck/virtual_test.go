package healthcheck

import (
	"bufio"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/config"
)

// virtual is a network of pipes for tests in a synctest bubble.
type virtual struct {
	mu     sync.Mutex // guards what follows
	peers  map[netip.AddrPort]func(net.Conn)
	dialed map[netip.AddrPort][]time.Time

	open, most int // connections that the probes have, and had at most
}

// counted is the probe's end of a connection.
type counted struct {
	net.Conn
	v    *virtual
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() {
		c.v.mu.Lock()
		c.v.open--
		c.v.mu.Unlock()
	})
	return c.Conn.Close()
}

// atATime is how many connections were open together at most.
func (v *virtual) atATime() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.most
}

func newVirtual() *virtual {
	return &virtual{
		peers:  make(map[netip.AddrPort]func(net.Conn)),
		dialed: make(map[netip.AddrPort][]time.Time),
	}
}

// dial connects to the peer at addr; without one it is refused.
func (v *virtual) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	v.mu.Lock()
	peer := v.peers[addr]
	v.dialed[addr] = append(v.dialed[addr], time.Now())
	v.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if peer == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		peer(server)
	}()
	v.mu.Lock()
	v.open++
	v.most = max(v.most, v.open)
	v.mu.Unlock()
	return &counted{Conn: client, v: v}, nil
}

// set puts a peer at addr; nil removes it.
func (v *virtual) set(addr netip.AddrPort, peer func(net.Conn)) {
	v.mu.Lock()
	v.peers[addr] = peer
	v.mu.Unlock()
}

// dials returns when addr was connected to.
func (v *virtual) dials(addr netip.AddrPort) []time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]time.Time(nil), v.dialed[addr]...)
}

// answer is a peer that reads a request head and sends a response.
func answer(status int, body string) func(net.Conn) {
	return say("HTTP/1.1 " + strconv.Itoa(status) + " x\r\nContent-Length: " + strconv.Itoa(len(body)) +
		"\r\n\r\n" + body)
}

// say is a peer that reads a request head and sends raw.
func say(raw string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			_, _ = io.WriteString(c, raw) // the probe may have gone
		}
	}
}

// drip is say, followed by one byte each tick for as long as anybody reads.
func drip(raw string, every time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		say(raw)(c)
		for {
			time.Sleep(every)
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
		}
	}
}

// hang is a peer that reads and says nothing.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// address is the i-th backend's.
func address(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 8080)
}

// target is the i-th backend of pool web.
func target(i int, c *config.HealthCheck) Target {
	return Target{
		Key:  Key{Pool: "web", Backend: "b" + strconv.Itoa(i)},
		Addr: address(i), Backend: address(i), Check: c,
	}
}

// httpCheck is the check that the tests vary.
func httpCheck(edits ...func(*config.HealthCheck)) *config.HealthCheck {
	c := &config.HealthCheck{
		Protocol: config.HTTP,
		Interval: 5 * time.Second, Timeout: 2 * time.Second,
		Rise: 2, Fall: 3, Initial: config.InitialChecking,
		Path: "/healthz", Method: "GET", MaxBody: 256 << 10,
		Status: config.StatusSet{Text: "200", Ranges: []config.StatusRange{{First: 200, Last: 200}}},
		TLS:    config.BackendTLS{Verify: true},
	}
	for _, edit := range edits {
		edit(c)
	}
	return c
}

// sink keeps results.
type sink struct {
	mu  sync.Mutex // guards all
	all []Result
}

func (s *sink) observe(r Result) {
	s.mu.Lock()
	s.all = append(s.all, r)
	s.mu.Unlock()
}

// take returns the results since the last call.
func (s *sink) take() []Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

// newTestMonitor is a Monitor over v with a fixed seed that ends with the test.
func newTestMonitor(t *testing.T, v *virtual, concurrency int) (*Monitor, *sink) {
	t.Helper()
	results := &sink{}
	m := New(Options{
		Observe: results.observe, Concurrency: concurrency, Dial: v.dial,
		Rand: rand.New(rand.NewPCG(1, 2)),
	})
	t.Cleanup(m.Close)
	return m, results
}

// state is the verdict on the i-th backend.
func state(t *testing.T, m *Monitor, i int) State {
	t.Helper()
	s, ok := m.Status(target(i, nil).Key)
	if !ok {
		t.Fatalf("no target b%d", i)
	}
	return s.State
}
