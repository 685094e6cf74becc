package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/config"
	"weir/healthcheck"
	"weir/proxy/admit"
	"weir/proxy/exchange"
	"weir/proxy/handover"
	"weir/proxy/wire"
	"weir/telemetry"
)

// Options is what a Server is made of.
type Options struct {
	Config    *config.Config
	Log       *zap.Logger
	Telemetry *telemetry.Registry
	AccessLog *telemetry.AccessLog // nil: none
	// Events is told what happens to backends and pools. It must not block. nil: nobody is.
	Events func(telemetry.Event)

	// Inherited are listening sockets that others have made, to be used for the addresses where they are
	// bound. They belong to the server, also if New fails.
	Inherited []handover.Socket
	// Held says that nothing is accepted or received before Serve.
	Held bool

	// Descriptors is the limit of open file descriptors to live within. 0: that of the process.
	Descriptors uint64
}

// Server is a running data plane.
type Server struct {
	log       *zap.Logger
	stats     *telemetry.Registry
	events    func(telemetry.Event)
	engine    *exchange.Engine
	streams   *streams   // tcp and tls pools
	datagrams *datagrams // udp listeners and their pools
	monitor   *healthcheck.Monitor
	steward   *steward

	// mu guards the configuration in force against its readers; changes are the caller's to
	// serialise.
	mu        sync.RWMutex
	config    *config.Config
	listeners map[string]*listener

	tls map[string]*tls.Config // of https and tls pools; only changes look at it

	resting []*socket // that are open and serve no listener; only changes look at it, as at what follows
	held    bool      // nothing is accepted before Serve
	giving  *giving   // what is being handed over; nil: nothing
	frozen  atomic.Bool

	// pools is replaced as a whole, because the monitor's goroutines read it.
	pools atomic.Pointer[map[string]*exchange.Pool]

	seriesLeft atomic.Bool // of what is no longer configured, see retainSeries

	retiring sync.WaitGroup // listeners that were removed and have connections left
	retired  map[*listener]struct{}
	leaving  []leavingEntrance
}

