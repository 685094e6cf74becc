package admit

import (
	"net/netip"
	"testing"
)

func TestGrain(t *testing.T) {
	tests := []struct {
		name string
		bits int
		a, b string
		same bool
	}{
		{"one address", 128, "2001:db8::1", "2001:db8::1", true},
		{"neighbours", 128, "2001:db8::1", "2001:db8::2", false},
		{"0 is 128", 0, "2001:db8::1", "2001:db8::2", false},
		{"a network", 64, "2001:db8::1", "2001:db8:0:0:ffff::2", true},
		{"two networks", 64, "2001:db8::1", "2001:db8:0:1::1", false},
		{"a wide network", 48, "2001:db8:0:1::1", "2001:db8:0:2::1", true},
		{"two wide networks", 48, "2001:db8:0:1::1", "2001:db8:1:1::1", false},
		{"bits inside the low half", 127, "2001:db8::2", "2001:db8::3", true},
		{"bits inside the low half differ", 127, "2001:db8::1", "2001:db8::2", false},
		{"IPv4 has no networks", 1, "10.0.0.1", "10.0.0.2", false},
		{"IPv4 in IPv6", 64, "10.0.0.1", "::ffff:10.0.0.1", true},
		{"IPv4 in IPv6 is not masked", 64, "::ffff:10.0.0.1", "::ffff:10.0.0.2", false},
		{"a zone is ignored", 128, "fe80::1%eth0", "fe80::1%eth1", true},
		{"IPv4 is no low IPv6", 128, "10.0.0.1", "::a00:1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g, err := newGrain(tt.bits)
			if err != nil {
				t.Fatal(err)
			}
			a, b := g.client(netip.MustParseAddr(tt.a)), g.client(netip.MustParseAddr(tt.b))
			if got := a == b; got != tt.same {
				t.Errorf("%s and %s are one client: %v, want %v", tt.a, tt.b, got, tt.same)
			}
		})
	}
	for _, bits := range []int{-1, 129} {
		if _, err := newGrain(bits); err == nil {
			t.Errorf("%d bits are accepted", bits)
		}
	}
}
