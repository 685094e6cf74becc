package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"weir/config"
)

func TestLocalCause(t *testing.T) {
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", errno)}
	}
	tests := []struct {
		err  error
		want string
	}{
		{dial(syscall.EMFILE), "too many open files"},
		{dial(syscall.ENFILE), "too many open files in system"},
		{dial(syscall.ENOMEM), "cannot allocate memory"},
		{dial(syscall.ENOBUFS), "no buffer space available"},
		{dial(syscall.EADDRNOTAVAIL), "cannot assign requested address"},
		{errors.Join(errors.New("body: bad"), fmt.Errorf("tls.ca: %w", syscall.EMFILE)), "too many open files"},
		{fmt.Errorf("dial: %w", context.Canceled), "cancelled"},
		{context.DeadlineExceeded, ""},
		{os.ErrDeadlineExceeded, ""},
		{dial(syscall.ECONNREFUSED), ""},
		{dial(syscall.ECONNRESET), ""},
		{dial(syscall.ENETUNREACH), ""},
		{dial(syscall.EHOSTUNREACH), ""},
		{dial(syscall.ETIMEDOUT), ""},
		{errors.New("too many open files"), ""},
		{nil, ""},
	}
	for _, tt := range tests {
		if got := localCause(tt.err); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.err, got, tt.want)
		}
	}
}

// What this side lacks moves no verdict in any state, in either direction, and resets no streak.
func TestShortageIsNoVerdict(t *testing.T) {
	good := Probe{OK: true, Phase: PhaseBody, Reason: "sent → 200"}
	bad := Probe{Phase: PhaseConnect, Reason: "sent → refused"}
	lack := Probe{Phase: PhaseConnect, Reason: "sent → too many open files", Local: "too many open files"}
	tests := []struct {
		name, results, want string // + good, - bad, ! lack; first letters of states
	}{
		{"up stays up", "+!!!!!!!!", "uuuuuuuuu"},
		{"down stays down", "-!!!!!!!!", "ddddddddd"},
		{"checking stays checking", "!!!!", "cccc"},
		{"the first verdict decides all the same", "!!+", "ccu"},
		{"a fall goes on", "+-!-!!-", "uuuuuud"},
		{"a rise goes on", "-+!!+", "ddddu"},
		{"a reset fall is not made up", "+-!-+!--", "uuuuuuuu"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRecord(target(1, httpCheck()), time.Unix(1000, 0))
			got, before := "", Checking
			for i, c := range tt.results {
				p := map[rune]Probe{'+': good, '-': bad, '!': lack}[c]
				p.At = time.Unix(1000+int64(i), 0)
				res := r.observe(p)
				if res.Changed != (res.State != before) || res.Changed && c == '!' {
					t.Errorf("after %q: changed %v, %v → %v", got, res.Changed, before, res.State)
				}
				before = res.State
				got += res.State.String()[:1]
			}
			if got != tt.want {
				t.Errorf("%s gives %s, want %s", tt.results, got, tt.want)
			}
			s := r.status()
			if len(s.Probes) != len(tt.results) {
				t.Errorf("%d probes kept of %d", len(s.Probes), len(tt.results))
			}
			if tt.results[len(tt.results)-1] == '!' && s.Probes[0].Local == "" {
				t.Errorf("newest probe %+v, want what was missing", s.Probes[0])
			}
		})
	}
}

