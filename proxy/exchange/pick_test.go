package exchange

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/telemetry"
)

// picker is a client whose exchange is about to pick one of four backends with that limit.
func picker(limit int) *client {
	e := &Engine{Telemetry: telemetry.New(telemetry.Options{})}
	c := &config.Pool{Name: "app", Protocol: config.HTTP, Algorithm: config.WeightedRoundRobin}
	for i := range 4 {
		c.Backends = append(c.Backends, &config.Backend{
			Name: fmt.Sprintf("b%d", i), Weight: 1, State: config.Ready, MaxConnections: limit,
			Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80),
		})
	}
	p := e.NewPool(c, nil, 0, time.Now())
	x := exchange{target: &Target{pool: p}, settings: p.settings.Load()}
	x.flow = balancer.Flow{Src: netip.MustParseAddrPort("192.0.2.1:1234"), Proto: balancer.TCP}
	return &client{work: &work{x: x}}
}

// pickOnce picks and gives the lease back.
func (c *client) pickOnce(t testing.TB) {
	if !c.pick() {
		t.Fatal("no lease")
	}
	c.work.x.lease.Release()
	c.work.x.leased, c.work.x.attempts = false, 0
}

func TestPickAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, limit := range []int{0, 10} {
		c := picker(limit)
		if n := testing.AllocsPerRun(1000, func() { c.pickOnce(t) }); n != 0 {
			t.Errorf("with limit %d a pick allocates %v times", limit, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, limit := range []int{0, 10} {
		b.Run(fmt.Sprintf("limit=%d", limit), func(b *testing.B) {
			c := picker(limit)
			b.ReportAllocs()
			for b.Loop() {
				c.pickOnce(b)
			}
		})
	}
}
