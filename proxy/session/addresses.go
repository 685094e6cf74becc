package session

import (
	"net/netip"

	"weir/balancer"
	"weir/config"
)

// maxAddresses bounds the table of a pool; an entry takes about 100 bytes.
const maxAddresses = 1 << 19

// Addresses keeps client addresses on the backends of a pool that they had first: persistence of the type
// source_ip. All methods may be called concurrently. A nil *Addresses keeps nobody anywhere.
type Addresses struct {
	table *Table
	fail  bool // where the backend of a client cannot be used, nobody else will do
}

// NewAddresses makes the persistence of a pool; nil if c, which may be nil, is of another type. Clients go
// on from old, which may be nil: it is that of the configuration before.
func NewAddresses(c *config.Persistence, old *Addresses) *Addresses {
	if c == nil || c.Type != config.PersistSourceIP {
		return nil
	}
	a := &Addresses{fail: c.Fallback == config.FallbackFail}
	if old == nil {
		a.table = NewTable(maxAddresses, c.Timeout)
	} else {
		a.table = old.table
		a.table.SetTimeout(c.Timeout)
	}
	a.table.SetKeep(a.fail)
	return a
}

// Follow adapts to the backends that the pool has: the clients of those that were removed start again, or
// are refused until a backend of that name is back or they have been away for long enough.
func (a *Addresses) Follow(p *balancer.Pool, removed []*balancer.Backend) {
	if a == nil {
		return
	}
	if !a.fail {
		for _, b := range removed {
			a.table.Forget(b)
		}
		return
	}
	var backends []*balancer.Backend
	for _, m := range p.Snapshot().Members() {
		backends = append(backends, m.Backend)
	}
	a.table.Restore(backends)
}

// Sweep removes clients that have been away for too long. It is called about once a second; clock gives the
// time, in ns.
func (a *Addresses) Sweep(clock func() int64) {
	for a != nil && a.table.Sweep(clock()) {
	}
}

// Table is where the clients are remembered, for those who look on, or hand them over to another process.
func (a *Addresses) Table() *Table { return a.table }

// Fails reports whether a client whose backend cannot be used gets no other.
func (a *Addresses) Fails() bool { return a != nil && a.fail }

// Find begins a flow of a client at the time now, in ns.
func (a *Addresses) Find(client netip.Addr, now int64) Bond {
	if a == nil {
		return Bond{}
	}
	key := AddressKey(client)
	return Bond{all: a, key: key, on: a.table.Get(key, now)}
}
