package datagram

import (
	"errors"
	"syscall"

	"weir/balancer"
	persistence "weir/proxy/session"
	"weir/proxy/wire"
	"weir/telemetry"
)

// arrival is what is known of a datagram that a session is looked for.
type arrival struct {
	clients *Clients
	site    *Site
	from    wire.UDPFrom
	key     wire.UDPKey
	hash    uint64
	payload []byte            // that came, if nothing of its session is known
	until   int64             // how long it may be held; 0: it has just come
	cid     uint64            // slice of its connection ID, where the pool looks at it
	want    *balancer.Backend // that it belongs to by its connection ID; nil: any
}

// open makes the session of a client that has none, held. It is nil if there cannot be one: then that is
// counted for so many datagrams, unless they are kept for later.
func (k *Socket) open(a *arrival, datagrams int) *session {
	if a.site.gate.Denied(a.from.Client().Addr()) { // nothing is kept of what can never be carried
		a.clients.drop(a.site, telemetry.DropDenied, datagrams, k.now)
		return nil
	}
	if k.hold(a) {
		return nil
	}
	s, why := k.admit(a)
	if s == nil {
		a.clients.drop(a.site, why, datagrams, k.now)
		return nil
	}
	if evicted := a.clients.table.insert(s, k.now); evicted != nil {
		evicted.ended(endEvicted)
	}
	return s
}

// replace makes a session on another backend, held, and puts it in the place of former, which is left to
// be ended; nil if there is none. was is false if former had been taken out of the table already.
func (k *Socket) replace(a *arrival, former *session) (s *session, was bool) {
	var tried balancer.Tried
	tried.Add(former.lease.Backend())
	if a.site.target.pool == nil || a.clients.draining.Load() {
		return nil, false
	}
	if s, _ = k.connect(a, &tried); s == nil {
		return nil, false
	}
	if was = a.clients.table.replace(former, s, k.now); was {
		s.counted, former.counted = former.counted, nil
	}
	return s, was
}

// admit makes a session that is in no table yet.
func (k *Socket) admit(a *arrival) (*session, telemetry.DropReason) {
	if a.clients.draining.Load() {
		return nil, telemetry.DropDraining
	}
	if a.site.target.pool == nil {
		return nil, telemetry.DropNoRoute
	}
	if k.engine.Memory.Refusing() {
		return nil, telemetry.DropMemory
	}
	client := a.from.Client().Addr()
	counted, refused := a.site.gate.Enter(client, k.now)
	if refused != 0 {
		return nil, drops[refused]
	}
	var tried balancer.Tried
	s, why := k.connect(a, &tried)
	if s == nil {
		counted.Leave(client)
		return nil, why
	}
	s.counted = counted
	return s, 0
}

// connect acquires a lease and makes a session for it, on a backend that was not tried.
func (k *Socket) connect(a *arrival, tried *balancer.Tried) (*session, telemetry.DropReason) {
	p := a.site.target.pool
	set := p.settings.Load()
	src := a.from.Client()
	bond := set.sticky.Find(src.Addr(), k.now)
	flow := balancer.Flow{Src: src, Dst: a.from.Local(), Proto: balancer.UDP, CID: a.cid}
	var refusing *balancer.Backend // that is left for the case that nobody else is there
	short := false                 // of ports, towards some backend
	moving := tried.Len() > 0      // one that has a backend rather stays: each move takes a port
	for {
		lease, err := k.acquire(p, set, a.want, bond.Backend(), flow, tried)
		if err == nil && lease.Backend().Peer().(*peer).refusing(k.now) {
			refusing = lease.Backend()
			lease.Release()
			tried.Add(refusing)
			continue
		}
		only := a.want // that it can go to
		if err != nil && refusing != nil && !moving {
			lease, err = p.Balancer.AcquireBackend(refusing, nil)
			only, refusing = refusing, nil
		}
		if err != nil && short {
			return nil, telemetry.DropPorts
		}
		if err != nil {
			return nil, refusal(err)
		}
		b := lease.Backend()
		if b == only {
			bond.Take(b, k.now)
		} else if !bond.Claim(b, k.now) { // another session of the client has chosen meanwhile
			lease.Release()
			continue
		}
		s, err := k.dial(a, p, set, lease)
		if err == nil {
			if r := bond.Result(); r != persistence.None {
				p.stats.Session(s.shard, sessionResults[r])
			}
			return s, 0
		}
		bond.Failed()
		lease.Release()
		tried.Add(b)
		switch {
		case errors.Is(err, errDescriptors), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			return nil, telemetry.DropDescriptors
		case errors.Is(err, errPorts):
			short = true
			continue
		}
		b.Peer().(*peer).stats.ConnectError(telemetry.ConnectReasonOf(err))
	}
}

