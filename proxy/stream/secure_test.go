package stream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"weir/config"
	"weir/internal/lbtest"
	"weir/internal/sniff"
	"weir/telemetry"
)

// terminate makes the listener of r one that speaks TLS, and gives what its clients need.
func terminate(t *testing.T, r *rig) *tls.Config {
	t.Helper()
	cert := lbtest.NewCertificate(t, "db.example")
	l := *r.listen
	l.Timeouts.TLS = patience
	r.listen = &l
	r.clients.SetSite(r.engine.NewSite(SiteOptions{
		Config: &l, Pools: map[string]*Pool{"sql": r.pool}, Previous: r.clients.Site(),
		TLS: &tls.Config{Certificates: []tls.Certificate{cert.Pair}, NextProtos: []string{"sql"}},
	}))
	roots := x509.NewCertPool()
	roots.AddCert(cert.Pair.Leaf)
	return &tls.Config{ServerName: "db.example", RootCAs: roots, NextProtos: []string{"sql"}}
}

func TestTLSIsTerminated(t *testing.T) {
	r := newRig(t, nil, named(t, "a").Addr())
	trust := terminate(t, r)
	c := tls.Client(r.dial(), trust)
	want(t, c, "a")
	big := strings.Repeat("0123456789abcdef", 1<<16)
	go func() { _, _ = io.WriteString(c, big) }()
	if got := take(t, c, len(big)); got != big {
		t.Error("the echo differs")
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, c)
	e := r.wantOutcome(telemetry.OutcomeOK, "client", 1)
	if e.In != int64(len(big)) || e.Out != int64(len(big)+1) || e.SNI != "db.example" {
		t.Errorf("logged as %+v", e)
	}
}

func TestTLSIsMadeAgain(t *testing.T) {
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	r := newRig(t, nil, secured(t, cert, "inner").Addr())
	roots := x509.NewCertPool()
	roots.AddCert(cert.Pair.Leaf)
	r.tls = &tls.Config{RootCAs: roots}
	r.apply(func(p *config.Pool) { p.Timeouts.TLS = patience })
	trust := terminate(t, r)
	c := tls.Client(r.dial(), trust)
	want(t, c, "inner")
	if _, err := io.WriteString(c, "through"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "through")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, c)
	r.wantOutcome(telemetry.OutcomeOK, "client", 1)
}

func TestBackendsAreVerified(t *testing.T) {
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	r := newRig(t, nil, secured(t, cert, "inner").Addr())
	r.tls = &tls.Config{RootCAs: x509.NewCertPool()}
	r.apply(func(p *config.Pool) { p.Timeouts.TLS = patience })
	r.refused()
	if e := r.wantOutcome(telemetry.OutcomeBackendTLS, "weir", 1); !strings.Contains(e.Reason, "certificate") {
		t.Errorf("the reason is %q", e.Reason)
	}
	if r.failed.Load() != 1 {
		t.Errorf("%d failures to connect are reported, want 1", r.failed.Load())
	}
}

func TestBackendHandshakeTakesTooLong(t *testing.T) {
	r := newRig(t, nil, lbtest.NewTCP(t, lbtest.Hang()).Addr())
	r.tls = &tls.Config{InsecureSkipVerify: true}
	r.apply(func(p *config.Pool) { p.Timeouts.TLS = 30 * time.Millisecond })
	r.refused()
	r.wantOutcome(telemetry.OutcomeBackendTLS, "weir", 1)
}

func TestClientHandshakeFails(t *testing.T) {
	r := newRig(t, nil, named(t, "a").Addr())
	trust := terminate(t, r)
	old := trust.Clone()
	old.MaxVersion = tls.VersionTLS11
	old.MinVersion = tls.VersionTLS10
	err := tls.Client(r.dial(), old).Handshake()
	if alert, ok := errors.AsType[tls.AlertError](err); err == nil || (ok && alert != 70) || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("an old client gets %v, want the alert protocol_version", err)
	}
	r.wantOutcome(telemetry.OutcomeBadRequest, "client", 1)
	want(t, tls.Client(r.dial(), trust), "a")
}

// TestProxyHeaderComesBeforeTLS: the header is that of the proxy, TLS is the client's.
func TestProxyHeaderComesBeforeTLS(t *testing.T) {
	r := newRig(t, behind, named(t, "a").Addr())
	trust := terminate(t, r)
	c := r.dial()
	src := netip.MustParseAddrPort("192.0.2.7:4711")
	if _, err := c.Write(sniff.AppendProxyV2(nil, src, netip.MustParseAddrPort(r.addr), sniff.ProxyOptions{})); err != nil {
		t.Fatal(err)
	}
	s := tls.Client(c, trust)
	want(t, s, "a")
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, s)
	if e := r.wantOutcome(telemetry.OutcomeOK, "client", 1); e.Client != "192.0.2.7" {
		t.Errorf("logged as %+v", e)
	}
}

// TestStopDuringHandshakes: neither side is waited for.
func TestStopDuringHandshakes(t *testing.T) {
	r := newRig(t, nil, lbtest.NewTCP(t, lbtest.Hang()).Addr())
	r.tls = &tls.Config{InsecureSkipVerify: true}
	r.apply(func(*config.Pool) {})
	plain := r.dial() // its backend says nothing
	lbtest.Eventually(t, patience, func() bool { return r.backend("a").Active() == 1 })
	terminate(t, r)
	silent := r.dial() // says nothing itself
	lbtest.Eventually(t, patience, func() bool { return r.clients.Count() == 2 })
	r.stop()
	wantReset(t, plain)
	wantReset(t, silent)
	r.wantOutcome(telemetry.OutcomeDraining, "weir", 2)
}

