package telemetry

import (
	"maps"
	"time"

	"weir/config"
)

// A forgotten counter may still be used by whoever holds it, for instance by a connection that
// drains: it counts on and is not scraped. Asking for the name again gives a new one from zero.

// ForgetListener makes the series of a listener disappear.
func (r *Registry) ForgetListener(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.listeners, name)
	maps.DeleteFunc(r.http, func(k httpKey, _ *HTTP) bool { return k.listener == name })
	maps.DeleteFunc(r.tcp, func(k httpKey, _ *TCP) bool { return k.listener == name })
	maps.DeleteFunc(r.udp, func(k httpKey, _ *UDP) bool { return k.listener == name })
}

// ForgetPool makes the series of a pool and of its backends disappear.
func (r *Registry) ForgetPool(name string) {
	r.mu.Lock()
	delete(r.pools, name)
	maps.DeleteFunc(r.http, func(k httpKey, _ *HTTP) bool { return k.pool == name })
	maps.DeleteFunc(r.tcp, func(k httpKey, _ *TCP) bool { return k.pool == name })
	maps.DeleteFunc(r.udp, func(k httpKey, _ *UDP) bool { return k.pool == name })
	maps.DeleteFunc(r.backends, func(k backendKey, _ *Backend) bool { return k.pool == name })
	maps.DeleteFunc(r.names, func(k backendKey, _ *resolutions) bool { return k.pool == name })
	r.mu.Unlock()
	r.picks.forget(func(k backendKey) bool { return k.pool == name })
}

// ForgetBackend makes the series of a backend disappear.
func (r *Registry) ForgetBackend(pool, backend string) {
	gone := backendKey{pool, backend}
	r.mu.Lock()
	delete(r.backends, gone)
	r.mu.Unlock()
	r.picks.forget(func(k backendKey) bool { return k == gone })
}

// lastScrapes is how long the series of what is not configured any more stay after its last connection has
// ended, so that its end is scraped.
const lastScrapes = time.Minute

// Retain forgets everything that a configuration does not name and that has no connections left: what a
// reload calls at its end. While something is left, which it reports, it is to be called again about once
// a second, with the configuration in force.
func (r *Registry) Retain(c *config.Config) (left bool) {
	kept, named := make(map[backendKey]bool), make(map[backendKey]bool)
	for _, p := range c.Pools {
		for _, b := range p.Named {
			named[backendKey{p.Name, b.Name}] = true
		}
		for _, b := range p.Backends {
			kept[backendKey{p.Name, b.Name}] = true
		}
	}
	r.mu.Lock()
	w := wanted{listeners: map[string]bool{}, pools: map[string]bool{}, backends: map[backendKey]bool{}}
	for name := range c.Listeners {
		w.listeners[name] = true
	}
	for name := range c.Pools {
		w.pools[name] = true
	}
	now := r.options.Now()
	for name, l := range r.listeners {
		w.listeners[name] = r.stays(countersOf{listener: name}, c.Listeners[name] != nil, l.Counts().Active, now)
	}
	for k, b := range r.backends {
		w.backends[k] = r.stays(countersOf{backend: k}, kept[k], b.Counts().Open, now)
		w.pools[k.pool] = w.pools[k.pool] || w.backends[k]
	}
	r.keep(&w)
	maps.DeleteFunc(r.names, func(k backendKey, _ *resolutions) bool { return !named[k] })
	left = len(r.leaving) > 0
	r.mu.Unlock()
	r.picks.forget(func(k backendKey) bool { return !kept[k] })
	return left
}

// wanted are the names whose series are kept.
type wanted struct {
	listeners, pools map[string]bool
	backends         map[backendKey]bool
}

// countersOf names a listener or a backend.
type countersOf struct {
	listener string
	backend  backendKey
}

// stays reports whether the counters of something stay: it is configured, has connections, or had some a
// short while ago. mu must be held.
func (r *Registry) stays(k countersOf, configured bool, open uint64, now time.Time) bool {
	last, leaving := r.leaving[k]
	switch {
	case configured:
	case open > 0:
		r.leaving[k] = now
		return true
	case leaving && now.Sub(last) < lastScrapes:
		return true
	}
	delete(r.leaving, k)
	return configured
}

// keep forgets all but what is wanted. mu must be held.
func (r *Registry) keep(w *wanted) {
	maps.DeleteFunc(r.listeners, func(name string, _ *Listener) bool { return !w.listeners[name] })
	maps.DeleteFunc(r.pools, func(name string, _ *Pool) bool { return !w.pools[name] })
	gone := func(k httpKey) bool { return !w.listeners[k.listener] || k.pool != "" && !w.pools[k.pool] }
	maps.DeleteFunc(r.http, func(k httpKey, _ *HTTP) bool { return gone(k) })
	maps.DeleteFunc(r.tcp, func(k httpKey, _ *TCP) bool { return gone(k) })
	maps.DeleteFunc(r.udp, func(k httpKey, _ *UDP) bool { return gone(k) })
	maps.DeleteFunc(r.backends, func(k backendKey, _ *Backend) bool { return !w.backends[k] })
}
