package datagram

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	persistence "weir/proxy/session"
	"weir/proxy/wire"
)

// SessionMemory is a session that a process hands over, with its socket, to the one that takes its place.
type SessionMemory struct {
	Socket  int // listening socket that the client has used, by its number in the hand-over
	Key     wire.UDPKey
	Pool    string
	Backend string
	Address netip.AddrPort // of the backend
	Port    uint16         // of this side towards it

	Age, Idle         time.Duration
	In, Out           int64 // datagrams
	InBytes, OutBytes int64
	Owed              int64 // replies that are to come, if their number is known
	Fails             bool  // the backend was not there when it was last heard of

	IDLen  int32    // length of the connection IDs of the backend; QUIC alone, as is what follows
	Last   []byte   // connection ID that the client has used
	Learnt []byte   // from the backend, last
	IDs    [][]byte // by which the connection is known
}

// HeldMemory is a payload that waits for the first verdict on a backend.
type HeldMemory struct {
	Socket  int
	Key     wire.UDPKey
	Segment int
	Payload []byte
	Bounded bool // it is not held for longer than Left
	Left    time.Duration
}

// Pause stops receiving from backends until Resume; replies wait in the sockets of the sessions. The
// listening sockets are paused one by one, before.
func (e *Engine) Pause() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.loops {
		l.work.Lock()
	}
}

// Resume undoes Pause.
func (e *Engine) Resume() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.loops {
		l.work.Unlock()
	}
}

// Adopt makes a Socket of one that another process has bound, and that has a number in the hand-over.
// activated says that the service manager has made it, and keeps it open. fd is its own from then on, also
// after an error.
func (e *Engine) Adopt(fd, number int, activated bool) (*Socket, error) {
	l, err := wire.AdoptUDPListener(fd)
	if err != nil {
		return nil, err
	}
	k := e.newSocket(l)
	k.number, k.activated, k.adopted = number, activated, true
	return k, nil
}

// Number is that of an adopted socket in the hand-over; ok: it is one.
func (k *Socket) Number() (number int, ok bool) { return k.number, k.adopted }

// Activated reports whether the service manager keeps the socket open.
func (k *Socket) Activated() bool { return k.activated }

// Serving reports whether somebody receives.
func (k *Socket) Serving() bool { return k.serving }

// Rest stops receiving until Serve, and ends the sessions that came in by the socket.
func (k *Socket) Rest() {
	if !k.serving {
		return
	}
	if err := k.Pause(); err != nil {
		k.engine.Log.Error("a socket does not stop receiving datagrams", zap.String("address", k.Addr()), zap.Error(err))
		return
	}
	former := k.clients.Swap(nil)
	k.mu.Unlock()
	former.Leave(k)
}

// Duplicate returns another descriptor of the socket that is the caller's to close.
func (k *Socket) Duplicate() (int, error) { return k.listener.Duplicate() }

// Pause stops receiving from clients until Resume, and returns when every datagram that was received has
// been carried. Those that come wait in the socket.
func (k *Socket) Pause() error {
	if err := k.listener.Pause(); err != nil {
		return err
	}
	<-k.done
	k.serving = false
	k.mu.Lock() // what is held stays where it is
	return nil
}

// Resume undoes Pause.
func (k *Socket) Resume() {
	k.mu.Unlock()
	k.Serve()
}

// Held lists what a paused socket holds, which is number in the hand-over.
func (k *Socket) Held(number int) (list []HeldMemory) {
	now := wire.Now()
	for _, h := range k.waiting.list {
		list = append(list, HeldMemory{
			Socket: number, Key: h.from.Key(), Segment: h.from.Segment, Payload: h.payload,
			Bounded: h.until < unbounded, Left: time.Duration(h.until - now),
		})
	}
	return list
}

// RememberHeld holds what the process before has held, of a socket that is not served yet.
func (k *Socket) RememberHeld(m HeldMemory) {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := held{from: wire.UDPFromKey(m.Key), payload: m.Payload, until: unbounded}
	h.from.Segment = m.Segment
	if m.Bounded {
		h.until = wire.Now() + int64(m.Left)
	}
	k.waiting.list = append(k.waiting.list, h)
	k.waiting.bytes += len(h.payload)
}

