package telemetry

import (
	"maps"

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

// Retain forgets everything that a configuration does not name: what a reload calls at its end.
func (r *Registry) Retain(c *config.Config) {
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
	maps.DeleteFunc(r.listeners, func(name string, _ *Listener) bool { return c.Listeners[name] == nil })
	maps.DeleteFunc(r.pools, func(name string, _ *Pool) bool { return c.Pools[name] == nil })
	gone := func(k httpKey) bool {
		return c.Listeners[k.listener] == nil || k.pool != "" && c.Pools[k.pool] == nil
	}
	maps.DeleteFunc(r.http, func(k httpKey, _ *HTTP) bool { return gone(k) })
	maps.DeleteFunc(r.tcp, func(k httpKey, _ *TCP) bool { return gone(k) })
	maps.DeleteFunc(r.udp, func(k httpKey, _ *UDP) bool { return gone(k) })
	maps.DeleteFunc(r.backends, func(k backendKey, _ *Backend) bool { return !kept[k] })
	maps.DeleteFunc(r.names, func(k backendKey, _ *resolutions) bool { return !named[k] })
	r.mu.Unlock()
	r.picks.forget(func(k backendKey) bool { return !kept[k] })
}
