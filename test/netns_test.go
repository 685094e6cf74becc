package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// host is a network namespace. It has no name: the kernel removes it, with all that is in it, when its
// descriptor, its sockets and its processes are gone, however the test ends.
type host struct {
	t    *testing.T
	home *os.File // namespace of the test
	file *os.File
	path string // by which ip and nsenter know it
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, home: openNamespace(t)}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		t.Skipf("no network namespaces here, they want the capability SYS_ADMIN: %v", err)
	}
	h.file = openNamespace(t)
	// Addresses are of use at once, those of links too: nobody else can have them.
	quick := os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0)
	if err := unix.Setns(int(h.home.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err) // the thread stays locked, and ends with the test
	}
	runtime.UnlockOSThread()
	if quick != nil {
		t.Skipf("no IPv6 in network namespaces here: %v", quick)
	}
	h.path = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), h.file.Fd())
	return h
}

// openNamespace opens the one of this thread.
func openNamespace(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// inside runs f on a thread that is in the namespace: its sockets and processes are there for good.
func (h *host) inside(f func() error) error {
	runtime.LockOSThread()
	if err := unix.Setns(int(h.file.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err := f()
	if back := unix.Setns(int(h.home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// ip runs lines of commands of ip there.
func (h *host) ip(lines ...string) {
	h.t.Helper()
	cmd := exec.Command(program(h.t, "ip"), "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	var out []byte
	err := h.inside(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		h.t.Fatalf("ip: %v: %s", err, out)
	}
}

// dial connects from there.
func (h *host) dial(network, address string) net.Conn {
	h.t.Helper()
	c, err := h.connect(network, address)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *host) connect(network, address string) (c net.Conn, err error) {
	d := net.Dialer{Timeout: patience, Deadline: time.Now().Add(patience)}
	if err := h.inside(func() (err error) { c, err = d.Dial(network, address); return err }); err != nil {
		return nil, err
	}
	h.t.Cleanup(func() { _ = c.Close() }) // the test may have closed it
	return c, c.SetDeadline(time.Now().Add(patience))
}

// packets binds a socket of UDP there.
func (h *host) packets(address string) net.PacketConn {
	h.t.Helper()
	var c net.PacketConn
	if err := h.inside(func() (err error) { c, err = net.ListenPacket("udp", address); return err }); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	return c
}

// Ports of backends.
const (
	portTCP  = "7101" // says its name, then what it is sent
	portUDP  = "7102" // as well
	portHTTP = "7103"
	portQUIC = "7104" // HTTP/3
)

// serve starts backends of all kinds there, which have the name.
func (h *host) serve(name string, site *http3Site) {
	h.t.Helper()
	listen := func(port string) (l net.Listener) {
		if err := h.inside(func() (err error) { l, err = net.Listen("tcp", ":"+port); return err }); err != nil {
			h.t.Fatal(err)
		}
		return l
	}
	plain, web, datagrams := listen(portTCP), listen(portHTTP), h.packets(":"+portUDP)
	site.serve(h.t, name, h.packets(":"+portQUIC), nil)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Backend", name)
		w.Header().Set("X-Client", r.Header.Get("X-Forwarded-For"))
	})}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(web) }) // it ends with an error, always
	running.Go(func() { echoDatagrams(datagrams, name) })
	var mu sync.Mutex
	var open []net.Conn
	running.Go(func() {
		for {
			c, err := plain.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			running.Go(func() {
				defer c.Close()
				if _, err := io.WriteString(c, name); err == nil {
					_, _ = io.Copy(c, c)
				}
			})
		}
	})
	h.t.Cleanup(func() {
		_, _, _ = plain.Close(), server.Close(), datagrams.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close() // those of an unplugged host end in no other way
		}
		mu.Unlock()
		running.Wait()
	})
}

func echoDatagrams(c net.PacketConn, name string) {
	b := make([]byte, 1<<16)
	for {
		n := copy(b, name)
		k, from, err := c.ReadFrom(b[n:])
		if err != nil {
			return
		}
		_, _ = c.WriteTo(b[:n+k], from)
	}
}

// wires is a network: a client, the host of weir, and behind it a router with two hosts for backends.
//
//	client 10.77.0.9 — 10.77.0.1, .2 weir 10.77.3.1 — 10.77.3.2 router ┬ 10.77.1.1 — 10.77.1.2 h1
//	                                                                    └ 10.77.2.1 — 10.77.2.2 h2
//
// IPv6 is the same with fd77:N:: in place of 10.77.N.
type wires struct {
	t                            *testing.T
	client, weir, router, h1, h2 *host
	site                         *http3Site
}

func newWires(t *testing.T) *wires {
	t.Helper()
	program(t, "ip")
	program(t, "nsenter")
	w := &wires{t: t, client: newHost(t), weir: newHost(t), router: newHost(t), h1: newHost(t), h2: newHost(t), site: newHTTP3Site(t)}
	cable := func(a, b *host, at, bt string) {
		a.ip(fmt.Sprintf("link add %s type veth peer name %s netns %s", at, bt, b.path))
	}
	cable(w.client, w.weir, "eth0", "front")
	cable(w.weir, w.router, "back", "weir")
	cable(w.router, w.h1, "h1", "eth0")
	cable(w.router, w.h2, "h2", "eth0")
	address := func(dev string, net, host int) []string {
		return []string{
			fmt.Sprintf("addr add 10.77.%d.%d/24 dev %s", net, host, dev),
			fmt.Sprintf("addr add fd77:%d::%d/64 dev %s nodad", net, host, dev),
			fmt.Sprintf("link set %s up", dev),
		}
	}
	route := func(net, via, host int) []string {
		return []string{
			fmt.Sprintf("route add 10.77.%d.0/24 via 10.77.%d.%d", net, via, host),
			fmt.Sprintf("route add fd77:%d::/64 via fd77:%d::%d", net, via, host),
		}
	}
	lo := []string{"link set lo up"}
	all := func(lists ...[]string) (list []string) {
		for _, l := range lists {
			list = append(list, l...)
		}
		return list
	}
	w.client.ip(all(lo, address("eth0", 0, 9))...)
	w.weir.ip(all(lo, address("front", 0, 1), address("front", 0, 2), address("back", 3, 1), route(1, 3, 2), route(2, 3, 2))...)
	// What is for an unplugged host vanishes without a word.
	w.router.ip(all(lo, address("weir", 3, 2), address("h1", 1, 1), address("h2", 2, 1), []string{"route add blackhole 10.77.1.0/24 metric 1000"})...)
	w.h1.ip(all(lo, address("eth0", 1, 2), route(3, 1, 1))...)
	w.h2.ip(all(lo, address("eth0", 2, 2), route(3, 2, 1))...)
	if err := w.router.inside(func() error {
		return errors.Join(os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0),
			os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0))
	}); err != nil {
		t.Skipf("a network namespace cannot forward packets here: %v", err)
	}
	w.h1.serve("h1", w.site)
	w.h2.serve("h2", w.site)
	return w
}