// GiveUp closes a paused socket that another process goes on with, as well as with what it holds.
func (k *Socket) GiveUp() {
	k.waiting.list, k.waiting.bytes = nil, 0
	k.mu.Unlock()
	k.Stop()
}

// handOverBatch is how many sessions are handed over at a time: as many as a message can carry descriptors.
const handOverBatch = 250

// HandOver tells send of the sessions that came in by sockets that have a number, with their descriptors,
// a batch at a time. Receiving must be paused, and nothing else may end sessions until HandedOver or TakenBack is
// called.
func (c *Clients) HandOver(numbers map[*Socket]int, send func([]SessionMemory, []int) error) error {
	now := wire.Now()
	for _, s := range c.table.all() {
		if _, ok := numbers[s.reply.Load().socket]; !ok {
			s.release()
			continue
		}
		c.handed = append(c.handed, s)
	}
	slices.SortFunc(c.handed, func(a, b *session) int { return int(min(max(a.used.Load()-b.used.Load(), -1), 1)) })
	var list []SessionMemory
	var files []int
	for batch := range slices.Chunk(c.handed, handOverBatch) {
		list, files = list[:0], files[:0]
		for _, s := range batch {
			list = append(list, s.memory(numbers[s.reply.Load().socket], now))
			files = append(files, int(s.conn.FD()))
		}
		if err := send(list, files); err != nil {
			return err
		}
	}
	return nil
}

// HandedOver ends the sessions that were handed over, here alone.
func (c *Clients) HandedOver() {
	for _, s := range c.handed {
		s.end(endHandedOver)
		s.release()
	}
	c.handed = nil
}

// Discard ends all sessions, here alone: the process that they were taken from goes on with them.
func (c *Clients) Discard() {
	for _, s := range c.table.all() {
		s.end(endHandedOver)
		s.release()
	}
}

// TakenBack is for a hand-over that did not come to its end.
func (c *Clients) TakenBack() {
	for _, s := range c.handed {
		s.release()
	}
	c.handed = nil
}

func (s *session) memory(socket int, now int64) SessionMemory {
	m := SessionMemory{
		Socket: socket, Key: s.key, Pool: s.pool.Balancer.Name(), Backend: s.lease.Backend().Name(),
		Address: s.lease.Backend().Address(), Port: s.port,
		Age: time.Duration(now - s.started), Idle: time.Duration(max(now-s.used.Load(), 0)),
		In: s.in.datagrams.Load(), Out: s.out.datagrams.Load(), InBytes: s.in.bytes.Load(), OutBytes: s.out.bytes.Load(),
		Owed: s.owed.Load(), Fails: s.fails.Load(),
	}
	if !s.settings.quic {
		return m
	}
	q := &s.quic
	m.IDLen = q.idLen.Load()
	if id := q.last.Load(); id != nil {
		m.Last = id.bytes()
	}
	m.Learnt = q.learnt.bytes()
	b := &s.pool.ids
	b.mu.RLock()
	defer b.mu.RUnlock()
	for i := range q.ids {
		if id := q.ids[(q.next+i)%idsPerSession]; id.n != 0 && b.sessions[id] == s {
			m.IDs = append(m.IDs, id.bytes())
		}
	}
	return m
}

// bytes is a copy of the ID.
func (id *quicID) bytes() []byte { return slices.Clone(id.b[:id.n]) }

var errNotHere = errors.New("its pool or its backend is not configured any more")

