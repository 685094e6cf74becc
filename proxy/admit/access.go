package admit

import (
	"fmt"
	"net/netip"
	"slices"
)

// Access holds the networks whose clients are served and those whose clients are not. It is
// immutable and shared by any number of goroutines; a reload makes a new one. A nil *Access allows
// everybody.
type Access struct {
	allow, deny set
	everybody   bool // allow is empty
}

// NewAccess builds the lists. Networks may overlap, repeat, and have host bits set, which are
// ignored. One inside ::ffff:0:0/96 is the IPv4 network that it stands for; a shorter IPv6 prefix
// holds IPv6 addresses alone, so ::/0 is no IPv4 client. With both lists empty the result is nil. A
// prefix that is not valid is an error: left out of allow, it could open the listener to everybody.
func NewAccess(allow, deny []netip.Prefix) (*Access, error) {
	if len(allow) == 0 && len(deny) == 0 {
		return nil, nil
	}
	a := &Access{everybody: len(allow) == 0}
	var err error
	if a.allow, err = newSet(allow); err != nil {
		return nil, fmt.Errorf("allow: %w", err)
	}
	if a.deny, err = newSet(deny); err != nil {
		return nil, fmt.Errorf("deny: %w", err)
	}
	return a, nil
}

// Allowed reports whether a client with this address is served: if it is in no network of deny, and
// in one of allow unless that list is empty. The zero address is refused. Two binary searches,
// no allocation.
func (a *Access) Allowed(client netip.Addr) bool {
	if a == nil {
		return true
	}
	if !client.IsValid() || a.deny.contains(client) {
		return false
	}
	return a.everybody || a.allow.contains(client)
}

// set is a set of addresses, by family.
type set struct{ v4, v6 []span }

// span is the addresses of one network. Those of a set are disjoint and in ascending order.
type span struct{ first, last address }

func newSet(prefixes []netip.Prefix) (set, error) {
	var s set
	for i, p := range prefixes {
		if !p.IsValid() {
			return set{}, fmt.Errorf("network %d of %d is not valid", i+1, len(prefixes))
		}
		bits := p.Bits()
		if p.Addr().Is4() {
			bits += 96
		}
		network, mask := addressOf(p.Addr()), prefixMask(bits)
		network = address{network.hi & mask.hi, network.lo & mask.lo}
		found := span{network, address{network.hi | ^mask.hi, network.lo | ^mask.lo}}
		if isIPv4(p.Addr()) && bits >= 96 {
			s.v4 = append(s.v4, found)
		} else {
			s.v6 = append(s.v6, found)
		}
	}
	s.v4, s.v6 = outermost(s.v4), outermost(s.v6)
	return s, nil
}

// outermost sorts the spans and drops those inside others. Two networks are disjoint or one
// contains the other, so nothing else can overlap.
func outermost(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int {
		switch {
		case a.first.less(b.first) || (a.first == b.first && b.last.less(a.last)):
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	kept := spans[:0]
	for _, s := range spans {
		if len(kept) == 0 || kept[len(kept)-1].last.less(s.first) {
			kept = append(kept, s)
		}
	}
	return slices.Clip(kept)
}

func (s *set) contains(a netip.Addr) bool {
	spans := s.v6
	if isIPv4(a) {
		spans = s.v4
	}
	key := addressOf(a)
	// The spans before low begin at or before key, those from high on after it.
	low, high := 0, len(spans)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if key.less(spans[middle].first) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low > 0 && !spans[low-1].last.less(key)
}
