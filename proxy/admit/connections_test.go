package admit

import (
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"
)

func newConnections(t testing.TB, limit, ipv6Bits int) *Connections {
	t.Helper()
	c, err := NewConnections(limit, ipv6Bits)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConnections(t *testing.T) {
	c := newConnections(t, 2, 64)
	steps := []struct {
		name   string
		client string
		enter  bool // else leave
		want   bool
	}{
		{"first", "10.0.0.1", true, true},
		{"second, in the other form", "::ffff:10.0.0.1", true, true},
		{"third", "10.0.0.1", true, false},
		{"third again: a refusal is not counted", "10.0.0.1", true, false},
		{"another client", "10.0.0.2", true, true},
		{"one leaves", "10.0.0.1", false, false},
		{"one may come", "10.0.0.1", true, true},
		{"but no more", "10.0.0.1", true, false},
		{"a network, first", "2001:db8::1", true, true},
		{"a network, second", "2001:db8::2", true, true},
		{"a network, third", "2001:db8::3", true, false},
		{"the network beside it", "2001:db8:0:1::1", true, true},
		{"one of the network leaves", "2001:db8::1", false, false},
		{"one more of the network", "2001:db8::4", true, true},
	}
	for _, s := range steps {
		client := netip.MustParseAddr(s.client)
		if !s.enter {
			c.Leave(client)
			continue
		}
		if got := c.Enter(client); got != s.want {
			t.Fatalf("%s: Enter(%s) = %v, want %v", s.name, s.client, got, s.want)
		}
	}
	if n := c.Clients(); n != 4 {
		t.Errorf("%d clients, want 4", n)
	}
}

// TestConnectionsModel enters and leaves at random, with limits that change, beside a plain map.
func TestConnectionsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 4).Draw(t, "limit")
		c, err := NewConnections(limit, 0)
		if err != nil {
			t.Fatal(err)
		}
		model := map[netip.Addr]int{}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			client := nth(rapid.IntRange(0, 9).Draw(t, "client"))
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				limit = rapid.IntRange(0, 4).Draw(t, "limit")
				if err := c.SetLimit(limit); err != nil {
					t.Fatal(err)
				}
			case 1, 2, 3:
				if model[client] == 0 {
					continue
				}
				c.Leave(client)
				if model[client]--; model[client] == 0 {
					delete(model, client)
				}
			default:
				want := limit == 0 || model[client] < limit
				if got := c.Enter(client); got != want {
					t.Fatalf("Enter(%v) = %v with %d open and a limit of %d", client, got, model[client], limit)
				}
				if want {
					model[client]++
				}
			}
			if got := c.Clients(); got != len(model) {
				t.Fatalf("%d clients, want %d", got, len(model))
			}
		}
		for client, open := range model {
			for range open {
				c.Leave(client)
			}
		}
		if n := c.Clients(); n != 0 {
			t.Fatalf("%d clients are left over", n)
		}
	})
}

func TestConnectionsPanicsOnLeaveWithoutEnter(t *testing.T) {
	c := newConnections(t, 1, 0)
	c.Enter(nth(1))
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "10.0.0.2 leaves that has not entered") {
			t.Errorf("recovered %q", text)
		}
		c.Leave(nth(1)) // the lock is not held any more
		if n := c.Clients(); n != 0 {
			t.Errorf("%d clients are left over", n)
		}
	}()
	c.Leave(nth(2))
}

func TestConnectionsOptions(t *testing.T) {
	for _, o := range [][2]int{{-1, 0}, {1, -1}, {1, 129}} {
		if c, err := NewConnections(o[0], o[1]); c != nil || err == nil {
			t.Errorf("NewConnections(%d, %d) = %v, %v", o[0], o[1], c, err)
		}
	}
	c := newConnections(t, 1, 0)
	if err := c.SetLimit(-1); err == nil {
		t.Error("a negative limit is accepted")
	}
	if !c.Enter(nth(1)) || c.Enter(nth(1)) {
		t.Error("a refused limit has changed the one in force")
	}
}

// TestConnectionsGiveMemoryBack has a flood of clients come and go.
func TestConnectionsGiveMemoryBack(t *testing.T) {
	const clients = 100_000
	c := newConnections(t, 1, 0)
	before := heap()
	for i := range clients {
		c.Enter(nth(i))
	}
	if peak := heap() - before; peak < clients*24 {
		t.Errorf("%d entries take %d bytes: the test does not measure", clients, peak)
	}
	for i := range clients {
		c.Leave(nth(i))
	}
	if kept := heap() - before; kept > clients {
		t.Errorf("%d bytes are kept after a flood", kept)
	}
	runtime.KeepAlive(c)
}

// heap is the bytes in use after a collection.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestConnectionsConcurrent never lets a client have more than its limit, and ends empty.
func TestConnectionsConcurrent(t *testing.T) {
	const clients, limit = 3, 2
	c := newConnections(t, limit, 0)
	var open, entered [clients]atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				n := (i + g) % clients
				if !c.Enter(nth(n)) {
					continue
				}
				if now := open[n].Add(1); now > limit {
					t.Errorf("client %d has %d open", n, now)
				}
				entered[n].Add(1)
				c.Clients()
				open[n].Add(-1)
				c.Leave(nth(n))
			}
		})
	}
	wg.Wait()
	if n := c.Clients(); n != 0 {
		t.Errorf("%d clients are left over", n)
	}
	for n := range entered {
		if entered[n].Load() == 0 {
			t.Errorf("client %d never entered", n)
		}
	}
}

func TestConnectionsAllocs(t *testing.T) {
	c := newConnections(t, 2, 64)
	client := netip.MustParseAddr("fe80::1%eth0")
	noAllocs(t, "Enter and Leave", func() {
		if c.Enter(client) {
			c.Leave(client)
		}
	})
}

func BenchmarkConnections(b *testing.B) {
	c := newConnections(b, 100, 64)
	for i := range 10_000 {
		c.Enter(nth(i))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if client := nth(i & 16383); c.Enter(client) {
				c.Leave(client)
			}
		}
	})
}
