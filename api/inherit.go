package api

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Inherited is a listening socket of the admin server of the process before, to be used if it is at the
// place that the configuration names. The descriptor belongs to Bind.
type Inherited struct {
	Address string // path of the unix socket, or host:port as configured
	FD      int
}

// adopt makes a listener of the inherited socket at an address, nil if there is none.
func (s *Server) adopt(address string) (net.Listener, error) {
	for i, h := range s.options.Inherited {
		if h.Address != address || h.FD < 0 {
			continue
		}
		s.options.Inherited[i].FD = -1
		f := os.NewFile(uintptr(h.FD), address)
		defer f.Close() // FileListener has a duplicate
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("socket of the process before at %s: %w", address, err)
		}
		if u, ok := l.(*net.UnixListener); ok {
			return adoptSocket(u, address)
		}
		return l, nil
	}
	return nil, nil
}

// adoptSocket is the unix socket at path. What others find it by stays the other process's until Serve.
func adoptSocket(l *net.UnixListener, path string) (net.Listener, error) {
	s := &socket{UnixListener: l, path: path}
	s.SetUnlinkOnClose(false)
	return s, nil
}

// claimInherited makes the server the one that removes the unix socket at its end.
func (s *Server) claimInherited() {
	for _, d := range s.doors {
		l, ok := d.pausable.Listener.(*socket)
		if !ok || l.own != nil {
			continue
		}
		own, err := os.Lstat(l.path)
		if err != nil {
			s.options.Log.Warn("the admin socket that was taken over cannot be found any more", zap.Error(err))
			continue
		}
		l.own = own
	}
}

// closeInherited closes what Bind had no use for.
func (s *Server) closeInherited() {
	for i, h := range s.options.Inherited {
		if h.FD >= 0 {
			_ = unix.Close(h.FD)
			s.options.Inherited[i].FD = -1
		}
	}
}

// Offer lists the listening sockets, with descriptors that are the caller's to close.
func (s *Server) Offer() (list []Inherited, err error) {
	for _, d := range s.doors {
		h := Inherited{Address: s.options.Listen}
		if d.onSocket {
			h.Address = s.options.Socket
		}
		if h.FD, err = duplicate(d.pausable.Listener); err != nil {
			for _, h := range list {
				_ = unix.Close(h.FD)
			}
			return nil, fmt.Errorf("admin %s: %w", d.name, err)
		}
		list = append(list, h)
	}
	return list, nil
}

// duplicate is another descriptor of a listener. It does not ask for the os.File, which would make the socket
// block.
func duplicate(l net.Listener) (fd int, err error) {
	c, ok := l.(syscall.Conn)
	if !ok {
		return -1, errors.New("the listener has no descriptor")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	if cerr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) }); cerr != nil {
		return -1, cerr
	}
	return fd, err
}

// Pause stops accepting until Resume. Requests under way go on.
func (s *Server) Pause() {
	for _, d := range s.doors {
		d.pausable.pause()
	}
}

// Resume undoes Pause.
func (s *Server) Resume() {
	for _, d := range s.doors {
		d.pausable.resume()
	}
}

// HandedOver closes the listening sockets, those at addresses in used without removing what others find them
// by: another process answers there. Requests under way go on, until Close; streams of events end, so that who
// follows them goes on with those of the other process.
func (s *Server) HandedOver(used map[string]bool) error {
	var errs []error
	for _, d := range s.doors {
		d.gone.Store(true)
		if own, ok := d.pausable.Listener.(*socket); ok && used[s.options.Socket] {
			own.own = nil
		}
		errs = append(errs, d.pausable.Close())
	}
	s.endStreams()
	return errors.Join(errs...)
}

// pausable is a listener that can stop accepting for a while.
type pausable struct {
	net.Listener
	mu      sync.Mutex
	resumed chan struct{} // closed by resume; nil: it is not paused
	closed  chan struct{}
	once    sync.Once
	err     error
}

func newPausable(l net.Listener) *pausable {
	return &pausable{Listener: l, closed: make(chan struct{})}
}

// setDeadline bounds Accept; the zero time is no bound.
func (p *pausable) setDeadline(t time.Time) {
	if l, ok := p.Listener.(interface{ SetDeadline(time.Time) error }); ok {
		_ = l.SetDeadline(t) // it is closed: Accept says so
	}
}

func (p *pausable) pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resumed == nil {
		p.resumed = make(chan struct{})
		p.setDeadline(time.Unix(1, 0))
	}
}

func (p *pausable) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resumed != nil {
		p.setDeadline(time.Time{})
		close(p.resumed)
		p.resumed = nil
	}
}

// Accept waits for a connection, and while the listener is paused.
func (p *pausable) Accept() (net.Conn, error) {
	for {
		c, err := p.Listener.Accept()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return c, err
		}
		p.mu.Lock()
		resumed := p.resumed
		p.mu.Unlock()
		if resumed == nil {
			continue // since a moment ago
		}
		select {
		case <-resumed:
		case <-p.closed:
			return nil, net.ErrClosed
		}
	}
}

// Close may be called more than once.
func (p *pausable) Close() error {
	p.once.Do(func() {
		close(p.closed)
		p.err = p.Listener.Close()
	})
	return p.err
}
