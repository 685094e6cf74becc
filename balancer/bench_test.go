package balancer

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"weir/config"
)

// BenchmarkChoose is the choice alone: hash and picker, without counting the lease.
func BenchmarkChoose(b *testing.B) {
	for _, a := range []config.Algorithm{config.WeightedRoundRobin, config.LeastConnections, config.SourceIP, config.FiveTupleHash} {
		for _, n := range []int{4, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", a, n), func(b *testing.B) {
				p, f := busyPool(n, a)
				s := p.Snapshot()
				var chosen *Backend
				switch picker := s.picker.(type) {
				case *rotation:
					for b.Loop() {
						chosen = picker.choose(nil)
					}
				case *hashing:
					for b.Loop() {
						chosen = picker.choose(f.hash(s.tuple, s.seed), nil)
					}
				case *leastConnections:
					for b.Loop() {
						chosen = picker.backends[picker.least(-1, nil, false).index]
					}
				}
				if chosen == nil {
					b.Fatal("nothing was chosen")
				}
			})
		}
	}
}

// BenchmarkPick is one Acquire, from a state in which all backends hold leases. The leases are not
// released: the load goes up evenly.
func BenchmarkPick(b *testing.B) {
	for _, a := range []config.Algorithm{config.WeightedRoundRobin, config.LeastConnections, config.SourceIP, config.FiveTupleHash} {
		for _, n := range []int{4, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", a, n), func(b *testing.B) {
				p, f := busyPool(n, a)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.Acquire(f, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkLease is an Acquire and the Release of the oldest lease.
func BenchmarkLease(b *testing.B) {
	for _, a := range []config.Algorithm{config.WeightedRoundRobin, config.LeastConnections, config.SourceIP} {
		for _, n := range []int{4, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", a, n), func(b *testing.B) {
				p, f := busyPool(n, a)
				held := make([]Lease, 10*n)
				for i := range held {
					held[i], _ = p.Acquire(f, nil)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					held[i].Release()
					held[i], _ = p.Acquire(f, nil)
					if i++; i == len(held) {
						i = 0
					}
				}
			})
		}
	}
}

// BenchmarkAtomicAdd is the unit of the other figures: a pick by turn is two of these.
func BenchmarkAtomicAdd(b *testing.B) {
	var n atomic.Uint64
	for b.Loop() {
		n.Add(1)
	}
}

// busyPool is a pool whose backends hold ten leases each.
func busyPool(n int, a config.Algorithm) (*Pool, Flow) {
	p := NewPool(poolOf(n, a), Options{}, time.Time{})
	for _, m := range p.Snapshot().Members() {
		m.Backend.acquired.Add(10)
	}
	return p, Flow{
		Src: netip.MustParseAddrPort("192.0.2.7:4711"), Proto: TCP,
		Dst: netip.MustParseAddrPort("198.51.100.1:443"),
	}
}

func BenchmarkMaglev(b *testing.B) {
	for _, n := range []int{10, 64, 1024} {
		b.Run(itoa(n), func(b *testing.B) {
			claims := make([]claim, n)
			for i := range claims {
				claims[i] = claim{fmt.Sprintf("b%04d", i), 1 + i%3}
			}
			for b.Loop() {
				newMaglev(claims)
			}
		})
	}
}

func BenchmarkHash(b *testing.B) {
	f := Flow{
		Src: netip.MustParseAddrPort("192.0.2.7:4711"), Proto: TCP,
		Dst: netip.MustParseAddrPort("198.51.100.1:443"),
	}
	for t, name := range []string{"source_ip", "2", "3", "5", "cid"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var sum uint64
			for b.Loop() {
				sum += f.Hash(Tuple(t), 0)
			}
		})
	}
}

// BenchmarkStart is the first verdict about each backend of a new pool: as many rebuilds.
func BenchmarkStart(b *testing.B) {
	for _, a := range []config.Algorithm{config.WeightedRoundRobin, config.LeastConnections, config.SourceIP} {
		for _, n := range []int{10, 100, 1024} {
			b.Run(fmt.Sprintf("%s/%d", a, n), func(b *testing.B) {
				for b.Loop() {
					p := NewPool(checked(poolOf(n, a), config.InitialChecking), Options{}, time.Time{})
					for _, m := range p.Snapshot().Members() {
						p.Report(m.Backend, true, time.Time{})
					}
				}
			})
		}
	}
}
