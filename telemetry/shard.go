package telemetry

import (
	"runtime"
	"sync/atomic"
)

// Shard chooses one of the copies of every hot counter. A client connection takes one when it is
// accepted (Registry.NextShard) and uses it for life: two connections served on two cores then
// rarely write to the same cache line. Any value is valid anywhere; it is reduced to the number of
// shards.
type Shard uint32

// cacheLine is the distance that keeps two counters from slowing each other down.
const cacheLine = 64

// count is a counter that has a cache line to itself.
type count struct {
	atomic.Uint64
	_ [cacheLine - 8]byte
}

// counter is one number in as many copies as there are shards.
type counter []count

func (c counter) add(s Shard, n uint64) { c[int(s)&(len(c)-1)].Add(n) }

// sum may miss what is being added while it runs.
func (c counter) sum() uint64 {
	var n uint64
	for i := range c {
		n += c[i].Load()
	}
	return n
}

// shardCount is the smallest power of two that is not below the number of processors in use.
func shardCount() int {
	n := 1
	for n < runtime.GOMAXPROCS(0) {
		n *= 2
	}
	return n
}
