package session

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
)

// client is the address of the flows below.
var client = netip.MustParseAddr("192.0.2.7")

func bySource(fallback config.Fallback) *config.Persistence {
	return &config.Persistence{Type: config.PersistSourceIP, Timeout: time.Minute, Fallback: fallback}
}

// TestBond takes flows of one client through everything that can come between.
func TestBond(t *testing.T) {
	b := backendsOf(3)
	tests := []struct {
		name string
		had  *balancer.Backend // by the client
		flow func(f, other *Bond)
		on   *balancer.Backend // afterwards
		want Result
	}{
		{"first", nil, func(f, _ *Bond) { f.Claim(b[0], 0) }, b[0], New},
		{"again", b[0], func(f, _ *Bond) { f.Claim(b[0], 0) }, b[0], Hit},
		{"moved", b[0], func(f, _ *Bond) { f.Claim(b[1], 0) }, b[1], Lost},
		{"first, and fails", nil, func(f, _ *Bond) { f.Claim(b[0], 0); f.Failed() }, nil, Hit},
		{"moved, and fails", b[0], func(f, _ *Bond) { f.Claim(b[1], 0); f.Failed() }, b[0], Hit},
		{"the second try", nil, func(f, _ *Bond) { f.Claim(b[0], 0); f.Failed(); f.Claim(b[1], 0) }, b[1], New},
		{"the third try", b[0], func(f, _ *Bond) { f.Failed(); f.Claim(b[1], 0); f.Failed(); f.Claim(b[2], 0) }, b[2], Lost},
		{"another was faster", nil, func(f, other *Bond) {
			other.Claim(b[1], 0)
			if f.Claim(b[0], 0) || f.Backend() != b[1] || !f.Claim(b[1], 0) {
				t.Error("it does not go where the other one goes")
			}
		}, b[1], Hit},
		{"another moved it", b[0], func(f, other *Bond) {
			other.Claim(b[1], 0)
			if f.Claim(b[2], 0) || f.Backend() != b[1] {
				t.Error("it does not go where the other one goes")
			}
		}, b[1], Hit},
		{"another had the same idea", nil, func(f, other *Bond) { other.Claim(b[1], 0); f.Claim(b[1], 0) }, b[1], Hit},
		{"another fails there", nil, func(f, other *Bond) { other.Claim(b[1], 0); f.Claim(b[1], 0); f.Failed() }, b[1], Hit},
		{"has to be elsewhere", nil, func(f, other *Bond) { other.Claim(b[1], 0); f.Take(b[0], 0) }, b[0], New},
		{"cedes for ever", nil, func(f, other *Bond) {
			for i := range mostCeded {
				other.Take(b[1+i%2], 0)
				if f.Claim(b[0], 0) {
					t.Error("it does not cede")
				}
			}
			other.Take(b[2], 0)
			if !f.Claim(b[0], 0) {
				t.Error("it cedes for ever")
			}
		}, b[0], Lost},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := NewAddresses(bySource(config.FallbackRebalance), nil)
			if tt.had != nil {
				a.table.Put(AddressKey(client), tt.had, 0)
			}
			f, other := a.Find(client, 0), a.Find(client, 0)
			tt.flow(&f, &other)
			if next := a.Find(client, 0); next.Backend() != tt.on {
				t.Errorf("the client is on %v, want %v", next.Backend(), tt.on)
			}
			if got := f.Result(); got != tt.want {
				t.Errorf("result %d, want %d", got, tt.want)
			}
			if n := held(a.table); int64(n) != a.table.entries.Load() {
				t.Errorf("%d entries, counted as %d", n, a.table.entries.Load())
			}
		})
	}
}

// TestBondOfNobody: without persistence every backend will do.
func TestBondOfNobody(t *testing.T) {
	a := NewAddresses(&config.Persistence{Type: config.PersistHTTPCookie}, nil)
	f := a.Find(client, 0)
	if a != nil || f.Backend() != nil || !f.Claim(backendsOf(1)[0], 0) || f.Result() != None || a.Fails() {
		t.Errorf("%v binds: %+v", a, f)
	}
	f.Failed()
	f.Take(backendsOf(1)[0], 0)
	a.Sweep(nil)
	a.Follow(nil, nil)
}

