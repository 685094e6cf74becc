package datagram

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/proxy/wire"
	"weir/telemetry"
)

// socketSlots is how many datagrams of clients are received at a time.
const socketSlots = 32

// Socket is a listening socket in service. It can change hands while it receives.
type Socket struct {
	engine   *Engine
	listener *wire.UDPListener
	clients  atomic.Pointer[Clients]
	closed   atomic.Bool
	lost     uint32 // as the kernel counts, at the last Sweep
	stopping chan struct{}
	done     chan struct{} // closed when nobody receives
	serving  bool          // somebody receives; the owner's changes alone look at it

	// Of a socket that was inherited; see handover.go.
	adopted   bool
	number    int
	activated bool

	mu sync.Mutex // held while a batch is served, so that a former owner gets no session any more

	// The rest belongs to who has mu. A run is datagrams of one session that came one
	// after the other: they leave together.
	waiting waiting
	leaving bool // others answer its clients
	batch   *wire.UDPBatch
	out     *wire.UDPOut
	run     *session // held; nil: there is no run
	arrival arrival  // of the first datagram of the run
	tally   tally
	now     int64
}

// tally counts the datagrams of a run.
type tally struct{ datagrams, bytes int }

// Open binds address, beside sockets that overlap it and are to be closed. Nothing is received before
// Serve.
func (e *Engine) Open(address string, beside []*Socket) (*Socket, error) {
	var others []*wire.UDPListener
	for _, k := range beside {
		others = append(others, k.listener)
	}
	l, err := listen(address, others)
	if errors.Is(err, syscall.EADDRINUSE) && e.yield(address) {
		l, err = listen(address, others)
	}
	if err != nil {
		return nil, err
	}
	return e.newSocket(l), nil
}

func listen(address string, others []*wire.UDPListener) (*wire.UDPListener, error) {
	l, err := wire.ListenUDP(address)
	if errors.Is(err, syscall.EADDRINUSE) && len(others) > 0 {
		return wire.ListenUDPBeside(address, others)
	}
	return l, err
}

func (e *Engine) newSocket(l *wire.UDPListener) *Socket {
	k := &Socket{engine: e, listener: l, stopping: make(chan struct{}), done: make(chan struct{})}
	k.lost, _ = l.Lost() // another process may have counted some
	return k
}

// Sweep counts what the kernel has thrown away since the last time: it comes faster than it is carried. It is
// called about once a second, by one goroutine.
func (k *Socket) Sweep(now int64) {
	lost, ok := k.listener.Lost()
	n := lost - k.lost
	c := k.clients.Load()
	if !ok || n == 0 || c == nil {
		return
	}
	k.lost = lost
	c.drop(c.site.Load(), telemetry.DropOverrun, int(n), now)
}

// Addr is the bound address.
func (k *Socket) Addr() string { return k.listener.Addr().String() }

// Serve starts to receive for the owner, unless it does.
func (k *Socket) Serve() {
	if k.serving {
		return
	}
	if err := k.listener.Resume(); err != nil {
		k.engine.Log.Error("a socket does not receive datagrams", zap.String("address", k.Addr()), zap.Error(err))
	}
	k.serving, k.done = true, make(chan struct{})
	if k.batch == nil {
		k.batch, k.out = wire.NewUDPBatch(socketSlots, true), wire.NewUDPOut(socketSlots)
	}
	if len(k.waiting.list) > 0 { // from the process before
		k.waiting.watched = true
		k.waiting.watchers.Go(k.watch)
	}
	go k.receive()
}

// Close closes a socket that was never served.
func (k *Socket) Close() error { return k.listener.Close() }

// Stop closes the socket and waits for its goroutine. Sessions go on by the others, which serve, where these
// have the address; the rest must have been told to end, or is now.
func (k *Socket) Stop(others ...*Socket) {
	close(k.stopping)
	k.listener.End()
	<-k.done
	k.waiting.watchers.Wait()
	k.succeed(others)
	if err := k.listener.Close(); err != nil {
		k.engine.Log.Error("closing a socket of datagrams", zap.String("address", k.Addr()), zap.Error(err))
	}
	k.closed.Store(true)
	if c := k.clients.Load(); c != nil {
		c.Leave(k)
	}
}

// receivePause is how long a lack of memory is waited out.
const receivePause = 20 * time.Millisecond

func (k *Socket) receive() {
	defer close(k.done)
	for {
		err := k.listener.Receive(k.batch, k.serve)
		if errors.Is(err, wire.ErrClosed) || errors.Is(err, wire.ErrPaused) {
			return
		}
		k.clients.Load().Site().stats.AcceptError()
		select {
		case <-time.After(receivePause):
		case <-k.stopping:
			return
		}
	}
}

