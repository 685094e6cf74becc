package telemetry

import (
	"sync/atomic"

	"weir/balancer"
)

// Backend counts what happened with one backend of a pool, by its name in the configuration: a
// backend that gets another address keeps its counters. Its methods may be called concurrently;
// they take no lock and do not allocate.
type Backend struct {
	pool, name string
	shards     []backendShard
	connect    [connectCount]atomic.Uint64
	opened     atomic.Uint64
	closed     atomic.Uint64
	probes     [2]atomic.Uint64 // failed, passed
	ejections  [balancer.FaultCount]atomic.Uint64
}

// backendShard is what one shard writes for a request.
type backendShard struct {
	classes [classCount]atomic.Uint64
	errors  [backendErrorCount]atomic.Uint64
	reused  atomic.Uint64
	_       [cacheLine - (classCount+backendErrorCount+1)*8%cacheLine]byte
}

// The classes of a backend's responses.
const (
	classNone  = 0 // no response came
	classOther = 6 // a status outside 100…599
	classCount = 7
)

var classNames = [classCount]string{"none", "1xx", "2xx", "3xx", "4xx", "5xx", "other"}

// The kinds of failure after a connection was there; failures to connect have reasons of their own.
const (
	backendErrorReset = iota
	backendErrorTimeout
	backendErrorBadResponse

	backendErrorCount
)

var backendErrorNames = [backendErrorCount]string{"reset", "timeout", "bad_response"}

func newBackend(pool, name string, shards int) *Backend {
	return &Backend{pool: pool, name: name, shards: make([]backendShard, shards)}
}

// Name is the backend's name in the configuration.
func (b *Backend) Name() string { return b.name }

// Request counts a request that was sent to the backend: the status it answered (0: none) and how
// the try ended. The outcomes backend_reset, backend_timeout and backend_bad_response are counted
// as the backend's errors as well; a failure to connect is no request (ConnectError).
func (b *Backend) Request(s Shard, status int, o Outcome) {
	sh := b.shard(s)
	sh.classes[classOf(status)].Add(1)
	switch o {
	case OutcomeBackendReset:
		sh.errors[backendErrorReset].Add(1)
	case OutcomeBackendTimeout:
		sh.errors[backendErrorTimeout].Add(1)
	case OutcomeBackendBadResponse:
		sh.errors[backendErrorBadResponse].Add(1)
	}
}

// Reused counts a request that found an idle connection.
func (b *Backend) Reused(s Shard) { b.shard(s).reused.Add(1) }

// ConnectionOpened counts a new connection to the backend.
func (b *Backend) ConnectionOpened() { b.opened.Add(1) }

// ConnectionClosed counts the end of one; call it once per ConnectionOpened.
func (b *Backend) ConnectionClosed() { b.closed.Add(1) }

// ConnectError counts a failure to connect (ConnectReasonOf).
func (b *Backend) ConnectError(r ConnectReason) { b.connect[min(r, ConnectOther)].Add(1) }

// Ejected counts that live traffic has put the backend out of service.
func (b *Backend) Ejected(why balancer.Fault) { b.ejections[min(why, balancer.FaultCount-1)].Add(1) }

func (b *Backend) shard(s Shard) *backendShard { return &b.shards[int(s)&(len(b.shards)-1)] }

func (b *Backend) probed(ok bool) {
	if ok {
		b.probes[1].Add(1)
		return
	}
	b.probes[0].Add(1)
}

func classOf(status int) int {
	if status == 0 {
		return classNone
	}
	if status < 100 || status > 599 {
		return classOther
	}
	return status / 100
}

// BackendCounts is what a Backend has counted since it was made.
type BackendCounts struct {
	Requests      uint64
	Classes       [6]uint64 // by the first digit of the status; 0: no response, or no valid status
	Errors        uint64    // resets, time-outs and bad responses
	ConnectErrors uint64
	Opened        uint64 // connections made
	Open          uint64 // of them, those that are open, busy or idle
	Reused        uint64 // requests that found an idle connection
	ProbesPassed  uint64
	ProbesFailed  uint64
}

// Counts reads the counters.
func (b *Backend) Counts() BackendCounts {
	t := b.totals()
	c := BackendCounts{
		Opened:       t.opened,
		Open:         t.open,
		Reused:       t.reused,
		ProbesPassed: b.probes[1].Load(),
		ProbesFailed: b.probes[0].Load(),
	}
	for class, n := range t.classes {
		c.Requests += n
		c.Classes[class%classOther] += n
	}
	for _, n := range t.errors {
		c.Errors += n
	}
	for i := range b.connect {
		c.ConnectErrors += b.connect[i].Load()
	}
	return c
}

// backendTotals is the sum of a backend's shards.
type backendTotals struct {
	classes      [classCount]uint64
	errors       [backendErrorCount]uint64
	reused       uint64
	opened, open uint64
}

func (b *Backend) totals() backendTotals {
	var t backendTotals
	closed := b.closed.Load() // before opened, so that the difference is never negative
	t.opened = b.opened.Load()
	t.open = t.opened - min(closed, t.opened)
	for i := range b.shards {
		sh := &b.shards[i]
		for class := range sh.classes {
			t.classes[class] += sh.classes[class].Load()
		}
		for kind := range sh.errors {
			t.errors[kind] += sh.errors[kind].Load()
		}
		t.reused += sh.reused.Load()
	}
	return t
}