// TestProtocolOfTheClient: a backend that does not speak what a client has chosen is passed over for that
// client, and nobody takes it for ill.
func TestProtocolOfTheClient(t *testing.T) {
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	r := newRig(t, nil, secured(t, cert, "a", "other").Addr(), secured(t, cert, "b", "other").Addr())
	roots := x509.NewCertPool()
	roots.AddCert(cert.Pair.Leaf)
	r.tls = &tls.Config{RootCAs: roots}
	r.apply(func(p *config.Pool) { p.Timeouts.TLS = patience })
	trust := terminate(t, r)
	c := tls.Client(r.dial(), trust)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	wantReset(t, c)
	e := r.wantOutcome(telemetry.OutcomeBackendTLS, "weir", 1)
	if e.Attempts != 2 || !strings.Contains(e.Reason, "does not speak the protocol of this client (sql)") {
		t.Errorf("logged as %+v", e)
	}
	if n := r.failed.Load(); n != 0 {
		t.Errorf("%d failures were reported, want none", n)
	}
	// Where it is not the client that has chosen, it is the fault of the backend.
	r.tls = &tls.Config{RootCAs: roots, NextProtos: []string{"sql"}}
	r.apply(func(*config.Pool) {})
	trust.NextProtos = nil
	if err := tls.Client(r.dial(), trust).Handshake(); err != nil {
		t.Fatal(err)
	}
	r.wantOutcome(telemetry.OutcomeBackendTLS, "weir", 2)
	if n := r.failed.Load(); n != 2 {
		t.Errorf("%d failures were reported, want 2", n)
	}
}

// TestClientLeavesTheHandshake: those who only look whether the port is open have sent nothing bad.
func TestClientLeavesTheHandshake(t *testing.T) {
	r := newRig(t, nil, named(t, "a").Addr())
	terminate(t, r)
	r.dial().Close()
	r.wantOutcome(telemetry.OutcomeClientClosed, "client", 1)
	c := r.dial()
	if _, err := c.Write([]byte("\x16\x03\x01")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close()
	r.wantOutcome(telemetry.OutcomeClientClosed, "client", 2)
	c = r.dial()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, c)
	c.Close()
	if e := r.entries(3)[2]; e.Outcome != "bad_request" || !strings.Contains(e.Reason, "TLS") {
		t.Errorf("logged as %+v", e)
	}
}

// TestNamesOfTheClient: what cannot be a name is none, in the access log and for routes.
func TestNamesOfTheClient(t *testing.T) {
	r := newRig(t, nil, named(t, "a").Addr())
	trust := terminate(t, r)
	trust.InsecureSkipVerify = true
	tests := []struct{ name, want string }{
		{"DB.example", "DB.example"},
		{"forged\n{}", ""},
		{strings.Repeat("x.", 7000) + "example", ""},
		{".example", ""},
	}
	for i, tt := range tests {
		trust.ServerName = tt.name
		c := tls.Client(r.dial(), trust)
		want(t, c, "a")
		c.Close()
		if e := r.entries(i + 1)[i]; e.SNI != tt.want {
			t.Errorf("%.20q is logged as %.20q, want %q", tt.name, e.SNI, tt.want)
		}
	}
}

// TestCutOffUnderTLS: the reason says what was wrong, in words of TLS.
func TestCutOffUnderTLS(t *testing.T) {
	tests := []struct {
		name, want string
		end        func(*net.TCPConn) error
	}{
		{"ended", "ended without close_notify", func(c *net.TCPConn) error { return c.CloseWrite() }},
		{"broken", "bad record MAC", func(c *net.TCPConn) error {
			_, err := c.Write([]byte("\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
			return err
		}},
		{"reset", "connection reset by peer", func(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, nil, named(t, "a").Addr())
			trust := terminate(t, r)
			c := r.dial()
			want(t, tls.Client(c, trust), "a")
			if err := tt.end(c); err != nil {
				t.Fatal(err)
			}
			if e := r.wantOutcome(telemetry.OutcomeClientClosed, "client", 1); !strings.Contains(e.Reason, tt.want) {
				t.Errorf("the reason is %q, want %q", e.Reason, tt.want)
			}
		})
	}
}

// TestReasonsAreBounded: what a client sends cannot make a line of the access log long.
func TestReasonsAreBounded(t *testing.T) {
	r := newRig(t, nil, named(t, "a").Addr())
	trust := terminate(t, r)
	trust.NextProtos = nil
	for range 200 {
		trust.NextProtos = append(trust.NextProtos, strings.Repeat("é", 100))
	}
	c := r.dial()
	if err := tls.Client(c, trust).Handshake(); err == nil {
		t.Fatal("a protocol was agreed on")
	}
	c.Close()
	e := r.entries(1)[0]
	if e.Outcome != "bad_request" || len(e.Reason) > 300 || !strings.Contains(e.Reason, "application protocol") || !utf8.ValidString(e.Reason) {
		t.Errorf("logged as %s with %d bytes: %.300q", e.Outcome, len(e.Reason), e.Reason)
	}
}
