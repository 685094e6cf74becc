package proxy

import (
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"weir/config"
	"weir/proxy/certs"
	"weir/proxy/exchange"
	"weir/proxy/wire"
	"weir/telemetry"
)

// listener accepts on the addresses of one configured listener.
type listener struct {
	name     string
	config   *config.Listener // guarded by the server's mu
	identity *certs.Identity  // of an https listener; guarded by the server's mu
	fault    string           // why its files could not be read again; the steward's
	sockets  []*wire.Listener
	clients  *exchange.Clients
	stats    *telemetry.Listener
	log      *zap.Logger

	stopping chan struct{}
	accepts  sync.WaitGroup
}

// bind opens the sockets of c. On an error none stays open.
func bind(c *config.Listener) ([]*wire.Listener, error) {
	var sockets []*wire.Listener
	for _, address := range c.Addresses {
		l, err := wire.Listen(address)
		if err != nil {
			return nil, errors.Join(err, closeAll(sockets))
		}
		sockets = append(sockets, l)
	}
	return sockets, nil
}

func closeAll(sockets []*wire.Listener) error {
	var errs []error
	for _, l := range sockets {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// serve starts accepting.
func (l *listener) serve() {
	for _, socket := range l.sockets {
		l.accepts.Add(1)
		go l.accept(socket)
	}
}

const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// accept serves what one socket accepts, until it is closed. A lack of descriptors or memory is
// waited out, ever longer, and reported when it begins.
func (l *listener) accept(socket *wire.Listener) {
	defer l.accepts.Done()
	pause := time.Duration(0)
	for {
		conn, err := socket.Accept()
		if err == nil {
			pause = 0
			l.clients.Serve(conn)
			continue
		}
		if errors.Is(err, wire.ErrClosed) {
			return
		}
		l.stats.AcceptError()
		if pause == 0 {
			l.log.Error("a connection could not be accepted; trying on, ever slower",
				zap.String("listener", l.name), zap.Error(err))
		}
		pause = min(max(2*pause, firstPause), lastPause)
		select {
		case <-time.After(pause):
		case <-l.stopping:
			return
		}
	}
}

// stopAccepting closes the sockets and waits for the accepting goroutines, so that no connection is
// added afterwards. It may be called more than once.
func (l *listener) stopAccepting() {
	select {
	case <-l.stopping:
	default:
		close(l.stopping)
	}
	if err := closeAll(l.sockets); err != nil {
		l.log.Error("closing a listening socket", zap.String("listener", l.name), zap.Error(err))
	}
	l.accepts.Wait()
}

// addresses are those that were bound.
func (l *listener) addresses() []string {
	var list []string
	for _, socket := range l.sockets {
		list = append(list, socket.Addr().String())
	}
	return list
}

// sameAddresses reports whether c is served by the sockets that are open.
func (l *listener) sameAddresses(c *config.Listener) bool {
	return slices.Equal(l.config.Addresses, c.Addresses)
}
