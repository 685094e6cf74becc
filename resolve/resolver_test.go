package resolve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"weir/config"
)

// rig is a resolver in a bubble, with what it tells.
type rig struct {
	*Resolver
	mu      sync.Mutex
	says    map[string]reply // by host
	results []Result
	changed int
	asked   int
}

func newRig(t *testing.T, edit func(*Options)) *rig {
	g := &rig{says: map[string]reply{}}
	o := Options{
		Lookup: (&zone{says: g.answer}).lookup, Rand: rand.New(rand.NewPCG(1, 2)),
		Local: func() ([]netip.Addr, error) { return nil, nil },
		Observe: func(r Result) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.results = append(g.results, r)
		},
		Changed: func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.changed++
		},
	}
	if edit != nil {
		edit(&o)
	}
	g.Resolver = New(o)
	t.Cleanup(g.Close)
	return g
}

func (g *rig) answer(host string) reply {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return g.says[host]
}

func (g *rig) say(host string, r reply) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.says[host] = r
}

// take returns the results since the last call, after everything has come to rest.
func (g *rig) take() (list []Result) {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	list, g.results = g.results, nil
	return list
}

var (
	notFound = &net.DNSError{Err: "no such host", Name: "app.example", Server: "192.0.2.53:53", IsNotFound: true}
	servfail = &net.DNSError{Err: "server misbehaving", Name: "app.example", Server: "192.0.2.53:53", IsTemporary: true}
	silence  = &net.DNSError{Err: "i/o timeout", Name: "app.example", Server: "192.0.2.53:53", IsTimeout: true, IsTemporary: true}
)

// TestLifeOfAName goes through the states of a name.
func TestLifeOfAName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		c := poolOf(backend("app", "app.example", 80))
		expanded := func() string { return fmt.Sprint(backendsOf(g.Expand(c)), g.Expand(c).Pools["web"].Resolving) }
		want := func(step string, s State, outcome Outcome, changed bool, reason, backends string) {
			t.Helper()
			list := g.take()
			for range 1200 { // 12 s
				if len(list) > 0 {
					break
				}
				time.Sleep(10 * time.Millisecond)
				list = g.take()
			}
			if len(list) != 1 {
				t.Fatalf("%s: got %d results, want 1: %+v", step, len(list), list)
			}
			if r := list[0]; r.State != s || r.Outcome != outcome || r.Changed != changed || r.Reason != reason {
				t.Errorf("%s: got %s, %s, changed %v: %q; want %s, %s, %v: %q", step, r.State, r.Outcome, r.Changed, r.Reason, s, outcome, changed, reason)
			}
			if got := expanded(); got != backends {
				t.Errorf("%s: got %s, want %s", step, got, backends)
			}
		}
		if got := expanded(); got != "[] 1" {
			t.Errorf("before anything: got %s", got)
		}
		g.say("app.example", reply{err: silence})
		g.Follow(c)
		want("silent", Unresolved, Timeout, true, "no answer in time (asked 192.0.2.53:53)", "[] 0")
		g.say("app.example", reply{err: notFound})
		want("not there", Unresolved, NotFound, false, "no such name, or one without addresses (asked 192.0.2.53:53)", "[] 0")
		g.say("app.example", reply{addrs: addrs("10.0.0.2", "10.0.0.1")})
		want("found", Resolved, OK, true, "", "[app/10.0.0.1=10.0.0.1:80 app/10.0.0.2=10.0.0.2:80] 0")
		since := g.Status()[0].Since
		time.Sleep(8 * time.Second)
		if list := g.take(); len(list) != 0 {
			t.Errorf("asked again before the interval: %+v", list)
		}
		want("the same", Resolved, OK, false, "", "[app/10.0.0.1=10.0.0.1:80 app/10.0.0.2=10.0.0.2:80] 0")
		if got := g.Status()[0].Since; !got.Equal(since) {
			t.Errorf("the state is as old as %s, want %s", got, since)
		}
		g.say("app.example", reply{err: servfail})
		want("failing", Stale, Failed, true, "server misbehaving (asked 192.0.2.53:53)", "[app/10.0.0.1=10.0.0.1:80 app/10.0.0.2=10.0.0.2:80] 0")
		g.say("app.example", reply{addrs: addrs("0.0.0.0", "224.0.0.1")})
		want("lying", Stale, Unusable, false, "the answer has no usable address: 0.0.0.0, 224.0.0.1", "[app/10.0.0.1=10.0.0.1:80 app/10.0.0.2=10.0.0.2:80] 0")
		g.say("app.example", reply{addrs: addrs("10.0.0.2", "10.0.0.3", "0.0.0.0")})
		want("moved", Resolved, OK, true, "not usable: 0.0.0.0", "[app/10.0.0.2=10.0.0.2:80 app/10.0.0.3=10.0.0.3:80] 0")
		if g.changed != 3 { // first answer, found, moved
			t.Errorf("told of %d changes, want 3", g.changed)
		}
	})
}

