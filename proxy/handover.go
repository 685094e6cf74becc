package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"weir/proxy/datagram"
	"weir/proxy/handover"
)

// giving is what is on its way to the process that takes the place of this one.
type giving struct {
	sockets   map[int]*socket // by their numbers
	datagrams map[int]*datagram.Socket
	frozen    bool
	used      map[int]bool // numbers that the other process goes on with
}

// Offer lists the listening sockets with descriptors that are the caller's to close. Until HandedOver or
// TakeBack is called, nothing else may be changed.
func (s *Server) Offer() ([]handover.Socket, error) {
	g := &giving{sockets: map[int]*socket{}, datagrams: map[int]*datagram.Socket{}}
	s.giving = g
	var list []handover.Socket
	var errs []error
	add := func(h handover.Socket, duplicate func() (int, error)) {
		var err error
		if h.FD, err = duplicate(); err != nil {
			errs = append(errs, fmt.Errorf("socket at %s: %w", h.Address, err))
			return
		}
		list = append(list, h)
	}
	for _, k := range s.allSockets() {
		n := len(g.sockets) + len(g.datagrams)
		g.sockets[n] = k
		add(handover.Socket{ID: n, Network: handover.TCP, Listener: k.servesFor(), Address: k.address, Activated: k.activated}, k.Duplicate)
	}
	for _, u := range s.datagrams.allSockets() {
		n := len(g.sockets) + len(g.datagrams)
		g.datagrams[n] = u.socket
		add(handover.Socket{ID: n, Network: handover.UDP, Listener: u.owner, Address: u.address, Activated: u.socket.Activated()}, u.socket.Duplicate)
	}
	if err := errors.Join(errs...); err != nil {
		for _, h := range list {
			handover.CloseAll([]int{h.FD})
		}
		s.giving = nil
		return nil, err
	}
	return list, nil
}

// servesFor is the name of the listener that a socket serves, or has served.
func (s *socket) servesFor() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owner != nil {
		return s.owner.name
	}
	return s.origin
}

// allSockets lists those of listeners and those that rest.
func (s *Server) allSockets() (list []*socket) {
	for _, name := range slices.Sorted(maps.Keys(s.listeners)) {
		list = append(list, s.listeners[name].sockets...)
	}
	return append(list, s.resting...)
}

// allSockets is the same for datagrams.
func (d *datagrams) allSockets() (list []udpSeat) {
	for _, name := range slices.Sorted(maps.Keys(d.listeners)) {
		l := d.listeners[name]
		for i, k := range l.sockets {
			list = append(list, udpSeat{k, name, l.config.Addresses[i]})
		}
	}
	return append(list, d.resting...)
}

// Freeze stops everything that could change what is handed over, which takes some milliseconds at most:
// nothing is accepted on the sockets with the numbers used, and nothing received. Connections that are
// there go on. TakeBack undoes it, also after an error.
func (s *Server) Freeze(used []int) error {
	g := s.giving
	g.used, g.frozen = map[int]bool{}, true
	for _, n := range used {
		g.used[n] = true
	}
	s.frozen.Store(true)
	s.steward.work.Lock()
	var errs []error
	for n, k := range g.sockets {
		if g.used[n] && k.serving {
			errs = append(errs, k.Pause()) // all of them before the first is waited for
		}
	}
	for n, k := range g.sockets {
		if g.used[n] && k.serving && errors.Join(errs...) == nil {
			errs = append(errs, k.pause())
		}
	}
	s.datagrams.engine.Pause()
	for n, k := range g.datagrams {
		if g.used[n] && k.Serving() {
			errs = append(errs, k.Pause())
		}
	}
	return errors.Join(errs...)
}

// TakeBack goes on as before Offer: the other process has not come into service.
func (s *Server) TakeBack() {
	g := s.giving
	if g == nil {
		return
	}
	s.giving = nil
	if !g.frozen {
		return
	}
	for _, l := range s.datagrams.listeners {
		l.clients.TakenBack()
	}
	s.datagrams.engine.Resume()
	for n, k := range g.datagrams {
		if g.used[n] && !k.Serving() && s.datagrams.inService(k) {
			k.Resume()
		}
	}
	for n, k := range g.sockets {
		if !g.used[n] || k.owner == nil {
			continue
		}
		if err := k.pause(); err != nil { // or it may still be about to
			s.log.Error("a socket does not stop accepting", zap.String("address", k.address), zap.Error(err))
		}
		k.serve()
	}
	s.steward.work.Unlock()
	s.frozen.Store(false)
}

// inService reports whether a socket is one of a listener.
func (d *datagrams) inService(k *datagram.Socket) bool {
	for _, l := range d.listeners {
		if slices.Contains(l.sockets, k) {
			return true
		}
	}
	return false
}

