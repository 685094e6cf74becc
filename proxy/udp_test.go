package proxy

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"weir/balancer"
	"weir/telemetry"
)

// udpOrigin is a backend that answers each datagram with a name and what was in it. It returns its
// address, and a function that ends it.
func udpOrigin(t *testing.T, name string) string {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			_, _ = c.WriteToUDPAddrPort(append([]byte(name+" "), b[:n]...), from)
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
	})
	return c.LocalAddr().String()
}

// udpClient is a connected socket.
func udpClient(t *testing.T, to string) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// question asks and returns who answers; "" if nobody does within a quarter of a second.
func question(t *testing.T, c net.Conn) string {
	t.Helper()
	if _, err := c.Write([]byte("x")); err != nil {
		return ""
	}
	if err := c.SetReadDeadline(time.Now().Add(time.Second / 4)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	n, err := c.Read(b)
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(string(b[:n]), " ")
	return name
}

// answered asks until somebody answers.
func answered(t *testing.T, c net.Conn) string {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if name := question(t, c); name != "" {
			return name
		}
	}
	t.Fatal("nobody answers")
	return ""
}

const udpText = `
listeners:
  dns: { protocol: udp, address: "127.0.0.1:0", pool: app }
pools:
  app: { protocol: udp, drain_timeout: 1h, backends: { %s } }
`

// udpConfig has backends by their names.
func udpConfig(backends ...string) string {
	var list []string
	for i := 0; i < len(backends); i += 2 {
		list = append(list, fmt.Sprintf("%s: { address: %q }", backends[i], backends[i+1]))
	}
	return fmt.Sprintf(udpText, strings.Join(list, ", "))
}

func TestUDP(t *testing.T) {
	b1, b2 := udpOrigin(t, "b1"), udpOrigin(t, "b2")
	r := start(t, udpConfig("b1", b1, "b2", b2))
	got := map[string]int{}
	for range 10 {
		c := udpClient(t, r.addr("dns"))
		name := answered(t, c)
		if again := answered(t, c); again != name {
			t.Errorf("%s, then %s", name, again)
		}
		got[name]++
	}
	if got["b1"] != 5 || got["b2"] != 5 {
		t.Errorf("got %v", got)
	}
	if n := r.connections(); n != 10 || r.s.Connections() != 10 {
		t.Errorf("%d sessions, %d in all", n, r.s.Connections())
	}
}

// TestUDPReload: sessions go on over reloads, whatever changes around them.
func TestUDPReload(t *testing.T) {
	b1, b2 := udpOrigin(t, "b1"), udpOrigin(t, "b2")
	first := udpConfig("b1", b1)
	r := start(t, first)
	at := r.addr("dns")
	c := udpClient(t, at)
	answered(t, c)
	change := r.apply(load(t, udpConfig("b1", b1, "b2", b2)))
	if change.BackendsAdded != 1 || change.ListenersAdded+change.ListenersRemoved+change.ListenersMoved != 0 {
		t.Errorf("changed: %v", change)
	}
	if r.addr("dns") != at {
		t.Fatal("the listener has moved")
	}
	if got := answered(t, c); got != "b1" || r.connections() != 1 {
		t.Errorf("%s, %d sessions", got, r.connections())
	}
	// The backend is removed: the session moves with its next datagram.
	r.apply(load(t, udpConfig("b2", b2)))
	if got := answered(t, c); got != "b2" || r.connections() != 1 {
		t.Errorf("%s, %d sessions", got, r.connections())
	}
	// Another pool: the old one is closed, and its sessions go where the listener leads.
	r.apply(load(t, strings.ReplaceAll(udpConfig("b1", b1), "app", "other")))
	if got := answered(t, c); got != "b1" {
		t.Errorf("%s answers", got)
	}
	// A configuration that cannot be put in force changes nothing.
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := load(t, udpConfig("b1", b1))
	bad.Listeners["dns"].Addresses = []string{taken.LocalAddr().String()}
	if _, err := r.s.Apply(bad); err == nil || !strings.Contains(err.Error(), "listeners.dns: listen udp") {
		t.Errorf("got %v", err)
	}
	if got := answered(t, c); got != "b1" || r.connections() != 1 {
		t.Errorf("%s, %d sessions", got, r.connections())
	}
}

