package admit

import (
	"net/netip"
	"testing"
)

// TestNilSetsNoLimit is what callers rely on where nothing is configured.
func TestNilSetsNoLimit(t *testing.T) {
	access, err := NewAccess(nil, nil)
	if err != nil || access != nil {
		t.Fatalf("NewAccess of nothing = %v, %v", access, err)
	}
	rate, err := NewRate(RateOptions{})
	if err != nil || rate != nil {
		t.Fatalf("NewRate of nothing = %v, %v", rate, err)
	}
	pace := NewPace(0)
	if pace != nil {
		t.Fatalf("NewPace(0) = %v", pace)
	}
	var connections *Connections
	var descriptors *Descriptors
	for range 10_000 {
		ok, retryAfter := rate.Allow(netip.Addr{}, 0)
		if !access.Allowed(netip.Addr{}) || !ok || retryAfter != 0 || !pace.Allow(0) || pace.Wait(0) != 0 ||
			!connections.Enter(netip.Addr{}) || !descriptors.Enter(1) || !descriptors.EnterReserved(1) {
			t.Fatal("nil sets a limit")
		}
	}
	connections.Leave(netip.Addr{})
	descriptors.Leave(1)
	descriptors.Observe(1)
	if err := connections.SetLimit(1); err != nil {
		t.Error(err)
	}
	if rate.Clients(0) != 0 || connections.Clients() != 0 || descriptors.Used() != 0 {
		t.Error("nil counts")
	}
}
