package balancer

import (
	"fmt"
	"net/netip"
	"strconv"

	"weir/config"
)

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
