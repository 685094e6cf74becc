package resolve

import (
	"net/netip"
	"slices"
)

// MaxAddresses is how many addresses of one name are used: the lowest ones, so that every process with the
// same answer has the same.
const MaxAddresses = 256

// answer is what is left of the addresses in a reply.
type answer struct {
	addresses []netip.Addr // in order, each once, at most MaxAddresses
	unusable  []netip.Addr // that cannot be those of a backend; in order, each once
	surplus   int          // usable ones beyond MaxAddresses
}

// sift sorts the addresses of a reply.
func sift(reply []netip.Addr) answer {
	var a answer
	for _, addr := range reply {
		addr = addr.Unmap().WithZone("")
		if usable(addr) {
			a.addresses = append(a.addresses, addr)
		} else {
			a.unusable = append(a.unusable, addr)
		}
	}
	a.addresses, a.unusable = ordered(a.addresses), ordered(a.unusable)
	if n := len(a.addresses); n > MaxAddresses {
		a.surplus = n - MaxAddresses
		a.addresses = slices.Clip(a.addresses[:MaxAddresses])
	}
	return a
}

// ordered sorts list, IPv4 before IPv6, and takes out repetitions.
func ordered(list []netip.Addr) []netip.Addr {
	slices.SortFunc(list, netip.Addr.Compare)
	return slices.Compact(list)
}

var (
	thisNetwork = netip.MustParsePrefix("0.0.0.0/8")   // RFC 1122, section 3.2.1.3
	reserved    = netip.MustParsePrefix("240.0.0.0/4") // RFC 1112, section 4, and the limited broadcast
)

// usable reports whether a single machine can have the address and be reached by it alone. An IPv6
// link-local one would need a zone, which no reply has. addr is unmapped.
func usable(addr netip.Addr) bool {
	switch {
	case !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast():
		return false
	case addr.Is4():
		return !thisNetwork.Contains(addr) && !reserved.Contains(addr)
	}
	return !addr.IsLinkLocalUnicast()
}

// difference lists what of a is not in b; both are in order.
func difference(a, b []netip.Addr) (only []netip.Addr) {
	for _, addr := range a {
		if _, found := slices.BinarySearchFunc(b, addr, netip.Addr.Compare); !found {
			only = append(only, addr)
		}
	}
	return only
}

// lacksFamily reports whether held has addresses of a family of which got has none, and lists them.
func lacksFamily(held, got []netip.Addr) (missing []netip.Addr) {
	for _, is := range []func(netip.Addr) bool{netip.Addr.Is4, netip.Addr.Is6} {
		if !slices.ContainsFunc(got, is) {
			for _, addr := range held {
				if is(addr) {
					missing = append(missing, addr)
				}
			}
		}
	}
	return missing
}
