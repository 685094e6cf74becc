package balancer

import (
	"fmt"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"weir/config"
)

// epoch is when the virtual time of the tests begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var algorithms = []config.Algorithm{
	config.WeightedRoundRobin, config.LeastConnections, config.SourceIP, config.TwoTupleHash,
	config.ThreeTupleHash, config.FiveTupleHash, config.QUICCID,
}

func itoa(n int) string { return strconv.Itoa(n) }

// poolOf is a pool of n backends of weight 1 that are up at once.
func poolOf(n int, a config.Algorithm) *config.Pool {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = 1
	}
	return weighted(a, weights...)
}

// weighted is a pool of backends b0, b1, … of these weights that are up at once.
func weighted(a config.Algorithm, weights ...int) *config.Pool {
	c := &config.Pool{Name: "web", Algorithm: a, Hash: config.Hash{Weighted: true}}
	for i, w := range weights {
		c.Backends = append(c.Backends, backendOf(i, w))
	}
	return c
}

func backendOf(i, weight int) *config.Backend {
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 8080)
	return &config.Backend{
		Name: fmt.Sprintf("b%d", i), Address: address, ProbeAddress: address, Weight: weight,
		State: config.Ready,
	}
}

// checked is c with a health check: backends begin in the given health.
func checked(c *config.Pool, initial config.InitialHealth) *config.Pool {
	c.Health = &config.HealthCheck{Initial: initial}
	return c
}

// member is the named backend's place in the present snapshot.
func member(t testing.TB, p *Pool, name string) Member {
	t.Helper()
	for _, m := range p.Snapshot().Members() {
		if m.Backend.Name() == name {
			return m
		}
	}
	t.Fatalf("pool has no backend %s", name)
	return Member{}
}

func backend(t testing.TB, p *Pool, name string) *Backend {
	t.Helper()
	return member(t, p, name).Backend
}

// acquire is the name of the backend that a flow gets; the lease is released at once.
func acquire(t testing.TB, p *Pool, f Flow) string {
	t.Helper()
	l, err := p.Acquire(f, nil)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	defer l.Release()
	return l.Backend().Name()
}

// client is a flow of the i-th client.
func client(i int) Flow {
	a := netip.AddrFrom4([4]byte{172, byte(i >> 16), byte(i >> 8), byte(i)})
	return Flow{
		Src: netip.AddrPortFrom(a, uint16(1024+i)), Dst: netip.MustParseAddrPort("198.51.100.1:443"),
		Proto: TCP, CID: uint64(i),
	}
}