// TestBackoff wants the waits after failures to double up to the interval, with jitter.
func TestBackoff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		interval := time.Duration(rapid.Int64Range(int64(time.Second), int64(24*time.Hour)).Draw(t, "interval"))
		failures := rapid.IntRange(0, 100).Draw(t, "failures")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		base := interval
		if failures > 0 {
			base = time.Second
			for range failures - 1 {
				if base >= interval {
					break
				}
				base *= 2
			}
			base = min(base, interval)
		}
		n := &name{interval: interval, failures: failures}
		if got := n.wait(random); got < base-base/10-1 || got > base+base/10+1 {
			t.Errorf("got %s, want %s ± 10 %%", got, base)
		}
	})
}

// TestHangingNames wants names that hang to delay neither Follow, Expand nor other names, as long as there is
// room, and Close to end them at once.
func TestHangingNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(o *Options) { o.Concurrency = 4 })
		var all []*config.Backend
		for i := range 3 {
			host := fmt.Sprintf("hangs%d.example", i)
			g.say(host, reply{hangs: true})
			all = append(all, backend(fmt.Sprintf("h%d", i), host, 80))
		}
		g.say("app.example", reply{addrs: addrs("10.0.0.1")})
		began := time.Now()
		c := poolOf(append(all, backend("app", "app.example", 80), backend("db", "app.example", 81))...)
		g.Follow(c)
		synctest.Wait()
		e := g.Expand(c)
		if got := fmt.Sprint(backendsOf(e), e.Pools["web"].Resolving); got != "[app/10.0.0.1=10.0.0.1:80 db/10.0.0.1=10.0.0.1:81] 3" {
			t.Errorf("got %s", got)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %s", d)
		}
		time.Sleep(patience)
		synctest.Wait()
		for _, s := range g.Status()[2:] {
			if s.State != Unresolved || s.Reason != "no answer within 30s" {
				t.Errorf("%s: got %s: %s", s.Key, s.State, s.Reason)
			}
		}
		time.Sleep(time.Second) // they hang again
		began = time.Now()
		g.Close()
		if d := time.Since(began); d != 0 {
			t.Errorf("Close took %s", d)
		}
		g.Follow(c) // does nothing
	})
}

// TestFollow wants what a reload changes of names to take effect, and nothing else to happen.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		g.say("app.example", reply{addrs: addrs("10.0.0.1")})
		g.say("db.example", reply{addrs: addrs("10.0.0.7")})
		first := poolOf(backend("app", "app.example", 80))
		g.Follow(first)
		g.take()

		g.Follow(poolOf(backend("app", "app.example", 80))) // equal, not the same
		if list := g.take(); len(list) != 0 {
			t.Errorf("an equal configuration asks again: %+v", list)
		}
		ported := poolOf(backend("app", "app.example", 81))
		if got := fmt.Sprint(backendsOf(g.Expand(ported))); got != "[app/10.0.0.1=10.0.0.1:81]" {
			t.Errorf("another port: got %s", got)
		}
		renamed := poolOf(backend("new", "app.example", 80), backend("app", "app.example", 81))
		if e := g.Expand(renamed); fmt.Sprint(backendsOf(e), e.Pools["web"].Resolving) != "[new/10.0.0.1=10.0.0.1:80 app/10.0.0.1=10.0.0.1:81] 0" {
			t.Errorf("a further name of a known host: got %v", backendsOf(e))
		}
		g.say("app.example", reply{err: servfail})
		g.Follow(renamed)
		if list := g.take(); len(list) != 1 || list[0].Key.Backend != "new" || list[0].State != Stale {
			t.Errorf("a further name of a known host: got %+v, want one failed look-up", list)
		}
		if e := g.Expand(renamed); len(e.Pools["web"].Backends) != 2 {
			t.Errorf("got %v", backendsOf(e))
		}
		g.say("app.example", reply{addrs: addrs("10.0.0.1")})

		other := poolOf(backend("app", "db.example", 80))
		if e := g.Expand(other); len(e.Pools["web"].Backends) != 0 || e.Pools["web"].Resolving != 1 {
			t.Errorf("another host has the addresses of the old one: %v", backendsOf(e))
		}
		g.Follow(other)
		if list := g.take(); len(list) != 1 || list[0].Host != "db.example" || len(g.Status()) != 1 {
			t.Errorf("another host: got %+v", list)
		}
		other.Pools["web"].ResolveInterval = 10 * time.Second
		slower := poolOf(backend("app", "db.example", 80))
		slower.Pools["web"].ResolveInterval = time.Hour
		g.Follow(slower)
		if list := g.take(); len(list) != 1 {
			t.Errorf("another interval: got %d look-ups, want one", len(list))
		}
		time.Sleep(30 * time.Minute)
		if list := g.take(); len(list) != 0 {
			t.Errorf("the old interval goes on: %d look-ups", len(list))
		}
		g.Follow(poolOf(backend("a", "10.0.0.1", 80)))
		time.Sleep(48 * time.Hour)
		if list := g.take(); len(list) != 0 || len(g.Status()) != 0 {
			t.Errorf("a name that has left is looked up: %+v", list)
		}
	})
}

