package test

import (
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	slowClients = 500
	slowWindow  = 300 * time.Millisecond
	leastPairs  = 8  // of windows
	mostPairs   = 32 // a bound of about 20s
)

// beginning is what client n of 500 begins with, before it sends a byte a second: a head from its first
// byte, a long head, or a body.
func beginning(n int) string {
	const head = "HTTP/1.1\r\nHost: shop.example\r\n"
	switch n % 3 {
	case 0:
		return ""
	case 1:
		return "GET / " + head + strings.Repeat("X-Padding: "+strings.Repeat("p", 100)+"\r\n", 60) + "X-Slow: "
	}
	return "POST / " + head + "Content-Length: 1000\r\n\r\n"
}

// slowloris holds 500 connections and sends a byte on each of them once a second, one after the other.
type slowloris struct {
	t     *testing.T
	conns []net.Conn
	sent  int
	pause atomic.Bool
	quit  chan struct{}
	ended sync.WaitGroup
	fault error
}

func startSlowloris(t *testing.T, address string) *slowloris {
	t.Helper()
	s := &slowloris{t: t, quit: make(chan struct{})}
	for n := range slowClients {
		c := connect(t, address)
		if err := c.SetDeadline(time.Now().Add(3 * patience)); err != nil { // longer than the test
			t.Fatal(err)
		}
		s.conns = append(s.conns, c)
		if _, err := io.WriteString(c, beginning(n)); err != nil {
			t.Fatal(err)
		}
	}
	s.ended.Go(s.drip)
	return s
}

func (s *slowloris) drip() {
	tick := time.NewTicker(time.Second / slowClients)
	defer tick.Stop()
	const first = "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Slow: "
	for {
		select {
		case <-s.quit:
			return
		case <-tick.C:
		}
		if s.pause.Load() {
			continue
		}
		n, round := s.sent%slowClients, s.sent/slowClients
		next := "x"
		if n%3 == 0 && round < len(first) {
			next = first[round : round+1]
		}
		if _, err := io.WriteString(s.conns[n], next); err != nil {
			s.fault = fmt.Errorf("client %d, byte %d: %w", n, round, err)
			return
		}
		s.sent++
	}
}

// stop ends the clients, of which weir must have given up none.
func (s *slowloris) stop() {
	s.t.Helper()
	close(s.quit)
	s.ended.Wait()
	if s.fault != nil {
		s.t.Error(s.fault)
	}
	if s.sent < slowClients/4 {
		s.t.Errorf("%d bytes were sent", s.sent)
	}
	for _, c := range s.conns {
		_ = c.Close() // the test only wants them gone
	}
}

// TestSlowloris has 500 clients who send a byte a second beside normal ones, whose slow hundredth may
// take at most half as long again as without them. The machine may be busy with something else: so two
// weirs take turns, one of which has the slow clients, and what counts of many short windows is the
// lower quartile, which others disturb least. As long as it is too high there are more windows.
func TestSlowloris(t *testing.T) {
	b := backends(t, 2)
	var both [2]*daemon
	for i := range both {
		both[i] = start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s } }
defaults: { timeouts: { client_header: 1m } }
`, listed(b...)))
		both[i].awaitHealth("app", "b1", "up")
		both[i].awaitHealth("app", "b2", "up")
	}
	urls := [2]string{both[0].url("web"), both[1].url("web")}
	s := startSlowloris(t, both[1].address("web"))
	window := func(with int) time.Duration {
		t.Helper()
		s.pause.Store(with == 0)
		tr := drive(t, load{url: urls[with], clients: 4, rate: 1000})
		<-time.After(slowWindow)
		calls := tr.stop()
		wantNoFailure(t, calls)
		return slowHundredth(calls)
	}
	eventually(t, "the slow clients are there", func() bool {
		return both[1].metric("weir_listener_connections_active", "listener", "web") == slowClients
	})
	for with := range both { // code and caches are warm from here on
		window(with)
	}
	var took [2][]time.Duration
	ratio := math.Inf(1)
	for pair := 0; pair < mostPairs && (pair < leastPairs || ratio > 1.5); pair++ {
		for _, with := range []int{pair % 2, 1 - pair%2} {
			took[with] = append(took[with], window(with))
		}
		ratio = float64(quartile(took[1])) / float64(quartile(took[0]))
	}
	t.Logf("slow hundredth in %d windows without %v, with %v: ratio %.2f", len(took[0]), took[0], took[1], ratio)
	if ratio > 1.5 {
		t.Errorf("ratio: got %.2f, want at most 1.5", ratio)
	}
	if n := both[1].metric("weir_listener_connections_active", "listener", "web"); n < slowClients {
		t.Errorf("got %v connections, want those of the %d slow clients", n, slowClients)
	}
	s.stop()
}

// slowHundredth is the time that 99 of 100 calls took at most.
func slowHundredth(calls []call) time.Duration {
	var took []time.Duration
	for _, c := range calls {
		took = append(took, c.ended.Sub(c.begun))
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// quartile sorts values and returns the one that a quarter of them is below.
func quartile(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/4]
}
