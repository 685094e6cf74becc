package datagram

import (
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/proxy/wire"
	"weir/telemetry"
)

const (
	loopSlots = 64 // datagrams that are on their way to clients at a time
	readSlots = 8  // of them, from one session at a time
	// patientReads is how often a session is received from before the others have their turn.
	patientReads = 4
)

// loop waits for what comes back from backends, for many sessions, in one goroutine.
type loop struct {
	engine *Engine
	index  int
	poll   *wire.UDPPoll
	done   chan struct{}

	// The rest belongs to the goroutine, but for what mu guards.
	batch  *wire.UDPBatch
	filled int // slots
	outs   []*outlet
	held   []*session
	unsure []*session // of them, those that have had one datagram
	rest   wire.UDPRest
	now    int64

	work sync.Mutex // held while replies are received, and by those who want none to be

	mu    sync.Mutex
	slots []slot
	free  []uint32
}

// slot is the place of a session, by which the kernel speaks of it.
type slot struct {
	session *session // nil: it is free
	reuse   uint32   // how often it was taken
}

// outlet gathers replies for one listening socket.
type outlet struct {
	socket *Socket
	out    *wire.UDPOut
	owners [loopSlots]*session // of the messages in out, in order; they may have ended
	queued int
	send   func(fd uintptr)
	errno  syscall.Errno
}

func newLoop(e *Engine, index int) (*loop, error) {
	poll, err := wire.NewUDPPoll()
	if err != nil {
		return nil, err
	}
	l := &loop{engine: e, index: index, poll: poll, done: make(chan struct{}), batch: wire.NewUDPBatch(loopSlots, false)}
	go l.run()
	return l, nil
}

func (l *loop) run() {
	defer close(l.done)
	l.poll.Run(l.ready)
}

// close ends the goroutine and waits for it.
func (l *loop) close() error {
	err := l.poll.Close()
	<-l.done
	return err
}

// add begins to wait for s. It is not to be called for a session that others know already.
func (l *loop) add(s *session) error {
	l.mu.Lock()
	if len(l.free) == 0 {
		l.free = append(l.free, uint32(len(l.slots)))
		l.slots = append(l.slots, slot{})
	}
	i := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	at := &l.slots[i]
	at.session = s
	at.reuse++
	s.slot = i
	token := uint64(at.reuse)<<32 | uint64(i)
	l.mu.Unlock()
	if err := l.poll.Add(s.conn, token); err != nil {
		l.remove(s)
		return err
	}
	return nil
}

// remove ends the wait; the socket leaves the set when it is closed.
func (l *loop) remove(s *session) {
	l.mu.Lock()
	l.slots[s.slot].session = nil
	l.free = append(l.free, s.slot)
	l.mu.Unlock()
}

// ready receives from the sessions that have something, and sends it to their clients. Each has its turn;
// it reports whether there may be more for another one, before which those are asked for that have
// something since.
func (l *loop) ready(tokens []uint64) (more bool) {
	l.work.Lock()
	defer l.work.Unlock()
	l.now = wire.Now()
	if len(tokens) > 0 {
		l.mu.Lock()
		for _, token := range tokens {
			at := l.slots[uint32(token)]
			if s := at.session; s != nil && at.reuse == uint32(token>>32) && !s.turn {
				s.turn = true
				s.hold()
				l.held = append(l.held, s)
			}
		}
		l.mu.Unlock()
	}
	again := l.held[:0]
	for _, s := range l.held {
		switch {
		case !s.bulk:
			if l.receiveOne(s) {
				l.unsure = append(l.unsure, s)
				continue
			}
		case l.receive(s):
			again = append(again, s)
			continue
		}
		s.turn = false
		s.release()
	}
	l.flush()
	again = l.recheck(again)
	clear(l.held[len(again):])
	l.held = again
	return len(again) > 0
}

// recheck sorts out who has something yet.
func (l *loop) recheck(again []*session) []*session {
	if len(l.unsure) == 0 {
		return again
	}
	for _, s := range l.unsure {
		l.rest.Add(s.conn)
	}
	l.rest.Look()
	for i, s := range l.unsure {
		if l.rest.Has(i) {
			s.bulk = true
			s.conn.Join()
			again = append(again, s)
			continue
		}
		s.turn = false
		s.release()
	}
	l.rest.Clear()
	clear(l.unsure)
	l.unsure = l.unsure[:0]
	return again
}

// receiveOne takes one datagram for s, which is what most replies are, and reports whether there may be
// more.
func (l *loop) receiveOne(s *session) (more bool) {
	defer l.recovered(s)
	if s.fate.Load() == endHandedOver {
		return false
	}
	if l.filled == loopSlots {
		l.flush()
	}
	errno := s.conn.ReceiveOne(l.batch, l.filled)
	if errno == syscall.EAGAIN {
		return false
	}
	if errno != 0 {
		s.absent(errno, l.now)
		return true
	}
	l.take(s, 1)
	return true
}

// receive takes what has come for s, and reports whether there may be more.
func (l *loop) receive(s *session) (more bool) {
	defer l.recovered(s)
	if s.fate.Load() == endHandedOver {
		return false // what comes is another process's
	}
	for range patientReads {
		if loopSlots-l.filled < readSlots {
			l.flush()
		}
		n, errno := s.conn.Receive(l.batch, l.filled, readSlots)
		if errno == syscall.EAGAIN || errno == 0 && n == 0 {
			return false
		}
		if errno != 0 {
			s.absent(errno, l.now) // it is told once for each failure, so the next receive is another
			continue
		}
		l.take(s, n)
		if n < readSlots {
			return false
		}
	}
	return true
}

