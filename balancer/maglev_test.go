package balancer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/config"
)

// owners maps the first n clients to the backends that they get.
func owners(t *testing.T, p *Pool, n int) []string {
	t.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = acquire(t, p, client(i))
	}
	return names
}

func TestRemovingOneOfTenMovesItsKeysOnly(t *testing.T) {
	const keys = 100_000
	for _, a := range algorithms[2:] {
		p := NewPool(poolOf(10, a), Options{}, epoch)
		before := owners(t, p, keys)
		for gone := range 10 {
			if a != config.SourceIP && gone != 4 { // the other keys differ in their bytes only
				continue
			}
			name := "b" + itoa(gone)
			c := poolOf(10, a)
			c.Backends = slices.Delete(c.Backends, gone, gone+1)
			p.Apply(c, epoch)
			after := owners(t, p, keys)
			moved, others := 0, 0
			for i := range keys {
				if before[i] != after[i] {
					moved++
					if before[i] != name {
						others++
					}
				}
			}
			if moved > keys*12/100 {
				t.Errorf("%s without %s: %d keys moved, want at most %d", a, name, moved, keys*12/100)
			}
			if others > keys*2/100 {
				t.Errorf("%s without %s: %d keys of others moved, want at most %d", a, name, others, keys*2/100)
			}
		}
	}
}

func TestTableFollowsNamesNotPositions(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	c := weighted(config.SourceIP, 5, 3, 1, 1, 2, 256)
	want := owners(t, NewPool(c, Options{}, epoch), 10_000)
	for range 5 {
		moved := *c
		moved.Backends = slices.Clone(c.Backends)
		rng.Shuffle(len(moved.Backends), func(i, j int) {
			moved.Backends[i], moved.Backends[j] = moved.Backends[j], moved.Backends[i]
		})
		p := NewPool(&moved, Options{Offset: rng.Uint64()}, epoch)
		if got := owners(t, p, 10_000); !slices.Equal(got, want) {
			t.Fatal("another order in the file moves keys")
		}
		for i, b := range moved.Backends { // other addresses, same names
			moved.Backends[i] = backendOf(100+i, b.Weight)
			moved.Backends[i].Name = b.Name
		}
		p.Apply(&moved, epoch)
		if got := owners(t, p, 10_000); !slices.Equal(got, want) {
			t.Fatal("other addresses move keys")
		}
	}
}

// The entries are part of what two versions of weir side by side must agree on, so they are written
// down: whoever changes them moves the clients of every user.
func TestTableIsTheSameEverywhere(t *testing.T) {
	m := newMaglev([]claim{{"b0", 1}, {"b1", 2}, {"b2", 3}})
	var got uint64
	for _, e := range m.entries {
		got = avalanche(got*prime1 + uint64(e))
	}
	if want := uint64(0xcfb2bda02a327724); got != want {
		t.Errorf("digest of the table: got %#x, want %#x", got, want)
	}
	var keys []string
	p := NewPool(weighted(config.SourceIP, 1, 2, 3), Options{}, epoch)
	for i := range 12 {
		keys = append(keys, acquire(t, p, client(i)))
	}
	if want := []string{"b0", "b1", "b2", "b0", "b1", "b0", "b1", "b2", "b2", "b2", "b2", "b0"}; !slices.Equal(keys, want) {
		t.Errorf("owners: got %v, want %v", keys, want)
	}
}

func TestTableSharesFollowWeights(t *testing.T) {
	weights := []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 3}
	claims := make([]claim, len(weights))
	sum := 0
	for i, w := range weights {
		claims[i] = claim{"b" + itoa(i), w}
		sum += w
	}
	m := newMaglev(claims)
	entries := make([]int, len(weights))
	for _, e := range m.entries {
		entries[e]++
	}
	for i, w := range weights {
		// The order of turns is within one of the ideal at every point, also where the table is full.
		if ideal := float64(w*len(m.entries)) / float64(sum); math.Abs(float64(entries[i])-ideal) > 1 {
			t.Errorf("weight %d: got %d entries, want %.1f ± 1", w, entries[i], ideal)
		}
	}
}

func TestTableSize(t *testing.T) {
	for _, tt := range []struct{ n, want int }{{1, 65537}, {655, 65537}, {656, 65609}, {1024, 102407}, {30000, 3000017}} {
		got := int(tableSize(tt.n))
		if got != tt.want {
			t.Errorf("table for %d: got %d entries, want %d", tt.n, got, tt.want)
		}
	}
}

func TestWeightlessHashIgnoresWeightsButNotZero(t *testing.T) {
	c := weighted(config.SourceIP, 1, 256, 0)
	c.Hash.Weighted = false
	taken := map[string]int{}
	for _, name := range owners(t, NewPool(c, Options{}, epoch), 20_000) {
		taken[name]++
	}
	if taken["b2"] != 0 {
		t.Errorf("weight 0 has %d keys, want none", taken["b2"])
	}
	if got := taken["b0"]; got < 9_500 || got > 10_500 {
		t.Errorf("weight 1 has %d of 20000 keys, want half", got)
	}
}

func TestSeedChangesKeys(t *testing.T) {
	c := poolOf(10, config.SourceIP)
	p := NewPool(c, Options{}, epoch)
	before := owners(t, p, 10_000)
	seeded := *c
	seeded.Hash.Seed = 1
	p.Apply(&seeded, epoch)
	same := 0
	for i, name := range owners(t, p, 10_000) {
		if name == before[i] {
			same++
		}
	}
	if same < 800 || same > 1200 {
		t.Errorf("%d of 10000 keys have the same of ten backends under another seed, want about 1000", same)
	}
}

func TestRecoveryFindsItsTable(t *testing.T) {
	p := NewPool(poolOf(10, config.SourceIP), Options{}, epoch)
	full := p.Snapshot().picker.(*hashing).full.table
	p.Report(backend(t, p, "b3"), false, epoch)
	without := p.Snapshot().picker.(*hashing).full.table
	p.Report(backend(t, p, "b3"), true, epoch)
	if got := p.Snapshot().picker.(*hashing).full.table; got != full {
		t.Error("the table of ten was built again")
	}
	p.Report(backend(t, p, "b3"), false, epoch)
	if got := p.Snapshot().picker.(*hashing).full.table; got != without {
		t.Error("the table of nine was built again")
	}
}

func FuzzMaglev(f *testing.F) {
	f.Add(uint8(10), uint64(1))
	f.Add(uint8(1), uint64(7))
	f.Fuzz(func(t *testing.T, n uint8, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 0))
		claims := make([]claim, int(n)+1)
		for i := range claims {
			claims[i] = claim{fmt.Sprintf("b%03d", i), 1 + rng.IntN(256)}
		}
		m := newMaglev(claims)
		entries := make([]int, len(claims))
		for _, e := range m.entries {
			entries[e]++
		}
		if slices.Min(entries) == 0 {
			t.Fatalf("claims %v: somebody has no entry", claims)
		}
	})
}
