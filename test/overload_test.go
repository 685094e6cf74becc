package test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"
)

// overloadTime is how long the overload lasts; WEIR_LONG=1 makes it half a minute.
func overloadTime() time.Duration {
	if os.Getenv("WEIR_LONG") != "" {
		return 30 * time.Second
	}
	return 4 * time.Second
}

// TestOverload asks for ten times of what the backends can do. Who is admitted is served in time, who is
// not is told at once when to come again, and when it is over all is as before.
func TestOverload(t *testing.T) {
	const (
		each     = 4                     // requests on a backend at the same time
		service  = 50 * time.Millisecond // of one
		waiting  = 300 * time.Millisecond
		capacity = 2 * each * int(time.Second/service) // requests in a second
	)
	origins := backends(t, 2)
	for _, b := range origins {
		b.SetDelay(service)
	}
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools:
  app:
    health_check: none
    max_connections: %d
    queue: { max: 16, timeout: %s }
    backends: [%q, %q]
`, each, waiting, origins[0].Addr(), origins[1].Addr()))
	warm := drive(t, load{url: d.url("web"), clients: 200, limit: 1000})
	warm.wait()
	before := d.memory("VmRSS")

	began := time.Now()
	overload := drive(t, load{url: d.url("web"), clients: 200, rate: float64(10 * capacity)})
	told := false
	for !told && time.Since(began) < patience {
		response, err := http.Get(d.url("web"))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		told = response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != ""
	}
	if !told {
		t.Error("nobody was told when to come again")
	}
	<-time.After(overloadTime() - time.Since(began))
	calls := overload.stop()
	ended := time.Now()

	var served, refused []time.Duration
	for _, c := range calls {
		switch took := c.ended.Sub(c.begun); {
		case c.err != nil || c.status != http.StatusOK && c.status != http.StatusServiceUnavailable:
			t.Fatal(c)
		case c.status == http.StatusOK:
			served = append(served, took)
		default:
			refused = append(refused, took)
		}
	}
	rate := float64(len(served)) / ended.Sub(began).Seconds()
	p99 := quantile(served, 0.99)
	t.Logf("%d served (%.0f in a second, capacity %d) within %v (p99), %d refused within %v (median)",
		len(served), rate, capacity, p99, len(refused), quantile(refused, 0.5))
	if rate < 0.6*float64(capacity) {
		t.Errorf("%.0f requests were served in a second, capacity %d", rate, capacity)
	}
	if limit := waiting + 10*service; p99 > limit {
		t.Errorf("admitted requests took %v (p99), want at most %v", p99, limit)
	}
	if len(refused) < 4*len(served) {
		t.Errorf("%d were refused and %d served: this was no overload", len(refused), len(served))
	}

	eventually(t, "the queue is empty", func() bool { return d.metric("weir_pool_queue_length", "pool", "app") == 0 })
	if took := time.Since(ended); took > time.Second {
		t.Errorf("the queue was empty after %v", took)
	}
	for _, c := range drive(t, load{url: d.url("web"), clients: each, limit: 40}).wait() {
		if c.failed() || c.ended.Sub(c.begun) > waiting+service {
			t.Errorf("after the overload: %v", c)
		}
	}
	if after := d.memory("VmRSS"); after > before+growth {
		t.Errorf("resident memory: %d KiB before, %d KiB after", before/1024, after/1024)
	}
}

// quantile is that of the durations, which it sorts.
func quantile(of []time.Duration, q float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[int(q*float64(len(of)-1))]
}

// TestMemoryBudget fills the memory of a process with clients that begin requests and do not end them,
// which hold buffers. Late ones are turned away, and when the others have gone new ones are served.
func TestMemoryBudget(t *testing.T) {
	origins := backends(t, 1)
	d := start(t, fmt.Sprintf(`
limits: { memory: 64MiB }
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app, limits: { max_header: 256KiB } } }
pools: { app: { health_check: none, backends: [%q] } }
`, origins[0].Addr()))
	refused := func() float64 {
		return d.metric("weir_listener_connections_rejected_total", "listener", "web", "reason", "memory")
	}
	head := append([]byte("GET / HTTP/1.1\r\nHost: h\r\nX: "), make([]byte, 200<<10)...)
	for i := range head {
		if head[i] == 0 {
			head[i] = 'x'
		}
	}
	var greedy []net.Conn
	for len(greedy) < 2000 && refused() == 0 {
		c, err := net.Dial("tcp", d.address("web"))
		if err != nil {
			t.Fatal(err)
		}
		greedy = append(greedy, c)
		_, _ = c.Write(head) // one that is turned away may be closed by now
	}
	t.Logf("%d clients took the memory", len(greedy))
	if refused() == 0 {
		t.Error("nobody was turned away")
	}
	if peak := d.memory("VmHWM"); peak > 128*mib {
		t.Errorf("resident memory reached %d MiB with a budget of 64", peak/mib)
	}
	for _, c := range greedy {
		_ = c.Close()
	}
	eventually(t, "clients are served again", func() bool {
		response, err := http.Get(d.url("web"))
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}
