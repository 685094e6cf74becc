package proxy

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/healthcheck"
	"weir/proxy/certs"
	"weir/proxy/datagram"
	"weir/proxy/handover"
	persistence "weir/proxy/session"
	"weir/proxy/wire"
)

// Memory is what a server knows and another one goes on with, but for listening sockets: verdicts and their
// history, ramps, ejections and overrides, ticket and cookie keys, persistence, and the sessions of UDP.
// Not in it, and so beginning anew: counters, the buckets of rate limits, connections to backends, the queue.
type Memory struct {
	pools    []poolMemory
	checks   []healthcheck.Memory
	tickets  map[string][]certs.TicketKey
	clients  []clientsMemory
	ports    []datagram.PortMemory
	held     []datagram.HeldMemory
	sessions []datagram.SessionMemory
	files    []int // of sessions
}

// poolMemory is what is known of a pool.
type poolMemory struct {
	Name       string
	Backends   []balancer.Memory
	CookieKeys [][]byte
}

// clientsMemory is a part of the clients of a persistent pool.
type clientsMemory struct {
	Pool     string
	Sessions []persistence.Memory
}

// The names of sections, and how much of each goes into one.
const (
	sectionPools    = "pools"
	sectionChecks   = "checks"
	sectionTickets  = "tickets"
	sectionClients  = "clients"
	sectionPorts    = "ports"
	sectionHeld     = "held"
	sectionSessions = "sessions"

	poolsAtATime   = 100
	checksAtATime  = 500
	clientsAtATime = 10_000
	portsAtATime   = 100
	heldAtATime    = 100 // of up to 64 KiB
)

// send takes a section of state.
type send func(name string, value any, files []int) error

// Remember tells everything that another process goes on with, after Freeze.
func (s *Server) Remember(to send) error {
	var pools []poolMemory
	tables := map[string]*persistence.Table{}
	for name, p := range *s.pools.Load() {
		pools = append(pools, poolMemory{name, p.Balancer.Memory(), p.CookieKeys()})
		tables[name] = p.Table()
	}
	for name, p := range *s.streams.pools.Load() {
		pools = append(pools, poolMemory{Name: name, Backends: p.Balancer.Memory()})
		tables[name] = p.Table()
	}
	for name, p := range *s.datagrams.pools.Load() {
		pools = append(pools, poolMemory{Name: name, Backends: p.Balancer.Memory()})
		tables[name] = p.Table()
	}
	tickets := map[string][]certs.TicketKey{}
	for name, l := range s.listeners {
		if l.identity != nil {
			tickets[name] = l.identity.TicketKeys()
		}
	}
	if err := to(sectionTickets, tickets, nil); err != nil {
		return err
	}
	if err := byParts(to, sectionPools, pools, poolsAtATime); err != nil {
		return err
	}
	if err := byParts(to, sectionChecks, s.monitor.Memory(), checksAtATime); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if tables[name] == nil {
			continue
		}
		for part := range slices.Chunk(tables[name].Memory(wire.Now()), clientsAtATime) {
			if err := to(sectionClients, clientsMemory{name, part}, nil); err != nil {
				return err
			}
		}
	}
	return s.rememberDatagrams(to)
}

