package floor

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	batch  = 256      // ready sockets taken by one epoll_wait
	buffer = 64 << 10 // bytes moved by one receive
)

// Relay forwards bytes between client connections and backend connections.
type Relay struct {
	listener int
	stop     int // eventfd: readable once Stop was called
	epoll    int
	addr     netip.AddrPort
	backends []netip.AddrPort
	next     int   // turn of the backends
	spare    []int // open backend sockets without a client

	// peers holds, at the index of a socket's descriptor, the descriptor of the other one of its
	// pair; 0: it has none.
	peers  []int
	buf    []byte
	events []unix.EpollEvent
}

// Listen binds the IPv4 address (port 0: any free one) and opens the given number of backend
// connections in turn over the backends.
func Listen(listen netip.AddrPort, backends []netip.AddrPort, open int) (*Relay, error) {
	if len(backends) == 0 {
		return nil, errors.New("floor: no backends")
	}
	r := &Relay{
		listener: -1, stop: -1, epoll: -1,
		backends: backends,
		buf:      make([]byte, buffer),
		events:   make([]unix.EpollEvent, batch),
	}
	if err := r.open(listen, open); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Addr is the address that clients connect to.
func (r *Relay) Addr() netip.AddrPort { return r.addr }

// Run forwards until Stop is called; it returns an error only if the epoll set itself fails.
func (r *Relay) Run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		n, err := wait(r.epoll, r.events)
		if err != 0 {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for _, e := range r.events[:n] {
			switch fd := int(e.Fd); fd {
			case r.stop:
				return nil
			case r.listener:
				r.accept()
			default:
				r.forward(fd)
			}
		}
	}
}

// Stop ends Run.
func (r *Relay) Stop() error {
	one := [8]byte{1}
	if _, err := unix.Write(r.stop, one[:]); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	return nil
}

// Close closes every socket, once Run has returned.
func (r *Relay) Close() error {
	var errs []error
	for fd, peer := range r.peers {
		if peer != 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	for _, fd := range append(r.spare, r.listener, r.stop, r.epoll) {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}

// open does what Listen promises; what it opened before an error is for Close.
func (r *Relay) open(listen netip.AddrPort, spare int) (err error) {
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create: %w", err)
	}
	if r.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	if r.listener, r.addr, err = bind(listen); err != nil {
		return fmt.Errorf("listen on %v: %w", listen, err)
	}
	for _, fd := range []int{r.stop, r.listener} {
		if err := r.watch(fd); err != nil {
			return err
		}
	}
	for range spare {
		fd, err := r.dial()
		if err != nil {
			return err
		}
		r.spare = append(r.spare, fd)
	}
	return nil
}

func (r *Relay) watch(fd int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// dial connects to the backend whose turn it is.
func (r *Relay) dial() (int, error) {
	to := r.backends[r.next%len(r.backends)]
	r.next++
	fd, err := connect(to)
	if err != nil {
		return -1, fmt.Errorf("connect to %v: %w", to, err)
	}
	return fd, nil
}

// accept pairs the clients that have connected with backend connections. A client for which there
// is none is closed: the yardstick has no other way to say so.
func (r *Relay) accept() {
	for {
		client, err := acceptFrom(r.listener)
		if err != nil {
			return // none left, or one that is gone already
		}
		backend, err := r.backend()
		if err != nil {
			_ = unix.Close(client)
			continue
		}
		for len(r.peers) <= max(client, backend) {
			r.peers = append(r.peers, 0)
		}
		r.peers[client], r.peers[backend] = backend, client
		if r.watch(client) != nil || r.watch(backend) != nil {
			r.end(client)
		}
	}
}

// backend takes a spare connection, or opens one.
func (r *Relay) backend() (int, error) {
	if n := len(r.spare); n > 0 {
		fd := r.spare[n-1]
		r.spare = r.spare[:n-1]
		return fd, nil
	}
	return r.dial()
}

// forward moves what fd has received to its peer. Events of a pair that ended earlier in the batch
// find no peer, or a new pair with nothing to receive.
func (r *Relay) forward(fd int) {
	peer := r.peers[fd]
	if peer == 0 {
		return
	}
	n, err := Receive(fd, r.buf)
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if err != 0 || n == 0 || !SendAll(peer, r.buf[:n]) {
		r.end(fd)
	}
}

// end closes both sockets of a pair; what closing says of a broken connection is of no use.
func (r *Relay) end(fd int) {
	peer := r.peers[fd]
	r.peers[fd], r.peers[peer] = 0, 0
	_ = unix.Close(fd)
	_ = unix.Close(peer)
}
