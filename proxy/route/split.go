package route

import (
	"math"
	"net/netip"

	"github.com/cespare/xxhash/v2"

	"weir/balancer"
	"weir/config"
)

// arm is one of the pools of a split.
type arm[T any] struct {
	name   string
	seed   uint64
	weight float64 // above 0
	target T
}

// newArms leaves out the arms without weight.
func newArms[T any](split []config.Arm, target func(pool string) T) []arm[T] {
	var arms []arm[T]
	for _, a := range split {
		if a.Weight > 0 {
			arms = append(arms, arm[T]{a.Pool, xxhash.Sum64String(a.Pool), float64(a.Weight), target(a.Pool)})
		}
	}
	return arms
}

// choose gives a client the arm that it draws the least cost in. Costs are exponential with the
// weight of the arm as their rate, so that each arm is the cheapest for its share of the clients,
// and they depend on nothing but the client and the arm: when the weight of one arm changes, clients
// go to it or come from it, and none moves between others (weighted rendezvous hashing, Schindelhauer
// and Schomaker 2005). Since the hash is seeded with the name of the arm, it says nothing about
// which backend a pool that hashes addresses will pick.
func choose[T any](arms []arm[T], src netip.Addr) T {
	client := balancer.Flow{Src: netip.AddrPortFrom(src, 0)}
	best, least := 0, math.Inf(1)
	for i := range arms {
		a := &arms[i]
		cost := -math.Log(fraction(client.Hash(balancer.SourceIP, a.seed))) / a.weight
		if cost < least || (cost == least && a.name < arms[best].name) {
			best, least = i, cost
		}
	}
	return arms[best].target
}

// fraction is hash as a number above 0 and below 1.
func fraction(hash uint64) float64 { return (float64(hash>>12) + 0.5) / (1 << 52) }
