package session

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/balancer"
	"weir/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// second is in the unit of a table's clock.
const second = int64(time.Second)

// poolOf is a pool of n backends b0, b1, …, which are up.
func poolOf(n int) (*balancer.Pool, *config.Pool) {
	c := &config.Pool{Name: "web", Algorithm: config.WeightedRoundRobin}
	for i := range n {
		c.Backends = append(c.Backends, &config.Backend{
			Name:    fmt.Sprintf("b%d", i),
			Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 8080),
			Weight:  1, State: config.Ready,
		})
	}
	return balancer.NewPool(c, balancer.Options{}, time.Unix(0, 0)), c
}

// backendsOf are the backends of poolOf(n).
func backendsOf(n int) []*balancer.Backend {
	p, _ := poolOf(n)
	return members(p)
}

// members are the backends of a pool.
func members(p *balancer.Pool) []*balancer.Backend {
	var backends []*balancer.Backend
	for _, m := range p.Snapshot().Members() {
		backends = append(backends, m.Backend)
	}
	return backends
}

// mustCodec is NewCodec for good keys.
func mustCodec(t testing.TB, pool string, keys ...string) *Codec {
	t.Helper()
	var bytes [][]byte
	for _, k := range keys {
		bytes = append(bytes, []byte(k))
	}
	c, err := NewCodec(bytes, pool)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// allocs fails if f allocates.
func allocs(t *testing.T, name string, f func()) {
	t.Helper()
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	if got := testing.AllocsPerRun(1000, f); got != 0 {
		t.Errorf("%s: got %v allocations, want 0", name, got)
	}
}