// HandedOver is for a hand-over that has come to its end: the other process serves. The sockets are closed;
// in the queues of those that it does not use, nobody is left behind. What is left to do is to call Leave.
func (s *Server) HandedOver() {
	g := s.giving
	s.giving = nil
	for _, l := range s.datagrams.listeners {
		l.clients.HandedOver()
	}
	s.datagrams.engine.Resume()
	for n, k := range g.datagrams {
		switch {
		case g.used[n] && s.datagrams.inService(k):
			k.GiveUp()
		default:
			s.datagrams.stop(k)
		}
	}
	s.mu.Lock()
	s.resting, s.datagrams.resting = nil, nil
	for _, l := range s.listeners {
		l.sockets = nil
	}
	for _, l := range s.datagrams.listeners {
		l.sockets = nil
	}
	s.mu.Unlock()
	s.steward.work.Unlock()
	s.frozen.Store(false)
	var all sync.WaitGroup
	for n, k := range g.sockets {
		if !g.used[n] && k.serving {
			all.Go(k.succeed)
		} else {
			k.giveUp()
		}
	}
	all.Wait()
}

// Leave lets the connections come to an end, after the sockets were handed over, without one being closed
// that a client could be about to use: those of HTTP end with their next response, or when they have been
// idle for grace. What is on a backend for as long as the drain_timeout of its pool is cut, as is everything
// when ctx ends. It returns when all that the server started has ended; the error is that of ctx, if something
// had to be cut for it.
func (s *Server) Leave(ctx context.Context, grace time.Duration) error {
	for _, l := range s.everyListener() {
		if l.http != nil {
			l.http.Leave()
		}
	}
	now := time.Now()
	for _, p := range s.balancers() {
		p.Close(now) // its drain_timeout begins
	}
	quiet, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	s.awaitNobody(quiet)
	return s.Shutdown(ctx) // which closes what is idle, and waits for the others
}

// EndIdle closes the connections that are idle, while the server leaves: there is no time to wait for their
// next request.
func (s *Server) EndIdle() {
	for _, l := range s.everyListener() {
		l.clients.Drain()
	}
}

// leaveLook is how often Leave looks whether somebody is left.
const leaveLook = 50 * time.Millisecond

// awaitNobody returns when no connection is left, or ctx has ended.
func (s *Server) awaitNobody(ctx context.Context) {
	tick := time.NewTicker(leaveLook)
	defer tick.Stop()
	for s.Connections() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Serve accepts and receives, on a server that was made to be Held.
func (s *Server) Serve() {
	s.held, s.datagrams.held = false, false
	s.serveListeners()
	s.datagrams.serve()
	if s.datagrams.paused {
		s.datagrams.paused = false
		s.datagrams.engine.Resume()
	}
}

// Discard is Shutdown for a server that was Held, and is not to serve: what it has taken over is another
// process's still.
func (s *Server) Discard() {
	for _, l := range s.datagrams.listeners {
		l.clients.Discard()
	}
	if s.datagrams.paused {
		s.datagrams.paused = false
		s.datagrams.engine.Resume()
	}
	s.mu.Lock()
	for _, l := range s.listeners {
		for _, k := range l.sockets {
			k.giveUp()
		}
		l.sockets = nil
	}
	s.mu.Unlock()
	_ = s.Shutdown(context.Background()) // nobody is connected
}

func (s *Server) serveListeners() {
	for _, l := range s.listeners {
		for _, k := range l.sockets {
			k.serve()
		}
	}
}

func (d *datagrams) serve() {
	for _, l := range d.listeners {
		for _, k := range l.sockets {
			k.Serve()
		}
	}
}

// stop closes a socket, whether it is served or not.
func (d *datagrams) stop(k *datagram.Socket) {
	if k.Serving() {
		k.Stop()
		return
	}
	if err := k.Close(); err != nil {
		d.log.Error("closing a socket of datagrams", zap.String("address", k.Addr()), zap.Error(err))
	}
}

// has reports whether a socket has a place, or is free.
func (s *udpSeating) has(k *datagram.Socket) bool {
	for _, list := range s.sockets {
		if slices.Contains(list, k) {
			return true
		}
	}
	return slices.ContainsFunc(s.free, func(u udpSeat) bool { return u.socket == k })
}

// closeResting closes the sockets that serve nobody.
func (s *Server) closeResting() {
	for _, k := range s.resting {
		k.giveUp()
	}
	for _, u := range s.datagrams.resting {
		s.datagrams.stop(u.socket)
	}
	s.resting, s.datagrams.resting = nil, nil
}
