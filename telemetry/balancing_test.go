package telemetry

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
)

var testStart = time.Unix(1.7e9, 0).UTC()

// testConfig is a pool of two backends, b1 of weight 3 and b2 of weight 1, with health checks.
func testConfig() *config.Pool {
	return &config.Pool{
		Name:      "app",
		Algorithm: config.WeightedRoundRobin,
		Health:    &config.HealthCheck{Initial: config.InitialChecking, Rise: 1, Fall: 1},
		Backends:  []*config.Backend{testBackend("b1", 3), testBackend("b2", 1)},
	}
}

func testBackend(name string, weight int) *config.Backend {
	address := netip.MustParseAddrPort("192.0.2." + strings.TrimPrefix(name, "b") + ":80")
	return &config.Backend{Name: name, Address: address, Weight: weight, State: config.Ready}
}

// idlePeer is a data plane that keeps five idle connections.
type idlePeer struct{}

func (idlePeer) Retire()   {}
func (idlePeer) Idle() int { return 5 }

func testPool(t *testing.T, c *config.Pool) *balancer.Pool {
	t.Helper()
	attach := func(*balancer.Backend) balancer.Peer { return idlePeer{} }
	return balancer.NewPool(c, balancer.Options{Attach: attach}, testStart)
}

// backendOf finds a backend of a pool by name.
func backendOf(t *testing.T, p *balancer.Pool, name string) *balancer.Backend {
	t.Helper()
	for _, m := range p.Snapshot().Members() {
		if m.Backend.Name() == name {
			return m.Backend
		}
	}
	t.Fatalf("no backend %s", name)
	return nil
}

// wantSeries checks values of backends or of the pool: "backend_up{b1} 1", "pool_fail_open 0".
func wantSeries(t *testing.T, r *Registry, wants ...string) {
	t.Helper()
	text := scrapeText(t, r, "/metrics?pool=app")
	for _, want := range wants {
		series, value, _ := strings.Cut(want, " ")
		name, backend, found := strings.Cut(strings.TrimSuffix(series, "}"), "{")
		line := fmt.Sprintf("weir_%s{pool=\"app\"} %s", name, value)
		if found {
			line = fmt.Sprintf("weir_%s{backend=%q,pool=\"app\"} %s", name, backend, value)
		}
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Fatal(text)
	}
}

func acquire(t *testing.T, p *balancer.Pool) balancer.Lease {
	t.Helper()
	lease, err := p.Acquire(balancer.Flow{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

// The gauges follow the pool through its life.
func TestBackendGauges(t *testing.T) {
	c := testConfig()
	c.SlowStart = config.SlowStart{Duration: 100 * time.Second, Repeat: true}
	p := testPool(t, c)
	r := New(Options{Pools: func() []*balancer.Pool { return []*balancer.Pool{p} }})
	b1, b2 := backendOf(t, p, "b1"), backendOf(t, p, "b2")
	wantSeries(t, r, "backend_up{b1} 0", "backend_weight{b1} 3", "backend_effective_weight{b1} 0",
		"pool_fail_open 0", "backend_picks_total{b1} 0")

	p.Report(b1, true, testStart)
	p.Report(b2, true, testStart)
	leases := []balancer.Lease{acquire(t, p), acquire(t, p), acquire(t, p), acquire(t, p)}
	wantSeries(t, r, "backend_up{b1} 1", "backend_effective_weight{b1} 3", "slow_start_ratio{b1} 1",
		"backend_connections_active{b1} 3", "backend_connections_active{b2} 1",
		"backend_picks_total{b1} 3", "backend_picks_total{b2} 1")
	for _, l := range leases {
		l.Release()
	}

	p.Report(b2, false, testStart)
	p.Report(b2, true, testStart)
	p.Ramp(testStart.Add(50 * time.Second))
	wantSeries(t, r, "slow_start_ratio{b2} 0.55", "backend_effective_weight{b2} 0.55", "backend_weight{b2} 1",
		"backend_connections_active{b1} 0", "backend_picks_total{b1} 3")

	drain, weight := config.Drain, 9
	if err := p.SetAdmin("b1", balancer.Override{State: &drain, Weight: &weight}, testStart); err != nil {
		t.Fatal(err)
	}
	wantSeries(t, r, "backend_draining{b1} 1", "backend_weight{b1} 9", "backend_effective_weight{b1} 0",
		"backend_draining{b2} 0", "backend_up{b1} 1")
}

func TestQueueLengthGauge(t *testing.T) {
	p := testPool(t, testConfig())
	r := New(Options{Pools: func() []*balancer.Pool { return []*balancer.Pool{p} }})
	wantSeries(t, r, "pool_queue_length 0")
	place, ok := p.Queue(1)
	if !ok {
		t.Fatal("no place")
	}
	wantSeries(t, r, "pool_queue_length 1")
	place.Leave(false)
	wantSeries(t, r, "pool_queue_length 0")
}

func TestFailOpenGauge(t *testing.T) {
	c := testConfig()
	c.MinHealthy = 1
	p := testPool(t, c)
	r := New(Options{Pools: func() []*balancer.Pool { return []*balancer.Pool{p} }})
	p.Report(backendOf(t, p, "b1"), true, testStart)
	p.Report(backendOf(t, p, "b2"), false, testStart)
	wantSeries(t, r, "pool_fail_open 0")
	p.Report(backendOf(t, p, "b1"), false, testStart)
	wantSeries(t, r, "pool_fail_open 1", "backend_up{b1} 0")
}

// A backend that gets another address keeps its picks; one that is forgotten begins anew.
func TestPicksSurviveANewAddress(t *testing.T) {
	c := testConfig()
	c.Health = nil
	p := testPool(t, c)
	r := New(Options{Pools: func() []*balancer.Pool { return []*balancer.Pool{p} }})
	pick := func(n int) {
		for range n {
			acquire(t, p).Release()
		}
	}
	pick(8)
	wantSeries(t, r, "backend_picks_total{b1} 6", "backend_picks_total{b2} 2")
	pick(4)

	next := *c
	moved := testBackend("b1", 3)
	moved.Address = netip.MustParseAddrPort("198.51.100.1:80")
	next.Backends = []*config.Backend{moved, c.Backends[1]}
	p.Apply(&next, testStart)
	wantSeries(t, r, "backend_picks_total{b1} 9", "backend_picks_total{b2} 3")
	pick(4)
	wantSeries(t, r, "backend_picks_total{b1} 12", "backend_picks_total{b2} 4")

	r.ForgetBackend("app", "b1")
	wantSeries(t, r, "backend_picks_total{b1} 3", "backend_picks_total{b2} 4")
}
