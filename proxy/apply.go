package proxy

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"

	"weir/config"
	"weir/healthcheck"
	"weir/proxy/certs"
	"weir/proxy/exchange"
	"weir/proxy/stream"
	"weir/proxy/wire"
)

// Prepared is what a configuration needs and could be got. Either Commit or Abandon is called, once, before
// anything else is prepared.
type Prepared struct {
	server *Server
	config *config.Config
	reread bool // files are read again, also those that are named as before
	seats  *seating
	tls    map[string]*tls.Config // of https and tls pools
	// identities are the certificates of https and tls listeners.
	identities map[string]*certs.Identity
	pages      map[string]exchange.Pages // of http and https listeners
	datagrams  *udpSeating
	sessionKey []byte // of cookies without keys in the configuration; nil: there is none
}

// Apply puts another configuration in force and says what changed. On an error nothing has changed.
func (s *Server) Apply(c *config.Config) (Change, error) {
	p, err := s.Prepare(c, true)
	if err != nil {
		return Change{}, err
	}
	return p.Commit(), nil
}

// Commit puts it in force and says what changed. It cannot fail.
func (p *Prepared) Commit() Change { return p.server.commit(p.config, p) }

// Abandon gives back what was got. Nothing has changed.
func (p *Prepared) Abandon() {
	if err := errors.Join(p.seats.abandon(), p.datagrams.abandon()); err != nil {
		p.server.log.Error("closing sockets of a configuration that was given up", zap.Error(err))
	}
}

// Prepare does everything for c that can fail, and nothing that shows. With reread, all files that c names
// are read again; without, certificates and pages that a listener names as before stay as they are. Calls
// are the caller's to serialise, with those of Apply.
func (s *Server) Prepare(c *config.Config, reread bool) (*Prepared, error) {
	p := &Prepared{
		server: s, config: c, reread: reread,
		tls: map[string]*tls.Config{}, identities: map[string]*certs.Identity{}, pages: map[string]exchange.Pages{},
	}
	var errs []error
	datagrams, err := s.datagrams.prepare(c)
	errs = append(errs, err)
	p.datagrams = datagrams
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		if pool := c.Pools[name]; pool.Health != nil {
			if err := healthcheck.Validate(pool.Health); err != nil {
				errs = append(errs, fmt.Errorf("pools.%s.health_check: %w", name, err))
			}
		}
	}
	c = withoutDatagrams(c)
	seats, err := s.seat(c)
	if err != nil {
		errs = append(errs, err)
		seats = &seating{}
	}
	p.seats = seats
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		pool := c.Pools[name]
		t, err := p.backendTLS(pool, s.config.Pools[name])
		if err != nil {
			errs = append(errs, err)
		}
		p.tls[name] = t
		if pool.Protocol.HTTP() {
			errs = append(errs, exchange.CheckPersistence(pool))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		l, old := c.Listeners[name], seats.former[name]
		errs = append(errs, s.identify(p, l, old))
		if ofStreams(l.Protocol) {
			errs = append(errs, stream.CheckSite(l))
			continue
		}
		errs = append(errs, exchange.CheckAdmission(l))
		pages, err := p.readPages(l, old)
		if err != nil {
			errs = append(errs, err)
		}
		p.pages[name] = pages
	}
	if err = errors.Join(errs...); err == nil {
		p.sessionKey, err = p.readSessionKey(c) // last, because it may make a file
	}
	if err != nil {
		return nil, errors.Join(err, seats.abandon(), datagrams.abandon())
	}
	return p, nil
}

// identify reads the certificates of a listener.
func (s *Server) identify(p *Prepared, l *config.Listener, old *listener) error {
	var previous *certs.Identity
	if old != nil {
		previous = old.identity
	}
	if !p.reread && previous != nil && reflect.DeepEqual(old.config.TLS, l.TLS) {
		p.identities[l.Name] = previous // the steward looks after its files
		return nil
	}
	identity, warnings, err := newIdentity(l, previous)
	for _, w := range warnings {
		s.log.Warn("certificates", zap.String("listener", l.Name), zap.String("warning", w))
	}
	p.identities[l.Name] = identity
	return err
}

// backendTLS reads the files of a pool, which was before, nil if it is new.
func (p *Prepared) backendTLS(pool, before *config.Pool) (*tls.Config, error) {
	previous := p.server.tls[pool.Name]
	if !p.reread && previous != nil && before != nil && before.Protocol == pool.Protocol && before.TLS == pool.TLS {
		return previous, nil
	}
	return backendTLS(pool, previous)
}

// readSessionKey reads the key of session cookies, or makes it.
func (p *Prepared) readSessionKey(c *config.Config) ([]byte, error) {
	if key := p.server.engine.SessionKey; !p.reread && key != nil && c.SessionKeyFile() == p.server.config.SessionKeyFile() {
		return key, nil
	}
	return p.server.sessionKey(c)
}

// readPages reads the error pages of a listener.
func (p *Prepared) readPages(l *config.Listener, old *listener) (exchange.Pages, error) {
	if !p.reread && old != nil && maps.Equal(old.config.ErrorPages, l.ErrorPages) {
		return old.pages, nil
	}
	return exchange.ReadPages(l)
}

