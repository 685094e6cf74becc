package admit

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func prefixes(texts ...string) []netip.Prefix {
	var found []netip.Prefix
	for _, text := range texts {
		found = append(found, netip.MustParsePrefix(text))
	}
	return found
}

func TestAccess(t *testing.T) {
	tests := []struct {
		name        string
		allow, deny []netip.Prefix
		yes, no     []string
	}{
		{"allow", prefixes("10.0.0.0/8"), nil,
			[]string{"10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"},
			[]string{"9.255.255.255", "11.0.0.0", "::a00:1", "2001:db8::1"}},
		{"deny", nil, prefixes("10.0.0.0/8"),
			[]string{"9.255.255.255", "11.0.0.0", "2001:db8::1", "::a00:1"},
			[]string{"10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"}},
		{"deny comes first", prefixes("10.0.0.0/8"), prefixes("10.1.0.0/16"),
			[]string{"10.0.255.255", "10.2.0.0"}, []string{"10.1.0.0", "10.1.255.255", "11.0.0.0"}},
		{"deny comes first, however wide", prefixes("10.1.0.0/16"), prefixes("10.0.0.0/8"),
			nil, []string{"10.1.0.1", "11.0.0.0"}},
		{"one address", prefixes("192.0.2.1/32", "2001:db8::1/128"), nil,
			[]string{"192.0.2.1", "2001:db8::1"}, []string{"192.0.2.0", "192.0.2.2", "2001:db8::", "2001:db8::2"}},
		{"all of IPv4", prefixes("0.0.0.0/0"), nil,
			[]string{"0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"}, []string{"::", "::1", "2001:db8::1"}},
		{"all of IPv6", prefixes("::/0"), nil,
			[]string{"::", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}, []string{"1.2.3.4", "::ffff:1.2.3.4"}},
		{"IPv4 as IPv6", prefixes("::ffff:10.0.0.0/104"), nil,
			[]string{"10.1.1.1", "::ffff:10.1.1.1"}, []string{"11.0.0.0", "::ffff:11.0.0.0"}},
		{"all of IPv4 as IPv6", prefixes("::ffff:0:0/96"), nil, []string{"1.2.3.4"}, []string{"::fffe:0:0", "::1"}},
		{"wider than IPv4 in IPv6", prefixes("::ffff:0:0/95"), nil, []string{"::fffe:0:1"}, []string{"1.2.3.4"}},
		{"host bits", prefixes("10.1.2.3/8", "2001:db8::ffff/32"), nil,
			[]string{"10.0.0.0", "10.9.9.9", "2001:db8::"}, []string{"11.1.2.3", "2001:db9::ffff"}},
		{"nested, repeated, unsorted", prefixes("10.9.0.0/16", "10.0.0.0/8", "10.0.0.0/9", "10.0.0.0/8", "9.0.0.0/8", "10.0.0.0/32"), nil,
			[]string{"9.0.0.0", "10.0.0.0", "10.0.0.1", "10.8.0.0", "10.9.0.0", "10.10.0.0", "10.255.255.255"},
			[]string{"8.255.255.255", "11.0.0.0"}},
		{"a zone does not help", nil, prefixes("fe80::/10"), []string{"fec0::1"}, []string{"fe80::1%eth0", "fe80::1"}},
		{"bits around the middle", prefixes("2001:db8::/63", "2001:db8:0:8::/64", "2001:db8:0:a::/65"), nil,
			[]string{"2001:db8::1", "2001:db8:0:1:ffff::", "2001:db8:0:8:ffff::", "2001:db8:0:a:7fff::"},
			[]string{"2001:db8:0:2::", "2001:db8:0:9::", "2001:db8:0:a:8000::"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := NewAccess(tt.allow, tt.deny)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range tt.yes {
				if !a.Allowed(netip.MustParseAddr(text)) {
					t.Errorf("%s is refused", text)
				}
			}
			for _, text := range tt.no {
				if a.Allowed(netip.MustParseAddr(text)) {
					t.Errorf("%s is allowed", text)
				}
			}
			if a.Allowed(netip.Addr{}) {
				t.Error("no address is allowed")
			}
		})
	}
}

// TestAccessInvalid sees that a bad network cannot turn an allow list into an empty one.
func TestAccessInvalid(t *testing.T) {
	bad := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), {}}
	tests := []struct {
		allow, deny []netip.Prefix
		want        string
	}{
		{bad, nil, "allow: network 2 of 2 is not valid"},
		{nil, bad, "deny: network 2 of 2 is not valid"},
		{[]netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 33)}, nil, "allow: network 1 of 1 is not valid"},
	}
	for _, tt := range tests {
		a, err := NewAccess(tt.allow, tt.deny)
		if a != nil || err == nil || err.Error() != tt.want {
			t.Errorf("NewAccess(%v, %v) = %v, %v, want %s", tt.allow, tt.deny, a, err, tt.want)
		}
	}
}

