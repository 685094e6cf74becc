package session

import (
	"testing"
	"time"
)

// The sessions of a table go on in another one, each with the backend of its name and with the time that it
// has left.
func TestTableRemembers(t *testing.T) {
	before := backendsOf(3)
	old := NewTable(100, time.Minute)
	const base = 1000 * second
	old.Put(key(1), before[0], base)
	old.Put(key(2), before[1], base+30*second)
	old.Put(key(3), before[2], base+10*second)
	old.Put(key(4), before[0], base-30*second) // expired
	list := old.Memory(base + 59*second)
	if len(list) != 3 || list[0].Key != key(1) || list[1].Key != key(3) || list[2].Key != key(2) {
		t.Fatalf("got %v, want keys 1, 3, 2: the one used last at the end", list)
	}

	after := backendsOf(2) // b2 is not there any more
	tb := NewTable(100, time.Minute)
	tb.Remember(list, after, 5*second)
	if got := tb.Stats().Entries; got != 2 {
		t.Errorf("entries: got %d, want 2", got)
	}
	if got := tb.Get(key(3), 5*second); got != nil {
		t.Errorf("a session of a backend that is gone: got %s, want none", got.Name())
	}
	if got := tb.Get(key(2), 5*second); got != after[1] {
		t.Errorf("got %v, want b1 of the new pool", got)
	}
	if got := tb.Get(key(1), 6*second); got != nil {
		t.Error("59 seconds there and one here are not a minute")
	}
}

// Where there is not room for all, those used last are kept.
func TestTableRemembersTheLatest(t *testing.T) {
	b := backendsOf(1)
	old := NewTable(1000, time.Hour)
	for i := range 500 {
		old.Put(key(i), b[0], int64(i)*second)
	}
	tb := NewTable(leastPerShard/2, time.Hour) // one shard, so that the order is exact
	tb.Remember(old.Memory(500*second), b, 0)
	for i := range 500 {
		if got, want := tb.Get(key(i), 0) != nil, i >= 500-leastPerShard/2; got != want {
			t.Errorf("session %d is there: %v, want %v", i, got, want)
		}
	}
}
