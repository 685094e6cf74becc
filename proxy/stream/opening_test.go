package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
	"weir/internal/sniff"
	"weir/telemetry"
)

// behind lets the listener want PROXY headers from this machine.
func behind(l *config.Listener, _ *config.Pool) {
	l.Proxy.From = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	l.Timeouts.TLS = patience
}

func TestProxyHeaderIsTaken(t *testing.T) {
	src, dst := netip.MustParseAddrPort("192.0.2.7:4711"), netip.MustParseAddrPort("198.51.100.1:5432")
	tests := []struct {
		name   string
		header []byte
		local  bool // it says nothing: the addresses are those of the connection
	}{
		{"v1", sniff.AppendProxyV1(nil, src, dst), false},
		{"v2", sniff.AppendProxyV2(nil, src, dst, sniff.ProxyOptions{Checksum: true, Authority: []byte("x")}), false},
		{"v2 local", sniff.AppendProxyV2(nil, src, dst, sniff.ProxyOptions{Local: true}), true},
		{"v1 unknown", []byte("PROXY UNKNOWN\r\n"), true},
	}
	for _, tt := range tests {
		for _, drip := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				r := newRig(t, func(l *config.Listener, p *config.Pool) {
					behind(l, p)
					p.SendProxy = config.ProxyV1 // which the backend sends back
				}, named(t, "a").Addr())
				c := r.dial()
				whole := append(tt.header, "and what follows"...)
				if drip {
					for i := range tt.header {
						if _, err := c.Write(whole[i : i+1]); err != nil {
							t.Fatal(err)
						}
					}
					whole = whole[len(tt.header):]
				}
				if _, err := c.Write(whole); err != nil {
					t.Fatal(err)
				}
				passed := sniff.AppendProxyV1(nil, src, dst)
				if tt.local {
					passed = sniff.AppendProxyV1(nil, c.LocalAddr().(*net.TCPAddr).AddrPort(), netip.MustParseAddrPort(r.addr))
				}
				want(t, c, "a"+string(passed)+"and what follows")
				c.Close()
				if e := r.entries(1)[0]; !tt.local && e.Client != "192.0.2.7" {
					t.Errorf("logged as %+v", e)
				}
			})
		}
	}
}

func TestProxyHeaderIsDemanded(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*config.Listener)
		client  func(*net.TCPConn)
		outcome telemetry.Outcome
		by      string
	}{
		{"none", nil, func(c *net.TCPConn) { _, _ = io.WriteString(c, "SELECT 1") }, telemetry.OutcomeBadRequest, "weir"},
		{"broken", nil, func(c *net.TCPConn) { _, _ = io.WriteString(c, "PROXY TCP4 1 2 3 4\r\n") }, telemetry.OutcomeBadRequest, "weir"},
		{"late", func(l *config.Listener) { l.Timeouts.TLS = 30 * time.Millisecond },
			func(c *net.TCPConn) { _, _ = io.WriteString(c, "PROX") }, telemetry.OutcomeClientTimeout, "weir"},
		{"left", nil, func(c *net.TCPConn) { c.Close() }, telemetry.OutcomeClientClosed, "client"},
		{"left within", nil, func(c *net.TCPConn) { _, _ = io.WriteString(c, "PROXY"); c.Close() }, telemetry.OutcomeClientClosed, "client"},
		{"denied", func(l *config.Listener) { l.Access.Deny = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} },
			func(c *net.TCPConn) { _, _ = io.WriteString(c, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n") }, telemetry.OutcomeDenied, "weir"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			backend := named(t, "a")
			r := newRig(t, func(l *config.Listener, p *config.Pool) {
				behind(l, p)
				if tt.change != nil {
					tt.change(l)
				}
			}, backend.Addr())
			c := r.dial()
			tt.client(c)
			e := r.entries(1)[0]
			if e.Outcome != tt.outcome.String() || e.EndedBy != tt.by || e.Pool != "" || e.Reason == "" {
				t.Errorf("logged as %+v, want %s by %s", e, tt.outcome, tt.by)
			}
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("the client got something")
			}
			if n := backend.Accepted(); n != 0 {
				t.Errorf("the backend got %d connections", n)
			}
		})
	}
}

// TestStopEndsThoseThatBegin: nothing waits for a header that does not come.
func TestStopEndsThoseThatBegin(t *testing.T) {
	r := newRig(t, func(l *config.Listener, p *config.Pool) {
		behind(l, p)
		l.Timeouts.TLS = 0
	}, named(t, "a").Addr())
	c := r.dial()
	lbtest.Eventually(t, patience, func() bool { return r.clients.Count() == 1 })
	r.stop()
	wantReset(t, c)
}

func TestProxyHeaderOfOthersIsData(t *testing.T) {
	r := newRig(t, func(l *config.Listener, _ *config.Pool) {
		l.Proxy.From = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	}, named(t, "a").Addr())
	c := r.dial()
	if _, err := io.WriteString(c, "PROXY UNKNOWN\r\n"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "aPROXY UNKNOWN\r\n")
}

// secured is a backend that speaks TLS, and says its name in it.
func secured(t *testing.T, c *lbtest.Certificate, name string, protocols ...string) *lbtest.TCP {
	return lbtest.NewTCP(t, func(_ context.Context, conn *net.TCPConn) {
		s := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{c.Pair}, NextProtos: protocols})
		if _, err := io.WriteString(s, name); err != nil {
			return
		}
		_, _ = io.Copy(s, s)
		_ = s.CloseWrite()
	})
}

