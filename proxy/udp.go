package proxy

import (
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/config"
	"weir/proxy/admit"
	"weir/proxy/datagram"
	"weir/proxy/wire"
)

// datagrams is the part of a server that serves udp listeners, with their pools.
type datagrams struct {
	engine *datagram.Engine
	log    *zap.Logger

	// pools is replaced as a whole, because the monitor's goroutines read it.
	pools     atomic.Pointer[map[string]*datagram.Pool]
	listeners map[string]*udpListener // guarded by the server's mu
	closed    []*datagram.Pool        // no longer configured, while something is left of them; the same

	resting []udpSeat // sockets that are open and serve no listener; only changes look at it, as at held
	held    bool      // nothing is received before the server serves
	paused  bool      // nor is anything from backends
}

// udpListener is one configured udp listener in service.
type udpListener struct {
	config  *config.Listener
	clients *datagram.Clients
	sockets []*datagram.Socket // in the order of its addresses
}

// sessionShare is how much of the descriptor limit the sessions of a listener may take, if it does not
// say so itself.
const sessionShare = 0.4

func newDatagrams(o Options, limit uint64, budget *admit.Descriptors, failed func(string, *balancer.Backend, error)) *datagrams {
	d := &datagrams{
		log: o.Log, listeners: map[string]*udpListener{},
		engine: &datagram.Engine{
			Log: o.Log, Telemetry: o.Telemetry, Descriptors: budget, ConnectFailed: failed,
			MaxSessions: int(sessionShare * float64(min(limit, 1<<30))),
		},
	}
	if o.AccessLog != nil {
		d.engine.AccessLog.Store(o.AccessLog)
	}
	d.pools.Store(&map[string]*datagram.Pool{})
	return d
}

// ofDatagrams reports whether a listener or a pool of that protocol is served here.
func ofDatagrams(p config.Protocol) bool { return p == config.UDP || p == config.QUIC }

// withoutDatagrams is what is left of c for the others.
func withoutDatagrams(c *config.Config) *config.Config {
	rest := *c
	rest.Listeners, rest.Pools = maps.Clone(c.Listeners), maps.Clone(c.Pools)
	maps.DeleteFunc(rest.Listeners, func(_ string, l *config.Listener) bool { return ofDatagrams(l.Protocol) })
	maps.DeleteFunc(rest.Pools, func(_ string, p *config.Pool) bool { return ofDatagrams(p.Protocol) })
	return &rest
}

// udpSeating says which socket serves each address of the udp listeners of a configuration, and which
// listener in service goes on under another name.
type udpSeating struct {
	sockets map[string][]*datagram.Socket // in the order of the addresses
	opened  []*datagram.Socket            // of them, those that are new
	free    []udpSeat                     // in service, and to be closed
	renamed map[string]string             // by the new name, the one of a listener that has left
}

// udpSeat is a socket in service.
type udpSeat struct {
	socket  *datagram.Socket
	owner   string // name of its listener
	address string // as configured
}

// prepare does everything that can fail. On an error nothing stays open that was not before.
func (d *datagrams) prepare(c *config.Config) (*udpSeating, error) {
	seats := &udpSeating{sockets: map[string][]*datagram.Socket{}, renamed: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(d.listeners)) {
		for i, k := range d.listeners[name].sockets {
			seats.free = append(seats.free, udpSeat{k, name, d.listeners[name].config.Addresses[i]})
		}
	}
	seats.free = append(seats.free, d.resting...)
	var list []*config.Listener
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		if l := c.Listeners[name]; ofDatagrams(l.Protocol) {
			list = append(list, l)
			seats.sockets[name] = make([]*datagram.Socket, len(l.Addresses))
		}
	}
	for _, l := range list {
		seats.keep(l, func(s udpSeat) bool { return s.owner == l.Name })
	}
	for _, l := range list {
		seats.keep(l, func(s udpSeat) bool {
			_, stays := seats.sockets[s.owner]
			if !stays && d.listeners[l.Name] == nil && seats.renamed[l.Name] == "" && !seats.inherited(s.owner) {
				seats.renamed[l.Name] = s.owner
			}
			return true
		})
	}
	var errs []error
	if len(list) > 0 {
		errs = append(errs, d.engine.Start())
	}
	for _, l := range list {
		errs = append(errs, datagram.CheckSite(l))
		if err := seats.open(l, d.engine); err != nil {
			errs = append(errs, &config.ObjectError{Path: "listeners." + l.Name, Origin: l.Origin, Err: err})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, seats.abandon())
	}
	return seats, nil
}

// inherited reports whether a listener goes on under another name already.
func (s *udpSeating) inherited(owner string) bool {
	for _, former := range s.renamed {
		if former == owner {
			return true
		}
	}
	return false
}

// keep takes free sockets that fit for the addresses of l that have none.
func (s *udpSeating) keep(l *config.Listener, fits func(udpSeat) bool) {
	for i, address := range l.Addresses {
		if s.sockets[l.Name][i] != nil {
			continue
		}
		at := slices.IndexFunc(s.free, func(k udpSeat) bool { return k.address == address && fits(k) })
		if at >= 0 {
			s.sockets[l.Name][i] = s.free[at].socket
			s.free = slices.Delete(s.free, at, at+1)
		}
	}
}

