package admit

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// address is an IP address in its 16-byte form, IPv4 as ::ffff:a.b.c.d, without a zone. No address
// is all zeroes.
type address struct{ hi, lo uint64 }

func addressOf(a netip.Addr) address {
	b := a.As16()
	return address{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (a address) less(b address) bool {
	return a.hi < b.hi || (a.hi == b.hi && a.lo < b.lo)
}

// prefixMask has the highest bits of a 16-byte address set, 0 to 128.
func prefixMask(bits int) address {
	if bits <= 64 {
		return address{hi: ^uint64(0) << (64 - bits)}
	}
	return address{hi: ^uint64(0), lo: ^uint64(0) << (128 - bits)}
}

// isIPv4 reports whether a is an IPv4 address in either form.
func isIPv4(a netip.Addr) bool { return a.Is4() || a.Is4In6() }

// grain says how much of an address makes a client.
type grain struct{ mask6 address }

// newGrain takes the bits of an IPv6 address that tell clients apart, 1 to 128; 0 stands for 128.
func newGrain(ipv6Bits int) (grain, error) {
	if ipv6Bits == 0 {
		ipv6Bits = 128
	}
	if ipv6Bits < 1 || ipv6Bits > 128 {
		return grain{}, fmt.Errorf("an IPv6 client has 1 to 128 bits, not %d", ipv6Bits)
	}
	return grain{prefixMask(ipv6Bits)}, nil
}

// client is the key under which a is counted.
func (g grain) client(a netip.Addr) address {
	key := addressOf(a)
	if isIPv4(a) {
		return key
	}
	return address{key.hi & g.mask6.hi, key.lo & g.mask6.lo}
}
