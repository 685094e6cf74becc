package proxy

import (
	"net/netip"
	"slices"
	"time"

	"weir/proxy/exchange"
)

// closedEntrance is an entrance by which nobody comes any more.
type closedEntrance struct {
	entrance
	heirs []*socket // of the same listener, with the same port
}

// leavingEntrance is one whose connections have until due to make their last request.
type leavingEntrance struct {
	entrance
	due time.Time
}

// heirs lists the sockets by which the clients of s may have come as well, had they been there. The server's
// mu must be held.
func (s *socket) heirs() (heirs []*socket) {
	if s.owner == nil {
		return nil
	}
	for _, k := range s.owner.sockets {
		if k.Addr().Port() == s.Addr().Port() {
			heirs = append(heirs, k)
		}
	}
	return heirs
}

// serves reports whether clients that connect to the address to come in by s.
func (s *socket) serves(to netip.AddrPort) bool {
	at, ip := s.Addr().Addr().Unmap(), to.Addr().Unmap()
	switch {
	case !to.IsValid() || s.Addr().Port() != to.Port():
		return false
	case at.IsUnspecified():
		return at.Is6() || ip.Is4() // a wildcard of IPv6 is one of IPv4, too
	}
	return at == ip
}

// leaveEntrances lets the connections that came in by closed come to an end, but for those whose address is
// listened on still: a listener that goes between a wildcard and an address loses no client that has the
// address. It returns how many have to go.
func (s *Server) leaveEntrances(closed []closedEntrance, now time.Time) (ending int) {
	due := now.Add(s.config.Process.Grace)
	for _, e := range closed {
		if from, ok := e.entrance.(*exchange.Entrance); ok {
			for _, k := range e.heirs {
				if to, ok := k.entrance.(*exchange.Entrance); ok {
					from.Continue(to, k.serves)
				}
			}
		}
		ending += e.Ending()
		e.Leave()
		s.mu.Lock()
		s.leaving = append(s.leaving, leavingEntrance{e.entrance, due})
		s.mu.Unlock()
	}
	return ending
}

// closeEntrances closes what is idle on those that have had their time.
func (s *Server) closeEntrances(now time.Time) {
	var over []entrance
	s.mu.Lock()
	s.leaving = slices.DeleteFunc(s.leaving, func(e leavingEntrance) bool {
		if now.Before(e.due) {
			return false
		}
		over = append(over, e.entrance)
		return true
	})
	s.mu.Unlock()
	for _, e := range over {
		e.Drain()
	}
}
