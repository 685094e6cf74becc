package proxy

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"

	"weir/config"
)

// seating says which socket serves each address of a configuration, and which listener in service
// goes on under each name. Sockets are kept by their address, whoever has had them, so that nothing
// that is listened on stops being so.
type seating struct {
	sockets map[string][]*socket // of every listener, in the order of its addresses
	opened  []*socket            // of them, those that are new
	free    []*socket            // in service, and to be closed
	former  map[string]*listener // in service: of the same name, or of one that has left
}

// seat finds the sockets for c and opens those that are missing. On an error none stays open, and
// those in service are as they were.
func (s *Server) seat(c *config.Config) (*seating, error) {
	seats := &seating{sockets: map[string][]*socket{}, former: map[string]*listener{}}
	for _, name := range slices.Sorted(maps.Keys(s.listeners)) {
		seats.free = append(seats.free, s.listeners[name].sockets...)
	}
	seats.free = append(seats.free, s.resting...)
	names := slices.Sorted(maps.Keys(c.Listeners))
	for _, name := range names {
		seats.sockets[name] = make([]*socket, len(c.Listeners[name].Addresses))
		if l := s.listeners[name]; l != nil {
			if l.akin(c.Listeners[name]) {
				seats.former[name] = l
			}
			seats.keep(c.Listeners[name], func(k *socket) bool { return k.owner == l })
		}
		seats.keep(c.Listeners[name], func(k *socket) bool { return k.owner == nil && k.origin == name })
	}
	for _, name := range names { // once everybody has kept what was theirs
		seats.keep(c.Listeners[name], func(*socket) bool { return true })
		for _, k := range seats.sockets[name] {
			if k != nil && k.owner != nil && seats.former[name] == nil && c.Listeners[k.owner.name] == nil && !seats.inherited(k.owner) &&
				k.owner.akin(c.Listeners[name]) {
				seats.former[name] = k.owner
			}
		}
	}
	var errs []error
	for _, name := range names {
		if err := seats.open(c.Listeners[name], s.log); err != nil {
			errs = append(errs, &config.ObjectError{Path: "listeners." + name, Origin: c.Listeners[name].Origin, Err: err})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, seats.abandon())
	}
	return seats, nil
}

// inherited reports whether l goes on under some name.
func (s *seating) inherited(l *listener) bool {
	for _, other := range s.former {
		if other == l {
			return true
		}
	}
	return false
}

// keep takes free sockets that fit for the addresses of c that have none.
func (s *seating) keep(c *config.Listener, fits func(*socket) bool) {
	for i, address := range c.Addresses {
		if s.sockets[c.Name][i] != nil {
			continue
		}
		at := slices.IndexFunc(s.free, func(k *socket) bool { return k.address == address && fits(k) })
		if at >= 0 {
			s.sockets[c.Name][i] = s.free[at]
			s.free = slices.Delete(s.free, at, at+1)
		}
	}
}

// open binds the addresses of c that have no socket.
func (s *seating) open(c *config.Listener, log *zap.Logger) error {
	for i, address := range c.Addresses {
		if s.sockets[c.Name][i] != nil {
			continue
		}
		opened, err := open(address, s.free, log)
		if err != nil {
			return err
		}
		s.sockets[c.Name][i] = opened
		s.opened = append(s.opened, opened)
	}
	return nil
}

// abandon closes what was opened.
func (s *seating) abandon() error {
	var errs []error
	for _, k := range s.opened {
		errs = append(errs, k.Close())
	}
	return errors.Join(errs...)
}

// close stops the sockets that are no longer wanted, all at a time, and waits for that.
func (s *seating) close() {
	var all sync.WaitGroup
	for _, k := range s.free {
		stop := k.stop
		if k.activated {
			stop = k.rest
		} else if slices.ContainsFunc(s.opened, func(o *socket) bool { return o.Addr().Port() == k.Addr().Port() }) {
			stop = k.succeed
		}
		all.Go(stop)
	}
	all.Wait()
}
