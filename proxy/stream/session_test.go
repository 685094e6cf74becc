package stream

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
	"weir/internal/sniff"
	"weir/telemetry"
)

func TestSessionCarriesAndIsCounted(t *testing.T) {
	r := newRig(t, nil, named(t, "a").Addr())
	c := r.dial()
	want(t, c, "a")
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	want(t, c, "hello")
	if n := r.backend("a").Active(); n != 1 || r.clients.Count() != 1 {
		t.Errorf("%d leases and %d connections while it lasts, want 1", n, r.clients.Count())
	}
	lbtest.Eventually(t, patience, func() bool { // while it lasts
		counts := r.engine.Telemetry.TCP("db", "sql").Counts()
		return counts.In == 5 && counts.Out == 6
	})
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, c)
	e := r.wantOutcome(telemetry.OutcomeOK, "client", 1)
	if e.Pool != "sql" || e.Backend != "a" || e.In != 5 || e.Out != 6 || e.Attempts != 1 || e.Reason != "" || e.Duration <= 0 {
		t.Errorf("logged as %+v", e)
	}
}

func TestSessionEndings(t *testing.T) {
	tests := []struct {
		name    string
		serve   lbtest.Serve
		client  func(*net.TCPConn)
		outcome telemetry.Outcome
		by      string
		reset   bool
	}{
		{"backend ends", lbtest.Say("bye"), func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c); c.Close() },
			telemetry.OutcomeOK, "backend", false},
		{"client resets", lbtest.Hang(), func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() },
			telemetry.OutcomeClientClosed, "client", false},
		{"backend resets", lbtest.Reset(), func(c *net.TCPConn) { _, _ = io.WriteString(c, "x") },
			telemetry.OutcomeBackendReset, "backend", true},
		{"idle", lbtest.Hang(), nil, telemetry.OutcomeIdle, "idle", true},
		{"half closed", keepOpen, func(c *net.TCPConn) { _ = c.CloseWrite() },
			telemetry.OutcomeHalfClosed, "idle", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, func(l *config.Listener, p *config.Pool) {
				switch tt.outcome {
				case telemetry.OutcomeIdle:
					l.Timeouts.TCPIdle = 100 * time.Millisecond
				case telemetry.OutcomeHalfClosed:
					p.Timeouts.HalfClose = 100 * time.Millisecond
				}
			}, lbtest.NewTCP(t, tt.serve).Addr())
			c := r.dial()
			lbtest.Eventually(t, patience, func() bool { return r.backend("a").Peer().(*peer).count() == 1 })
			if tt.client != nil {
				tt.client(c)
			}
			if tt.reset {
				wantReset(t, c)
			}
			e := r.wantOutcome(tt.outcome, tt.by, 1)
			if (e.Reason == "") != (tt.outcome == telemetry.OutcomeOK) {
				t.Errorf("the reason is %q", e.Reason)
			}
		})
	}
}

func TestSessionTriesTheNextBackend(t *testing.T) {
	r := newRig(t, nil, lbtest.Refusing(t), named(t, "b").Addr())
	for range 4 {
		c := r.dial()
		want(t, c, "b")
		c.Close()
	}
	list := r.entries(4)
	retried := 0
	for _, e := range list {
		if e.Outcome == "retried_ok" && e.Attempts == 2 {
			retried++
		}
	}
	if retried != 4 || r.failed.Load() != 4 { // each retry uses up the turn of b
		t.Errorf("%d sessions were retried and %d failures reported, want 4: %+v", retried, r.failed.Load(), list)
	}
}