// open binds the addresses of l that have no socket, beside those that are to be closed.
func (s *udpSeating) open(l *config.Listener, e *datagram.Engine) error {
	var leaving []*datagram.Socket
	for _, k := range s.free {
		leaving = append(leaving, k.socket)
	}
	for i, address := range l.Addresses {
		if s.sockets[l.Name][i] != nil {
			continue
		}
		k, err := e.Open(address, leaving)
		if err != nil {
			return err
		}
		s.sockets[l.Name][i] = k
		s.opened = append(s.opened, k)
	}
	return nil
}

// abandon closes what was opened.
func (s *udpSeating) abandon() error {
	if s == nil {
		return nil
	}
	var errs []error
	for _, k := range s.opened {
		errs = append(errs, k.Close())
	}
	return errors.Join(errs...)
}

// commit makes the listeners and pools those of c. The server's mu must be held. It cannot fail. What it
// returns has left, and is to be ended without mu.
func (d *datagrams) commit(c *config.Config, before *config.Config, seats *udpSeating, change *Change, now time.Time) (leaving func()) {
	d.commitPools(c, before, change, now)
	former := d.listeners
	d.listeners = map[string]*udpListener{}
	for name, sockets := range seats.sockets {
		lc, l := c.Listeners[name], former[name]
		if old := seats.renamed[name]; old != "" {
			l = former[old]
		}
		o := datagram.SiteOptions{Config: lc, Pools: *d.pools.Load()}
		if l == nil {
			l = &udpListener{clients: d.engine.NewClients(d.engine.NewSite(o))}
			change.ListenersAdded++
		} else {
			change.udpListener(l.config, lc)
			o.Previous = l.clients.Site()
			l.clients.SetSite(d.engine.NewSite(o))
		}
		l.config, l.sockets = lc, sockets
		d.listeners[name] = l
	}
	for name, sockets := range seats.sockets {
		for _, k := range sockets {
			k.Give(d.listeners[name].clients)
		}
	}
	d.resting = slices.DeleteFunc(slices.Clone(seats.free), func(u udpSeat) bool { return !u.socket.Activated() })
	if !d.held {
		d.serve()
	}
	for name, l := range former {
		if d.listeners[name] == nil && !seats.inherited(name) {
			change.ListenersRemoved++
			change.ConnectionsClosed += l.clients.Count()
		}
	}
	return func() {
		for _, k := range seats.free {
			switch {
			case k.socket.Activated():
				k.socket.Rest()
			case k.socket.Serving():
				k.socket.Stop(seats.opened...)
			default:
				d.stop(k.socket)
			}
		}
	}
}

// udpListener adds what becomes of one udp listener. What says most is counted.
func (c *Change) udpListener(former, l *config.Listener) {
	switch {
	case former.Name != l.Name:
		c.ListenersRenamed++
	case !slices.Equal(former.Addresses, l.Addresses):
		c.ListenersMoved++
	case !former.Equal(l):
		c.ListenersChanged++
	}
}

// commitPools makes the pools those of c, keeping the ones that have the same name.
func (d *datagrams) commitPools(c, before *config.Config, change *Change, now time.Time) {
	old := *d.pools.Load()
	pools := map[string]*datagram.Pool{}
	for name, pc := range c.Pools {
		if !ofDatagrams(pc.Protocol) {
			continue
		}
		if p := old[name]; p != nil {
			change.pool(p.Apply(pc, now))
			if !before.Pools[name].Equal(pc) {
				change.PoolsChanged++
			}
			pools[name] = p
			continue
		}
		pools[name] = d.engine.NewPool(pc, rotation(), now)
		change.PoolsAdded++
	}
	for name, p := range old {
		if pools[name] == nil {
			p.Close(now)
			d.closed = append(d.closed, p)
			change.PoolsRemoved++
		}
	}
	d.pools.Store(&pools)
}

// sweepDatagrams ends what has had its time. It is called about once a second, by the steward.
func (s *Server) sweepDatagrams(now time.Time) {
	d, at := s.datagrams, wire.Now()
	s.mu.Lock()
	listeners := slices.Collect(maps.Values(d.listeners))
	pools := slices.Collect(maps.Values(*d.pools.Load()))
	var sockets []*datagram.Socket
	for _, l := range listeners {
		sockets = append(sockets, l.sockets...)
	}
	d.closed = slices.DeleteFunc(d.closed, func(p *datagram.Pool) bool { return p.Ended(now) })
	pools = append(pools, d.closed...)
	s.mu.Unlock()
	for _, l := range listeners {
		l.clients.Sweep(at)
	}
	for _, k := range sockets {
		k.Sweep(at)
	}
	for _, p := range pools {
		p.Sweep(at)
	}
	d.engine.Sweep(at)
}

// udpListeners lists those in service.
func (s *Server) udpListeners() []*udpListener {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Values(s.datagrams.listeners))
}

// stopDatagrams closes the sockets of udp listeners and ends the sessions that are left.
func (s *Server) stopDatagrams() {
	d := s.datagrams
	for _, l := range s.udpListeners() {
		l.clients.Stop()
		for _, k := range l.sockets {
			d.stop(k)
		}
		l.clients.Stop()
		l.clients.Wait()
	}
}

// end ends what is not a session.
func (d *datagrams) end(now time.Time) {
	for _, p := range *d.pools.Load() {
		p.Close(now)
	}
	if err := d.engine.Close(); err != nil {
		d.log.Error("closing the sets of backend sockets", zap.Error(err))
	}
}

// addresses are those that were bound.
func (l *udpListener) addresses() (list []string) {
	for _, k := range l.sockets {
		list = append(list, k.Addr())
	}
	return list
}
