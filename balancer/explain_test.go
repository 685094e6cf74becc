package balancer

import (
	"errors"
	"strings"
	"testing"

	"weir/config"
)

func TestExplainNames(t *testing.T) {
	p := NewPool(poolOf(3, config.FiveTupleHash), Options{}, epoch)
	f := client(7)
	e := p.Explain(f)
	want := "source 172.0.0.7, destination 198.51.100.1, protocol 6, source port 1031, destination port 443"
	if got := strings.Join(e.Key.Covers, ", "); got != want {
		t.Errorf("key: got %q, want %q", got, want)
	}
	if e.Key.Hash != f.Hash(FiveTuple, 0) || e.Entry.Size != minTable || e.Entry.Owner != e.Pick || e.Entry.Ramp != nil || e.Turn != nil {
		t.Errorf("got %+v %+v %v", e.Key, e.Entry, e.Turn)
	}
	if _, _, err := p.ExplainIf(f, []Supposition{{Backend: "b9", Down: true}}); err == nil || !strings.Contains(err.Error(), `no backend "b9"`) {
		t.Errorf("a backend that is not there: got %v", err)
	}
	e, _, err := p.ExplainIf(f, []Supposition{{Backend: "b0", Down: true}, {Backend: "b1", Down: true}, {Backend: "b2", State: config.Maintenance}})
	if err != nil || e.Pick != nil || !errors.Is(e.Refusal, ErrNoBackendUp) || e.Candidates[0].Why != "down" || e.Candidates[2].Why != "in maintenance" {
		t.Errorf("nobody left: got %s, %v, %v, %+v", nameOf(e.Pick), e.Refusal, err, e.Candidates)
	}
}

// In a rotation the turns to come are those that come.
func TestExplainTurns(t *testing.T) {
	p := NewPool(weighted(config.WeightedRoundRobin, 3, 1, 2), Options{Offset: 4}, epoch)
	turn := p.Explain(client(0)).Turn
	if turn.Length != 6 || turn.Place != 4 || len(turn.Next) != 6 {
		t.Fatalf("got %+v", turn)
	}
	for i, want := range turn.Next {
		if got := acquire(t, p, client(i)); got != want.Name() {
			t.Errorf("turn %d: got %s, want %s", i, got, want.Name())
		}
	}
}

func TestExplainQueue(t *testing.T) {
	c := poolOf(1, config.WeightedRoundRobin)
	c.Backends[0].MaxConnections = 1
	p := NewPool(c, Options{}, epoch)
	l, err := p.Acquire(client(0), nil)
	if err != nil {
		t.Fatal(err)
	}
	if e := p.Explain(client(1)); e.Pick != nil || !errors.Is(e.Refusal, ErrFull) || e.Candidates[0].Why != "has its maximum of 1" {
		t.Errorf("full: got %s, %v, %+v", nameOf(e.Pick), e.Refusal, e.Candidates)
	}
	place, ok := p.Queue(1)
	if !ok {
		t.Fatal("no place in the queue")
	}
	defer place.Leave(false)
	l.Release()
	if e := p.Explain(client(1)); e.Pick != nil || !errors.Is(e.Refusal, ErrFull) || !strings.Contains(e.Why, "others wait") {
		t.Errorf("somebody waits: got %s, %v, %q", nameOf(e.Pick), e.Refusal, e.Why)
	}
}

func nameOf(b *Backend) string {
	if b == nil {
		return "nobody"
	}
	return b.Name()
}