func TestShortageIsSaidWhenItBeginsAndWhenItEnds(t *testing.T) {
	good := Probe{OK: true, Phase: PhaseBody, Reason: "sent → 200"}
	bad := Probe{Phase: PhaseConnect, Reason: "sent → refused"}
	lack := Probe{Phase: PhaseConnect, Reason: "sent → EMFILE", Local: "too many open files"}
	cancelled := Probe{Phase: PhaseConnect, Reason: "sent → cancelled", Local: causeCancelled}
	const up = "app/b1 not checked: too many open files here; its state stays up"
	type step struct {
		at    int // seconds
		probe Probe
		said  string
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"once each", []step{
			{0, good, "app/b1 up: sent → 200, 1 of 1, first probe"},
			{5, lack, up}, {10, lack, ""}, {700, lack, ""},
			{705, good, "app/b1 checked again after 11m40s: sent → 200; its state stays up"},
			{710, good, ""},
		}},
		{"before the first verdict", []step{
			{0, lack, "app/b1 not checked: too many open files here; its state stays checking"},
			{5, lack, ""},
			{10, good, "app/b1 up: sent → 200, 1 of 1, first probe; checked again after 10s"},
		}},
		{"ended by a failure", []step{
			{0, good, "app/b1 up: sent → 200, 1 of 1, first probe"},
			{5, lack, up},
			{10, bad, "app/b1 still up: sent → refused, 1 of 3 before down, last ok 10s ago; checked again after 5s"},
			{15, bad, "app/b1 still up: sent → refused, 2 of 3 before down, last ok 15s ago"},
		}},
		{"of a backend that is down", []step{
			{0, bad, "app/b1 down: sent → refused, 1 of 1, first probe"},
			{5, lack, "app/b1 not checked: too many open files here; its state stays down"},
			{10, bad, "app/b1 checked again after 5s: sent → refused; its state stays down"},
			{15, bad, "app/b1 still down (2 times): sent → refused, never ok"},
		}},
		{"one that comes and goes", []step{
			{0, good, "app/b1 up: sent → 200, 1 of 1, first probe"},
			{5, lack, up},
			{10, good, "app/b1 checked again after 5s: sent → 200; its state stays up"},
			{15, lack, ""}, {20, good, ""}, {25, lack, ""}, {30, good, ""},
			{60, lack, ""}, {65, lack, up}, {125, lack, ""},
			{130, good, "app/b1 checked again after 1m10s: sent → 200; its state stays up"},
			{135, lack, up},
		}},
		{"cancelled", []step{
			{0, good, "app/b1 up: sent → 200, 1 of 1, first probe"},
			{5, cancelled, ""}, {10, good, ""},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tg := target(1, httpCheck())
			tg.Key.Pool = "app"
			r := newRecord(tg, time.Unix(1000, 0))
			for _, s := range tt.steps {
				s.probe.At = time.Unix(1000+int64(s.at), 0)
				if got := r.observe(s.probe).Message; got != s.said {
					t.Errorf("after %d s: got\n%s\nwant\n%s", s.at, got, s.said)
				}
			}
		})
	}
}

func TestShortageIsTheReasonWhileNothingElseIsKnown(t *testing.T) {
	lack := Probe{Phase: PhaseConnect, Local: "too many open files"}
	tests := []struct {
		initial config.InitialHealth
		want    string
	}{
		{config.InitialChecking, "not checked: too many open files here"},
		{config.InitialUp, "initial: up, not checked: too many open files here"},
	}
	for _, tt := range tests {
		r := newRecord(target(1, httpCheck(func(c *config.HealthCheck) { c.Initial = tt.initial })), time.Now())
		r.observe(lack)
		if got := r.status().Reason; got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		r.observe(Probe{OK: true, Reason: "sent → 200"})
		before := r.status().Reason
		r.observe(lack)
		if got := r.status().Reason; got != before || tt.initial == config.InitialChecking && got != "sent → 200, 1 of 1" {
			t.Errorf("after a verdict: got %q, before %q", got, before)
		}
	}
}

// broke is a network whose dials fail with err for as long as there is one.
type broke struct {
	*virtual
	err atomic.Pointer[error]
}

func (b *broke) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	if err := b.err.Load(); err != nil {
		return nil, *err
	}
	return b.virtual.dial(ctx, addr)
}