// TestUDPListenerRemoved: its sessions end, and its address is free.
func TestUDPListenerRemoved(t *testing.T) {
	r := start(t, udpConfig("b1", udpOrigin(t, "b1")))
	at := r.addr("dns")
	c := udpClient(t, at)
	answered(t, c)
	web := load(t, `
listeners:
  web: { protocol: http, address: "127.0.0.1:0", pool: app }
pools:
  app: { backends: ["127.0.0.1:1"] }
`)
	change := r.apply(web)
	if change.ListenersRemoved != 1 || change.PoolsRemoved != 1 || change.PoolsAdded != 1 {
		t.Errorf("changed: %v", change)
	}
	if n := r.s.Connections(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
	free, err := net.ListenPacket("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	r.apply(load(t, udpConfig("b1", udpOrigin(t, "b1"))))
	answered(t, udpClient(t, r.addr("dns")))
}

// TestUDPRenamed: under another name a listener keeps its socket and its sessions.
func TestUDPRenamed(t *testing.T) {
	b1, b2 := udpOrigin(t, "b1"), udpOrigin(t, "b2")
	text := udpConfig("b1", b1, "b2", b2)
	r := start(t, text)
	at := r.addr("dns")
	c := udpClient(t, at)
	name := answered(t, c)
	for _, next := range []string{"names", "dns"} {
		change := r.apply(load(t, strings.Replace(text, "dns:", next+":", 1)))
		if got := change.String(); got != "1 listener renamed" {
			t.Errorf("changed: %s", got)
		}
		if got := r.addr(next); got != at {
			t.Errorf("it is at %s, and was at %s", got, at)
		}
		if got := answered(t, c); got != name || r.connections() != 1 {
			t.Errorf("%s answers, and was %s; %d sessions", got, name, r.connections())
		}
	}
	// Two exchange their addresses: each session goes with the one that its client has used.
	two := func(dns, names string) string {
		return strings.Replace(text, "  dns: { protocol: udp, address: \"127.0.0.1:0\", pool: app }",
			fmt.Sprintf("  dns: { protocol: udp, address: %q, pool: app }\n  names: { protocol: udp, address: %q, pool: app }", dns, names), 1)
	}
	r.apply(load(t, two("127.0.0.1:0", "127.0.0.2:0")))
	d := udpClient(t, r.addr("names"))
	other := answered(t, d)
	r.apply(load(t, two("127.0.0.2:0", "127.0.0.1:0")))
	if first, second := answered(t, c), answered(t, d); first != name || second != other || r.connections() != 2 {
		t.Errorf("%s and %s answer, and were %s and %s; %d sessions", first, second, name, other, r.connections())
	}
}

// TestUDPWildcardToOne: a listener can go from every address to one with the same port, and back, and its
// sessions with it.
func TestUDPWildcardToOne(t *testing.T) {
	b1 := udpOrigin(t, "b1")
	text := udpConfig("b1", b1)
	r := start(t, strings.Replace(text, "127.0.0.1:0", "0.0.0.0:0", 1))
	_, port, err := net.SplitHostPort(r.addr("dns"))
	if err != nil {
		t.Fatal(err)
	}
	c := udpClient(t, "127.0.0.1:"+port)
	answered(t, c)
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "127.0.0.1"} {
		r.apply(load(t, strings.Replace(text, "127.0.0.1:0", host+":"+port, 1)))
		answered(t, udpClient(t, "127.0.0.1:"+port))
		answered(t, c)
	}
	if n := r.stats.UDP("dns", "app").Counts().Ended; n != 0 {
		t.Errorf("%d sessions have ended", n)
	}
}

// TestUDPHealth: a backend that answers probes with port unreachable goes down, and its sessions move.
func TestUDPHealth(t *testing.T) {
	gone, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	b1, b2 := gone.LocalAddr().String(), udpOrigin(t, "b2")
	text := strings.Replace(udpConfig("b1", b1, "b2", b2), "drain_timeout: 1h",
		"drain_timeout: 1h, health_check: { interval: 20ms, timeout: 50ms, fall: 1, rise: 1, initial: up }", 1)
	r := start(t, text)
	for range 2 {
		question(t, udpClient(t, r.addr("dns")))
	}
	gone.Close()
	for end := time.Now().Add(patience); r.backend("app", "b1").Health() != balancer.Down; {
		if <-time.After(time.Millisecond); time.Now().After(end) {
			t.Fatal("the backend is not down")
		}
	}
	for range 4 {
		if got := answered(t, udpClient(t, r.addr("dns"))); got != "b2" {
			t.Errorf("%s answers", got)
		}
	}
}

// TestUDPShutdown: silent sessions do not keep a process from ending, busy ones until the time is over.
func TestUDPShutdown(t *testing.T) {
	r := start(t, udpConfig("b1", udpOrigin(t, "b1")))
	for range 5 {
		answered(t, udpClient(t, r.addr("dns")))
	}
	began := time.Now()
	r.stop(patience)
	if d := time.Since(began); d > 8*time.Second {
		t.Errorf("it took %v", d)
	}
	if n := r.stats.UDP("dns", "app").Outcome(telemetry.OutcomeExpired); n != 5 {
		t.Errorf("%d sessions have come to their end", n)
	}
}

// TestUDPShutdownCut: what is busy is cut when the time is over.
func TestUDPShutdownCut(t *testing.T) {
	r := start(t, udpConfig("b1", udpOrigin(t, "b1")))
	answered(t, udpClient(t, r.addr("dns")))
	r.stop(50 * time.Millisecond)
	if n := r.stats.UDP("dns", "app").Outcome(telemetry.OutcomeDraining); n != 1 {
		t.Errorf("%d sessions were cut", n)
	}
}
