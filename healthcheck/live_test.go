package healthcheck

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
)

// patience is how long a test on real sockets waits before it fails.
const patience = 20 * time.Second

// fast is a check that real sockets can keep up with.
func fast(edits ...func(*config.HealthCheck)) *config.HealthCheck {
	return httpCheck(append([]func(*config.HealthCheck){func(c *config.HealthCheck) {
		c.Interval, c.Timeout = 5*time.Millisecond, patience
	}}, edits...)...)
}

// A backend whose body stops matching leaves after fall probes and returns after rise.
func TestBodyDecidesOverRealSockets(t *testing.T) {
	b := lbtest.NewHTTP(t, "b1")
	b.SetBody("db: true")
	changes := make(chan Result, 100)
	m := New(Options{Observe: func(r Result) {
		if r.Changed {
			changes <- r
		}
	}})
	t.Cleanup(m.Close)
	tg := Target{Key: Key{"web", "b1"}, Addr: b.Addr(), Backend: b.Addr(), Check: fast(func(c *config.HealthCheck) {
		c.Body = documented
	})}
	m.Apply([]Target{tg})
	next := func() Result {
		t.Helper()
		select {
		case r := <-changes:
			return r
		case <-time.After(patience):
			t.Fatal("no change of state")
			panic("unreachable")
		}
	}
	if r := next(); r.State != Up {
		t.Fatalf("got %s, want up", r.Message)
	}
	b.SetBody("db: false")
	r := next()
	if r.State != Down || !strings.Contains(r.Message, `→ 200 "db: false" (want a body that matches "^((?!false).|\\s)*$"), 3 of 3, last ok `) {
		t.Errorf("got %s, want down with expression, status and first bytes", r.Message)
	}
	s, _ := m.Status(tg.Key)
	bad := 0
	for _, p := range s.Probes {
		if !p.OK {
			bad++
		}
	}
	if bad < 3 {
		t.Errorf("%d bad probes kept of the three that decided", bad)
	}
	b.SetBody("db: true")
	if r := next(); r.State != Up || !strings.Contains(r.Message, ", 2 of 2, down for ") {
		t.Errorf("got %s, want up after two", r.Message)
	}
	b.Stop()
	if r := next(); r.State != Down || !strings.Contains(r.Message, "→ connection refused, 3 of 3") {
		t.Errorf("got %s, want down for refusing", r.Message)
	}
	b.Start()
	if r := next(); r.State != Up {
		t.Errorf("got %s, want up", r.Message)
	}
}

// Apply reads the TLS files of an unchanged target again, and keeps what it has if they are bad.
func TestApplyReadsTLSFilesAgain(t *testing.T) {
	cert, other := lbtest.NewCertificate(t, "127.0.0.1"), lbtest.NewCertificate(t, "127.0.0.1")
	b := lbtest.NewHTTPS(t, "b1", cert)
	ca := t.TempDir() + "/ca.pem"
	install := func(from string) {
		t.Helper()
		pem, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(ca, pem, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	m := New(Options{})
	t.Cleanup(m.Close)
	tg := Target{Key: Key{"web", "b1"}, Addr: b.Addr(), Backend: b.Addr(), Check: fast(func(c *config.HealthCheck) {
		c.Protocol, c.TLS.CA, c.Rise, c.Fall = config.HTTPS, ca, 1, 1
	})}
	becomes := func(want State) {
		t.Helper()
		lbtest.Eventually(t, patience, func() bool {
			s, _ := m.Status(tg.Key)
			return s.State == want
		})
	}
	m.Apply([]Target{tg}) // the file is missing
	becomes(Down)
	install(cert.CertFile)
	m.Apply([]Target{tg})
	becomes(Up)
	install(other.CertFile)
	m.Apply([]Target{tg})
	becomes(Down)
	install(cert.CertFile)
	m.Apply([]Target{tg})
	becomes(Up)
	if err := os.Remove(ca); err != nil {
		t.Fatal(err)
	}
	m.Apply([]Target{tg})
	seen := b.Requests()
	lbtest.Eventually(t, patience, func() bool { return b.Requests() > seen+5 })
	becomes(Up)
	if s, _ := m.Status(tg.Key); !s.Probes[0].OK {
		t.Errorf("a CA file that is gone took effect: %s", s.Probes[0].Reason)
	}
}

// Everything at once, for the race detector; the order of results per key is checked.
func TestMonitorUnderConcurrentUse(t *testing.T) {
	var backends []*lbtest.HTTP
	for i := range 8 {
		backends = append(backends, lbtest.NewHTTP(t, "b"+strconv.Itoa(i)))
	}
	var results atomic.Int64
	var last [8]atomic.Int64 // start of the latest probe
	var busy [8]atomic.Bool
	m := New(Options{Concurrency: 4, Observe: func(r Result) {
		i, err := strconv.Atoi(r.Key.Backend)
		if err != nil || !busy[i].CompareAndSwap(false, true) {
			t.Errorf("two results of %v at a time (%v)", r.Key, err)
			return
		}
		if at := r.Probe.At.UnixNano(); strings.HasPrefix(r.Probe.Reason, "GET") && at < last[i].Swap(at) {
			t.Errorf("a result of %v came after a later one", r.Key)
		}
		results.Add(1)
		busy[i].Store(false)
	}})
	targets := func(path string) (all []Target) {
		c := fast(func(c *config.HealthCheck) { c.Path, c.Interval = path, time.Millisecond })
		for i, b := range backends {
			all = append(all, Target{Key: Key{"web", strconv.Itoa(i)}, Addr: b.Addr(), Backend: b.Addr(), Check: c})
		}
		return all
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for {
				select {
				case <-stop:
					return
				default:
				}
				all := targets("/" + strconv.Itoa(r.IntN(2)))
				m.Apply(all[:4+r.IntN(5)])
				k := all[r.IntN(8)]
				m.ConnectFailed(k.Key, k.Backend, errors.New("refused"))
				if s, ok := m.Status(k.Key); ok && len(s.Probes) > HistorySize {
					t.Errorf("%d probes kept", len(s.Probes))
				}
				m.Settled()
				seen := results.Load()
				lbtest.Eventually(t, patience, func() bool { return results.Load() > seen })
			}
		})
	}
	lbtest.Eventually(t, patience, func() bool { return results.Load() > 300 })
	close(stop)
	wg.Wait()
	m.Close()
	ended := results.Load()
	m.Apply(targets("/"))
	if results.Load() != ended {
		t.Error("results after Close")
	}
}
