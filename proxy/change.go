package proxy

import (
	"fmt"
	"slices"
	"strings"

	"weir/balancer"
	"weir/config"
)

// Change counts what a configuration changed.
type Change struct {
	ListenersAdded, ListenersRemoved, ListenersRenamed, ListenersMoved, ListenersChanged int
	PoolsAdded, PoolsRemoved, PoolsChanged                                               int
	BackendsAdded, BackendsRemoved, BackendsChanged                                      int

	// ConnectionsClosed counts the clients whose connections are brought to their end: HTTP connections of
	// addresses that are no longer listened on, UDP sessions of listeners that were removed, and flows that
	// target_rebalance moves. String leaves it out.
	ConnectionsClosed int
}

// listener adds what becomes of one listener, nil if it is new. What says most is counted.
func (c *Change) listener(former *listener, l *config.Listener) {
	switch {
	case former == nil:
		c.ListenersAdded++
	case former.name != l.Name:
		c.ListenersRenamed++
	case !slices.Equal(former.config.Addresses, l.Addresses):
		c.ListenersMoved++
	case !former.config.Equal(l):
		c.ListenersChanged++
	}
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
	part(c.ListenersRenamed, "listener", "renamed")
	part(c.ListenersMoved, "listener", "moved")
	part(c.ListenersChanged, "listener", "changed")
	part(c.PoolsAdded, "pool", "added")
	part(c.PoolsRemoved, "pool", "removed")
	part(c.PoolsChanged, "pool", "changed")
	part(c.BackendsAdded, "backend", "added")
	part(c.BackendsRemoved, "backend", "removed")
	part(c.BackendsChanged, "backend", "changed")
	if len(parts) == 0 {
		return "no listener, pool or backend changed"
	}
	return strings.Join(parts, ", ")
}
