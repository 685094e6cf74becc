package admit

import (
	"net/netip"
	"testing"
)

func TestGate(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	bad := netip.MustParseAddr("198.51.100.1")
	o := GateOptions{Deny: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, PerSecond: 4, PerClient: 2}
	g, err := NewGate(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	g.Adopt()
	enter := func(g *Gate, client netip.Addr, want Refusal) *Connections {
		t.Helper()
		counted, got := g.Enter(client, 1e9)
		if got != want {
			t.Errorf("%v: refused by %d, want %d", client, got, want)
		}
		return counted
	}
	enter(g, bad, RefusedDenied) // and takes nothing of the pace
	first := enter(g, a, 0)
	enter(g, a, 0)
	for range 10 {
		enter(g, a, RefusedPerClient) // nor does a client that has its share
	}
	enter(g, b, 0)
	second := enter(g, b, 0)
	c := netip.MustParseAddr("192.0.2.3")
	for range 10 {
		enter(g, c, RefusedPace) // which counts for no client
	}
	if n := g.perClient.Clients(); n != 2 {
		t.Errorf("%d clients have connections, want 2", n)
	}
	first.Leave(a)
	second.Leave(b)

	o.PerClient = 1
	next, err := NewGate(o, g)
	if err != nil {
		t.Fatal(err)
	}
	enter(next, b, RefusedPace) // no fresh burst
	counted, refused := g.Enter(a, 3e9)
	if counted == nil || refused != 0 {
		t.Errorf("a gate that was not adopted is in force: refused by %d", refused)
	}
	counted.Leave(a)
	next.Adopt()
	if _, refused := next.Enter(a, 5e9); refused != RefusedPerClient {
		t.Errorf("the connection from before the reload was forgotten: refused by %d", refused)
	}
	open, err := NewGate(GateOptions{}, next)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		counted := enter(open, bad, 0)
		counted.Leave(bad) // counts nothing
	}
	if _, err := NewGate(GateOptions{PerClient: 1, IPv6Bits: 200}, nil); err == nil {
		t.Error("200 bits of an address are accepted")
	}
}
