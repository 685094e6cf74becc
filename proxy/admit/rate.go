package admit

import (
	"fmt"
	"hash/maphash"
	"math"
	"net/netip"
	"time"
)

// RateOptions say how often one client may ask.
type RateOptions struct {
	Rate     float64 // requests a second, at most 1e9; 0: no limit
	Burst    int     // requests at once; 0: what Rate gives in a second, at least one
	Entries  int     // clients remembered at a time, rounded up to 2^n ≥ 1024; 0: 65,536
	IPv6Bits int     // leading bits of an IPv6 address that make a client, 1 to 128; 0: 128
}

// Rate bounds the requests of each client. A client that has been silent may send Burst requests at
// once, then one each 1/Rate seconds; what it does not use it saves up, to Burst requests. A
// refused request costs nothing, so a client that keeps trying still gets its rate.
//
// Memory is set aside once, 24 bytes an entry. A client is in the table while it has less than its
// whole burst, and its place is free by itself at the moment from which it could send Burst
// requests again. When the places that a new client may take are all in use, the one nearest to
// that moment is forgotten, and so may send its burst early; who asks too much is forgotten last.
// Those places are 16 in a row, from a hash with a random seed on, so nobody can aim at another
// client.
//
// All methods may be called from any goroutine. A nil *Rate sets no limit.
type Rate struct {
	gcra   gcra
	grain  grain
	seed   maphash.Seed
	shards [shardCount]rateShard
}

const (
	defaultEntries = 1 << 16
	maxEntries     = 1 << 28 // 6 GiB
)

// NewRate makes a limiter. With a Rate of 0 there is no limit and the result is nil. The interval
// 1/Rate is rounded to a nanosecond: up to 1e6 requests a second the rate is exact to 0.05 %.
func NewRate(o RateOptions) (*Rate, error) {
	if o.Rate == 0 {
		return nil, nil
	}
	if o.Burst == 0 {
		o.Burst = int(max(1, math.Ceil(min(o.Rate, maxRate))))
	}
	if o.Entries == 0 {
		o.Entries = defaultEntries
	}
	if o.Entries < 0 || o.Entries > maxEntries {
		return nil, fmt.Errorf("a table has 1 to %d entries, not %d", maxEntries, o.Entries)
	}
	g, err := newGCRA(o.Rate, o.Burst)
	if err != nil {
		return nil, err
	}
	clients, err := newGrain(o.IPv6Bits)
	if err != nil {
		return nil, err
	}
	r := &Rate{gcra: g, grain: clients, seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].init((o.Entries + shardCount - 1) / shardCount)
	}
	return r, nil
}

// Allow takes one request of a client at the time now, in ns. If it is refused, retryAfter says how
// long after now the client's next one would be taken; else it is 0. No allocation, one lock that
// is shared with a 64th of the clients.
func (r *Rate) Allow(client netip.Addr, now int64) (ok bool, retryAfter time.Duration) {
	if r == nil {
		return true, 0
	}
	key := r.grain.client(client)
	shard, place := split(maphash.Comparable(r.seed, key))
	wait := r.shards[shard].take(key, place, r.gcra, now)
	return wait <= 0, time.Duration(max(wait, 0))
}

// Clients counts the clients that at the time now have less than their whole burst. It walks the
// table.
func (r *Rate) Clients(now int64) int {
	if r == nil {
		return 0
	}
	n := 0
	for i := range r.shards {
		n += r.shards[i].count(now)
	}
	return n
}