// commit swaps. It cannot fail.
func (s *Server) commit(c *config.Config, p *Prepared) Change {
	now := time.Now()
	old, before, rest := *s.pools.Load(), s.config, withoutDatagrams(c)
	s.mu.Lock()
	s.engine.SessionKey = p.sessionKey
	change := s.commitPools(rest, p, now)
	s.streams.commitPools(c, s.config, p.tls, &change, now)
	leavingDatagrams := s.datagrams.commit(c, s.config, p.datagrams, &change, now)
	s.config, s.tls = c, p.tls
	leaving, closed := s.commitListeners(rest, p, &change)
	s.mu.Unlock()
	leavingDatagrams()
	s.probe(c, before)
	for name, pool := range old {
		if (*s.pools.Load())[name] == nil {
			pool.Close(now)
			s.steward.follow(pool)
		}
	}
	p.seats.close()
	change.ConnectionsClosed += s.leaveEntrances(closed, now)
	for _, l := range leaving {
		s.retire(l)
	}
	s.seriesLeft.Store(s.stats.Retain(c))
	s.steward.wake()
	return change
}

// commitPools makes the pools those of c, keeping the ones that have the same name. mu must be held:
// readers look for the configuration of every pool.
func (s *Server) commitPools(c *config.Config, p *Prepared, now time.Time) Change {
	var change Change
	old := *s.pools.Load()
	pools := make(map[string]*exchange.Pool, len(c.Pools))
	for name, pc := range c.Pools {
		if !pc.Protocol.HTTP() {
			continue
		}
		if pool := old[name]; pool != nil {
			change.pool(pool.Apply(pc, p.tls[name], now))
			if !s.config.Pools[name].Equal(pc) {
				change.PoolsChanged++
			}
			pools[name] = pool
			continue
		}
		pools[name] = s.engine.NewPool(pc, p.tls[name], rotation(), now)
		change.PoolsAdded++
	}
	for name := range old {
		if pools[name] == nil {
			change.PoolsRemoved++
		}
	}
	s.pools.Store(&pools)
	return change
}

// commitListeners makes the listeners those of c. It returns those that have left and the entrances
// of those that stay which are theirs no more. mu must be held.
func (s *Server) commitListeners(c *config.Config, p *Prepared, change *Change) (leaving []*listener, closed []closedEntrance) {
	before := s.listeners
	s.listeners = make(map[string]*listener, len(c.Listeners))
	stays := map[*listener]bool{}
	for name, lc := range c.Listeners {
		l := p.seats.former[name]
		change.listener(l, lc)
		l = s.commitListener(l, lc, p)
		s.listeners[name], stays[l] = l, true
	}
	for _, l := range before {
		if !stays[l] {
			l.sockets = nil
			leaving = append(leaving, l)
			change.ListenersRemoved++
		}
	}
	for name, sockets := range p.seats.sockets {
		for _, k := range sockets {
			if e := k.give(s.listeners[name]); e != nil {
				closed = append(closed, closedEntrance{entrance: e})
			}
		}
	}
	s.resting = nil
	for _, k := range p.seats.free {
		if k.entrance != nil {
			closed = append(closed, closedEntrance{k.entrance, k.heirs()})
		}
		if k.activated {
			s.resting = append(s.resting, k)
		}
	}
	if !s.held {
		s.serveListeners()
	}
	return leaving, closed
}

// commitListener makes former, or a new listener for nil, what lc says.
func (s *Server) commitListener(former *listener, lc *config.Listener, p *Prepared) *listener {
	l := former
	if l == nil {
		l = &listener{}
	}
	if ofStreams(lc.Protocol) {
		s.serveStreams(l, lc, tlsOf(p.identities[lc.Name]))
	} else {
		s.serveHTTP(l, lc, tlsOf(p.identities[lc.Name]), p.pages[lc.Name])
	}
	l.name, l.config, l.identity, l.pages = lc.Name, lc, p.identities[lc.Name], p.pages[lc.Name]
	l.sockets, l.stats = p.seats.sockets[lc.Name], s.stats.Listener(lc.Name)
	l.showCertificates(l.identity)
	return l
}

// serveHTTP gives l the site of lc, and clients if it has none yet.
func (s *Server) serveHTTP(l *listener, lc *config.Listener, t *tls.Config, pages exchange.Pages) {
	o := exchange.SiteOptions{Config: lc, Pools: *s.pools.Load(), TLS: t, Pages: pages}
	if l.http == nil {
		l.http = s.engine.NewClients(s.engine.NewSite(o))
		l.clients = l.http
		return
	}
	o.Previous = l.http.Site()
	l.http.SetSite(s.engine.NewSite(o))
}

// serveStreams does the same at layer 4.
func (s *Server) serveStreams(l *listener, lc *config.Listener, t *tls.Config) {
	e := s.streams.engine
	o := stream.SiteOptions{Config: lc, Pools: *s.streams.pools.Load(), TLS: t}
	if l.streams == nil {
		l.streams = e.NewClients(e.NewSite(o))
		l.clients = l.streams
		return
	}
	o.Previous = l.streams.Site()
	l.streams.SetSite(e.NewSite(o))
}

// retire follows the connections of a listener that is no longer wanted to their end.
func (s *Server) retire(l *listener) {
	if l.streams != nil {
		l.streams.Retire(wire.Now())
	}
	s.mu.Lock()
	s.retired[l] = struct{}{}
	s.mu.Unlock()
	s.retiring.Add(1)
	go s.awaitRetired(l)
}

// retainSeries lets go of the series of what is no longer configured, once its connections have ended.
func (s *Server) retainSeries() {
	if !s.seriesLeft.Load() {
		return
	}
	s.mu.RLock() // nobody makes series of another configuration meanwhile
	defer s.mu.RUnlock()
	s.seriesLeft.Store(s.stats.Retain(s.config))
}

func (s *Server) awaitRetired(l *listener) {
	defer s.retiring.Done()
	l.clients.Wait()
	s.mu.Lock()
	delete(s.retired, l)
	s.mu.Unlock()
}
