package session

import "weir/balancer"

// Index finds the backend that a cookie names. It is immutable, so any number of goroutines may use
// it; whoever changes the set of backends makes another.
type Index struct{ backends map[Tag]*balancer.Backend }

// Index builds the index of a set of backends, whose names differ. It hashes each name once per key.
func (c *Codec) Index(backends []*balancer.Backend) *Index {
	x := &Index{backends: make(map[Tag]*balancer.Backend, len(backends)*len(c.signers))}
	for _, s := range c.signers {
		for _, b := range backends {
			x.add(s.tagOf(b.Name()), b)
		}
	}
	return x
}

// Backend is the backend with that tag; nil if there is none.
func (x *Index) Backend(tag Tag) *balancer.Backend { return x.backends[tag] }

// add enters b under tag. A tag that two backends share finds neither: a session must not land on a
// backend that did not start it, and losing it is harmless.
func (x *Index) add(tag Tag, b *balancer.Backend) {
	if other, taken := x.backends[tag]; taken && other != b {
		b = nil
	}
	x.backends[tag] = b
}
