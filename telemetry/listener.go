package telemetry

import "sync/atomic"

// Listener counts the client connections of one listener, and knows its certificates. Its methods
// may be called concurrently; those that count do not allocate, and none takes a lock.
type Listener struct {
	name         string
	opened       counter
	closed       counter
	rejected     [rejectCount]atomic.Uint64
	acceptErrors atomic.Uint64
	handshakes   handshakes
	certificates atomic.Pointer[[]Certificate] // sorted by name, each name once; nil: never set
	notRenewed   atomic.Uint64
}

func newListener(name string, shards int) *Listener {
	return &Listener{name: name, opened: make(counter, shards), closed: make(counter, shards)}
}

// Name is the listener's name in the configuration.
func (l *Listener) Name() string { return l.name }

// ConnectionOpened counts a client connection that is going to be served.
func (l *Listener) ConnectionOpened(s Shard) { l.opened.add(s, 1) }

// ConnectionClosed counts its end; call it once per ConnectionOpened.
func (l *Listener) ConnectionClosed(s Shard) { l.closed.add(s, 1) }

// Rejected counts a connection that was accepted and closed without being served. It is not among
// the opened ones.
func (l *Listener) Rejected(r RejectReason) { l.rejected[min(r, RejectOther)].Add(1) }

// AcceptError counts an accept that failed.
func (l *Listener) AcceptError() { l.acceptErrors.Add(1) }

// ListenerCounts is what a Listener has counted since it was made.
type ListenerCounts struct {
	Opened       uint64 // connections served
	Active       uint64 // of them, those that are open
	Rejected     uint64 // connections turned away, whatever the reason
	AcceptErrors uint64
}

// Counts reads the counters.
func (l *Listener) Counts() ListenerCounts {
	// closed first: a connection that ends in between is then counted as open, and the
	// difference cannot fall below zero.
	closed := l.closed.sum()
	c := ListenerCounts{Opened: l.opened.sum(), AcceptErrors: l.acceptErrors.Load()}
	c.Active = c.Opened - min(closed, c.Opened)
	for i := range l.rejected {
		c.Rejected += l.rejected[i].Load()
	}
	return c
}
