package resolve

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"weir/config"
)

// maxBackends is how many backends a pool has at most with all the addresses of its names, by far fewer than the
// tables of the balancer can hold.
const maxBackends = 4096

// Expand is c with the addresses that are known of its names, and c itself if it has no names. Pools with
// names are copies, with Named and Resolving filled in; all else is shared with c, which is not changed.
func (r *Resolver) Expand(c *config.Config) *config.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	expanded := c
	local := lazily(r.options.Local)
	for id, p := range c.Pools {
		if !slices.ContainsFunc(p.Backends, func(b *config.Backend) bool { return b.Host != "" }) {
			continue
		}
		if expanded == c {
			copied := *c
			copied.Pools = maps.Clone(c.Pools)
			expanded = &copied
		}
		expanded.Pools[id] = r.pool(p, doors(c, p, local))
	}
	return expanded
}

// pool is p with addresses. mu must be held.
func (r *Resolver) pool(p *config.Pool, doors []door) *config.Pool {
	out := *p
	out.Backends = make([]*config.Backend, 0, len(p.Backends))
	owners := map[netip.AddrPort]string{}
	for _, b := range p.Backends {
		if b.Host == "" {
			owners[b.Address] = b.Name
		}
	}
	room := max(0, maxBackends-len(owners))
	for _, b := range p.Backends {
		if b.Host == "" {
			out.Backends = append(out.Backends, b)
			continue
		}
		out.Named = append(out.Named, b)
		n := r.find(p, b)
		if n == nil {
			out.Resolving++
			continue
		}
		if !n.answered {
			out.Resolving++
		}
		n.left = n.left[:0]
		for _, addr := range n.status.Addresses {
			at := netip.AddrPortFrom(addr, b.Port)
			owner, listener := owners[at], leadsBack(doors, at)
			switch {
			case owner != "":
				n.left = append(n.left, fmt.Sprintf("%s is not used: backend %s has it", addr, owner))
			case listener != "":
				n.left = append(n.left, fmt.Sprintf("%s is not used: it is listener %s, which serves this pool", addr, listener))
			case room == 0:
				n.left = append(n.left, fmt.Sprintf("%s is not used: the pool has %d backends", addr, maxBackends))
			default:
				owners[at] = b.Name
				out.Backends = append(out.Backends, member(b, at))
				room--
			}
		}
	}
	return &out
}

// find is what is known of a backend, perhaps by another name with the same host; nil: nothing.
func (r *Resolver) find(p *config.Pool, b *config.Backend) *name {
	if n := r.names[Key{p.Name, b.Name}]; n != nil && n.status.Host == b.Host {
		return n
	}
	if other := known(r.names, b.Host); other != nil {
		n := &name{status: Status{Host: b.Host}}
		n.adopt(other)
		return n
	}
	return nil
}

// member is the backend for one address of b.
func member(b *config.Backend, at netip.AddrPort) *config.Backend {
	out := *b
	out.Name, out.Group, out.Address = b.Name+"/"+at.Addr().String(), b.Name, at
	if !b.ProbeAddress.Addr().IsValid() {
		out.ProbeAddress = netip.AddrPortFrom(at.Addr(), b.ProbeAddress.Port())
	}
	return &out
}

// door is an address of a listener that serves a pool.
type door struct {
	listener string
	port     uint16
	addrs    []netip.Addr
}

// leadsBack is the listener that has the address; empty: none.
func leadsBack(doors []door, at netip.AddrPort) string {
	for _, d := range doors {
		if d.port == at.Port() && slices.Contains(d.addrs, at.Addr()) {
			return d.listener
		}
	}
	return ""
}

// doors lists the listeners of c that serve p and could be reached at the port of one of its names.
func doors(c *config.Config, p *config.Pool, local func() []netip.Addr) (list []door) {
	for _, id := range slices.Sorted(maps.Keys(c.Listeners)) {
		l := c.Listeners[id]
		if datagrams(l.Protocol) != datagrams(p.Protocol) || !serves(l, p.Name) {
			continue
		}
		for _, address := range l.Addresses {
			host, text, err := net.SplitHostPort(address)
			port, bad := strconv.ParseUint(text, 10, 16)
			named := func(b *config.Backend) bool { return b.Host != "" && uint64(b.Port) == port }
			if err != nil || bad != nil || !slices.ContainsFunc(p.Backends, named) {
				continue
			}
			d := door{listener: l.Name, port: uint16(port)}
			if addr, err := netip.ParseAddr(host); err == nil && !addr.IsUnspecified() {
				d.addrs = []netip.Addr{addr.Unmap().WithZone("")}
			} else {
				d.addrs = local()
			}
			list = append(list, d)
		}
	}
	return list
}

// serves reports whether l sends anybody to the pool.
func serves(l *config.Listener, pool string) bool {
	return l.Pool == pool || slices.ContainsFunc(l.Routes, func(r config.Route) bool {
		return r.Pool == pool || slices.ContainsFunc(r.Split, func(a config.Arm) bool { return a.Pool == pool })
	})
}

func datagrams(p config.Protocol) bool { return p == config.UDP || p == config.QUIC }

// lazily calls f at most once. What cannot be had is taken for nothing: a loop shows itself, and other
// addresses are of more use than none.
func lazily(f func() ([]netip.Addr, error)) func() []netip.Addr {
	var list []netip.Addr
	done := false
	return func() []netip.Addr {
		if !done {
			list, _ = f()
			done = true
		}
		return list
	}
}

// localAddresses lists the addresses of the interfaces.
func localAddresses() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	var list []netip.Addr
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, prefix.Addr().Unmap().WithZone(""))
		}
	}
	return list, err
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Backend, b.Backend))
}
