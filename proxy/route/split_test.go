package route

import (
	"math"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weir/balancer"
	"weir/config"
)

const clients = 100_000

// client is the i-th of many addresses, IPv4 and IPv6 in turns.
func client(i int) netip.Addr {
	if i%2 == 0 {
		return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	}
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 5: byte(i >> 16), 6: byte(i >> 8), 7: byte(i)})
}

// assign is the arm of every client.
func assign(split []config.Arm) []string {
	arms := newArms(split, identity)
	chosen := make([]string, clients)
	for i := range chosen {
		chosen[i] = choose(arms, client(i))
	}
	return chosen
}

func TestSplitShares(t *testing.T) {
	tests := [][]config.Arm{
		{{Pool: "a", Weight: 1}},
		{{Pool: "a", Weight: 1}, {Pool: "b", Weight: 1}},
		{{Pool: "stable", Weight: 95}, {Pool: "canary", Weight: 5}},
		{{Pool: "stable", Weight: 999}, {Pool: "canary", Weight: 1}},
		{{Pool: "v1", Weight: 5}, {Pool: "v2", Weight: 3}, {Pool: "v3", Weight: 2}, {Pool: "off", Weight: 0}},
	}
	for _, split := range tests {
		total, got := 0, map[string]int{}
		for _, a := range split {
			total += a.Weight
		}
		for _, pool := range assign(split) {
			got[pool]++
		}
		for _, a := range split {
			share, want := float64(got[a.Pool])/clients, float64(a.Weight)/float64(total)
			// Five standard deviations of a fair draw, which is under 1 % of all clients.
			bound := 5 * math.Sqrt(want*(1-want)/clients)
			if bound >= 0.01 {
				t.Fatalf("a bound of %v says too little", bound)
			}
			if math.Abs(share-want) > bound {
				t.Errorf("%v: %s has %.4f of the clients, want %.4f ± %.4f", split, a.Pool, share, want, bound)
			}
		}
	}
}

// TestSplitMoves: when the weight of an arm grows, clients move to it and nowhere else, and no more
// of them than it gains.
func TestSplitMoves(t *testing.T) {
	before := []config.Arm{{Pool: "a", Weight: 6}, {Pool: "b", Weight: 3}, {Pool: "c", Weight: 1}}
	after := []config.Arm{{Pool: "a", Weight: 6}, {Pool: "b", Weight: 3}, {Pool: "c", Weight: 3}}
	was, is := assign(before), assign(after)
	moved := 0
	for i := range was {
		if was[i] == is[i] {
			continue
		}
		if moved++; is[i] != "c" {
			t.Fatalf("%v moved from %s to %s", client(i), was[i], is[i])
		}
	}
	if got, want := float64(moved)/clients, 3.0/12-1.0/10; math.Abs(got-want) > 0.005 {
		t.Errorf("%.4f of the clients moved, want %.4f", got, want)
	}
}

// TestSplitRules: order does not matter, arms without weight get nobody, equal factors change
// nothing, and an arm whose weight is raised loses nobody.
func TestSplitRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,6}`), 1, 6, rapid.ID[string]).Draw(t, "names")
		var split []config.Arm
		for _, name := range names {
			split = append(split, config.Arm{Pool: name, Weight: rapid.IntRange(0, 500).Draw(t, "weight")})
		}
		split[0].Weight = max(split[0].Weight, 1)
		src := client(rapid.IntRange(0, 1<<24-1).Draw(t, "client"))
		chosen := choose(newArms(split, identity), src)

		i := slices.IndexFunc(split, func(a config.Arm) bool { return a.Pool == chosen })
		if split[i].Weight == 0 {
			t.Fatalf("%v went to an arm without weight", src)
		}
		shuffled := rapid.Permutation(split).Draw(t, "shuffled")
		if got := choose(newArms(shuffled, identity), src); got != chosen {
			t.Fatalf("in another order %q, want %q", got, chosen)
		}
		doubled := slices.Clone(split)
		for j := range doubled {
			doubled[j].Weight *= 2
		}
		if got := choose(newArms(doubled, identity), src); got != chosen {
			t.Fatalf("with doubled weights %q, want %q", got, chosen)
		}
		raised := slices.Clone(split)
		raised[i].Weight++
		if got := choose(newArms(raised, identity), src); got != chosen {
			t.Fatalf("with more weight for its arm %q, want %q", got, chosen)
		}
	})
}

// TestSplitIsFixed pins choices, which must be the same on every machine and in every version.
func TestSplitIsFixed(t *testing.T) {
	arms := newArms([]config.Arm{{Pool: "stable", Weight: 2}, {Pool: "canary", Weight: 1}}, identity)
	for _, tt := range []struct{ client, want string }{
		{"192.0.2.1", "stable"}, {"192.0.2.2", "stable"}, {"192.0.2.4", "canary"}, {"::ffff:192.0.2.4", "canary"},
		{"2001:db8::1", "stable"}, {"fe80::1", "canary"}, {"fe80::1%eth0", "canary"},
	} {
		if got := choose(arms, netip.MustParseAddr(tt.client)); got != tt.want {
			t.Errorf("%s goes to %s, want %s", tt.client, got, tt.want)
		}
	}
	if got := choose(arms, netip.Addr{}); got == "" {
		t.Error("a client without an address has no arm")
	}
}

// TestSplitIsIndependent: the clients of an arm spread over the backends of a pool as all do.
func TestSplitIsIndependent(t *testing.T) {
	arms := newArms([]config.Arm{{Pool: "a", Weight: 1}, {Pool: "b", Weight: 1}}, identity)
	var odd, all float64
	for i := range clients {
		if choose(arms, client(i)) == "a" {
			all++
			odd += float64((balancer.Flow{Src: netip.AddrPortFrom(client(i), 0)}).Hash(balancer.SourceIP, 0) >> 63)
		}
	}
	if got := odd / all; math.Abs(got-0.5) > 0.012 {
		t.Errorf("%.4f of the clients of an arm have a high hash in its pool, want 0.5", got)
	}
}

func BenchmarkSplit(b *testing.B) {
	arms := newArms([]config.Arm{{Pool: "a", Weight: 5}, {Pool: "b", Weight: 3}, {Pool: "c", Weight: 2}}, identity)
	src := client(7)
	b.ReportAllocs()
	for b.Loop() {
		choose(arms, src)
	}
}
