package healthcheck

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"weir/config"
	"weir/internal/lbtest"
)

// udpServer answers each datagram with those that reply returns.
func udpServer(t *testing.T, reply func(string) []string) netip.AddrPort {
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
			for _, r := range reply(string(b[:n])) {
				if _, err := c.WriteToUDPAddrPort([]byte(r), from); err != nil {
					return
				}
			}
		}
	}()
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// refusingUDP is an address on which nobody listens.
func refusingUDP(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func udpCheck(send, pattern string, timeout time.Duration) *config.HealthCheck {
	c := tcpCheck(send, pattern)
	c.Protocol, c.Timeout = config.UDP, timeout
	return c
}

func TestUDPProbe(t *testing.T) {
	const long, short = 10 * time.Second, 50 * time.Millisecond
	echo := func(s string) []string { return []string{"got " + s} }
	silent := func(string) []string { return nil }
	tests := []struct {
		name   string
		reply  func(string) []string
		check  *config.HealthCheck
		ok     bool
		reason string
	}{
		{"any reply", echo, udpCheck("PING", "", long), true, `send "PING" to ADDR → "got PING" in ⋯`},
		{"empty datagram", echo, udpCheck("", "", long), true, `send an empty datagram to ADDR → "got" in ⋯`},
		{"expected", echo, udpCheck("PING", "^got P", long), true, `send "PING" to ADDR → "got PING" in ⋯`},
		{"the second one", func(string) []string { return []string{"no", "", "yes"} }, udpCheck("x", "^yes$", long), true, `send "x" to ADDR → "yes" in ⋯`},
		{"silence is fine", silent, udpCheck("x", "", short), true, `send "x" to ADDR → no objection in ⋯`},
		{"silence is not", silent, udpCheck("x", "y", short), false, `send "x" to ADDR → nothing within 50ms (want a reply that matches "y")`},
		{"something else", echo, udpCheck("x", "^y", short), false, `send "x" to ADDR → "got x" within 50ms (want a reply that matches "^y")`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := udpServer(t, tt.reply)
			want(t, once(t, tt.check, addr), addr, tt.ok, PhaseReceive, 0, tt.reason)
		})
	}
	literal := udpCheck("x", "", long)
	literal.Expect.Literal = []byte{1, 2}
	addr := udpServer(t, func(string) []string { return []string{"\x00\x01\x02"} })
	want(t, once(t, literal, addr), addr, true, PhaseReceive, 0, `send "x" to ADDR → ⋯`)
	for _, pattern := range []string{"", "y"} {
		addr = refusingUDP(t)
		want(t, once(t, udpCheck("x", pattern, long), addr), addr, false, PhaseReceive, 0, `send "x" to ADDR → port unreachable`)
	}
}

// TestUDPProbeIsCancelled wants the end of a probe of a silent server not taken for its consent.
func TestUDPProbeIsCancelled(t *testing.T) {
	addr := udpServer(t, func(string) []string { return nil })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	got := make(chan Probe)
	go func() {
		got <- compile(udpCheck("x", "", 10*time.Second)).prober(addr, "").probe(ctx, opener{dial: dialTCP, dialUDP: dialUDP})
	}()
	cancel()
	if p := <-got; p.OK {
		t.Errorf("a cancelled probe is good: %s", p.Reason)
	}
}

func TestTLSProbe(t *testing.T) {
	cert, other := lbtest.NewCertificate(t, "db.test"), lbtest.NewCertificate(t, "db.test")
	b := lbtest.NewHTTPS(t, "b", cert)
	check := func(edit func(*config.HealthCheck)) *config.HealthCheck {
		c := tcpCheck("", "")
		c.Protocol, c.TLS.Verify, c.TLS.CA, c.TLS.ServerName = config.TLS, true, cert.CertFile, "db.test"
		edit(c)
		return c
	}
	for _, tt := range []struct {
		name   string
		edit   func(*config.HealthCheck)
		ok     bool
		reason string
	}{
		{"trusted", func(*config.HealthCheck) {}, true, "TLS 1.3 in ⋯"},
		{"wrong name", func(c *config.HealthCheck) { c.TLS.ServerName = "" }, false, "TLS handshake: x509: ⋯"},
		{"not trusted", func(c *config.HealthCheck) { c.TLS.CA = other.CertFile }, false, "TLS handshake: x509: certificate signed by unknown authority⋯"},
		{"not verified", func(c *config.HealthCheck) { c.TLS = config.BackendTLS{} }, true, "TLS 1.3 in ⋯"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want(t, once(t, check(tt.edit), b.Addr()), b.Addr(), tt.ok, PhaseTLS, 0, "TLS handshake with ADDR → "+tt.reason)
		})
	}
	plain := lbtest.NewTCP(t, lbtest.Say("220 mail ready\r\n"))
	want(t, once(t, check(func(*config.HealthCheck) {}), plain.Addr()), plain.Addr(), false, PhaseTLS, 0,
		"TLS handshake with ADDR → TLS handshake: first record does not look like a TLS handshake")
}

// TestProbesBeginWithAHeader reads the PROXY header of each kind of probe with another
// implementation, and then what the probe says.
func TestProbesBeginWithAHeader(t *testing.T) {
	for _, version := range []config.ProxyVersion{config.ProxyV1, config.ProxyV2} {
		for _, protocol := range []config.Protocol{config.TCP, config.HTTP, config.TLS} {
			t.Run(string(version)+" "+string(protocol), func(t *testing.T) {
				type seen struct {
					header *proxyproto.Header
					err    error
					next   byte
				}
				got := make(chan seen, 1)
				b := lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
					r := bufio.NewReader(c)
					h, err := proxyproto.Read(r)
					next, _ := r.ReadByte()
					got <- seen{h, err, next}
				})
				c := httpCheck(func(c *config.HealthCheck) {
					c.Protocol, c.SendProxy, c.Timeout = protocol, version, 10*time.Second
				})
				if protocol == config.TCP {
					c.Send = []byte("PING")
				}
				once(t, c, b.Addr())
				s := <-got
				if s.err != nil {
					t.Fatal(s.err)
				}
				if local := s.header.Command.IsLocal() || s.header.TransportProtocol.IsUnspec(); !local {
					t.Errorf("the header speaks for somebody: %+v", s.header)
				}
				if first := map[config.Protocol]byte{config.TCP: 'P', config.HTTP: 'G', config.TLS: 0x16}[protocol]; s.next != first {
					t.Errorf("after the header comes %q, want %q", s.next, first)
				}
			})
		}
	}
}