// newNamedRig has the pools shop, h2 and rest, the last one for what no route takes.
func newNamedRig(t *testing.T, opening time.Duration) (*rig, *lbtest.Certificate) {
	t.Helper()
	cert := lbtest.NewCertificate(t, "shop.example", "api.example", "other.example")
	r := newRig(t, nil, named(t, "plain").Addr())
	pools := map[string]*Pool{"sql": r.pool}
	for _, name := range []string{"shop", "h2"} {
		c := *r.config
		c.Name, c.Backends = name, members(secured(t, cert, name, "h2", "http/1.1").Addr())
		pools[name] = r.engine.NewPool(&c, nil, 0, time.Now())
	}
	l := *r.listen
	l.Timeouts.TLS = opening
	l.Routes = []config.Route{{SNI: []string{"shop.example"}, Pool: "shop"}, {ALPN: []string{"h2"}, Pool: "h2"}}
	r.clients.SetSite(r.engine.NewSite(SiteOptions{Config: &l, Pools: pools, Previous: r.clients.Site()}))
	return r, cert
}

func TestRoutesByServerName(t *testing.T) {
	r, cert := newNamedRig(t, patience)
	roots := x509.NewCertPool()
	roots.AddCert(cert.Pair.Leaf)
	for _, tt := range []struct {
		sni       string
		protocols []string
		want      string
	}{{"shop.example", nil, "shop"}, {"api.example", []string{"h2"}, "h2"}} {
		c := tls.Client(r.dial(), &tls.Config{ServerName: tt.sni, RootCAs: roots, NextProtos: tt.protocols})
		want(t, c, tt.want)
		if _, err := io.WriteString(c, "through"); err != nil {
			t.Fatal(err)
		}
		want(t, c, "through")
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, c)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range r.entries(2) {
		if e.Outcome != "ok" || e.SNI == "" {
			t.Errorf("logged as %+v", e)
		}
	}
}

// TestHelloInPieces: a hello that comes byte by byte is found all the same, and reaches the backend whole.
func TestHelloInPieces(t *testing.T) {
	r, cert := newNamedRig(t, patience)
	roots := x509.NewCertPool()
	roots.AddCert(cert.Pair.Leaf)
	c := tls.Client(dripping{r.dial()}, &tls.Config{ServerName: "shop.example", RootCAs: roots})
	want(t, c, "shop")
}

// dripping writes byte by byte.
type dripping struct{ net.Conn }

func (d dripping) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// TestRoutesOfAReload: what a reload has changed while a client took its time holds for the client. The pool
// that it would have come to may be gone for long.
func TestRoutesOfAReload(t *testing.T) {
	r, cert := newNamedRig(t, patience)
	c := r.dial()
	if _, err := io.WriteString(c, "\x16\x03"); err != nil {
		t.Fatal(err)
	}
	lbtest.Eventually(t, patience, func() bool { return r.clients.Count() == 1 })
	l := *r.listen
	l.Timeouts.TLS, l.Routes = patience, []config.Route{{SNI: []string{"shop.example"}, Pool: "new"}}
	next := *r.config
	next.Name, next.Backends = "new", members(secured(t, cert, "new").Addr())
	pools := map[string]*Pool{"sql": r.pool, "new": r.engine.NewPool(&next, nil, 0, time.Now())}
	r.clients.SetSite(r.engine.NewSite(SiteOptions{Config: &l, Pools: pools, Previous: r.clients.Site()}))
	roots := x509.NewCertPool()
	roots.AddCert(cert.Pair.Leaf)
	s := tls.Client(begun{c, new(int)}, &tls.Config{ServerName: "shop.example", RootCAs: roots})
	want(t, s, "new")
}

// begun is a connection on which the first two bytes were written already.
type begun struct {
	net.Conn
	writes *int
}

func (b begun) Write(p []byte) (int, error) {
	if *b.writes++; *b.writes > 1 {
		return b.Conn.Write(p)
	}
	n, err := b.Conn.Write(p[2:])
	return n + 2, err
}

func TestNoNameGoesToTheDefault(t *testing.T) {
	tests := []struct{ name, sent string }{
		{"another protocol", "SELECT 1"},
		{"broken", "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"},
		{"nothing, and the backend speaks first", ""},
		{"a part", "\x16\x03\x01"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := newNamedRig(t, 50*time.Millisecond)
			c := r.dial()
			if _, err := io.WriteString(c, tt.sent); err != nil {
				t.Fatal(err)
			}
			want(t, c, "plain"+tt.sent)
		})
	}
	t.Run("the end", func(t *testing.T) {
		r, _ := newNamedRig(t, patience)
		c := r.dial()
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		want(t, c, "plain")
		wantEnd(t, c)
	})
}

func TestNoRoute(t *testing.T) {
	r := newRig(t, func(l *config.Listener, _ *config.Pool) {
		l.Pool = ""
		l.Routes = []config.Route{{Source: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Pool: "sql"}}
	}, named(t, "a").Addr())
	r.refused()
	e := r.entries(1)[0]
	if e.Outcome != "no_route" || e.Pool != "" || !strings.Contains(e.Reason, "no pool") {
		t.Errorf("logged as %+v", e)
	}
	if n := r.engine.Telemetry.TCP("db", "").Outcome(telemetry.OutcomeNoRoute); n != 1 {
		t.Errorf("%d connections counted as no_route", n)
	}
}

// TestResetWhileItBegins: a client that resets is not taken for one that says nothing.
func TestResetWhileItBegins(t *testing.T) {
	r, _ := newNamedRig(t, patience)
	c := r.dial()
	lbtest.Eventually(t, patience, func() bool { return r.clients.Count() == 1 })
	if err := errors.Join(c.SetLinger(0), c.Close()); err != nil {
		t.Fatal(err)
	}
	if e := r.entries(1)[0]; e.Outcome != "client_closed" || e.EndedBy != "client" {
		t.Errorf("logged as %+v", e)
	}
}
