package stream

import (
	"math/rand/v2"
	"testing"
)

// TestClientsList: the list of the sessions against a map.
func TestClientsList(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var c Clients
	want := map[*session]bool{}
	for range 5000 {
		if random.IntN(2) == 0 && len(want) < 50 {
			s := &session{}
			c.enter(s)
			want[s] = true
		} else {
			for s := range want { // any one
				c.leave(s)
				delete(want, s)
				break
			}
		}
		all := c.all()
		if len(all) != len(want) {
			t.Fatalf("%d sessions, want %d", len(all), len(want))
		}
		for _, s := range all {
			if !want[s] {
				t.Fatal("one is listed that has left")
			}
		}
		if c.last != nil && c.last.after != nil {
			t.Fatal("there is one after the last")
		}
	}
}
