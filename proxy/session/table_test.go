package session

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"weir/balancer"
)

// key is the n-th key.
func key(n int) (k Key) {
	binary.BigEndian.PutUint64(k[8:], uint64(n))
	return k
}

func TestTableExpires(t *testing.T) {
	b := backendsOf(2)
	tb := NewTable(10, time.Minute)
	get := func(now int64, want *balancer.Backend) {
		t.Helper()
		if got := tb.Get(key(1), now); got != want {
			t.Errorf("at %v: got %v, want %v", time.Duration(now), got, want)
		}
	}
	get(0, nil)
	tb.Put(key(1), b[0], 0)
	get(60*second-1, b[0]) // a use: the minute starts again
	get(120*second-2, b[0])
	get(100*second, b[0]) // a caller that is late does not shorten it
	get(180*second-3, b[0])
	get(240*second-3, nil)
	get(180*second, nil) // it is gone, not hidden
	want := Stats{Hits: 4, Misses: 3, Expired: 1}
	if got := tb.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	tb.Put(key(1), b[1], 300*second)
	get(300*second, b[1])
	tb.SetTimeout(10 * time.Second)
	get(310*second, nil)
}

func TestTablePutReplaces(t *testing.T) {
	b := backendsOf(2)
	tb := NewTable(10, time.Minute)
	tb.Put(key(1), b[0], 0)
	tb.Put(key(1), b[1], 30*second)
	if got := tb.Get(key(1), 80*second); got != b[1] {
		t.Errorf("got %v, want b1", got)
	}
	if got := tb.GetOrPut(key(1), b[0], 81*second); got != b[1] {
		t.Errorf("a session is taken over by %v", got)
	}
	if got := tb.GetOrPut(key(1), b[0], 141*second); got != b[0] {
		t.Errorf("an expired session stays with %v", got)
	}
	if got := tb.Stats(); got.Entries != 1 || got.Evictions != 0 {
		t.Errorf("got %+v", got)
	}
	if !tb.Delete(key(1)) || tb.Delete(key(1)) || tb.Get(key(1), 141*second) != nil {
		t.Error("Delete does not end the session, once")
	}
}

// TestTableBound: whatever shards keys fall into, the table fills to its size and no further, and
// what was used last is there.
func TestTableBound(t *testing.T) {
	b := backendsOf(1)[0]
	for _, size := range []int{-1, 1, 2, 63, 64, 100, 128, 1000, 4096, 5000} {
		tb := NewTable(size, time.Hour)
		bound := max(size, 1)
		for n := range 3 * bound {
			tb.Put(key(n), b, int64(n))
			if tb.Get(key(n), int64(n)) != b {
				t.Fatalf("size %d: entry %d is not there", size, n)
			}
			if got, want := tb.Stats().Entries, min(n+1, bound); n%max(1, bound/50) == 0 && got != want {
				t.Fatalf("size %d: got %d entries, want %d", size, got, want)
			}
		}
		if got := tb.Stats(); got.Entries != bound || got.Evictions != uint64(2*bound) || tb.entries.Load() != int64(bound) {
			t.Errorf("size %d: got %+v, count %d", size, got, tb.entries.Load())
		}
	}
}

