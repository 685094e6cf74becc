package telemetry

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

func TestSessions(t *testing.T) {
	r := New(Options{})
	p := r.Pool("app")
	r.Pool("plain").Retry(RetryReset)
	times := func(n int, result SessionResult) {
		for i := range n {
			p.Session(Shard(i), result)
		}
	}
	times(5, SessionHit)
	times(3, SessionNew)
	times(2, SessionLost)
	p.Session(1<<31, SessionResult(255)) // outside the set: as lost
	want := []string{
		`{pool="app",result="hit"} 5`,
		`{pool="app",result="lost"} 3`,
		`{pool="app",result="new"} 3`,
	}
	if got := scraped(t, r, "weir_sessions_total"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A pool without sessions has no series; the first call, of whatever result and shard, shows all
// three, so that rates begin at zero.
func TestSessionsAreShownFromTheFirstOn(t *testing.T) {
	for result := range sessionCount {
		for s := range Shard(4) {
			r := New(Options{})
			r.shards = 4
			p := r.Pool("app")
			if got := scraped(t, r, "weir_sessions_total"); len(got) != 0 {
				t.Fatalf("before the first session there is %q", got)
			}
			p.Session(s, result)
			got := scraped(t, r, "weir_sessions_total")
			if want := `{pool="app",result="` + result.String() + `"} 1`; len(got) != 3 || !slices.Contains(got, want) {
				t.Errorf("shard %d: got %q, want three series, one of them %s", s, got, want)
			}
		}
	}
}

func TestSessionsConcurrently(t *testing.T) {
	r := New(Options{})
	p := r.Pool("app")
	const goroutines, each = 4, 3000
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			s := r.NextShard()
			for i := range each {
				p.Session(s, SessionResult(i%int(sessionCount)))
			}
		})
	}
	wg.Wait()
	const third = goroutines * each / 3
	if got, want := p.sessionTotals(), [sessionCount]uint64{third, third, third}; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A shard is a number of whole cache lines, and the shards of two connections are not the same.
func TestSessionShardsArePadded(t *testing.T) {
	if size := unsafe.Sizeof(sessionShard{}); size%cacheLine != 0 {
		t.Errorf("a shard takes %d bytes, want a multiple of %d", size, cacheLine)
	}
	r := New(Options{})
	r.shards = 4
	p := r.Pool("app")
	for s := range Shard(4) {
		p.Session(s, SessionHit)
	}
	for s := range p.sessions {
		if got := p.sessions[s].results[SessionHit].Load(); got != 1 {
			t.Errorf("shard %d has %d, want 1", s, got)
		}
	}
	if len(p.sessions) != 4 {
		t.Errorf("%d shards, want 4", len(p.sessions))
	}
}
