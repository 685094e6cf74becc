package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"weir/internal/lbtest"
)

// dnsServer is a dnsmasq that answers who.test with an address of its own.
type dnsServer struct {
	address string
	end     func()
}

func startDNS(t *testing.T, answer string) *dnsServer {
	t.Helper()
	path := program(t, "dnsmasq")
	s := &dnsServer{address: fixedPort(t)}
	_, port, err := net.SplitHostPort(s.address)
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	cmd := exec.Command(path, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--port="+port,
		"--listen-address=127.0.0.1", "--bind-interfaces", "--address=/who.test/"+answer, "--user=", "--group=",
		"--pid-file="+filepath.Join(t.TempDir(), "pid"), "--log-facility=-")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	s.end = func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait() // killed, it says
		})
	}
	t.Cleanup(func() {
		s.end()
		if t.Failed() {
			t.Logf("dnsmasq: %s", log.String())
		}
	})
	eventually(t, "dnsmasq listens", func() bool {
		c, err := net.Dial("tcp", s.address) // it answers there as well
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return s
}

// dig asks for who.test and returns the answer.
func dig(t *testing.T, address string, args ...string) string {
	t.Helper()
	path := program(t, "dig")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, append([]string{"@" + host, "-p", port, "who.test", "A", "+short", "+time=1"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("dig: %v\n%s", err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestDNS spreads the questions of dig over two name servers, of which one then dies: from then on the other
// one is asked, without a health check, but for a question now and then.
func TestDNS(t *testing.T) {
	program(t, "dig")
	a, b := startDNS(t, "192.0.2.1"), startDNS(t, "192.0.2.2")
	d := start(t, fmt.Sprintf(`
listeners: { dns: { protocol: udp, address: "127.0.0.1:0", pool: resolvers, udp: { responses: 1 } } }
pools: { resolvers: { protocol: udp, backends: { a: %q, b: %q } } }
`, a.address, b.address))
	at := d.address("dns")
	got := map[string]int{}
	for range 10 {
		got[dig(t, at, "+tries=1")]++
	}
	if got["192.0.2.1"] != 5 || got["192.0.2.2"] != 5 {
		t.Errorf("got %v", got)
	}
	eventually(t, "every session is over with its reply", func() bool {
		return d.metric("weir_udp_sessions_total", "listener", "dns", "outcome", "ok", "pool", "resolvers") == 10
	})
	a.end()
	late := 0
	for range 6 {
		got := dig(t, at, "+tries=4")
		if !strings.HasSuffix(got, "192.0.2.2") {
			t.Errorf("got %q", got)
		}
		late += strings.Count(got, "timed out")
	}
	if late > 2 { // one in each second may have to ask twice
		t.Errorf("%d questions got no answer", late)
	}
	if d.metric("weir_backend_connect_errors_total", "backend", "a", "pool", "resolvers", "reason", "refused") == 0 {
		t.Error("refusals are not counted")
	}
}

// echoUDP is a backend that answers with its name and what it was asked.
func echoUDP(t *testing.T, name string) string {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(append([]byte(name+" "), b[:n]...), from)
		}
	})
	t.Cleanup(func() {
		c.Close()
		running.Wait()
	})
	return c.LocalAddr().String()
}

// TestUDPReloads asks from 20 clients without a pause while the configuration is reloaded: no datagram is
// lost, and no client changes its backend, while that is there.
func TestUDPReloads(t *testing.T) {
	b1, b2, b3 := echoUDP(t, "b1"), echoUDP(t, "b2"), echoUDP(t, "b3")
	with := func(list ...string) string {
		var parts []string
		for i, address := range list {
			parts = append(parts, fmt.Sprintf("b%d: %q", i+1, address))
		}
		return fmt.Sprintf(`
listeners: { echo: { protocol: udp, address: "127.0.0.1:0", pool: app } }
pools: { app: { protocol: udp, backends: { %s } } }
`, strings.Join(parts, ", "))
	}
	d := start(t, with(b1, b2))
	stop := askEndlessly(t, d.address("echo"), 0)
	for _, text := range []string{
		with(b1, b2, b3), with(b1, b2), strings.Replace(with(b1, b2), "pool: app", "pool: app, udp: { responses: 1000 }", 1),
		strings.Replace(with(b1, b2, b3), "echo:", "named_otherwise:", 1), with(b1, b2, b3),
	} {
		d.reload(text)
	}
	stop()
	code, out, errs := d.cli("status")
	if code != 0 || !strings.Contains(out, "echo") {
		t.Errorf("weir status: %d %s%s", code, out, errs)
	}
}

// TestUDPRebound goes from an address to all of them and back while 20 clients ask: they stay on their backends.
// A datagram that comes at the very moment in which a socket is closed is lost, and asked for again.
func TestUDPRebound(t *testing.T) {
	b1, b2 := echoUDP(t, "b1"), echoUDP(t, "b2")
	text := fmt.Sprintf(`
listeners: { echo: { protocol: udp, address: "ADDRESS", pool: app } }
pools: { app: { protocol: udp, backends: { b1: %q, b2: %q } } }
`, b1, b2)
	at := fixedPort(t)
	d := start(t, strings.Replace(text, "ADDRESS", at, 1))
	stop := askEndlessly(t, at, 20)
	for range 5 {
		d.reload(strings.Replace(text, "ADDRESS", strings.Replace(at, "127.0.0.1", "0.0.0.0", 1), 1))
		d.reload(strings.Replace(text, "ADDRESS", at, 1))
	}
	stop()
}

// askEndlessly asks from 20 clients until stop is called, each of them always the same backend. That many
// questions may be lost in all.
func askEndlessly(t *testing.T, at string, losses int64) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var lost atomic.Int64
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			c, err := net.Dial("udp", at)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			first := ""
			for k := 0; ; k++ {
				select {
				case <-done:
					return
				default:
				}
				want := fmt.Sprint(i, "-", k)
				name, body, err := askOnce(c, want)
				for errors.Is(err, os.ErrDeadlineExceeded) && lost.Add(1) <= losses {
					name, body, err = askOnce(c, want)
				}
				if err != nil {
					t.Errorf("client %d, question %d: %v", i, k, err)
					return
				}
				if first == "" {
					first = name
				}
				if name != first || body != want {
					t.Errorf("client %d on %s, question %d: got %s %q", i, first, k, name, body)
					return
				}
			}
		})
	}
	return func() {
		t.Helper()
		close(done)
		clients.Wait()
		if n := lost.Load(); n > 0 {
			t.Logf("%d questions were lost", n)
		}
	}
}

