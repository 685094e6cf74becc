package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"weir/telemetry"
)

const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	// writeTimeout leaves room for a profile, 30 s unless its client asks for another length.
	writeTimeout = 2 * time.Minute
	idleTimeout  = time.Minute
	maxHeader    = 16 << 10
	// maxConnections bounds each door, so that a leaking scraper cannot take the descriptors that
	// are kept for administration.
	maxConnections = 64
)

// Options is what a Server serves.
type Options struct {
	Version string
	Commit  string
	Started time.Time   // of the process
	Socket  string      // path of the unix socket; empty: none
	Listen  string      // host:port of the TCP address; empty: none
	Running Running     // required
	Checks  Checks      // required
	Log     *zap.Logger // required

	// What is nil is not served.
	Metrics http.Handler
	Control Control
	Explain ExplainFunc
	Journal *telemetry.Journal

	// Access says who may do what over TCP. It is asked at each request, so that a reload changes it.
	// nil: everybody may read.
	Access func() Access
	// Upgrade and TakeOver replace this process by another one; nil: not served.
	Upgrade  UpgradeFunc
	TakeOver TakeOverFunc
	// Inherited are the listening sockets of the process before.
	Inherited []Inherited

	// Refused counts requests over TCP that were refused; nil: nobody does.
	Refused func(telemetry.AdminRefusal)

	stalled time.Duration // instead of stallTimeout, for tests
	read    time.Duration // instead of readTimeout, for tests
}

// Server is the admin server.
type Server struct {
	options Options
	guard   *guard
	streams chan struct{} // holds a token per open stream of events on the socket
	remote  chan struct{} // the same over TCP
	closing chan struct{} // closed by endStreams: streams end
	ending  sync.Once
	doors   []*door
	serving bool // Serve was called
	served  sync.WaitGroup
	close   sync.Once
	closed  error
}

// door is one listener and what serves it.
type door struct {
	name     string // for the log
	onSocket bool
	pausable *pausable
	gone     atomic.Bool // another process has its listening socket
	server   *http.Server
}

// New returns a Server that is not started.
func New(o Options) *Server {
	if o.Access == nil {
		o.Access = func() Access { return Access{} }
	}
	o.stalled = cmp.Or(o.stalled, stallTimeout)
	o.read = cmp.Or(o.read, readTimeout)
	return &Server{
		options: o,
		guard: &guard{
			access:   o.Access,
			origins:  http.NewCrossOriginProtection(),
			refusals: &refusals{log: o.Log, count: o.Refused},
		},
		streams: make(chan struct{}, maxStreams),
		remote:  make(chan struct{}, maxStreams),
		closing: make(chan struct{}),
	}
}

// Bind claims the socket and the TCP address. Clients may connect from then on; they are answered after
// Serve. If one of the two cannot be bound, it closes what it has and says which.
func (s *Server) Bind() error {
	defer s.closeInherited()
	if s.options.Socket != "" {
		l, err := s.adopt(s.options.Socket)
		if l == nil && err == nil {
			l, err = listenSocket(s.options.Socket)
		}
		if err != nil {
			return err
		}
		s.add("socket", l, true)
	}
	if s.options.Listen != "" {
		l, err := s.adopt(s.options.Listen)
		if l == nil && err == nil {
			l, err = net.Listen("tcp", s.options.Listen)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("admin.listen: %w", err), s.closeListeners())
		}
		s.add("address", l, false)
	}
	return nil
}

// Serve answers on what Bind has bound, until Close.
func (s *Server) Serve() {
	s.serving = true
	s.claimInherited()
	for _, d := range s.doors {
		s.served.Go(func() { s.serve(d) })
	}
}

// Addr is where the TCP address is bound; empty: there is none.
func (s *Server) Addr() string {
	for _, d := range s.doors {
		if !d.onSocket {
			return d.pausable.Addr().String()
		}
	}
	return ""
}

// Close stops accepting, waits for the answers under way until ctx ends, cuts what is left, and
// returns when every goroutine of the server has ended. Later calls return what the first did.
func (s *Server) Close(ctx context.Context) error {
	s.close.Do(func() {
		s.endStreams()
		if !s.serving {
			s.closed = s.closeListeners()
			return
		}
		for _, d := range s.doors {
			if err := d.server.Shutdown(ctx); err != nil {
				s.closed = errors.Join(s.closed, fmt.Errorf("admin %s: %w", d.name, err), d.server.Close())
			}
		}
		s.served.Wait()
	})
	return s.closed
}

// endStreams ends what would go on for ever.
func (s *Server) endStreams() { s.ending.Do(func() { close(s.closing) }) }

// add makes the door of a listener.
func (s *Server) add(name string, l net.Listener, onSocket bool) {
	s.doors = append(s.doors, &door{
		name:     name,
		onSocket: onSocket,
		pausable: newPausable(l),
		server: &http.Server{
			Handler:           s.handler(onSocket),
			ConnContext:       withPeer,
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       s.options.read,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeader,
			ErrorLog:          zap.NewStdLog(s.options.Log.Named("admin")),
		},
	})
}

// serve runs one door. It ends when the door's server is shut down.
func (s *Server) serve(d *door) {
	connections := newBounded(d.pausable, maxConnections)
	d.server.ConnState = connections.changed
	err := d.server.Serve(connections)
	if !errors.Is(err, http.ErrServerClosed) && !d.gone.Load() {
		s.options.Log.Error("admin "+d.name+" stopped serving", zap.Error(err))
	}
}

// closeListeners closes what was bound and is not served.
func (s *Server) closeListeners() error {
	var err error
	for _, d := range s.doors {
		err = errors.Join(err, d.pausable.Close())
	}
	s.doors = nil
	return err
}