// start runs weir on its host.
func (w *wires) start(configuration string) *daemon {
	w.t.Helper()
	return start(w.t, configuration, program(w.t, "nsenter"), "--net="+w.weir.path)
}

// ask sends a datagram and returns the name of who has answered with it.
func ask(c net.Conn, payload string, limit time.Duration) (name string, err error) {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, payload); err != nil {
		return "", err
	}
	b := make([]byte, 1<<16)
	for {
		n, err := c.Read(b)
		if err != nil {
			return "", err
		}
		if n >= 2 && string(b[2:n]) == payload { // not a late answer to something else
			return string(b[:2]), nil
		}
	}
}

// TestNetworkAddresses reaches listeners on the unspecified address by all addresses of their host: who
// answers is who was asked, and backends are told of it.
func TestNetworkAddresses(t *testing.T) {
	w := newWires(t)
	d := w.start(`
listeners:
  tcp: { protocol: tcp, address: ":7001", pool: tcp }
  udp: { protocol: udp, address: ":7002", pool: udp }
  http: { protocol: http, address: ":7003", pool: http }
pools:
  tcp: { protocol: tcp, send_proxy_protocol: v1, backends: { h1: "10.77.1.2:7101", h2: "[fd77:2::2]:7101" } }
  udp: { protocol: udp, backends: { h1: "10.77.1.2:7102", h2: "[fd77:2::2]:7102" } }
  http: { protocol: http, backends: { h1: "[fd77:1::2]:7103", h2: "10.77.2.2:7103" } }
`)
	for _, pool := range []string{"tcp", "http"} {
		d.awaitHealth(pool, "h1", "up")
		d.awaitHealth(pool, "h2", "up")
	}
	for _, address := range []string{"10.77.0.1", "10.77.0.2", "fd77:0::1", "fd77:0::2"} {
		to := netip.MustParseAddr(address)
		client, family := "10.77.0.9", "TCP4"
		if to.Is6() {
			client, family = "fd77::9", "TCP6"
		}
		at := func(port uint16) string { return netip.AddrPortFrom(to, port).String() }
		seen := map[string]bool{}
		for range 2 { // one for each backend
			c := w.client.dial("tcp", at(7001))
			_, port, err := net.SplitHostPort(c.LocalAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			seen["tcp "+exactly(t, c, 2)] = true
			want := fmt.Sprintf("PROXY %s %s %s %s 7001\r\n", family, client, to, port)
			if got := exactly(t, c, len(want)); got != want {
				t.Errorf("%s: a backend was told %q, want %q", to, got, want)
			}

			u := w.client.packets("[::]:0") // not connected: it hears everybody
			if err := u.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := u.WriteTo([]byte("hello"), net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 7002))); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			n, from, err := u.ReadFrom(b)
			if err != nil || n != 7 {
				t.Fatalf("%s: %q, %v", to, b[:n], err)
			}
			if got := from.(*net.UDPAddr).AddrPort(); netip.AddrPortFrom(got.Addr().Unmap(), got.Port()).String() != at(7002) {
				t.Errorf("%s has answered, asked was %s", from, at(7002))
			}
			seen["udp "+string(b[:2])] = true

			h := w.client.dial("tcp", at(7003))
			if _, err := io.WriteString(h, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(h)
			if err != nil || !bytes.Contains(answer, []byte("X-Client: "+client+"\r\n")) {
				t.Errorf("%s: %v, %s", to, err, answer)
			}
			for _, name := range []string{"h1", "h2"} {
				if bytes.Contains(answer, []byte("X-Backend: "+name)) {
					seen["http "+name] = true
				}
			}
		}
		if len(seen) != 6 {
			t.Errorf("%s: served by %v", to, seen)
		}
	}
}