func TestSessionWithoutBackend(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*config.Listener, *config.Pool)
		outcome telemetry.Outcome
		reason  string
	}{
		{"refused", func(_ *config.Listener, p *config.Pool) { p.Retries.Attempts = 0 }, telemetry.OutcomeBackendConnect, "connection refused"},
		{"all refused", nil, telemetry.OutcomeBackendConnect, "connection refused"},
		{"none up", func(_ *config.Listener, p *config.Pool) {
			p.Health = &config.HealthCheck{Initial: config.InitialDown}
		}, telemetry.OutcomeNoBackendUp, "no backend is up"},
		{"no weight", func(_ *config.Listener, p *config.Pool) {
			p.Backends[0].Weight, p.Backends[1].Weight = 0, 0
		}, telemetry.OutcomeNoCapacity, "no new connections"},
		{"not checked", func(_ *config.Listener, p *config.Pool) {
			p.Health = &config.HealthCheck{Initial: config.InitialChecking}
			p.Timeouts.Queue = 20 * time.Millisecond
		}, telemetry.OutcomeQueueTimeout, "checked in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.change, lbtest.Refusing(t), lbtest.Refusing(t))
			r.refused()
			if e := r.wantOutcome(tt.outcome, "weir", 1); !strings.Contains(e.Reason, tt.reason) {
				t.Errorf("the reason is %q", e.Reason)
			} else if got := r.engine.Telemetry.Pool("sql").Counts().Retries; got != uint64(max(e.Attempts-1, 0)) {
				t.Errorf("%d retries are counted after %d attempts", got, e.Attempts)
			}
		})
	}
}

func TestSessionWaitsForTheFirstVerdict(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) {
		p.Health = &config.HealthCheck{Initial: config.InitialChecking}
	}, named(t, "a").Addr())
	c := r.dial()
	lbtest.Eventually(t, patience, func() bool { return r.clients.Count() == 1 })
	r.pool.Balancer.Report(r.backend("a"), true, time.Now())
	want(t, c, "a")
}

func TestSessionQueuesForAFullBackend(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) {
		p.Backends[0].MaxConnections, p.Queue, p.Timeouts.Queue = 1, 2, patience
	}, named(t, "a").Addr())
	first := r.dial()
	want(t, first, "a")
	second, third := r.dial(), r.dial()
	lbtest.Eventually(t, patience, func() bool { return r.pool.Balancer.Queued() == 2 })
	r.refused() // there is no place
	if e := r.wantOutcome(telemetry.OutcomeNoCapacity, "weir", 1); !strings.Contains(e.Reason, "too many wait") {
		t.Errorf("the reason is %q", e.Reason)
	}
	first.Close()
	done := make(chan *net.TCPConn, 2)
	for _, c := range []*net.TCPConn{second, third} {
		go func() {
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Error(err)
			}
			done <- c
		}()
	}
	(<-done).Close()
	(<-done).Close()
}

func TestStopEndsThoseThatWait(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) {
		p.Backends[0].MaxConnections, p.Queue, p.Timeouts.Queue = 1, 2, 0
	}, named(t, "a").Addr())
	first := r.dial()
	want(t, first, "a")
	second := r.dial()
	lbtest.Eventually(t, patience, func() bool { return r.pool.Balancer.Queued() == 1 })
	r.stop()
	wantReset(t, first)
	wantReset(t, second)
	r.wantOutcome(telemetry.OutcomeDraining, "weir", 2)
}

func TestConnectTimeout(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) {
		p.Timeouts.Connect = 50 * time.Millisecond
	}, blackhole(t))
	r.refused()
	if e := r.wantOutcome(telemetry.OutcomeBackendConnect, "weir", 1); !strings.Contains(e.Reason, "too long") {
		t.Errorf("the reason is %q", e.Reason)
	}
}

func TestStopEndsThoseThatConnect(t *testing.T) {
	r := newRig(t, func(_ *config.Listener, p *config.Pool) { p.Timeouts.Connect = 0 }, blackhole(t))
	c := r.dial()
	lbtest.Eventually(t, patience, func() bool { return r.backend("a").Active() == 1 })
	r.stop()
	wantReset(t, c)
	r.wantOutcome(telemetry.OutcomeDraining, "weir", 1)
}

