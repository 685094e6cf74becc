package admit

import (
	"testing"
	"unsafe"
)

// TestShardsStandApart keeps each shard off the cache lines of the others: 128 bytes, since
// processors fetch lines in pairs.
func TestShardsStandApart(t *testing.T) {
	if n := unsafe.Sizeof(rateShard{}); n%128 != 0 {
		t.Errorf("a shard of Rate has %d bytes", n)
	}
	if n := unsafe.Sizeof(connectionShard{}); n%128 != 0 {
		t.Errorf("a shard of Connections has %d bytes", n)
	}
}