// askOnce sends a question and returns who answers, and what.
func askOnce(c net.Conn, question string) (name, body string, err error) {
	if _, err := c.Write([]byte(question)); err != nil {
		return "", "", err
	}
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return "", "", err
	}
	b := make([]byte, 100)
	n, err := c.Read(b)
	if err != nil {
		return "", "", err
	}
	name, body, _ = strings.Cut(string(b[:n]), " ")
	return name, body, nil
}

// TestIperfUDP runs iperf3 through weir, its control connection over TCP and its datagrams both ways.
func TestIperfUDP(t *testing.T) {
	path := program(t, "iperf3")
	back, front := fixedPort(t), fixedPort(t)
	port := func(address string) string { return address[strings.LastIndex(address, ":")+1:] }
	server := exec.Command(path, "-s", "-B", "127.0.0.1", "-p", port(back))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	eventually(t, "iperf3 listens", func() bool {
		c, err := net.Dial("tcp", back)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	d := start(t, fmt.Sprintf(`
listeners:
  control: { protocol: tcp, address: %q, pool: control }
  data: { protocol: udp, address: %q, pool: data }
pools:
  control: { protocol: tcp, health_check: none, backends: [%q] }
  data: { protocol: udp, backends: [%q] }
`, front, front, back, back))
	for _, direction := range []string{"", "-R"} {
		args := []string{"-c", "127.0.0.1", "-p", port(front), "-u", "-b", "10M", "-l", "1200", "-w", "2M", "-t", "2", "-J"}
		if direction != "" {
			args = append(args, direction)
		}
		var out []byte
		var err error
		eventually(t, "iperf3 is free for the next", func() bool { // it serves one at a time
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			out, err = exec.CommandContext(ctx, path, args...).Output()
			return err == nil || !bytes.Contains(out, []byte("busy"))
		})
		var report struct {
			End struct {
				Sum struct {
					Packets     int     `json:"packets"`
					LostPercent float64 `json:"lost_percent"`
				} `json:"sum"`
			} `json:"end"`
		}
		if err != nil || json.Unmarshal(out, &report) != nil {
			t.Fatalf("iperf3 %s: %v\n%s", direction, err, out)
		}
		// 10 Mbit/s for 2 s are about 2,080 datagrams. The sockets of iperf3 lose some on a busy machine.
		if s := report.End.Sum; s.Packets < 1500 || s.LostPercent > 50 {
			t.Errorf("iperf3 %s: %+v", direction, s)
		}
	}
	if n := d.metric("weir_udp_datagrams_total", "direction", "out", "listener", "data", "pool", "data"); n < 1500 {
		t.Errorf("%v datagrams to clients are counted", n)
	}
	if n := d.metric("weir_udp_datagrams_dropped_total", "listener", "data"); n != 0 {
		t.Errorf("weir has dropped %v datagrams", n)
	}
}

// router changes the port of the client behind it, as one with NAT does.
type router struct {
	inside *net.UDPConn
	to     string

	mu      sync.Mutex
	outside net.Conn
	client  net.Addr
	running sync.WaitGroup
}

func newRouter(t *testing.T, to string) *router {
	t.Helper()
	inside, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &router{inside: inside, to: to}
	if err := r.rebind(); err != nil {
		t.Fatal(err)
	}
	r.running.Go(r.forward)
	t.Cleanup(func() {
		inside.Close()
		r.mu.Lock()
		r.outside.Close()
		r.mu.Unlock()
		r.running.Wait()
	})
	return r
}

func (r *router) rebind() error { return r.rebindTo("127.0.0.1") }

// rebindTo gives the client another port, of an address.
func (r *router) rebindTo(host string) error {
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(host)}}
	next, err := d.Dial("udp", r.to)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.outside != nil {
		r.outside.Close()
	}
	r.outside = next
	r.running.Go(func() { r.answer(next) })
	return nil
}

