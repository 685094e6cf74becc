package proxy

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/lbtest"
)

var idleCloseRequests = flag.Int("idle-close-requests", 10000, "how many requests meet backends that close idle connections")

// idleCloseCount is fewer under the race detector, which takes ten times as long.
func idleCloseCount() int {
	if racing {
		return *idleCloseRequests / 4
	}
	return *idleCloseRequests
}

// hasty is the script of an origin that closes connections between requests, at any time that a
// server may.
type hasty struct {
	seed    uint64
	unkind  bool // it also takes requests and does not answer
	conns   atomic.Uint64
	cut     atomic.Int64 // connections closed with a request in their queue, which nobody has read
	behind  atomic.Int64 // connections closed right behind a response
	timed   atomic.Int64 // connections closed after a moment of idleness
	dropped atomic.Int64 // requests that were read and not answered

	mu    sync.Mutex
	times map[string]int // how often each request came, by its target
}

func newHasty(t *testing.T, seed uint64, unkind bool) *hasty {
	t.Logf("seed %d", seed)
	return &hasty{seed: seed, unkind: unkind, times: map[string]int{}}
}

// serve answers at least the first request of a connection, unless it is unkind.
func (h *hasty) serve(s *side) {
	random := rand.New(rand.NewPCG(h.seed, h.conns.Add(1)))
	for {
		head, _, ok := s.request()
		if !ok {
			return
		}
		h.mu.Lock()
		h.times[strings.Fields(head)[1]]++
		h.mu.Unlock()
		if h.unkind && random.IntN(20) == 0 {
			h.dropped.Add(1)
			s.reset()
			return
		}
		if !s.send(ok200) || !h.stays(s, random) {
			return
		}
	}
}

// stays waits for the next request, or does not.
func (h *hasty) stays(s *side, random *rand.Rand) bool {
	switch random.IntN(10) {
	case 0:
		h.behind.Add(1) // although the response promised to stay
		return false
	case 1:
		if _, err := s.r.Peek(1); err == nil {
			h.cut.Add(1)
			s.reset()
		}
		return false
	case 2, 3:
		_ = s.SetReadDeadline(time.Now().Add(time.Duration(random.IntN(400)) * time.Microsecond))
		if _, err := s.r.Peek(1); err != nil {
			h.timed.Add(1)
			return false
		}
		return s.SetReadDeadline(time.Time{}) == nil
	}
	return true
}

// ask sends n requests over four connections and returns the targets of those that were not answered
// with 200.
func (r *rig) ask(n int, request func(target string) string) map[string]bool {
	r.t.Helper()
	failed := map[string]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for first := range 4 {
		c := r.dial()
		if err := c.SetDeadline(time.Now().Add(12 * patience)); err != nil {
			r.t.Fatal(err)
		}
		wg.Go(func() {
			for i := first; i < n; i += 4 {
				target := fmt.Sprintf("/%05d", i)
				if _, err := io.WriteString(c, request(target)); err != nil {
					r.t.Error(err)
					return
				}
				status, err := c.status()
				if err != nil {
					r.t.Errorf("%s: %v", target, err)
					return
				}
				if status != 200 {
					mu.Lock()
					failed[target] = true
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return failed
}

// A backend may close an idle connection at any time. No client must notice.
func TestStaleIdleConnections(t *testing.T) {
	overBoth(t, func(t *testing.T, begin beginner) {
		h := newHasty(t, 1, false)
		r, o := begin(t, h.serve)
		n := idleCloseCount()
		if strings.HasSuffix(t.Name(), "/https") {
			n /= 4 // nearly all of the time goes into handshakes
		}
		failed := r.ask(n, func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n" })
		if len(failed) > 0 {
			t.Errorf("%d of %d clients saw an error: %v", len(failed), n, failed)
		}
		r.wantOutcomes(fmt.Sprintf("ok %d", n))
		h.mu.Lock()
		defer h.mu.Unlock()
		t.Logf("%d connections, %d closed on a request, %d after a moment", o.Accepted(), h.cut.Load(), h.timed.Load())
		if h.cut.Load() < int64(n)/50 || h.timed.Load() < int64(n)/200 || len(h.times) != n {
			t.Errorf("the origin did not do what it was made for: %d closed on a request, %d timed, %d arrived",
				h.cut.Load(), h.timed.Load(), len(h.times))
		}
	})
}

// POSTs to such backends may fail, where nobody can know whether they arrived. None arrives twice.
func TestNoPostArrivesTwice(t *testing.T) {
	h := newHasty(t, 2, true)
	r := start(t, site("", "", newOrigin(t, h.serve).Addr(), newOrigin(t, h.serve).Addr()))
	n := idleCloseCount()
	failed := r.ask(n, func(target string) string {
		return "POST " + target + " HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\n" + target
	})
	r.stop(patience)
	h.mu.Lock()
	defer h.mu.Unlock()
	for target, times := range h.times {
		if times != 1 {
			t.Errorf("%s arrived %d times", target, times)
		}
	}
	h.wantExcuses(t, n, failed)
}

// wantExcuses finds the reason of each failure at the origin: a request that it did not answer, one that
// it did not read, or, for the rest, a connection that it closed while the request came. mu must be
// held.
func (h *hasty) wantExcuses(t *testing.T, n int, failed map[string]bool) {
	t.Helper()
	cut, timed, dropped := int(h.cut.Load()), int(h.timed.Load()), int(h.dropped.Load())
	crossed, closes := len(failed)-cut-dropped, timed+int(h.behind.Load())
	t.Logf("%d of %d failed: %d not answered, %d not read, %d crossed one of %d closes", len(failed), n, dropped, cut, crossed, closes)
	if crossed < 0 || crossed > closes {
		t.Errorf("%d failed, but %d were not answered, %d not read, and %d connections were closed otherwise", len(failed), dropped, cut, closes)
	}
	arrived := 0
	for target := range failed {
		arrived += h.times[target]
	}
	if arrived != dropped {
		t.Errorf("%d of those that failed had arrived, want the %d that were dropped", arrived, dropped)
	}
	if len(h.times)-arrived != n-len(failed) {
		t.Errorf("%d arrived, of which %d failed, and %d succeeded", len(h.times), arrived, n-len(failed))
	}
	if cut < n/50 || timed < n/200 || dropped < n/50 {
		t.Error("the origin did not do what it was made for")
	}
}

// Once the FIN of an idle connection is here, nothing is sent on it: no POST fails.
func TestClosedIdleConnectionsTakeNoPosts(t *testing.T) {
	o := newOrigin(t, func(s *side) {
		if _, _, ok := s.request(); ok {
			s.send(ok200)
		}
	})
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	for range 1000 {
		c.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
		c.want("POST", 200, "ok")
		lbtest.Eventually(t, patience, func() bool { return o.Open() == 0 && r.leases() == 0 })
	}
	r.wantOutcomes("ok 1000")
}

// status reads a response with its body and returns its status.
func (c *client) status() (int, error) {
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}