// TestBondsAgree lets flows of few clients come at once, on backends some of which fail: all that come about
// at last are where the table says.
func TestBondsAgree(t *testing.T) {
	const flows, rounds = 8, 2000
	b := backendsOf(5)
	a := NewAddresses(bySource(config.FallbackRebalance), nil)
	for round := range rounds {
		address := netip.AddrFrom4([4]byte{10, 1, byte(round >> 8), byte(round)})
		var wg sync.WaitGroup
		var on [flows]*balancer.Backend
		for i := range on {
			wg.Go(func() {
				f := a.Find(address, 0)
				for on[i] == nil {
					got := f.Backend()
					if got == nil {
						got = b[rand.IntN(len(b))]
					}
					if f.Claim(got, 0) {
						on[i] = got
					}
				}
			})
		}
		wg.Wait()
		now := a.Find(address, 0)
		for i, got := range on {
			if got != now.Backend() {
				t.Fatalf("round %d: flow %d is on %s, the table says %s", round, i, got.Name(), now.Backend().Name())
			}
		}
	}
	if n := held(a.table); n != rounds {
		t.Errorf("%d clients, want %d", n, rounds)
	}
}

// TestAddressesGoOn over changes of the configuration and of the backends.
func TestAddressesGoOn(t *testing.T) {
	p, c := poolOf(3)
	b := members(p)
	for _, fallback := range []config.Fallback{config.FallbackRebalance, config.FallbackFail} {
		a := NewAddresses(bySource(fallback), nil)
		f := a.Find(client, 0)
		f.Claim(b[1], 0)
		next := bySource(fallback)
		next.Timeout = time.Hour
		a = NewAddresses(next, a)
		if f = a.Find(client, 59*60*second); f.Backend() != b[1] {
			t.Errorf("%s: the client is forgotten", fallback)
		}
		without := *c
		without.Backends = append(c.Backends[:1:1], c.Backends[2:]...)
		a.Follow(p, p.Apply(&without, time.Unix(0, 0)).Removed)
		f = a.Find(client, 59*60*second)
		if lost := f.Backend() != nil; lost != (fallback == config.FallbackFail) {
			t.Errorf("%s: the client of a backend that has left is on %v", fallback, f.Backend())
		}
		a.Follow(p, p.Apply(c, time.Unix(0, 0)).Removed)
		back := members(p)[1]
		f = a.Find(client, 59*60*second)
		if restored := f.Backend() == back; restored != (fallback == config.FallbackFail) {
			t.Errorf("%s: the client is on %v when the backend is back", fallback, f.Backend())
		}
		times := []int64{3 * 60 * 60 * second}
		a.Sweep(func() int64 { return times[0] })
		if n := held(a.table); n != 0 {
			t.Errorf("%s: %d clients after the time-out", fallback, n)
		}
		b = members(p)
	}
}

// TestDisclaimOfTheRemoved does not bring a backend back that has left.
func TestDisclaimOfTheRemoved(t *testing.T) {
	p, c := poolOf(2)
	b := members(p)
	a := NewAddresses(bySource(config.FallbackRebalance), nil)
	f := a.Find(client, 0)
	f.Claim(b[0], 0)
	f = a.Find(client, 0)
	f.Claim(b[1], 0)
	only := *c
	only.Backends = c.Backends[1:]
	a.Follow(p, p.Apply(&only, time.Unix(0, 0)).Removed)
	f.Failed()
	if n := held(a.table); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestBondAllocs(t *testing.T) {
	b := backendsOf(2)
	a := NewAddresses(bySource(config.FallbackRebalance), nil)
	a.table.Put(AddressKey(client), b[0], 0)
	allocs(t, "a flow of a client", func() {
		f := a.Find(client, 0)
		if !f.Claim(b[0], 0) || f.Result() != Hit {
			t.Fatal("not there")
		}
	})
	at := 0
	allocs(t, "a flow that moves its client", func() {
		at ^= 1
		f := a.Find(client, 0)
		f.Claim(b[at], 0)
		f.Failed()
		f.Claim(b[at], 0)
	})
}