// TestAccessLeavesItsInput checks that the lists of the caller are neither sorted nor kept.
func TestAccessLeavesItsInput(t *testing.T) {
	list := prefixes("10.0.0.0/8", "9.0.0.0/8")
	a, err := NewAccess(list, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(list, prefixes("10.0.0.0/8", "9.0.0.0/8")) {
		t.Errorf("the list has become %v", list)
	}
	list[0] = netip.MustParsePrefix("11.0.0.0/8")
	if !a.Allowed(netip.MustParseAddr("10.0.0.1")) || a.Allowed(netip.MustParseAddr("11.0.0.1")) {
		t.Error("the list is shared")
	}
}

// naive is Allowed by looking at every network.
func naive(allow, deny []netip.Prefix, client netip.Addr) bool {
	in := func(list []netip.Prefix) bool {
		return slices.ContainsFunc(list, func(p netip.Prefix) bool {
			if p.Addr().Is4In6() && p.Bits() >= 96 {
				p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
			}
			return p.Contains(client.Unmap().WithZone(""))
		})
	}
	return !in(deny) && (len(allow) == 0 || in(allow))
}

func TestAccessIsTheNaiveScan(t *testing.T) {
	list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) netip.Prefix {
		a := anyAddr(t).WithZone("")
		return netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
	}), 0, 40)
	rapid.Check(t, func(t *rapid.T) {
		allow, deny := list.Draw(t, "allow"), list.Draw(t, "deny")
		access, err := NewAccess(allow, deny)
		if err != nil {
			t.Fatal(err)
		}
		clients := rapid.SliceOfN(rapid.Custom(anyAddr), 20, 40).Draw(t, "clients")
		for _, p := range slices.Concat(allow, deny) { // the edges are where it goes wrong
			first := p.Masked().Addr()
			clients = append(clients, first)
			if first.Prev().IsValid() {
				clients = append(clients, first.Prev())
			}
		}
		for _, client := range clients {
			if got, want := access.Allowed(client), naive(allow, deny, client); got != want {
				t.Fatalf("Allowed(%v) = %v, want %v", client, got, want)
			}
		}
	})
}

// manyNetworks are n networks of both families, some inside others.
func manyNetworks(r *rand.Rand, n int) []netip.Prefix {
	found := make([]netip.Prefix, n)
	for i := range found {
		if i%2 == 0 {
			var b [4]byte
			binary.BigEndian.PutUint32(b[:], r.Uint32())
			found[i] = netip.PrefixFrom(netip.AddrFrom4(b), 12+r.IntN(21))
			continue
		}
		b := [16]byte{0x20, 0x01}
		binary.BigEndian.PutUint64(b[2:], r.Uint64())
		found[i] = netip.PrefixFrom(netip.AddrFrom16(b), 20+r.IntN(60))
	}
	return found
}

// TestAccessLarge compares with the naive scan at the size that the package promises.
func TestAccessLarge(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	allow, deny := manyNetworks(r, 10_000), manyNetworks(r, 1000)
	a, err := NewAccess(allow, deny)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[bool]int{}
	for i := range 800 {
		client := allow[r.IntN(len(allow))].Masked().Addr()
		if i%4 == 0 {
			client = manyNetworks(r, 2)[i/4%2].Addr()
		}
		got := a.Allowed(client)
		if want := naive(allow, deny, client); got != want {
			t.Fatalf("Allowed(%v) = %v, want %v", client, got, want)
		}
		counts[got]++
	}
	if counts[true] < 100 || counts[false] < 100 {
		t.Errorf("the clients are one-sided: %v", counts)
	}
}

func TestAccessAllocs(t *testing.T) {
	a, err := NewAccess(manyNetworks(rand.New(rand.NewPCG(1, 2)), 1000), prefixes("10.1.0.0/16"))
	if err != nil {
		t.Fatal(err)
	}
	four, six := netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("fe80::1%eth0")
	noAllocs(t, "Allowed", func() { a.Allowed(four); a.Allowed(six) })
}

func BenchmarkAccess(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	list := manyNetworks(r, 10_000)
	a, err := NewAccess(list, list[:100])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a.Allowed(list[i%len(list)].Addr())
	}
}