func TestTurnedAway(t *testing.T) {
	r := newRig(t, func(l *config.Listener, _ *config.Pool) { l.Limits.MaxConnections = 1 }, named(t, "a").Addr())
	c := r.dial()
	want(t, c, "a")
	r.refused()
	if got := r.engine.Telemetry.Listener("db").Counts(); got.Rejected != 1 || got.Opened != 1 {
		t.Errorf("counted %+v, want one rejected and one opened", got)
	}
	denied := *r.listen
	denied.Limits.MaxConnections, denied.Access.Deny = 0, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	r.clients.SetSite(r.engine.NewSite(SiteOptions{Config: &denied, Pools: map[string]*Pool{"sql": r.pool}, Previous: r.clients.Site()}))
	r.refused()
	if _, err := io.WriteString(c, "still"); err != nil { // what was there before the reload goes on
		t.Fatal(err)
	}
	want(t, c, "still")
}

func TestSessionSendsProxyHeader(t *testing.T) {
	for _, version := range []config.ProxyVersion{config.ProxyV1, config.ProxyV2} {
		got := make(chan string, 1)
		backend := lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
			b := make([]byte, 256)
			n, _ := c.Read(b) // one segment
			got <- string(b[:n])
			_, _ = io.WriteString(c, "ok")
			_, _ = io.Copy(io.Discard, c)
		})
		r := newRig(t, func(_ *config.Listener, p *config.Pool) { p.SendProxy = version }, backend.Addr())
		c := r.dial()
		want(t, c, "ok")
		header, n, state, err := sniff.ParseProxy([]byte(<-got))
		if err != nil || state != sniff.Done || n == 0 {
			t.Fatalf("%s: %v %v", version, state, err)
		}
		if header.Src.String() != c.LocalAddr().String() || header.Dst.String() != r.addr {
			t.Errorf("%s: says %v to %v, want %v to %s", version, header.Src, header.Dst, c.LocalAddr(), r.addr)
		}
		if client, _ := r.only().relay.Load().Moved(); client != 0 {
			t.Errorf("%s: the header is counted as %d bytes of the client", version, client)
		}
	}
}

// only is the only session.
func (r *rig) only() *session {
	r.t.Helper()
	all := r.clients.all()
	if len(all) != 1 {
		r.t.Fatalf("%d sessions, want 1", len(all))
	}
	return all[0]
}

func TestSourceAddressStays(t *testing.T) {
	for _, fallback := range []config.Fallback{config.FallbackRebalance, config.FallbackFail} {
		r := newRig(t, func(_ *config.Listener, p *config.Pool) {
			p.Persistence = &config.Persistence{Type: config.PersistSourceIP, Timeout: time.Hour, Fallback: fallback}
		}, named(t, "a").Addr(), named(t, "b").Addr())
		c := r.dial()
		first := take(t, c, 1)
		for range 6 {
			want(t, r.dial(), first)
		}
		r.apply(func(p *config.Pool) { p.Algorithm = config.LeastConnections }) // the table survives
		want(t, r.dial(), first)
		r.pool.Balancer.Report(r.backend(first), false, time.Now())
		if fallback == config.FallbackFail {
			r.refused()
			r.pool.Balancer.Report(r.backend(first), true, time.Now())
			want(t, r.dial(), first)
			all := r.config.Backends
			r.apply(func(p *config.Pool) {
				p.Backends = slices.DeleteFunc(slices.Clone(all), func(b *config.Backend) bool { return b.Name == first })
			})
			r.refused()
			r.refused()
			r.apply(func(p *config.Pool) { p.Backends = all })
			want(t, r.dial(), first)
			continue
		}
		other := map[string]string{"a": "b", "b": "a"}[first]
		want(t, r.dial(), other)
		r.pool.Balancer.Report(r.backend(first), true, time.Now())
		want(t, r.dial(), other) // for good
	}
}
