package balancer

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// minTable is the smallest size of a table, a prime.
const minTable = 65537

// maglev is a lookup table as in Google's paper of 2016, with weights: each name walks a permutation
// of its own over the entries and claims the first free one when it has a turn. It is a function
// of names and weights alone, so it is the same in every process, and one name less leaves most
// entries as they were.
type maglev struct {
	names   []string // in ascending order
	turns   []int    // by name, in proportion to the weights
	entries []uint16 // index into names
}

// claim is what a table is made for.
type claim struct {
	name   string
	weight int // 1…256
}

// newMaglev builds the table for claims, which are in ascending order of their names.
func newMaglev(claims []claim) *maglev {
	m := &maglev{names: make([]string, len(claims))}
	weights := make([]float64, len(claims))
	for i, c := range claims {
		m.names[i], weights[i] = c.name, float64(c.weight)
	}
	m.turns, _ = slotsOf(weights)
	m.fill(tableSize(len(claims)))
	return m
}

// fill hands out size entries, in the order of a schedule of the turns that begins again and again.
func (m *maglev) fill(size uint64) {
	m.entries = make([]uint16, size)
	order := schedule(m.turns, nil)
	type walk struct{ at, skip uint64 }
	walks := make([]walk, len(m.names))
	for i, name := range m.names {
		h := xxhash.Sum64String(name)
		// Another mix of the same hash: the skip must not follow from the offset.
		walks[i] = walk{at: h % size, skip: 1 + avalanche(h^prime5)%(size-1)}
	}
	taken := make([]uint64, size/64+1)
	for n, turn := uint64(0), 0; n < size; n++ {
		i := order[turn]
		if turn++; turn == len(order) {
			turn = 0
		}
		w := &walks[i]
		at := w.at
		for taken[at/64]>>(at%64)&1 != 0 {
			if at += w.skip; at >= size {
				at -= size
			}
		}
		taken[at/64] |= 1 << (at % 64)
		m.entries[at] = i
		w.at = at
	}
}

// lookup is the number of the name that has the key.
func (m *maglev) lookup(hash uint64) int {
	return int(m.entries[m.entry(hash)])
}

// entry is the number of the entry that has the key.
func (m *maglev) entry(hash uint64) int {
	entry, _ := bits.Mul64(hash, uint64(len(m.entries)))
	return int(entry)
}

// tableSize is the first prime that gives n names a hundred entries each, or minTable.
func tableSize(n int) uint64 {
	size := max(uint64(100*n), minTable)
	for size |= 1; !prime(size); size += 2 {
	}
	return size
}

func prime(n uint64) bool {
	for d := uint64(3); d*d <= n; d += 2 {
		if n%d == 0 {
			return false
		}
	}
	return n%2 != 0
}

// tableCache keeps the tables that were used last: a backend that goes down and comes back, or the
// end of a slow start, needs one that was there a moment ago.
type tableCache struct {
	claims [4][]claim // the most recent first
	tables [4]*maglev
}

// table is the table for claims in any order.
func (c *tableCache) table(claims []claim) *maglev {
	slices.SortFunc(claims, func(a, b claim) int { return cmp.Compare(a.name, b.name) })
	at := 0
	for at < len(c.tables) && !slices.Equal(c.claims[at], claims) {
		at++
	}
	var t *maglev
	if at < len(c.tables) {
		t = c.tables[at]
	} else {
		t = newMaglev(claims)
		at--
	}
	copy(c.tables[1:at+1], c.tables[:at])
	copy(c.claims[1:at+1], c.claims[:at])
	c.tables[0], c.claims[0] = t, claims
	return t
}