// An hour without descriptors takes no backend out, and is two lines for each.
func TestShortageThroughTheMonitor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := &broke{virtual: newVirtual()}
		results := &sink{}
		m := New(Options{Observe: results.observe, Dial: v.dial})
		t.Cleanup(m.Close)
		connectOnly := &config.HealthCheck{
			Protocol: config.TCP, Interval: 5 * time.Second, Timeout: time.Second, Rise: 1, Fall: 1,
		}
		v.set(address(1), answer(200, "ok"))
		v.set(address(2), hang)
		m.Apply([]Target{target(1, httpCheck()), target(2, connectOnly)})
		pass(time.Second)
		results.take()
		lack := error(&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)})
		v.err.Store(&lack)
		pass(time.Hour)
		v.err.Store(nil)
		pass(10 * time.Second)
		said := make(map[string][]string)
		for _, r := range results.take() {
			if r.Changed || r.State != Up {
				t.Fatalf("got %+v, want up all the time", r)
			}
			if r.Message != "" {
				said[r.Key.Backend] = append(said[r.Key.Backend], r.Message)
			}
		}
		for b, lines := range said {
			if len(lines) != 2 ||
				lines[0] != "web/"+b+" not checked: too many open files here; its state stays up" ||
				!strings.HasPrefix(lines[1], "web/"+b+" checked again after ") {
				t.Errorf("%s: got %q, want a beginning and an end", b, lines)
			}
		}
		if len(said) != 2 {
			t.Errorf("lines about %d backends, want 2", len(said))
		}
		s, _ := m.Status(target(1, nil).Key)
		p := s.Probes[HistorySize-1]
		if p.Local != "too many open files" || p.Reason != "GET http://10.0.0.1:8080/healthz → too many open files" {
			t.Errorf("history: got %+v, want the shortage", p)
		}
	})
}

// The transport fails in the middle of an exchange.
type failing struct {
	net.Conn
	read, write error
}

func (f *failing) Read(b []byte) (int, error) {
	if f.read != nil {
		return 0, f.read
	}
	return f.Conn.Read(b)
}

func (f *failing) Write(b []byte) (int, error) {
	if f.write != nil {
		return 0, f.write
	}
	return f.Conn.Write(b)
}

func TestShortageWithinAnExchange(t *testing.T) {
	lack := &net.OpError{Op: "write", Net: "tcp", Err: syscall.ENOBUFS}
	secure := httpCheck(func(c *config.HealthCheck) { c.Protocol = config.HTTPS })
	ask := &config.HealthCheck{
		Protocol: config.TCP, Interval: 5 * time.Second, Timeout: time.Second, MaxBody: 100,
		Send: []byte("PING"), Expect: config.Expect{Literal: []byte("PONG")},
	}
	tests := []struct {
		name        string
		check       *config.HealthCheck
		read, write error
		phase       string
		local       string
	}{
		{"http, sending", httpCheck(), nil, lack, PhaseSend, "no buffer space available"},
		{"http, receiving", httpCheck(), lack, nil, PhaseReceive, "no buffer space available"},
		{"http, reset", httpCheck(), syscall.ECONNRESET, nil, PhaseReceive, ""},
		{"https, sending", secure, nil, lack, PhaseTLS, "no buffer space available"},
		{"https, receiving", secure, lack, nil, PhaseTLS, "no buffer space available"},
		{"https, reset", secure, syscall.ECONNRESET, nil, PhaseTLS, ""},
		{"tcp, sending", ask, nil, lack, PhaseSend, "no buffer space available"},
		{"tcp, receiving", ask, lack, nil, PhaseReceive, "no buffer space available"},
		{"tcp, reset", ask, syscall.ECONNRESET, nil, PhaseReceive, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				v := newVirtual()
				v.set(address(1), hang)
				ctx, cancel := context.WithTimeout(t.Context(), tt.check.Timeout)
				defer cancel()
				p := compile(tt.check).prober(address(1), "").probe(ctx, opener{dial: func(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
					c, err := v.dial(ctx, a)
					return &failing{c, tt.read, tt.write}, err
				}})
				if p.OK || p.Phase != tt.phase || p.Local != tt.local {
					t.Errorf("got %+v, want a failure in phase %s, local %q", p, tt.phase, tt.local)
				}
			})
		})
	}
}

