package balancer

import (
	"maps"
	"strings"

	"weir/config"
)

// wishes are the overrides of a pool by the name of their backend: one of the snapshot, or one whose
// Host has been resolved, which stands for all its addresses. The pool's mutex guards them.
type wishes map[string]Override

// set replaces an override; the zero Override clears it.
func (w *wishes) set(backend string, o Override) {
	if o == (Override{}) {
		delete(*w, backend)
		return
	}
	if *w == nil {
		*w = wishes{}
	}
	(*w)[backend] = o
}

// of is the override of one backend: its own and, where that leaves something open, that of the backend
// of which it is an address.
func (w wishes) of(b *config.Backend) Override {
	o := w[b.Name]
	if b.Group == "" {
		return o
	}
	all := w[b.Group]
	if o.State == nil {
		o.State = all.State
	}
	if o.Weight == nil {
		o.Weight = all.Weight
	}
	return o
}

// follow takes over what the configuration has otherwise than the one before it. What was wished by
// SetAdmin meanwhile stays.
func (w *wishes) follow(before, now map[string]config.Override) {
	for backend, o := range now {
		if !o.Equal(before[backend]) {
			w.set(backend, Override(o.Clone()))
		}
	}
	for backend := range before {
		if _, stays := now[backend]; !stays {
			w.set(backend, Override{})
		}
	}
}

// retain forgets the overrides of backends that c knows nothing of.
func (w wishes) retain(c *config.Pool) {
	maps.DeleteFunc(w, func(backend string, _ Override) bool {
		_, waits := c.Overrides[backend]
		return !waits && !hasBackend(c, backend)
	})
}

// hasBackend reports whether c has a backend of that name, or may have it as soon as one of its names has that
// address.
func hasBackend(c *config.Pool, backend string) bool {
	for _, b := range c.Backends {
		if b.Name == backend {
			return true
		}
	}
	group, _, _ := strings.Cut(backend, "/")
	for _, b := range c.Named {
		if b.Name == group {
			return true
		}
	}
	return false
}