// sessionResults are the words of the telemetry for what became of the session of a client.
var sessionResults = [...]telemetry.SessionResult{
	persistence.Hit: telemetry.SessionHit, persistence.New: telemetry.SessionNew, persistence.Lost: telemetry.SessionLost,
}

// acquire takes a lease: on the backend that the connection belongs to, on that of the client, or on any.
func (k *Socket) acquire(p *Pool, set *settings, want, had *balancer.Backend, flow balancer.Flow, tried *balancer.Tried) (balancer.Lease, error) {
	if want != nil {
		if lease, err := p.Balancer.AcquireBackend(want, tried); err == nil {
			return lease, nil
		}
	}
	if had != nil {
		lease, err := p.Balancer.AcquireBackend(had, tried)
		if err == nil || set.sticky.Fails() {
			return lease, err
		}
	}
	return p.Balancer.Acquire(flow, tried)
}

// refusal is why there is no lease.
func refusal(err error) telemetry.DropReason {
	if err == balancer.ErrNoCapacity || err == balancer.ErrFull {
		return telemetry.DropNoCapacity
	}
	return telemetry.DropNoBackendUp
}

var (
	errDescriptors = errors.New("no file descriptor is left")
	errPorts       = errors.New("no port is left towards the backend")
)

// dial makes the session of a lease, which is its own if there is no error.
func (k *Socket) dial(a *arrival, p *Pool, set *settings, lease balancer.Lease) (*session, error) {
	e := k.engine
	if !e.Descriptors.Enter(1) {
		return nil, errDescriptors
	}
	b := lease.Backend().Peer().(*peer)
	conn, port, err := k.socketTo(b)
	if err != nil {
		e.Descriptors.Leave(1)
		return nil, err
	}
	s := &session{
		site: a.site, pool: p, settings: set, peer: b, lease: lease, conn: conn, port: port,
		shard: e.Telemetry.NextShard(), started: k.now, noted: k.now, client: a.from.Client(), key: a.key, hash: a.hash,
	}
	s.clients.Store(a.clients)
	s.reply.Store(&way{k, k.listener.Peer(&a.from)})
	s.used.Store(k.now)
	s.refs.Store(2) // one for the table, one for the caller
	s.loop = e.loops[a.hash%uint64(len(e.loops))]
	if err := s.loop.add(s); err != nil {
		conn.Close()
		b.ports.vacate(port, 0)
		e.Descriptors.Leave(1)
		return nil, err
	}
	b.join(s)
	a.clients.count.Add(1)
	a.site.stats.ConnectionOpened(s.shard)
	return s, nil
}

// portTries is how many ports that others have are passed over before giving up.
const portTries = 16

// socketTo makes a socket whose peer is the backend, on a port that nobody else has used towards it
// for a while.
func (k *Socket) socketTo(b *peer) (wire.UDPConn, uint16, error) {
	for range portTries {
		port := b.ports.claim(k.engine.portRange, k.now)
		if port == 0 {
			break
		}
		c, err := wire.ConnectUDP(b.backend.Address(), port)
		if err == nil {
			return c, port, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			b.ports.vacate(port, 0)
			return c, 0, err
		}
		b.ports.vacate(port, k.now+int64(usualIdle)) // somebody else's
	}
	return wire.UDPConn{}, 0, errPorts
}
