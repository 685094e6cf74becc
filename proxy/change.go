package proxy

import (
	"fmt"
	"strings"

	"weir/balancer"
)

// Change counts what a configuration changed.
type Change struct {
	ListenersAdded, ListenersRemoved, ListenersMoved int
	PoolsAdded, PoolsRemoved                         int
	BackendsAdded, BackendsRemoved, BackendsChanged  int
}

// pool adds what changed in one pool.
func (c *Change) pool(b balancer.Change) {
	c.BackendsAdded += len(b.Added)
	c.BackendsRemoved += len(b.Removed)
	c.BackendsChanged += len(b.Changed)
}

// String lists the counts that are not zero: "1 backend added, 2 pools removed".
func (c Change) String() string {
	var parts []string
	part := func(n int, noun, verb string) {
		switch {
		case n == 1:
			parts = append(parts, fmt.Sprintf("1 %s %s", noun, verb))
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss %s", n, noun, verb))
		}
	}
	part(c.ListenersAdded, "listener", "added")
	part(c.ListenersRemoved, "listener", "removed")
	part(c.ListenersMoved, "listener", "moved")
	part(c.PoolsAdded, "pool", "added")
	part(c.PoolsRemoved, "pool", "removed")
	part(c.BackendsAdded, "backend", "added")
	part(c.BackendsRemoved, "backend", "removed")
	part(c.BackendsChanged, "backend", "changed")
	if len(parts) == 0 {
		return "no backend, pool or listener added, moved or removed"
	}
	return strings.Join(parts, ", ")
}