func TestConnectFailedForWantOfSomethingHere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 0)
		v.set(address(1), answer(200, "ok"))
		tg := target(1, httpCheck(func(c *config.HealthCheck) { c.Interval, c.Fall = time.Minute, 1 }))
		m.Apply([]Target{tg})
		pass(time.Second)
		results.take()
		lack := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)}
		for range 300 {
			m.ConnectFailed(tg.Key, address(1), lack)
			pass(100 * time.Millisecond)
		}
		got := results.take()
		if len(got) != 1 || got[0].Changed || got[0].State != Up ||
			got[0].Message != "web/b1 not checked: cannot assign requested address here; its state stays up" ||
			got[0].Probe.Reason != "live traffic: connect 10.0.0.1:8080 → cannot assign requested address" {
			t.Errorf("got %+v, want one result in an interval, no verdict, and no probe brought forward", got)
		}
		// It takes no place of one that counts.
		m.ConnectFailed(tg.Key, address(1), lack)
		m.ConnectFailed(tg.Key, address(1), syscall.ECONNREFUSED)
		synctest.Wait()
		got = results.take()
		if len(got) == 0 || got[0].State != Down || !got[0].Changed ||
			!strings.HasSuffix(got[0].Message, "; checked again after 30s") {
			t.Errorf("got %+v, want down by the failure that counts", got)
		}
		pass(2 * time.Minute)
		results.take()
		m.ConnectFailed(tg.Key, address(1), context.Canceled)
		synctest.Wait()
		got = results.take()
		if len(got) != 1 || got[0].Changed || got[0].Message != "" || got[0].Probe.Local != "cancelled" {
			t.Errorf("got %+v, want a client that left to be no verdict and no message", got)
		}
	})
}

// Close cancels the probes under way: they are kept, for what they were, and move nothing.
func TestCancelledProbesAreKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 0)
		dialing := httpCheck(func(c *config.HealthCheck) { c.Fall, c.Timeout = 1, time.Minute })
		reading := &config.HealthCheck{
			Protocol: config.TCP, Interval: 5 * time.Second, Timeout: time.Minute, Rise: 1, Fall: 1, MaxBody: 10,
			Initial: config.InitialUp, Expect: config.Expect{Literal: []byte("x")},
		}
		v.set(address(1), hang)
		v.set(address(2), hang)
		m.Apply([]Target{target(1, dialing), target(2, reading)})
		pass(time.Second)
		m.Close()
		for i, want := range []struct {
			state  State
			reason string
		}{
			{Checking, "GET http://10.0.0.1:8080/healthz → cancelled, the check has ended"},
			{Up, "read from 10.0.0.2:8080 → cancelled, the check has ended"},
		} {
			s, _ := m.Status(target(i+1, nil).Key)
			if s.State != want.state || len(s.Probes) != 1 || s.Probes[0].Reason != want.reason || s.Probes[0].Local != "cancelled" {
				t.Errorf("got %+v, want %v and one cancelled probe", s, want.state)
			}
		}
		if m.Settled() {
			t.Error("settled by probes that were cancelled")
		}
		if got := results.take(); len(got) != 0 {
			t.Errorf("told of %+v, want nothing", got)
		}
	})
}

// A check that could not be compiled because this side lacked something is compiled again.
func TestCheckThatCouldNotBeReadIsReadAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		v.set(address(1), answer(200, "ok"))
		check := httpCheck()
		r := compile(check)
		r.err = fmt.Errorf("tls.ca: %w", &os.PathError{Op: "open", Path: "ca.pem", Err: syscall.EMFILE})
		p := r.prober(address(1), "").probe(t.Context(), opener{dial: v.dial})
		if !p.OK {
			t.Errorf("got %+v, want a probe by the check that compiles", p)
		}
		// It still does not.
		check.Protocol, check.TLS.CA = config.HTTPS, "/does/not/exist"
		p = r.prober(address(1), "").probe(t.Context(), opener{dial: v.dial})
		if p.OK || p.Local != "" || !strings.HasPrefix(p.Reason, "cannot probe 10.0.0.1:8080: tls.ca: open /does/not/exist") {
			t.Errorf("got %+v, want the error of the second attempt", p)
		}
	})
}
