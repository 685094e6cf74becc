package proxy

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/proxy/wire"
	"weir/telemetry"
)

// socket is a listening socket in service. It can change hands while it accepts.
type socket struct {
	*wire.Listener
	address  string // as configured
	log      *zap.Logger
	stopping chan struct{}
	accepts  sync.WaitGroup
	serving  bool // somebody accepts; the server's changes alone look at it

	// Of a socket that was inherited; see inherit.go.
	origin    string // listener that it served, or is named for
	number    int    // in the hand-over
	activated bool   // the service manager has made it, and keeps it open

	// mu is held while a connection is handed over, so that a former owner gets none any more.
	mu       sync.Mutex
	owner    *listener
	stats    *telemetry.Listener // of the owner
	entrance entrance
}

// open binds address, beside sockets that overlap it and are to be closed.
func open(address string, leaving []*socket, log *zap.Logger) (*socket, error) {
	l, err := wire.Listen(address)
	if errors.Is(err, syscall.EADDRINUSE) && len(leaving) > 0 {
		var others []*wire.Listener
		for _, s := range leaving {
			others = append(others, s.Listener)
		}
		l, err = wire.ListenBeside(address, others)
	}
	if err != nil {
		return nil, err
	}
	return &socket{Listener: l, address: address, log: log, stopping: make(chan struct{})}, nil
}

// give makes l the owner of what is accepted from now on. It returns the entrance of the former
// owner, nil if there is none to be closed.
func (s *socket) give(l *listener) entrance {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = l.stats
	if s.owner == l {
		return nil
	}
	former := s.entrance
	s.owner, s.entrance = l, l.entrance()
	return former
}

// hand gives a connection to the owner.
func (s *socket) hand(conn *wire.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entrance.Serve(conn)
}

const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// serve starts accepting for the owner, unless it does.
func (s *socket) serve() {
	if s.serving {
		return
	}
	if err := s.Resume(); err != nil {
		s.log.Error("a socket does not accept", zap.String("address", s.address), zap.Error(err))
	}
	s.serving = true
	s.accepts.Go(s.accept)
}

// accept hands over what comes in until the socket is closed. A lack of descriptors or memory is
// waited out, ever longer, and reported when it begins.
func (s *socket) accept() {
	pause := time.Duration(0)
	for {
		conn, err := s.Accept()
		if err == nil {
			pause = 0
			s.hand(conn)
			continue
		}
		if errors.Is(err, wire.ErrClosed) || errors.Is(err, wire.ErrPaused) {
			return
		}
		s.failed(err, pause == 0)
		pause = min(max(2*pause, firstPause), lastPause)
		select {
		case <-time.After(pause):
		case <-s.stopping:
			return
		}
	}
}

// failed counts a failure to accept and reports the first.
func (s *socket) failed(err error, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.AcceptError()
	if first {
		s.log.Error("a connection could not be accepted; trying on, ever slower",
			zap.String("address", s.address), zap.Error(err))
	}
}

// lastHandshakes is how long handshakes that have begun may take until a socket with a successor is
// closed.
const lastHandshakes = 300 * time.Millisecond

// succeed stops a socket whose clients another one is there for. Between the last look into the queue
// and the close, nobody may come: new clients are made to wait for the successor.
func (s *socket) succeed() {
	if err := s.EndHandshakes(); err != nil {
		s.log.Warn("clients that connect while a socket is replaced may be refused",
			zap.String("address", s.address), zap.Error(err))
	} else {
		<-time.After(lastHandshakes)
	}
	s.stop()
}

// lastAccepts bounds what is accepted once a socket is to be closed: those that keep coming do not
// keep it open.
const lastAccepts = 1 << 16

// stop closes the socket and waits for the accepting goroutine, so that no connection is added
// afterwards. What the kernel has queued until then is served: closing resets it.
func (s *socket) stop() {
	close(s.stopping)
	for range lastAccepts {
		if s.activated {
			break // the socket stays open, and whoever is started next serves them
		}
		conn := s.Queued()
		if conn == nil {
			break
		}
		s.hand(conn)
	}
	if err := s.Close(); err != nil {
		s.log.Error("closing a listening socket", zap.String("address", s.address), zap.Error(err))
	}
	s.accepts.Wait()
}