// TestNetworkMTU sends large things over links that carry 1280 bytes at most: between weir and the client,
// which weir's kernel knows, and behind a router, of which it has to be told.
func TestNetworkMTU(t *testing.T) {
	w := newWires(t)
	// h1 is the narrow one.
	w.router.ip("link set h1 mtu 1280")
	w.h1.ip("link set eth0 mtu 1280")
	var listeners, pools strings.Builder
	port := 7000
	type way struct{ name, tcp, udp, quic string }
	var ways []way
	for _, b := range []string{"10.77.1.2", "fd77:1::2", "10.77.2.2", "fd77:2::2"} {
		v := way{name: b}
		for _, one := range []struct {
			at             *string
			listener, pool string
			port           string
		}{
			{&v.tcp, "tcp", "tcp, health_check: none", portTCP},
			{&v.udp, "udp", "udp", portUDP},
			{&v.quic, "udp", "quic, session_persistence: source_ip", portQUIC},
		} {
			port++
			*one.at = fmt.Sprint(port)
			fmt.Fprintf(&listeners, "  l%d: { protocol: %s, address: \":%d\", pool: p%d }\n", port, one.listener, port, port)
			fmt.Fprintf(&pools, "  p%d: { protocol: %s, backends: [%q] }\n", port, one.pool, net.JoinHostPort(b, one.port))
		}
		ways = append(ways, v)
	}
	d := w.start("listeners:\n" + listeners.String() + "pools:\n" + pools.String())
	for _, narrow := range []bool{false, true} {
		if narrow {
			w.client.ip("link set eth0 mtu 1280")
			w.weir.ip("link set front mtu 1280")
		}
		for _, to := range []string{"10.77.0.1", "fd77::1"} {
			for _, v := range ways {
				if narrow && strings.HasPrefix(v.name, "10.77.1") != strings.HasPrefix(to, "10.") {
					continue // a quarter of the combinations will do
				}
				t.Logf("by %s to %s, a client with 1280: %v", to, v.name, narrow)
				w.largeTCP(net.JoinHostPort(to, v.tcp))
				w.largeUDP(net.JoinHostPort(to, v.udp))
				c := w.site.dial(t, w.client.packets("[::]:0"), net.JoinHostPort(to, v.quic))
				if _, err := c.post(noise(1 << 20)); err != nil {
					t.Errorf("HTTP/3: %v", err)
				}
			}
		}
	}
	if n := d.metric("weir_udp_datagrams_dropped_total"); n != 0 {
		t.Errorf("weir has dropped %v datagrams", n) // it has to have them cut
	}
}