// TestEvictionTakesOld: among many shards the evicted are not exactly the oldest, but never the young.
func TestEvictionTakesOld(t *testing.T) {
	b := backendsOf(1)[0]
	const size = 64 * 1024 // so many that the chance of one shard being far fuller than another is nil
	tb := NewTable(size, time.Hour)
	for n := range size + size/4 {
		tb.Put(key(n), b, int64(n))
	}
	lost := 0
	for n := size / 2; n < size+size/4; n++ {
		if tb.Get(key(n), size*2) == nil {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of the young half were evicted", lost)
	}
}

// TestEvictFromAnotherShard: a full table takes a new entry also when its own shard is empty.
func TestEvictFromAnotherShard(t *testing.T) {
	b := backendsOf(1)[0]
	tb := NewTable(64*64, time.Hour)
	k := key(0)
	home := tb.shard(&k)
	put := 0
	for n := 1; put < 64*64; n++ {
		if k := key(n); tb.shard(&k) != home {
			tb.Put(k, b, 0)
			put++
		}
	}
	tb.Put(k, b, 1)
	if got := tb.Stats(); tb.Get(k, 1) != b || got.Entries != 64*64 || got.Evictions != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestForget(t *testing.T) {
	b := backendsOf(3)
	tb := NewTable(10000, time.Hour)
	for n := range 3000 {
		tb.Put(key(n), b[n%3], 0)
	}
	if got := tb.Forget(b[1]); got != 1000 {
		t.Errorf("forgot %d, want 1000", got)
	}
	for n := range 3000 {
		want := b[n%3]
		if n%3 == 1 {
			want = nil
		}
		if got := tb.Get(key(n), 0); got != want {
			t.Fatalf("key %d: got %v, want %v", n, got, want)
		}
	}
	if got := tb.Stats(); got.Entries != 2000 || tb.entries.Load() != 2000 || tb.Forget(b[1]) != 0 {
		t.Errorf("got %+v, count %d", got, tb.entries.Load())
	}
}

// TestRemovedBackend: a session with a backend that has left its pool is none, even if a flow that
// was under way put it back after Forget.
func TestRemovedBackend(t *testing.T) {
	p, c := poolOf(2)
	b := members(p)
	tb := NewTable(10, time.Hour)
	tb.Put(key(0), b[0], 0)
	tb.Put(key(1), b[1], 0)
	c.Backends = c.Backends[:1]
	p.Apply(c, time.Unix(1, 0))
	if tb.Get(key(0), 1) != b[0] || tb.Get(key(1), 1) != nil {
		t.Error("a session outlives its backend, or dies with another")
	}
	if got := tb.Stats().Entries; got != 1 {
		t.Errorf("got %d entries, want 1", got)
	}
}

func TestSweep(t *testing.T) {
	b := backendsOf(1)[0]
	tb := NewTable(1000, time.Minute)
	tb.shards = tb.shards[:1] // a batch is per shard
	for n := range 600 {
		tb.Put(key(n), b, int64(n))
	}
	if tb.Sweep(60*second-1) || tb.Stats().Entries != 600 {
		t.Error("something is swept too early")
	}
	if !tb.Sweep(60*second+299) || tb.Sweep(60*second+299) {
		t.Error("300 take two sweeps")
	}
	if got := tb.Stats(); got.Entries != 300 || got.Expired != 300 {
		t.Errorf("got %+v, want 300 left", got)
	}
	if !tb.Sweep(time.Hour.Nanoseconds()) || tb.Sweep(time.Hour.Nanoseconds()) {
		t.Error("300 take two sweeps")
	}
	if got := tb.Stats(); got.Entries != 0 || got.Expired != 600 || tb.entries.Load() != 0 {
		t.Errorf("got %+v, want none", got)
	}
}

// TestSweepSaysMore: one shard that has more to remove is enough, whichever it is.
func TestSweepSaysMore(t *testing.T) {
	b := backendsOf(1)[0]
	tb := NewTable(64*1000, time.Minute)
	for at := range tb.shards {
		for n, put := 0, 0; put < sweepBatch+1; n++ {
			if k := key(n); tb.shard(&k) == &tb.shards[at] {
				tb.Put(k, b, 0)
				put++
			}
		}
		if !tb.Sweep(60*second) || tb.Sweep(60*second) || tb.Stats().Entries != 0 {
			t.Fatalf("shard %d does not take two sweeps", at)
		}
	}
	for n := range 64 * 900 {
		tb.Put(key(n), b, 0)
	}
	sweeps := 1
	for tb.Sweep(60 * second) {
		sweeps++
	}
	if sweeps > 5 {
		t.Errorf("a sweep leaves shards out: all take %d", sweeps)
	}
}

// TestPutReaps: without any sweep, new sessions remove expired ones.
func TestPutReaps(t *testing.T) {
	b := backendsOf(1)[0]
	tb := NewTable(100, time.Minute)
	for n := range 50 {
		tb.Put(key(n), b, 0)
	}
	for n := range 50 {
		tb.Put(key(100+n), b, 60*second)
	}
	if got := tb.Stats(); got.Entries != 50 || got.Expired != 50 || got.Evictions != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestAddressKey(t *testing.T) {
	a := func(s string) Key { return AddressKey(netip.MustParseAddr(s)) }
	if a("192.0.2.1") != a("::ffff:192.0.2.1") || a("fe80::1%eth0") != a("fe80::1") {
		t.Error("forms of one address differ")
	}
	if a("192.0.2.1") == a("192.0.2.2") || a("2001:db8::1") == a("2001:db8::2") || a("0.0.0.0") == a("::") {
		t.Error("addresses share a key")
	}
	if AddressKey(netip.Addr{}) != a("::") {
		t.Error("an invalid address is not ::")
	}
}

func TestCookieKey(t *testing.T) {
	seen := map[Key]string{}
	for _, c := range []struct{ name, value string }{
		{"a", "b"}, {"a", "c"}, {"b", "b"}, {"ab", ""}, {"", "ab"}, {"a", ""}, {"a", "b="}, {"a", "=b"}, {"a", string(make([]byte, 2*maxKept))},
	} {
		text := fmt.Sprintf("%q %q", c.name, c.value)
		k := CookieKey([]byte(c.name), []byte(c.value))
		if other, taken := seen[k]; taken {
			t.Errorf("%.20s and %.20s share a key", text, other)
		}
		seen[k] = text
		if k != CookieKey([]byte(c.name), []byte(c.value)) {
			t.Errorf("%.20s has two keys", text)
		}
	}
}

// TestTableAllocs: a full table whose sessions come and go, and one whose sessions stay.
func TestTableAllocs(t *testing.T) {
	b := backendsOf(1)[0]
	tb := NewTable(1000, time.Hour)
	n := 0
	for ; n < 10000; n++ {
		tb.Put(key(n), b, int64(n))
	}
	allocs(t, "Put of a new key", func() { n++; tb.Put(key(n), b, int64(n)) })
	allocs(t, "Get", func() {
		if tb.Get(key(n), int64(n)) == nil {
			t.Fatal("not there")
		}
	})
	allocs(t, "Put", func() { tb.Put(key(n), b, int64(n)) })
	allocs(t, "Get of nothing", func() { tb.Get(key(-1), int64(n)) })
	src := netip.MustParseAddr("2001:db8::1")
	allocs(t, "AddressKey", func() { tb.GetOrPut(AddressKey(src), b, int64(n)) })
}

// held counts the entries of a table that nobody uses.
func held(tb *Table) (n int) {
	for i := range tb.shards {
		n += len(tb.shards[i].index)
	}
	return n
}

// TestTableConcurrently runs everything at once. Each goroutine has clients of its own, of which it
// knows the backend; all share the shards.
func TestTableConcurrently(t *testing.T) {
	const goroutines, rounds, clients = 8, 3000, 100
	b := backendsOf(goroutines + 1)
	tb := NewTable(goroutines*clients/2, time.Minute)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range rounds {
				k, now := key(g*clients+i/2*7%clients), int64(i)*second/10
				if got := tb.Get(k, now); got != nil && got != b[g] {
					t.Errorf("%s has a session of %s", got.Name(), b[g].Name())
					return
				}
				switch i % 500 {
				case 100:
					tb.Sweep(now)
				case 200:
					tb.Forget(b[g])
				case 300:
					tb.Delete(k)
				case 400:
					if n := tb.Stats().Entries; n > goroutines*clients/2 {
						t.Errorf("%d entries", n)
					}
				default:
					tb.GetOrPut(k, b[g], now)
				}
			}
		})
	}
	wg.Wait()
	if got, want := tb.Stats().Entries, held(tb); got != want {
		t.Errorf("%d entries are counted, %d are held", got, want)
	}
	if got := tb.Stats(); got.Entries != int(tb.entries.Load()) || got.Evictions == 0 || got.Hits == 0 {
		t.Errorf("%+v, count %d", got, tb.entries.Load())
	}
	for _, backend := range b {
		tb.Forget(backend)
	}
	if got := tb.Stats().Entries; got != 0 || tb.entries.Load() != 0 {
		t.Errorf("%d are left, count %d", got, tb.entries.Load())
	}
}