func (r *router) forward() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := r.inside.ReadFrom(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.client = from
		_, _ = r.outside.Write(b[:n]) // or it is lost
		r.mu.Unlock()
	}
}

func (r *router) answer(c net.Conn) {
	b := make([]byte, 1<<16)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		client := r.client
		r.mu.Unlock()
		_, _ = r.inside.WriteTo(b[:n], client)
	}
}

// quicEcho is a server of quic-go that sends every stream back behind its name.
func quicEcho(t *testing.T, name string, cert tls.Certificate) string {
	t.Helper()
	l, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"echo"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// The close of a client may be lost with its router, so the end of the test is one as well.
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept(ctx)
			if err != nil {
				return
			}
			serving.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = conn.CloseWithError(0, "") })()
				for {
					stream, err := conn.AcceptStream(conn.Context())
					if err != nil {
						return
					}
					_, _ = io.WriteString(stream, name+" ")
					_, _ = io.Copy(stream, stream) // the client looks at what comes back
					_ = stream.Close()
				}
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// TestQUIC passes connections through to three servers, changes the client's port in the middle of
// transfers, and reloads meanwhile.
func TestQUIC(t *testing.T) {
	cert := lbtest.NewCertificate(t, "quic.example")
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert.Pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	text := fmt.Sprintf(`
listeners: { quic: { protocol: udp, address: ":0", pool: app } }
pools: { app: { protocol: quic, algorithm: quic_cid, session_persistence: source_ip, backends: { b1: %q, b2: %q, b3: %q } } }
`, quicEcho(t, "b1", cert.Pair), quicEcho(t, "b2", cert.Pair), quicEcho(t, "b3", cert.Pair))
	d := start(t, text)
	_, port, err := net.SplitHostPort(d.address("quic"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRouter(t, "127.0.0.1:"+port)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, r.inside.LocalAddr().String(), &tls.Config{RootCAs: roots, ServerName: "quic.example", NextProtos: []string{"echo"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	want := noise(200_000)
	first := ""
	for round := range 6 {
		stream, err := conn.OpenStreamSync(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		sent := make(chan error, 1)
		go func() {
			_, err := stream.Write(want[:len(want)/2])
			if err == nil {
				err = r.rebind()
			}
			if err == nil {
				_, err = stream.Write(want[len(want)/2:])
			}
			if err == nil {
				err = stream.Close()
			}
			sent <- err
		}()
		got, err := io.ReadAll(stream)
		if serr := <-sent; err != nil || serr != nil {
			t.Fatalf("round %d: %d bytes came back: %v, %v", round, len(got), err, serr)
		}
		name, body, _ := bytes.Cut(got, []byte(" "))
		if first == "" {
			first = string(name)
		}
		if string(name) != first || !bytes.Equal(body, want) {
			t.Fatalf("round %d: %d bytes from %s, before from %s", round, len(body), name, first)
		}
		if round == 2 {
			d.reload(text)
		}
	}
	if n := d.metric("weir_listener_connections_total", "listener", "quic"); n != 1 {
		t.Errorf("%v sessions for one connection", n)
	}
}
