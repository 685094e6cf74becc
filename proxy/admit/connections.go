package admit

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Connections counts the open connections of each client and bounds them. It holds an entry for
// each client that has one, and none for others. All methods may be called from any goroutine. A
// nil *Connections counts nothing and sets no limit.
type Connections struct {
	limit  atomic.Int64 // 0: none
	grain  grain
	seed   maphash.Seed
	shards [shardCount]connectionShard
}

// connectionShard stands alone on its cache lines.
type connectionShard struct {
	mu   sync.Mutex
	open map[address]int64 // connections of a client, ≥ 1
	peak int               // most entries that open has had since it was made
	_    [104]byte
}

// keptEntries is how many entries an emptied map may have had and be kept: maps do not shrink, and
// what a flood has left is given back at its end.
const keptEntries = 64

// NewConnections allows each client limit connections at a time; with 0 it only counts, so that a
// limit can be set later. ipv6Bits are the leading bits of an IPv6 address that make a client, 1 to
// 128; 0 stands for 128.
func NewConnections(limit, ipv6Bits int) (*Connections, error) {
	clients, err := newGrain(ipv6Bits)
	if err != nil {
		return nil, err
	}
	c := &Connections{grain: clients, seed: maphash.MakeSeed()}
	if err := c.SetLimit(limit); err != nil {
		return nil, err
	}
	for i := range c.shards {
		c.shards[i].open = make(map[address]int64)
	}
	return c, nil
}

// SetLimit changes the limit; 0 is none. Connections that are open stay; a client that has more
// than limit gets new ones when it has fewer.
func (c *Connections) SetLimit(limit int) error {
	if limit < 0 {
		return fmt.Errorf("the limit of connections is at least 0, not %d", limit)
	}
	if c != nil {
		c.limit.Store(int64(limit))
	}
	return nil
}

// Enter counts one more connection of a client, unless it has its limit of them. If it returns
// true, Leave must be called once.
func (c *Connections) Enter(client netip.Addr) bool {
	if c == nil {
		return true
	}
	key, s := c.find(client)
	s.mu.Lock()
	defer s.mu.Unlock()
	open, limit := s.open[key], c.limit.Load()
	if limit > 0 && open >= limit {
		return false
	}
	s.open[key] = open + 1
	s.peak = max(s.peak, len(s.open))
	return true
}

// Leave takes back one Enter that returned true, with the same address. It panics if there is none:
// the count of somebody else would be wrong from then on.
func (c *Connections) Leave(client netip.Addr) {
	if c == nil {
		return
	}
	key, s := c.find(client)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch open := s.open[key]; open {
	case 0:
		panic(fmt.Sprintf("admit: a connection of %v leaves that has not entered", client))
	case 1:
		delete(s.open, key)
		s.shrink()
	default:
		s.open[key] = open - 1
	}
}

// Clients counts the clients that have a connection open.
func (c *Connections) Clients() int {
	if c == nil {
		return 0
	}
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += len(s.open)
		s.mu.Unlock()
	}
	return n
}

func (c *Connections) find(client netip.Addr) (address, *connectionShard) {
	key := c.grain.client(client)
	shard, _ := split(maphash.Comparable(c.seed, key))
	return key, &c.shards[shard]
}

// shrink gives the memory of a map back that is empty and has been large. mu must be held.
func (s *connectionShard) shrink() {
	if len(s.open) == 0 && s.peak > keptEntries {
		s.open, s.peak = make(map[address]int64), 0
	}
}