// largeTCP sends 1 MiB and wants it back.
func (w *wires) largeTCP(address string) {
	w.t.Helper()
	c := w.client.dial("tcp", address)
	exactly(w.t, c, 2)
	want := noise(1 << 20)
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(want)
		sent <- err
	}()
	got := exactly(w.t, c, len(want))
	if err := <-sent; err != nil || got != string(want) {
		w.t.Errorf("TCP: %v, or other bytes came back", err)
	}
}

// largeUDP sends datagrams of many sizes and wants them back.
func (w *wires) largeUDP(address string) {
	w.t.Helper()
	c := w.client.dial("udp", address)
	for _, size := range []int{1200, 1400, 4000, 20_000} {
		payload := string(noise(size))
		// A router that cannot pass a datagram on drops it and says so: the next one is cut.
		within(w.t, patience, fmt.Sprintf("a datagram of %d bytes is answered", size), func() bool {
			_, err := ask(c, payload, 300*time.Millisecond)
			return err == nil
		})
		for i := range 10 {
			if _, err := ask(c, payload, patience); err != nil {
				w.t.Fatalf("UDP, %d bytes, the %d. time: %v", size, i+1, err)
			}
		}
	}
}

// TestNetworkUnplugged pulls the cable of one of two hosts in the middle of traffic: packets to it vanish.
// What is on it ends, moves or stays as configured, new flows go elsewhere, and it comes back.
func TestNetworkUnplugged(t *testing.T) {
	w := newWires(t)
	lines := filepath.Join(t.TempDir(), "access.log")
	const tcpCheck = "health_check: { interval: 200ms, timeout: 300ms, rise: 1, fall: 2 }"
	const udpCheck = `health_check: { protocol: udp, send: ping, expect: ping, interval: 200ms, timeout: 300ms, rise: 1, fall: 2 }`
	const tcpHosts = `backends: { h1: "10.77.1.2:7101", h2: "10.77.2.2:7101" }`
	const udpHosts = `backends: { h1: "10.77.1.2:7102", h2: "10.77.2.2:7102" }`
	d := w.start(fmt.Sprintf(`
defaults: { timeouts: { connect: 500ms } }
listeners:
  moving: { protocol: tcp, address: ":7001", pool: moving }
  patient: { protocol: tcp, address: ":7002", pool: staying }
  impatient: { protocol: tcp, address: ":7003", pool: staying, tcp: { user_timeout: 1500ms } }
  idling: { protocol: tcp, address: ":7004", pool: staying, timeouts: { tcp_idle: 1500ms } }
  datagrams: { protocol: udp, address: ":7005", pool: rebalanced }
  faithful: { protocol: udp, address: ":7006", pool: kept }
pools:
  moving: { protocol: tcp, target_rebalance: true, %[1]s, %[3]s }
  staying: { protocol: tcp, %[1]s, %[3]s }
  rebalanced: { protocol: udp, %[2]s, %[4]s }
  kept: { protocol: udp, target_rebalance: false, %[2]s, %[4]s }
log: { access: { output: %[5]q } }
`, tcpCheck, udpCheck, tcpHosts, udpHosts, lines))
	pools := []string{"moving", "staying", "rebalanced", "kept"}
	health := func(want string) {
		t.Helper()
		for _, p := range pools {
			d.awaitHealth(p, "h1", want)
			d.awaitHealth(p, "h2", "up")
		}
	}
	health("up")
	address := func(port int) string { return fmt.Sprintf("10.77.0.1:%d", port) }
	// flow opens flows of a listener until one is on h1.
	flow := func(network string, port int) net.Conn {
		t.Helper()
		for range 8 {
			c := w.client.dial(network, address(port))
			if network == "tcp" {
				if exactly(t, c, 2) == "h1" {
					says(t, c, "hello")
					return c
				}
				continue
			}
			if name, err := ask(c, "hello", patience); err != nil {
				t.Fatal(err)
			} else if name == "h1" {
				return c
			}
		}
		t.Fatal("no flow is on h1")
		return nil
	}
	moving, patient, impatient, idling := flow("tcp", 7001), flow("tcp", 7002), flow("tcp", 7003), flow("tcp", 7004)
	datagrams, faithful := flow("udp", 7005), flow("udp", 7006)

	unplugged := time.Now()
	w.router.ip("link set h1 down")
	t.Cleanup(func() { w.router.ip("link set h1 up") }) // or connections take their time to end
	if _, err := io.WriteString(impatient, "lost"); err != nil {
		t.Fatal(err)
	}
	// A new flow finds the other host also while nobody knows better; later on it is not even tried.
	if c := w.client.dial("tcp", address(7001)); exactly(t, c, 2) != "h2" {
		t.Error("an unplugged host has answered")
	}
	health("down")
	if took := time.Since(unplugged); took > 5*time.Second { // 2 checks: 800 ms on an idle machine
		t.Errorf("the checks took %v", took)
	}
	for range 4 {
		for _, port := range []int{7001, 7002, 7003, 7004} {
			c := w.client.dial("tcp", address(port))
			if got := exactly(t, c, 2); got != "h2" {
				t.Errorf("port %d: a new connection is on %s", port, got)
			}
			_ = c.Close()
		}
		for _, port := range []int{7005, 7006} {
			if got, err := ask(w.client.dial("udp", address(port)), "hello", patience); err != nil || got != "h2" {
				t.Errorf("port %d: a new session: %q, %v", port, got, err)
			}
		}
	}
	if got, err := ask(datagrams, "moved", patience); err != nil || got != "h2" {
		t.Errorf("the session that was on h1: %q, %v", got, err)
	}
	for range 2 {
		if got, err := ask(faithful, "stays", 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the session that stays: %q, %v", got, err)
		}
	}
	for _, end := range []struct {
		conn                  net.Conn
		listener, outcome, by string
	}{
		{moving, "moving", "rebalanced", "weir"},
		{idling, "idling", "idle", "idle"},
		{impatient, "impatient", "backend_reset", "backend"}, // its kernel gave up: see the reason
	} {
		wantReset(t, end.conn)
		l := lastOn(t, lines, end.listener, "h1")
		if l.Outcome != end.outcome || l.EndedBy != end.by {
			t.Errorf("%s: logged as %+v, want %s by %s", end.listener, l, end.outcome, end.by)
		}
		if end.conn == impatient && (!strings.Contains(l.Reason, "timed out") || l.Duration < 1500) {
			t.Errorf("user_timeout: logged as %+v", l)
		}
	}
	if took := time.Since(unplugged); took > 10*time.Second { // 1.9 s on an idle machine
		t.Errorf("connections were held for %v", took)
	}

	w.router.ip("link set h1 up")
	health("up")
	says(t, patient, "still here")
	if got, err := ask(faithful, "still here", patience); err != nil || got != "h1" {
		t.Errorf("the session that stays, afterwards: %q, %v", got, err)
	}
	for _, port := range []int{7001, 7002, 7003, 7004} {
		flow("tcp", port)
	}
	for _, port := range []int{7005, 7006} {
		flow("udp", port)
	}
	for _, p := range []string{"moving", "rebalanced"} {
		if n := d.metric("weir_rebalanced_flows_total", "pool", p); n != 1 {
			t.Errorf("%v flows of %s were moved, want 1", n, p)
		}
	}
	for _, p := range []string{"staying", "kept"} {
		if n := d.metric("weir_rebalanced_flows_total", "pool", p); n != 0 {
			t.Errorf("%v flows of %s were moved", n, p)
		}
	}
}

// lastOn waits for a line of a listener and a backend in an access log.
func lastOn(t *testing.T, path, listener, backend string) (last line) {
	t.Helper()
	eventually(t, "a flow of "+listener+" on "+backend+" is logged", func() (found bool) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for one := range bytes.Lines(text) {
			var l line
			if err := json.Unmarshal(one, &l); err != nil {
				return found // half of it is written
			}
			if l.Listener == listener && l.Backend == backend {
				last, found = l, true
			}
		}
		return found
	})
	return last
}
