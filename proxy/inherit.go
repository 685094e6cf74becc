package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"go.uber.org/zap"

	"weir/proxy/handover"
	"weir/proxy/wire"
)

// inherit takes over listening sockets that others have made: the process before, or the service manager.
// They rest until a configuration has an address for them. All descriptors belong to it, also after an
// error.
func (s *Server) inherit(list []handover.Socket) error {
	var errs []error
	for _, h := range list {
		address, err := s.addressOf(h)
		switch {
		case err != nil:
			handover.CloseAll([]int{h.FD})
		case h.Network == handover.UDP:
			err = s.datagrams.inherit(h, address)
		default:
			err = s.inheritListener(h, address)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("socket passed for listener %q: %w", h.Listener, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Server) inheritListener(h handover.Socket, address string) error {
	l, err := wire.AdoptListener(h.FD)
	if err != nil {
		return err
	}
	s.resting = append(s.resting, &socket{
		Listener: l, address: address, log: s.log, stopping: make(chan struct{}),
		origin: h.Listener, number: h.ID, activated: h.Activated,
	})
	return nil
}

func (d *datagrams) inherit(h handover.Socket, address string) error {
	k, err := d.engine.Adopt(h.FD, h.ID, h.Activated)
	if err == nil {
		d.resting = append(d.resting, udpSeat{socket: k, owner: h.Listener, address: address})
	}
	return err
}

// addressOf is the configured address that a socket serves. The service manager knows the name of a
// listener alone: then it is that of its addresses where the socket is bound.
func (s *Server) addressOf(h handover.Socket) (string, error) {
	if h.Address != "" {
		return h.Address, nil
	}
	l := s.config.Listeners[h.Listener]
	if l == nil {
		return "", errors.New("there is no listener of that name: name one in FileDescriptorName=")
	}
	if got, want := h.Network == handover.UDP, ofDatagrams(l.Protocol); got != want {
		return "", fmt.Errorf("it is one of %s, which is not what a listener of protocol %s needs: exchange ListenStream= and ListenDatagram=", h.Network, l.Protocol)
	}
	bound, err := handover.Bound(h.FD)
	if err != nil {
		return "", err
	}
	for _, address := range l.Addresses {
		if sameAddress(address, bound) {
			return address, nil
		}
	}
	return "", fmt.Errorf("it is bound to %s, and the listener has %v: make the two equal", bound, l.Addresses)
}

// sameAddress reports whether a socket is bound where an address of a configuration says.
func sameAddress(address string, bound netip.AddrPort) bool {
	want, err := net.ResolveTCPAddr("tcp", address)
	if err != nil || want.Port != int(bound.Port()) {
		return false
	}
	if want.IP == nil {
		return bound.Addr().IsUnspecified()
	}
	return want.AddrPort().Addr().Unmap().WithZone("") == bound.Addr()
}

// pause stops accepting and returns when nobody does any more. Clients wait in the queue of the kernel.
func (s *socket) pause() error {
	err := s.Pause()
	if err == nil {
		s.accepts.Wait()
		s.serving = false
	}
	return err
}

// rest stops accepting on a socket that the service manager keeps open, and which so cannot be closed for
// good, until a configuration has its address again.
func (s *socket) rest() {
	if !s.serving {
		return
	}
	if err := s.pause(); err != nil {
		s.log.Error("a socket does not stop accepting", zap.String("address", s.address), zap.Error(err))
	}
	s.mu.Lock()
	s.owner, s.entrance = nil, nil
	s.mu.Unlock()
}

// giveUp closes a socket that nobody accepts on, and that another process goes on with: what is in its queue
// stays there.
func (s *socket) giveUp() {
	if err := s.Close(); err != nil {
		s.log.Error("closing a listening socket", zap.String("address", s.address), zap.Error(err))
	}
}

// DropUnused closes the inherited sockets that p has no use for, but for those that the service manager
// keeps open. It comes before Commit, so that whoever has handed them over can serve what is in their
// queues.
func (p *Prepared) DropUnused() {
	p.seats.free = slices.DeleteFunc(p.seats.free, func(k *socket) bool {
		drop := k.owner == nil && !k.activated
		if drop {
			k.giveUp()
		}
		return drop
	})
	p.datagrams.free = slices.DeleteFunc(p.datagrams.free, func(u udpSeat) bool {
		drop := !u.socket.Serving() && !u.socket.Activated()
		if drop {
			p.server.datagrams.stop(u.socket)
		}
		return drop
	})
	s := p.server
	s.resting = slices.DeleteFunc(s.resting, func(k *socket) bool { return !p.seats.has(k) })
	s.datagrams.resting = slices.DeleteFunc(s.datagrams.resting, func(u udpSeat) bool { return !p.datagrams.has(u.socket) })
}

// Used lists the inherited sockets that p uses, or that are kept, by their numbers.
func (p *Prepared) Used() (numbers []int) {
	for _, k := range p.server.resting {
		numbers = append(numbers, k.number)
	}
	for _, u := range p.server.datagrams.resting {
		if n, ok := u.socket.Number(); ok {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// has reports whether a socket has a place, or is free.
func (s *seating) has(k *socket) bool {
	for _, list := range s.sockets {
		if slices.Contains(list, k) {
			return true
		}
	}
	return slices.Contains(s.free, k)
}