// Remember goes on with a session of the process before that came in by k, whose owner is c. fd is its socket
// towards its backend, and belongs to it, also after an error: then there is no session. Receiving must be
// paused. backend is that of its pool, nil if there is none any more.
func (c *Clients) Remember(k *Socket, m *SessionMemory, backend *balancer.Backend, fd int) error {
	e, site, conn := c.engine, c.site.Load(), wire.AdoptUDPConn(fd)
	p := site.target.pool
	if p == nil || backend == nil || p.Balancer.Name() != m.Pool || backend.Address() != m.Address {
		conn.Close()
		return errNotHere
	}
	if !e.Descriptors.Enter(1) {
		conn.Close()
		return errDescriptors
	}
	now, b := wire.Now(), backend.Peer().(*peer)
	from := wire.UDPFromKey(m.Key)
	s := &session{
		site: site, pool: p, settings: p.settings.Load(), peer: b, conn: conn, port: m.Port,
		shard: e.Telemetry.NextShard(), started: now - int64(m.Age), client: from.Client(), key: m.Key,
		hash: c.table.hash(&m.Key), lease: p.Balancer.Resume(backend),
	}
	s.loop = e.loops[s.hash%uint64(len(e.loops))]
	s.bulk = true // as it may have been before
	s.clients.Store(c)
	s.reply.Store(&way{k, k.listener.Peer(&from)})
	s.used.Store(now - int64(m.Idle))
	s.refs.Store(1) // the table's
	s.in.add(int(m.In), int(m.InBytes))
	s.out.add(int(m.Out), int(m.OutBytes))
	s.owed.Store(m.Owed)
	s.fails.Store(m.Fails)
	b.ports.keep(m.Port)
	if err := s.loop.add(s); err != nil {
		conn.Close()
		b.ports.vacate(m.Port, 0)
		s.lease.Release()
		e.Descriptors.Leave(1)
		return err
	}
	s.counted = site.gate.Keep(s.client.Addr())
	b.join(s)
	c.count.Add(1)
	site.stats.ConnectionOpened(s.shard)
	s.rememberIDs(m)
	if evicted := c.table.insert(s, s.used.Load()); evicted != nil {
		evicted.ended(endEvicted)
	}
	return nil
}

// rememberIDs notes the IDs of the connection.
func (s *session) rememberIDs(m *SessionMemory) {
	if !s.settings.quic {
		return
	}
	s.quic.idLen.Store(m.IDLen)
	s.quic.learnt = newID(m.Learnt)
	if m.Last != nil {
		id := newID(m.Last)
		s.quic.last.Store(&id)
	}
	for _, id := range m.IDs {
		s.pool.ids.add(s, newID(id))
	}
}

// PortMemory is the local ports that are left alone for a while towards one backend address.
type PortMemory struct {
	Backend netip.AddrPort
	Ports   []uint16
	Left    []time.Duration
}

// PortMemory lists the ports that are not used, and not to be yet.
func (e *Engine) PortMemory() (list []PortMemory) {
	now := wire.Now()
	e.ports.mu.Lock()
	defer e.ports.mu.Unlock()
	for addr, p := range e.ports.books {
		if m := p.memory(now); len(m.Ports) > 0 {
			m.Backend = addr
			list = append(list, m)
		}
	}
	return list
}

// RememberPorts leaves alone what the process before has.
func (e *Engine) RememberPorts(list []PortMemory) {
	now := wire.Now()
	for _, m := range list {
		p := e.ports.join(m.Backend)
		for i, port := range m.Ports[:min(len(m.Ports), len(m.Left))] {
			p.keep(port)
			p.vacate(port, now+int64(m.Left[i]))
		}
		e.ports.leave(p)
	}
}

func (p *ports) memory(now int64) (m PortMemory) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := uint32(now / tick)
	for high, page := range p.pages {
		if page == nil {
			continue
		}
		for low, until := range page {
			if until > at && until != inUse {
				m.Ports = append(m.Ports, uint16(high<<8|low))
				m.Left = append(m.Left, time.Duration(int64(until)*tick-now))
			}
		}
	}
	return m
}

// keep marks a port as used, whatever it was.
func (p *ports) keep(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if entry := p.entry(port); *entry != inUse {
		*entry = inUse
		p.busy++
	}
}

// Table is where clients are remembered whose pool is persistent; nil: it is not.
func (p *Pool) Table() *persistence.Table {
	if a := p.settings.Load().sticky; a != nil {
		return a.Table()
	}
	return nil
}

// Idle reports whether no batch of datagrams is being served at this moment, or nobody is to receive any.
func (k *Socket) Idle() bool {
	if !k.mu.TryLock() {
		return false
	}
	k.mu.Unlock()
	return true
}
