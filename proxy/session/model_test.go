package session

import (
	"testing"

	"pgregory.net/rapid"

	"weir/balancer"
)

// model is a table of one shard in the plainest form: a list from old to young.
type model struct {
	size    int
	timeout int64
	list    []modelEntry
}

type modelEntry struct {
	key  int
	b    *balancer.Backend
	used int64
}

// take removes and returns the session of k if it is live, and drops it if it is not.
func (m *model) take(k int, now int64) *balancer.Backend {
	for i, e := range m.list {
		if e.key == k {
			m.list = append(m.list[:i:i], m.list[i+1:]...)
			if now-e.used < m.timeout {
				return e.b
			}
			return nil
		}
	}
	return nil
}

func (m *model) get(k int, now int64) *balancer.Backend {
	b := m.take(k, now)
	if b != nil {
		m.list = append(m.list, modelEntry{k, b, now})
	}
	return b
}

func (m *model) put(k int, b *balancer.Backend, now int64) {
	if m.take(k, now) == nil {
		m.reap(now, reapBatch)
		if len(m.list) == m.size {
			m.list = m.list[1:]
		}
	}
	m.list = append(m.list, modelEntry{k, b, now})
}

func (m *model) reap(now int64, limit int) {
	for limit > 0 && len(m.list) > 0 && now-m.list[0].used >= m.timeout {
		m.list, limit = m.list[1:], limit-1
	}
}

func (m *model) forget(b *balancer.Backend) int {
	var left []modelEntry
	for _, e := range m.list {
		if e.b != b {
			left = append(left, e)
		}
	}
	n := len(m.list) - len(left)
	m.list = left
	return n
}

func (m *model) disclaim(k int, b, had *balancer.Backend) {
	for i := range m.list {
		if e := &m.list[i]; e.key == k && e.b == b {
			if e.b = had; had == nil {
				m.list = append(m.list[:i:i], m.list[i+1:]...)
			}
			return
		}
	}
}

// TestTableModel drives a table and the model with the same events.
func TestTableModel(t *testing.T) {
	b := backendsOf(4)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 12).Draw(t, "size")
		m := &model{size: size, timeout: 20}
		tb := NewTable(size, 20)
		keys, pick := rapid.IntRange(0, 20), rapid.SampledFrom(b)
		now := int64(0)
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) { now += rapid.Int64Range(0, 15).Draw(t, "d") },
			"get": func(t *rapid.T) {
				k := keys.Draw(t, "k")
				if got, want := tb.Get(key(k), now), m.get(k, now); got != want {
					t.Fatalf("got %v, want %v", got, want)
				}
			},
			"put": func(t *rapid.T) {
				k, b := keys.Draw(t, "k"), pick.Draw(t, "b")
				tb.Put(key(k), b, now)
				m.put(k, b, now)
			},
			"get or put": func(t *rapid.T) {
				k, b := keys.Draw(t, "k"), pick.Draw(t, "b")
				want := m.get(k, now)
				if want == nil {
					want = b
					m.put(k, b, now)
				}
				if got := tb.GetOrPut(key(k), b, now); got != want {
					t.Fatalf("got %v, want %v", got, want)
				}
			},
			"claim": func(t *rapid.T) {
				k, had, b := keys.Draw(t, "k"), pick.Draw(t, "had"), pick.Draw(t, "b")
				if rapid.Bool().Draw(t, "none") {
					had = nil
				}
				want, claim := m.get(k, now), false
				if want == nil || want == had && had != b {
					claim, want = true, b
					m.put(k, b, now)
				}
				if got, claimed := tb.Claim(key(k), had, b, now); got != want || claimed != claim {
					t.Fatalf("got %v, %t, want %v, %t", got, claimed, want, claim)
				}
			},
			"disclaim": func(t *rapid.T) {
				k, had, b := keys.Draw(t, "k"), pick.Draw(t, "had"), pick.Draw(t, "b")
				if rapid.Bool().Draw(t, "none") {
					had = nil
				}
				tb.Disclaim(key(k), b, had)
				m.disclaim(k, b, had)
			},
			"delete": func(t *rapid.T) {
				k := keys.Draw(t, "k")
				before := len(m.list)
				m.take(k, now)
				if got, want := tb.Delete(key(k)), len(m.list) < before; got != want {
					t.Fatalf("got %v, want %v", got, want)
				}
			},
			"forget": func(t *rapid.T) {
				b := pick.Draw(t, "b")
				if got, want := tb.Forget(b), m.forget(b); got != want {
					t.Fatalf("got %d, want %d", got, want)
				}
			},
			"sweep": func(*rapid.T) {
				tb.Sweep(now)
				m.reap(now, sweepBatch)
			},
			"": func(t *rapid.T) { compareOrder(t, tb, m) },
		})
	})
}

// compareOrder holds the table's entries, from old to young, against the model's.
func compareOrder(t *rapid.T, tb *Table, m *model) {
	s := &tb.shards[0]
	i := s.oldest()
	for _, want := range m.list {
		e := &s.entries[i]
		if i == 0 || e.key != key(want.key) || e.backend != want.b || e.used != want.used {
			t.Fatalf("entry %d is %+v, want %+v", i, e, want)
		}
		i = e.prev
	}
	if i != 0 || len(s.index) != len(m.list) || tb.entries.Load() != int64(len(m.list)) {
		t.Fatalf("%d entries, count %d, want %d", len(s.index), tb.entries.Load(), len(m.list))
	}
}