// TestAnswerToAnOldQuestion wants an answer not to count that comes after its name has got another host.
func TestAnswerToAnOldQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan []netip.Addr)
		g := newRig(t, func(o *Options) {
			o.Lookup = func(ctx context.Context, host string, _ []netip.Addr) ([]netip.Addr, error) {
				if host == "old.example" {
					return <-answer, nil // it does not look at ctx
				}
				return addrs("10.0.0.2"), nil
			}
		})
		g.Follow(poolOf(backend("app", "old.example", 80)))
		synctest.Wait()
		c := poolOf(backend("app", "new.example", 80))
		g.Follow(c)
		g.take()
		answer <- addrs("10.0.0.1")
		if list := g.take(); len(list) != 0 {
			t.Errorf("got %+v", list)
		}
		if got := fmt.Sprint(backendsOf(g.Expand(c))); got != "[app/10.0.0.2=10.0.0.2:80]" {
			t.Errorf("got %s", got)
		}
	})
}

// TestManyAnswersFewChanges wants answers that come together to be told together.
func TestManyAnswersFewChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, nil)
		var all []*config.Backend
		for i := range 500 {
			host := fmt.Sprintf("n%d.example", i)
			g.say(host, reply{addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})}})
			all = append(all, backend(fmt.Sprintf("n%d", i), host, 80))
		}
		c := poolOf(all...)
		g.Follow(c)
		synctest.Wait()
		time.Sleep(2 * pause)
		synctest.Wait()
		if e := g.Expand(c); len(e.Pools["web"].Backends) != 500 || g.changed < 1 || g.changed > 2 {
			t.Errorf("got %d backends by %d changes", len(e.Pools["web"].Backends), g.changed)
		}
	})
}

// TestConcurrency wants no more look-ups at a time than the options allow, and all to come to their turn.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := 0, 0
		g := newRig(t, func(o *Options) {
			o.Concurrency = 8
			o.Lookup = func(context.Context, string, []netip.Addr) ([]netip.Addr, error) {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				running--
				mu.Unlock()
				return addrs("10.0.0.1"), nil
			}
		})
		var all []*config.Backend
		for i := range 64 {
			all = append(all, backend(fmt.Sprintf("n%d", i), fmt.Sprintf("n%d.example", i), uint16(80+i)))
		}
		g.Follow(poolOf(all...))
		time.Sleep(8*time.Second + time.Millisecond)
		if list := g.take(); len(list) != 64 || most != 8 {
			t.Errorf("got %d look-ups in 8 s, %d at a time, want 64 and 8", len(list), most)
		}
	})
}

// TestResolverModel makes random changes to zones and configurations. Whatever happens, Expand is what the last
// good answers say, and a change of that is told.
func TestResolverModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t, nil)
			good := map[string][]netip.Addr{} // last good answers by host, of those followed
			c := poolOf()
			for range rapid.IntRange(1, 25).Draw(rt, "steps") {
				host := fmt.Sprintf("h%d.example", rapid.IntRange(0, 3).Draw(rt, "host"))
				switch rapid.IntRange(0, 3).Draw(rt, "step") {
				case 0:
					g.say(host, reply{err: rapid.SampledFrom([]error{notFound, servfail, silence, errors.New("x")}).Draw(rt, "error")})
				case 1:
					var list []netip.Addr
					for range rapid.IntRange(1, 4).Draw(rt, "addresses") {
						list = append(list, netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(1, 5).Draw(rt, "address"))}))
					}
					g.say(host, reply{addrs: list})
				case 2:
					var all []*config.Backend
					for i := range 4 {
						if rapid.Bool().Draw(rt, "there") {
							h := fmt.Sprintf("h%d.example", i)
							all = append(all, backend(fmt.Sprintf("b%d", i), h, uint16(80+i)))
						}
					}
					c = poolOf(all...)
					g.Follow(c)
					followed := map[string][]netip.Addr{}
					for _, b := range all {
						followed[b.Host] = good[b.Host]
					}
					good = followed
				case 3:
					time.Sleep(12 * time.Second)
				}
				time.Sleep(12 * time.Second) // everybody has been asked since
				synctest.Wait()
				var want []string
				for _, b := range c.Pools["web"].Backends {
					if says := g.says[b.Host]; says.err == nil && len(says.addrs) > 0 {
						good[b.Host] = ordered(slices.Clone(says.addrs))
					}
					for _, a := range good[b.Host] {
						want = append(want, fmt.Sprintf("%s/%s=%s:%d", b.Name, a, a, b.Port))
					}
				}
				if got := backendsOf(g.Expand(c)); !slices.Equal(got, want) {
					rt.Fatalf("got  %v\nwant %v", got, want)
				}
			}
			g.Close()
		})
	})
}
