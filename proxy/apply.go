package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"weir/config"
	"weir/healthcheck"
	"weir/proxy/certs"
	"weir/proxy/exchange"
	"weir/proxy/wire"
)

// prepared is what a configuration needs and could be got.
type prepared struct {
	sockets map[string][]*wire.Listener // of listeners that are new or have moved
	tls     map[string]*tls.Config      // of https pools
	// identities are the certificates of https listeners.
	identities map[string]*certs.Identity
	pages      map[string]exchange.Pages // of all listeners
}

// Apply puts another configuration in force and says what changed. On an error nothing has changed.
func (s *Server) Apply(c *config.Config) (Change, error) { return s.apply(c) }

func (s *Server) apply(c *config.Config) (Change, error) {
	p, err := s.prepare(c)
	if err != nil {
		return Change{}, err
	}
	return s.commit(c, p), nil
}

// prepare does everything that can fail, and nothing that shows.
func (s *Server) prepare(c *config.Config) (*prepared, error) {
	p := &prepared{
		sockets: map[string][]*wire.Listener{}, tls: map[string]*tls.Config{}, identities: map[string]*certs.Identity{},
		pages: map[string]exchange.Pages{},
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		pool := c.Pools[name]
		t, err := backendTLS(pool, s.tls[name])
		if err != nil {
			errs = append(errs, err)
		}
		p.tls[name] = t
		if err := exchange.CheckPersistence(pool); err != nil {
			errs = append(errs, err)
		}
		if pool.Health != nil {
			if err := healthcheck.Validate(pool.Health); err != nil {
				errs = append(errs, fmt.Errorf("pools.%s.health_check: %w", name, err))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		l, old := c.Listeners[name], s.listeners[name]
		if err := errors.Join(s.identify(p, l, old), exchange.CheckAdmission(l)); err != nil {
			errs = append(errs, err)
		}
		pages, err := exchange.ReadPages(l)
		if err != nil {
			errs = append(errs, err)
		}
		p.pages[name] = pages
		if old != nil && old.sameAddresses(l) {
			continue
		}
		sockets, err := bind(l)
		if err != nil {
			errs = append(errs, fmt.Errorf("listeners.%s: %w", name, err))
		}
		p.sockets[name] = sockets
	}
	if err := errors.Join(errs...); err != nil {
		for _, sockets := range p.sockets {
			err = errors.Join(err, closeAll(sockets))
		}
		return nil, err
	}
	return p, nil
}

// identify reads the certificates of a listener.
func (s *Server) identify(p *prepared, l *config.Listener, old *listener) error {
	var previous *certs.Identity
	if old != nil {
		previous = old.identity
	}
	identity, warnings, err := newIdentity(l, previous)
	for _, w := range warnings {
		s.log.Warn("certificates", zap.String("listener", l.Name), zap.String("warning", w))
	}
	p.identities[l.Name] = identity
	return err
}

// commit swaps. It cannot fail.
func (s *Server) commit(c *config.Config, p *prepared) Change {
	now := time.Now()
	old := *s.pools.Load()
	s.mu.Lock()
	change := s.commitPools(c, p, now)
	s.config, s.tls = c, p.tls
	leaving := s.commitListeners(c, p, &change)
	s.mu.Unlock()
	s.monitor.Apply(targets(c))
	for name, pool := range old {
		if c.Pools[name] == nil {
			pool.Close()
		}
	}
	for _, l := range leaving {
		s.retire(l)
	}
	s.stats.Retain(c)
	s.steward.wake()
	return change
}

// commitPools makes the pools those of c, keeping the ones that have the same name. mu must be held:
// readers look for the configuration of every pool.
func (s *Server) commitPools(c *config.Config, p *prepared, now time.Time) Change {
	var change Change
	old := *s.pools.Load()
	pools := make(map[string]*exchange.Pool, len(c.Pools))
	for name, pc := range c.Pools {
		if pool := old[name]; pool != nil {
			change.pool(pool.Apply(pc, p.tls[name], now))
			if !samePool(s.config.Pools[name], pc) {
				change.PoolsChanged++
			}
			pools[name] = pool
			continue
		}
		pools[name] = s.engine.NewPool(pc, p.tls[name], rotation(), now)
		change.PoolsAdded++
	}
	for name := range old {
		if c.Pools[name] == nil {
			change.PoolsRemoved++
		}
	}
	s.pools.Store(&pools)
	return change
}

// commitListeners makes the listeners those of c and returns the ones that have left. mu must be
// held.
func (s *Server) commitListeners(c *config.Config, p *prepared, change *Change) (leaving []*listener) {
	pools := *s.pools.Load()
	for name, lc := range c.Listeners {
		identity := p.identities[name]
		old := s.listeners[name]
		var previous *exchange.Site
		if old != nil {
			previous = old.clients.Site()
		}
		site := s.engine.NewSite(exchange.SiteOptions{
			Config: lc, Pools: pools, TLS: tlsOf(identity), Pages: p.pages[name], Previous: previous,
		})
		sockets, moved := p.sockets[name]
		if old != nil && !moved {
			old.clients.SetSite(site)
			if !sameListener(old.config, lc) {
				change.ListenersChanged++
			}
			old.config, old.identity = lc, identity
			old.showCertificates(identity)
			continue
		}
		if old != nil {
			change.ListenersMoved++
			leaving = append(leaving, old)
		} else {
			change.ListenersAdded++
		}
		l := &listener{
			name: name, config: lc, identity: identity, sockets: sockets, clients: s.engine.NewClients(site),
			stats: s.stats.Listener(name), log: s.log, stopping: make(chan struct{}),
		}
		s.listeners[name] = l
		l.showCertificates(identity)
		l.serve()
	}
	for name, l := range s.listeners {
		if c.Listeners[name] == nil {
			delete(s.listeners, name)
			leaving = append(leaving, l)
			change.ListenersRemoved++
		}
	}
	return leaving
}

// retire stops a listener that is no longer wanted; its connections come to an end by themselves.
func (s *Server) retire(l *listener) {
	l.stopAccepting()
	l.clients.Drain()
	s.mu.Lock()
	s.retired[l] = struct{}{}
	s.mu.Unlock()
	s.retiring.Add(1)
	go s.awaitRetired(l)
}

func (s *Server) awaitRetired(l *listener) {
	defer s.retiring.Done()
	l.clients.Wait()
	s.mu.Lock()
	delete(s.retired, l)
	s.mu.Unlock()
}