// Sessions of backends that have left are found with keep, for as long as they would have lasted.
func TestTableKeepsLostSessions(t *testing.T) {
	pool, config := poolOf(2)
	b := members(pool)
	tb := NewTable(10, time.Minute)
	for i := range b {
		tb.Put(key(i), b[i], 0)
	}
	config.Backends = config.Backends[1:]
	pool.Apply(config, time.Unix(1, 0))
	get := func(k int, now int64, want *balancer.Backend) {
		t.Helper()
		if got := tb.Get(key(k), now); got != want {
			t.Errorf("session %d at %v: got %v, want %v", k, time.Duration(now), got, want)
		}
	}
	tb.SetKeep(true)
	get(0, 30*second, b[0])
	get(1, 30*second, b[1])
	if got := tb.GetOrPut(key(0), b[1], 40*second); got != b[0] {
		t.Errorf("a lost session is taken over by %v", got)
	}
	get(0, 60*second-1, b[0])
	get(0, 60*second, nil) // asking for it did not keep it
	get(1, 60*second, b[1])

	tb.Put(key(0), b[0], 60*second)
	if got := tb.Restore([]*balancer.Backend{b[1]}); got != 0 {
		t.Errorf("%d sessions restored, and their backend is not back", got)
	}
	again := backendsOf(2)[0] // of that name
	if got := tb.Restore([]*balancer.Backend{b[1], again}); got != 1 {
		t.Errorf("%d sessions restored, want 1", got)
	}
	get(0, 61*second, again)
	get(1, 61*second, b[1])

	tb.Put(key(2), b[0], 61*second)
	tb.Put(key(2), b[1], 61*second) // who is served all the same has another session
	get(2, 61*second, b[1])
	tb.Put(key(3), b[0], 61*second)
	tb.SetKeep(false)
	get(3, 61*second, nil)
	if got, want := tb.Stats().Entries, 3; got != want {
		t.Errorf("%d entries, want %d", got, want)
	}
}

// However many sessions are lost, the table is no larger than it may be.
func TestLostSessionsAreBounded(t *testing.T) {
	pool, _ := poolOf(1)
	b := members(pool)[0]
	tb := NewTable(8, time.Hour)
	tb.SetKeep(true)
	pool.Close(time.Unix(1, 0))
	for i := range 100 {
		tb.Put(key(i), b, int64(i))
	}
	if got := tb.Stats(); got.Entries != 8 || got.Evictions != 92 {
		t.Errorf("got %+v, want 8 entries", got)
	}
}
