package test

import (
	"fmt"
	"math"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// TestRotation sends through weights 5:3:1 with eight clients at once. The cycle has nine picks and
// every prefix of it is within one pick of ideal, so any run of n requests, wherever it begins in
// the cycle, gives each backend its share within two; runs that end where a cycle does are exact.
func TestRotation(t *testing.T) {
	b := backends(t, 3)
	weights := map[string]int{"b1": 5, "b2": 3, "b3": 1}
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools:
  app:
    backends:
      b1: { address: %q, weight: 5 }
      b2: { address: %q, weight: 3 }
      b3: { address: %q, weight: 1 }
`, b[0].Addr(), b[1].Addr(), b[2].Addr()))
	url := d.url("web")
	total, got := 0, map[string]int{}
	for _, n := range []int{9, 90, 900, 5, 4, 1, 13, 4, 2700, 7, 2} {
		calls := drive(t, load{url: url, clients: 8, limit: n}).wait()
		wantNoFailure(t, calls)
		if len(calls) != n {
			t.Fatalf("got %d answers, want %d", len(calls), n)
		}
		total += n
		for name, count := range shares(calls) {
			got[name] += count
		}
		for name, weight := range weights {
			ideal := float64(total*weight) / 9
			if off := math.Abs(float64(got[name]) - ideal); off >= 2 || total%9 == 0 && off != 0 {
				t.Errorf("%s after %d requests: got %d, want %.1f", name, total, got[name], ideal)
			}
		}
	}
	// What the backends were asked is what the clients were answered by: nothing was sent twice.
	for i, backend := range b {
		if want := int64(got[backend.Name()]); backend.Requests() != want {
			t.Errorf("b%d: got %d requests, clients saw %d", i+1, backend.Requests(), want)
		}
	}
}

// busy is a backend that takes its time and keeps how many requests it had at once.
type busy struct {
	delay         time.Duration
	running, most atomic.Int64
}

func (b *busy) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	n := b.running.Add(1)
	defer b.running.Add(-1)
	for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); most = b.most.Load() {
	}
	select {
	case <-time.After(b.delay):
	case <-r.Context().Done():
	}
}

// TestLeastConnections has 64 clients and four backends, one of them ten times slower: no backend ever
// holds more than a quarter of the requests, and two for the picks that happen at the same time.
func TestLeastConnections(t *testing.T) {
	const clients, most = 64, 64/4 + 2
	b := backends(t, 4)
	var loads []*busy
	for i, backend := range b {
		loads = append(loads, &busy{delay: 10 * time.Millisecond})
		if i == 2 {
			loads[i].delay *= 10
		}
		backend.SetHandler(loads[i])
	}
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { algorithm: least_connections, backends: %s } }
`, listed(b...)))
	eventually(t, "all are up", func() bool { return d.status().Pools[0].Up == 4 })
	calls := drive(t, load{url: d.url("web"), clients: clients, limit: 3000}).wait()
	wantNoFailure(t, calls)
	counts := shares(calls)
	for i, l := range loads {
		t.Logf("b%d: %d requests, at most %d at once", i+1, counts[b[i].Name()], l.most.Load())
		if l.most.Load() > most {
			t.Errorf("b%d held %d requests at once, want at most %d", i+1, l.most.Load(), most)
		}
	}
	if slow := counts["b3"]; slow == 0 || slow >= 3000/4 {
		t.Errorf("the slow backend got %d of 3000 requests, want less than its quarter", slow)
	}
}