// New makes a server for o.Config; nothing is bound, probed or started yet but the watchers of
// client sockets, whose descriptors are all that can fail.
func New(o Options) (*Server, error) {
	limit := o.Descriptors
	if limit == 0 {
		var err error
		if limit, err = admit.DescriptorLimit(); err != nil {
			return nil, err
		}
	}
	watcher, err := wire.NewWatcher()
	if err != nil {
		return nil, err
	}
	arrivals, err := wire.NewArrivals()
	if err != nil {
		return nil, errors.Join(err, watcher.Close())
	}
	relays, err := wire.NewRelays()
	if err != nil {
		return nil, errors.Join(err, arrivals.Close(), watcher.Close())
	}
	s := &Server{
		log: o.Log, stats: o.Telemetry, events: o.Events, config: o.Config,
		listeners: map[string]*listener{}, retired: map[*listener]struct{}{},
	}
	if s.events == nil {
		s.events = func(telemetry.Event) {}
	}
	s.engine = &exchange.Engine{
		Log: o.Log, Telemetry: o.Telemetry, Watcher: watcher, Arrivals: arrivals, Descriptors: admit.NewDescriptors(limit),
		ConnectFailed: s.connectFailed, Ejected: s.ejected, Memory: &admit.Memory{},
	}
	s.engine.SetTime(time.Now()) // from now on it is the steward's
	if o.AccessLog != nil {
		s.engine.AccessLog.Store(o.AccessLog)
	}
	s.streams = newStreams(o, limit, s.engine.Descriptors)
	s.streams.engine.ConnectFailed, s.streams.engine.Watcher, s.streams.engine.Relays = s.connectFailed, watcher, relays
	s.streams.engine.Ejected, s.streams.engine.Memory = s.ejected, s.engine.Memory
	s.engine.Pipes = s.streams.engine.Pipes // one stock for all
	s.datagrams = newDatagrams(o, limit, s.engine.Descriptors, s.connectFailed)
	s.datagrams.engine.Ejected, s.datagrams.engine.Memory = s.ejected, s.engine.Memory
	s.pools.Store(&map[string]*exchange.Pool{})
	s.monitor = healthcheck.New(healthcheck.Options{Observe: s.observe, Panicked: s.probePanicked})
	s.steward = newSteward(s)
	s.held, s.datagrams.held = o.Held, o.Held
	if err := s.inherit(o.Inherited); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// Start binds every listener and serves. On an error nothing stays bound, and the server has ended.
func (s *Server) Start(context.Context) error {
	if _, err := s.Apply(s.config); err != nil {
		s.end()
		return err
	}
	return nil
}

// Shutdown stops accepting, lets the connections come to an end until ctx does, and cuts what is
// left then. It returns when everything that the server started has ended; the error is that of
// ctx, if something had to be cut.
func (s *Server) Shutdown(ctx context.Context) error {
	all := s.everyListener()
	for _, l := range all {
		for _, k := range l.sockets {
			k.stop()
		}
	}
	for _, l := range all {
		l.clients.Drain()
	}
	udp := s.udpListeners()
	for _, l := range udp {
		l.clients.Drain()
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for _, l := range all {
			l.clients.Wait()
		}
		for _, l := range udp {
			l.clients.Wait()
		}
		s.retiring.Wait()
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = ctx.Err()
		for _, l := range all {
			l.clients.Stop()
		}
		for _, l := range udp {
			l.clients.Stop()
		}
		<-drained
	}
	s.stopDatagrams()
	s.end()
	return err
}

// everyListener lists those in service and those that were removed and still drain.
func (s *Server) everyListener() []*listener {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.AppendSeq(slices.Collect(maps.Values(s.listeners)), maps.Keys(s.retired))
}

// end ends what is not a connection.
func (s *Server) end() {
	s.closeResting()
	s.steward.stop()
	s.monitor.Close()
	for _, p := range *s.pools.Load() {
		p.Close(time.Now())
	}
	s.streams.end(time.Now())
	s.datagrams.end(time.Now())
	if err := errors.Join(s.streams.engine.Relays.Close(), s.engine.Arrivals.Close(), s.engine.Watcher.Close()); err != nil {
		s.log.Error("closing the watchers of client sockets", zap.Error(err))
	}
}

// SetAccessLog replaces the access log. Lines that are being written to the one before may still come for
// a moment.
func (s *Server) SetAccessLog(l *telemetry.AccessLog) {
	s.engine.AccessLog.Store(l)
	s.streams.engine.AccessLog.Store(l)
	s.datagrams.engine.AccessLog.Store(l)
}

// Monitor is the monitor of the health checks.
func (s *Server) Monitor() *healthcheck.Monitor { return s.monitor }

// PoolState is one pool in service.
type PoolState struct {
	Balancer *balancer.Pool
	Config   *config.Pool
}

// Pools lists the pools in service, in order of name.
func (s *Server) Pools() []PoolState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []PoolState
	for _, name := range slices.Sorted(maps.Keys(s.config.Pools)) {
		if b := s.balancer(name); b != nil { // else Start has not come that far
			list = append(list, PoolState{b, s.config.Pools[name]})
		}
	}
	return list
}

// Connections is the number of client connections and UDP sessions at this moment, those of listeners that were removed
// included.
func (s *Server) Connections() int {
	n := 0
	for _, l := range s.everyListener() {
		n += l.clients.Count()
	}
	for _, l := range s.udpListeners() {
		n += l.clients.Count()
	}
	return n
}

// ListenerState is one listener in service.
type ListenerState struct {
	Config      *config.Listener
	Addresses   []string // as bound
	Connections int      // of clients, at this moment; of a udp listener, sessions
}

// Listeners lists the listeners in service, in order of name.
func (s *Server) Listeners() []ListenerState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []ListenerState
	for _, l := range s.listeners {
		list = append(list, ListenerState{l.config, l.addresses(), l.clients.Count()})
	}
	for _, l := range s.datagrams.listeners {
		list = append(list, ListenerState{l.config, l.addresses(), l.clients.Count()})
	}
	slices.SortFunc(list, func(a, b ListenerState) int { return strings.Compare(a.Config.Name, b.Config.Name) })
	return list
}

// Leaving lists the listeners that were removed and have connections left, in order of name.
func (s *Server) Leaving() []ListenerState {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var list []ListenerState
	for l := range s.retired {
		if n := l.clients.Count(); n > 0 { // else it is about to be forgotten
			list = append(list, ListenerState{l.config, []string{}, n})
		}
	}
	slices.SortFunc(list, func(a, b ListenerState) int { return strings.Compare(a.Config.Name, b.Config.Name) })
	return list
}

// rotation is where the rotation of a new pool starts: processes that start together do not all
// begin with the same backend.
func rotation() uint64 { return uint64(time.Now().UnixNano()) }
