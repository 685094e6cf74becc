package balancer_test

import (
	"fmt"
	"net/netip"
	"time"

	"weir/balancer"
	"weir/config"
)

func pool(algorithm config.Algorithm) *config.Pool {
	c := &config.Pool{Name: "web", Algorithm: algorithm, Hash: config.Hash{Weighted: true}}
	for i, weight := range []int{3, 1} {
		c.Backends = append(c.Backends, &config.Backend{
			Name:    fmt.Sprintf("b%d", i+1),
			Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(11 + i)}), 8080),
			Weight:  weight,
			State:   config.Ready,
		})
	}
	return c
}

func ExamplePool_Acquire() {
	p := balancer.NewPool(pool(config.WeightedRoundRobin), balancer.Options{}, time.Now())
	for range 4 {
		lease, err := p.Acquire(balancer.Flow{}, nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(lease.Backend().Name(), lease.Backend().Address())
		lease.Release()
	}
	// Output:
	// b1 10.0.0.11:8080
	// b1 10.0.0.11:8080
	// b2 10.0.0.12:8080
	// b1 10.0.0.11:8080
}

// A flow that cannot connect goes to a backend that it has not tried yet.
func ExampleTried() {
	p := balancer.NewPool(pool(config.SourceIP), balancer.Options{}, time.Now())
	flow := balancer.Flow{Src: netip.MustParseAddrPort("192.0.2.7:4711"), Proto: balancer.TCP}
	var tried balancer.Tried
	for {
		lease, err := p.Acquire(flow, &tried)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("connect to", lease.Backend().Name())
		tried.Add(lease.Backend())
		lease.Release()
	}
	// Output:
	// connect to b1
	// connect to b2
	// no backend is up
}

func ExamplePool_SetAdmin() {
	p := balancer.NewPool(pool(config.WeightedRoundRobin), balancer.Options{}, time.Now())
	drain := config.Drain
	if err := p.SetAdmin("b1", balancer.Override{State: &drain}, time.Now()); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range p.Snapshot().Members() {
		fmt.Println(m.Backend.Name(), m.State, m.Overridden, m.Eligible)
	}
	// Output:
	// b1 drain true false
	// b2 ready false true
}

// Where a flow would go, why, and where if a backend were down.
func ExamplePool_Explain() {
	p := balancer.NewPool(pool(config.SourceIP), balancer.Options{}, time.Now())
	flow := balancer.Flow{Src: netip.MustParseAddrPort("192.0.2.7:4711"), Proto: balancer.TCP}
	e := p.Explain(flow)
	fmt.Println(e.Pick.Name(), "-", e.Why)
	then, moved, err := p.ExplainIf(flow, []balancer.Supposition{{Backend: e.Pick.Name(), Down: true}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s - %.0f %% of the keys move\n", then.Pick.Name(), 100*moved)
	// Output:
	// b1 - owns the key: entry 16931 of 65537
	// b2 - 75 % of the keys move
}

func ExampleFlow_Hash() {
	f := balancer.Flow{Src: netip.MustParseAddrPort("192.0.2.7:4711")}
	mapped := balancer.Flow{Src: netip.MustParseAddrPort("[::ffff:192.0.2.7]:80")}
	fmt.Println(f.Hash(balancer.SourceIP, 0) == mapped.Hash(balancer.SourceIP, 0))
	// Output: true
}
