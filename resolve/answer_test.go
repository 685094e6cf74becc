package resolve

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSift(t *testing.T) {
	tests := []struct {
		name           string
		reply          []netip.Addr
		want, unusable []netip.Addr
	}{
		{"order, repetition, mapped", addrs("2001:db8::1", "10.0.0.2", "::ffff:10.0.0.1", "10.0.0.2"), addrs("10.0.0.1", "10.0.0.2", "2001:db8::1"), nil},
		{"nothing", nil, nil, nil},
		{"sinkholes", addrs("0.0.0.0", "::", "10.0.0.1"), addrs("10.0.0.1"), addrs("0.0.0.0", "::")},
		{"of many", addrs("224.0.0.1", "255.255.255.255", "240.1.2.3", "ff02::1", "0.1.2.3"), nil, addrs("0.1.2.3", "224.0.0.1", "240.1.2.3", "255.255.255.255", "ff02::1")},
		{"without its zone", addrs("fe80::1"), nil, addrs("fe80::1")},
		{"usual", addrs("127.0.0.1", "169.254.1.1", "100.64.0.1", "::1", "fd00::1"), addrs("100.64.0.1", "127.0.0.1", "169.254.1.1", "::1", "fd00::1"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := sift(tt.reply)
			if !slices.Equal(got.addresses, tt.want) || !slices.Equal(got.unusable, tt.unusable) || got.surplus != 0 {
				t.Errorf("got %v, unusable %v, surplus %d; want %v and %v", got.addresses, got.unusable, got.surplus, tt.want, tt.unusable)
			}
		})
	}
}

// TestSiftProperties wants the same of an answer in any order, within its bound, and nothing to get lost.
func TestSiftProperties(t *testing.T) {
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		if b := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4"); rapid.Bool().Draw(t, "is v4") {
			return netip.AddrFrom4([4]byte(b))
		}
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6")))
	})
	rapid.Check(t, func(t *rapid.T) {
		reply := rapid.SliceOfN(address, 0, MaxAddresses+40).Draw(t, "reply")
		a, b := sift(reply), sift(rapid.Permutation(reply).Draw(t, "another order"))
		if !slices.Equal(a.addresses, b.addresses) || !slices.Equal(a.unusable, b.unusable) || a.surplus != b.surplus {
			t.Fatal("the order of the reply matters")
		}
		if len(a.addresses) > MaxAddresses || a.surplus > 0 && len(a.addresses) != MaxAddresses {
			t.Fatalf("%d addresses and %d in surplus", len(a.addresses), a.surplus)
		}
		distinct := map[netip.Addr]bool{}
		for _, addr := range reply {
			distinct[addr.Unmap().WithZone("")] = true
		}
		if n := len(a.addresses) + len(a.unusable) + a.surplus; n != len(distinct) {
			t.Fatalf("%d of %d addresses are accounted for", n, len(distinct))
		}
		if !slices.IsSortedFunc(a.addresses, netip.Addr.Compare) || len(difference(a.addresses, a.addresses)) != 0 {
			t.Fatal("not in order")
		}
	})
}

func TestDifference(t *testing.T) {
	a, b := addrs("10.0.0.1", "10.0.0.2", "2001:db8::1"), addrs("10.0.0.2", "10.0.0.3")
	if got, want := difference(a, b), addrs("10.0.0.1", "2001:db8::1"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := difference(nil, b); got != nil {
		t.Errorf("got %v of nothing", got)
	}
}

func TestLacksFamily(t *testing.T) {
	v4, v6, both := addrs("10.0.0.1"), addrs("2001:db8::1"), addrs("10.0.0.1", "2001:db8::1")
	tests := []struct{ held, got, want []netip.Addr }{
		{nil, v4, nil}, {v4, v4, nil}, {both, v4, v6}, {both, v6, v4}, {both, both, nil}, {v6, v4, v6}, {v4, both, nil},
	}
	for _, tt := range tests {
		if got := lacksFamily(tt.held, tt.got); !slices.Equal(got, tt.want) {
			t.Errorf("held %v, got %v: missing %v, want %v", tt.held, tt.got, got, tt.want)
		}
	}
}