// take queues the n replies that came last.
func (l *loop) take(s *session, n int) {
	w := s.reply.Load()
	o := l.outlet(w.socket)
	datagrams, bytes := 0, 0
	for i := l.filled; i < l.filled+n; i++ {
		payload, segment := l.batch.Payload(i), l.batch.Segment(i)
		datagrams += datagramsIn(len(payload), segment)
		bytes += len(payload)
		if s.settings.quic {
			s.learn(payload, segment)
		}
		o.add(s, payload, w.peer, segment)
	}
	l.filled += n
	s.peer.present()
	if s.fails.Load() {
		s.fails.Store(false)
	}
	s.out.add(datagrams, bytes)
	s.site.target.stats.Sent(s.shard, uint64(datagrams), uint64(bytes))
	s.used.Store(l.now)
	if l.now-s.noted > touchPause {
		s.noted = l.now
		s.touch(l.now)
	}
	if s.site.responses > 0 && s.owed.Add(-int64(datagrams)) <= 0 {
		s.settle()
	}
}

// touchPause is how often, at most, replies renew the place of a session in the order of use; datagrams of
// the client always do.
const touchPause = int64(500 * time.Millisecond)

// settle ends a session that has had all its replies, unless its client asks again at this moment.
func (s *session) settle() {
	if owed := s.owed.Load(); owed <= 0 && s.owed.CompareAndSwap(owed, settled) {
		s.end(endAnswered)
	}
}

// datagramsIn is how many datagrams a payload of that size is.
func datagramsIn(size, segment int) int {
	if segment == 0 {
		return 1
	}
	return (size + segment - 1) / segment
}

// outlet is where replies by a socket are gathered.
func (l *loop) outlet(k *Socket) *outlet {
	for _, o := range l.outs {
		if o.socket == k {
			return o
		}
	}
	o := &outlet{socket: k, out: wire.NewUDPOut(loopSlots)}
	o.send = func(fd uintptr) { o.errno = o.out.Send(fd) }
	l.outs = append(l.outs, o)
	return o
}

// add queues a message of s.
func (o *outlet) add(s *session, payload []byte, peer *wire.UDPPeer, segment int) {
	o.owners[o.queued] = s
	o.queued++
	o.out.Add(payload, peer, segment)
}

// flush sends what was gathered, and lets go of sockets that are closed.
func (l *loop) flush() {
	closed := func(o *outlet) bool { return o.socket.closed.Load() }
	for again := true; again; {
		again = false
		for _, o := range l.outs {
			if o.queued > 0 && !o.flush(l.now) {
				l.reroute(o)
				again = true
			}
		}
	}
	if slices.ContainsFunc(l.outs, closed) {
		l.outs = slices.DeleteFunc(l.outs, closed)
	}
	l.filled = 0
}

// flush sends, and drops what cannot be sent: a client's network that is too slow loses datagrams, as
// it would without us. It reports whether the socket is open.
func (o *outlet) flush(now int64) bool {
	for o.out.Len() > 0 {
		o.errno = 0
		if err := o.socket.listener.Control(o.send); err != nil {
			return false
		}
		if o.errno == 0 {
			break
		}
		o.drop(now)
	}
	clear(o.owners[:o.queued])
	o.queued = 0
	return true
}

// first is the session of the first message.
func (o *outlet) first() *session { return o.owners[o.queued-o.out.Len()] }

// drop counts and forgets the first message.
func (o *outlet) drop(now int64) {
	s := o.first()
	s.clients.Load().drop(s.site, telemetry.DropClient, o.out.Drop(), now)
}

// reroute is for replies whose socket was closed after they had been gathered: another one may answer their
// clients since.
func (l *loop) reroute(o *outlet) {
	for o.out.Len() > 0 {
		s := o.first()
		w := s.reply.Load()
		if w.socket == o.socket {
			o.drop(l.now)
			continue
		}
		payload, segment := o.out.First()
		l.outlet(w.socket).add(s, payload, w.peer, segment)
		o.out.Drop()
	}
	clear(o.owners[:o.queued])
	o.queued = 0
}

// recovered ends this session, and only this one, on a defect of ours.
func (l *loop) recovered(s *session) {
	if v := recover(); v != nil {
		l.engine.panicked(v)
		s.end(endDefect)
	}
}

func (e *Engine) panicked(v any) {
	e.Telemetry.Panic()
	e.Log.Error("panic while serving datagrams", zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
}

// absent notes that the kernel has been told by the network that the backend is not there.
func (s *session) absent(errno syscall.Errno, now int64) {
	if !unreachable(errno) {
		return // a path with a smaller MTU, or the like
	}
	s.fails.Store(true)
	p := s.peer
	p.stats.ConnectError(telemetry.ConnectReasonOf(errno))
	if f := s.pool.engine.ConnectFailed; p.absent(now) && f != nil {
		f(s.pool.Balancer.Name(), p.backend, os.NewSyscallError("send", errno))
	}
	s.pool.Balancer.Failed(p.backend, balancer.FaultConnect, time.Now())
}

// unreachable lists what the kernel makes of ICMP messages that say so.
func unreachable(errno syscall.Errno) bool {
	switch errno {
	case syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENOPROTOOPT, syscall.EACCES:
		return true
	}
	return false
}