// serve carries the n datagrams of the batch.
func (k *Socket) serve(n int) { k.serveBatch(k.batch, n) }

func (k *Socket) serveBatch(b *wire.UDPBatch, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer k.recovered()
	c := k.clients.Load()
	site := c.site.Load()
	k.now = wire.Now()
	for i := range n {
		from := k.listener.From(b, i)
		a := arrival{clients: c, site: site, from: from, key: from.Key()}
		k.carryAny(&a, b.Payload(i))
	}
	k.finishRun()
}

// carryAny takes a payload of a client where its pool wants it.
func (k *Socket) carryAny(a *arrival, payload []byte) {
	if p := a.site.target.pool; p != nil && p.settings.Load().quic {
		k.carryQUIC(a, payload)
		return
	}
	k.carry(a, payload, a.from.Segment)
}

// recovered drops what was under way on a defect of ours.
func (k *Socket) recovered() {
	v := recover()
	if v == nil {
		return
	}
	k.engine.panicked(v)
	for k.out.Len() > 0 {
		k.out.Drop()
	}
	if s := k.run; s != nil {
		k.run = nil
		s.end(endDefect)
		s.release()
	}
}

// carry takes a payload of a client to its session.
func (k *Socket) carry(a *arrival, payload []byte, segment int) {
	if k.run == nil || a.key != k.arrival.key {
		k.finishRun()
		a.hash = a.clients.table.hash(&a.key)
		s := a.clients.table.find(&a.key, a.hash, k.now)
		if s == nil {
			a.payload = payload
			s = k.open(a, datagramsIn(len(payload), segment))
		}
		if s == nil {
			return
		}
		k.begin(a, s)
	}
	k.add(payload, segment)
}

// begin starts a run of s, which is held for it.
func (k *Socket) begin(a *arrival, s *session) {
	k.run, k.arrival = s, *a
	if s.reply.Load().socket != k && !k.leaving { // its address was that of another socket
		s.reply.Store(&way{k, k.listener.Peer(&a.from)})
	}
	if !s.mayStay(k.now) && !k.move() {
		s.pool.quota.give()
	}
}

// add adds a payload to the run.
func (k *Socket) add(payload []byte, segment int) {
	n := datagramsIn(len(payload), segment)
	if s := k.run; s.site.responses > 0 && s.owed.Add(int64(n*s.site.responses)) < settled/2 {
		// It had all its replies at this very moment: this is another question.
		k.finishRun()
		s.end(endAnswered)
		a := k.arrival
		next := k.open(&a, n)
		if next == nil {
			return
		}
		k.run = next
		next.owed.Add(int64(n * next.site.responses))
	}
	k.out.Add(payload, nil, segment)
	k.tally.datagrams += n
	k.tally.bytes += len(payload)
}

// finishRun sends what the run has gathered and ends it.
func (k *Socket) finishRun() {
	if k.run == nil {
		return
	}
	k.flush()
	k.run.release()
	k.run = nil
}

// flush sends what the run has gathered.
func (k *Socket) flush() {
	k.count()
	failures := 0
	for k.out.Len() > 0 {
		s := k.run
		errno := k.out.Send(s.conn.FD())
		if errno == 0 {
			return
		}
		// What the kernel has heard about earlier datagrams is told once, and in place of a send.
		failures++
		if unreachable(errno) {
			s.absent(errno, k.now)
			if failures < maxFailures && !s.mayStay(k.now) {
				if k.move() {
					continue
				}
				s.pool.quota.give()
			}
		}
		if errno == syscall.EAGAIN || failures >= maxFailures {
			failures = 0
			s.clients.Load().drop(s.site, telemetry.DropBackend, k.out.Drop(), k.now)
		}
	}
}

// maxFailures is how often a datagram is tried.
const maxFailures = 4

// count adds what the run has gathered to the counters of its session.
func (k *Socket) count() {
	s, t := k.run, k.tally
	k.tally = tally{}
	s.used.Store(k.now)
	s.in.add(t.datagrams, t.bytes)
	s.site.target.stats.Received(s.shard, uint64(t.datagrams), uint64(t.bytes))
}

// move puts another session, on another backend, in the place of that of the run, and reports whether
// there is one.
func (k *Socket) move() bool {
	s := k.run
	next, was := k.replace(&k.arrival, s)
	if next == nil {
		return false
	}
	s.pool.stats.Rebalanced(1)
	why := endRebalanced
	if s.fails.Load() {
		why = endRefused
	}
	if was {
		s.ended(why)
	}
	s.release()
	k.run = next
	return true
}