func (s *Server) rememberDatagrams(to send) error {
	d, g := s.datagrams, s.giving
	if err := byParts(to, sectionPorts, d.engine.PortMemory(), portsAtATime); err != nil {
		return err
	}
	numbers := map[*datagram.Socket]int{}
	for n, k := range g.datagrams {
		if !g.used[n] || !d.inService(k) {
			continue
		}
		numbers[k] = n
		if err := byParts(to, sectionHeld, k.Held(n), heldAtATime); err != nil {
			return err
		}
	}
	for _, l := range d.listeners {
		err := l.clients.HandOver(numbers, func(list []datagram.SessionMemory, files []int) error {
			return to(sectionSessions, list, files)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// byParts sends a list, at most n of it at a time.
func byParts[T any](to send, name string, list []T, n int) error {
	for part := range slices.Chunk(list, n) {
		if err := to(name, part, nil); err != nil {
			return err
		}
	}
	return nil
}

// Add adds a section, whose descriptors belong to m then. A section that nobody here knows is passed over,
// and not known.
func (m *Memory) Add(s handover.Section) (known bool, err error) {
	m.files = append(m.files, s.Files...)
	switch s.Name {
	case sectionPools:
		err = add(&s, &m.pools)
	case sectionChecks:
		err = add(&s, &m.checks)
	case sectionTickets:
		err = s.Decode(&m.tickets)
	case sectionClients:
		var part clientsMemory
		err = s.Decode(&part)
		m.clients = append(m.clients, part)
	case sectionPorts:
		err = add(&s, &m.ports)
	case sectionHeld:
		err = add(&s, &m.held)
	case sectionSessions:
		err = add(&s, &m.sessions)
		if err == nil && len(m.sessions) != len(m.files) {
			err = fmt.Errorf("section %s: %d descriptors for %d sessions", s.Name, len(m.files), len(m.sessions))
		}
	default:
		handover.CloseAll(s.Files)
		m.files = m.files[:len(m.files)-len(s.Files)]
		return false, nil
	}
	return true, err
}

// add reads a part of a list.
func add[T any](s *handover.Section, list *[]T) error {
	var part []T
	err := s.Decode(&part)
	*list = append(*list, part...)
	return err
}

// Close closes the descriptors that nobody has taken over.
func (m *Memory) Close() {
	handover.CloseAll(m.files)
	m.files = nil
}

// CommitWith is Commit on a server that is Held, which goes on with what another one has remembered: that of
// listeners and pools that are the same as there.
func (p *Prepared) CommitWith(m *Memory) Change {
	s := p.server
	s.monitor.Remember(m.checks)
	change := p.Commit()
	now := time.Now()
	tables := map[string]*persistence.Table{}
	for name, pool := range *s.pools.Load() {
		tables[name] = pool.Table()
	}
	for name, pool := range *s.streams.pools.Load() {
		tables[name] = pool.Table()
	}
	for name, pool := range *s.datagrams.pools.Load() {
		tables[name] = pool.Table()
	}
	for _, known := range m.pools {
		if b := s.balancer(known.Name); b != nil {
			b.Remember(known.Backends, now)
		}
		pool := (*s.pools.Load())[known.Name]
		if pool == nil {
			continue
		}
		if err := pool.RememberCookieKeys(known.CookieKeys); err != nil {
			s.log.Error("cookies of the process before are not good any more", zap.String("pool", known.Name), zap.Error(err))
		}
	}
	for _, known := range s.monitor.Memory() { // a probe may have come in before
		pool := s.balancer(known.Key.Pool)
		if pool == nil || known.State == healthcheck.Checking {
			continue
		}
		if b := find(pool, healthcheck.Result{Key: known.Key, Backend: known.Backend}); b != nil {
			pool.Report(b, known.State == healthcheck.Up, now)
		}
	}
	for name, l := range s.listeners {
		if l.identity != nil {
			l.identity.RememberTicketKeys(m.tickets[name])
		}
	}
	for _, part := range m.clients {
		if t := tables[part.Pool]; t != nil {
			t.Remember(part.Sessions, backendsOf(s.balancer(part.Pool)), wire.Now())
		}
	}
	s.goOnWithSessions(m)
	s.steward.wake()
	return change
}

// backendsOf lists the backends of a pool.
func backendsOf(p *balancer.Pool) (list []*balancer.Backend) {
	for _, m := range p.Snapshot().Members() {
		list = append(list, m.Backend)
	}
	return list
}

// goOnWithSessions takes over what UDP listeners have of sessions.
func (s *Server) goOnWithSessions(m *Memory) {
	d := s.datagrams
	d.paused = true
	d.engine.Pause()
	d.engine.RememberPorts(m.ports)
	type seat struct {
		socket  *datagram.Socket
		clients *datagram.Clients
	}
	seats := map[int]seat{}
	for _, l := range d.listeners {
		for _, k := range l.sockets {
			if number, ok := k.Number(); ok {
				seats[number] = seat{k, l.clients}
			}
		}
	}
	for _, h := range m.held {
		if at, ok := seats[h.Socket]; ok {
			at.socket.RememberHeld(h)
		}
	}
	backends := map[[2]string]*balancer.Backend{}
	for name, p := range *d.pools.Load() {
		for _, b := range backendsOf(p.Balancer) {
			backends[[2]string{name, b.Name()}] = b
		}
	}
	lost := 0
	for i := range m.sessions {
		known := &m.sessions[i]
		at, ok := seats[known.Socket]
		if !ok {
			handover.CloseAll(m.files[i : i+1])
			lost++
			continue
		}
		if err := at.clients.Remember(at.socket, known, backends[[2]string{known.Pool, known.Backend}], m.files[i]); err != nil {
			lost++
		}
	}
	m.files = nil
	if lost > 0 {
		s.log.Warn("UDP sessions of the process before are not gone on with: their listener, pool or backend is another",
			zap.Int("sessions", lost), zap.Int("of", len(m.sessions)))
	}
}
