package telemetry

import (
	"sync/atomic"
	"time"
)

// HTTP counts the requests that came in on one listener and went to one pool. Its methods may be
// called concurrently; they take no lock and do not allocate, except for the first request of a
// shard and of a combination of method, status and outcome.
type HTTP struct {
	listener, pool string
	created        time.Time
	responses      *responses
	shards         []atomic.Pointer[httpShard] // made when first used: most pairs are quiet
}

// httpShard is what one shard writes for every request.
type httpShard struct {
	latency histogram
	in, out atomic.Uint64
	_       [cacheLine]byte
}

// Exchange is one finished request.
type Exchange struct {
	Method   Method
	Status   int           // sent to the client; 0: none was
	Duration time.Duration // from the first byte of the request to the last of the response
	In, Out  int64         // bytes from and to the client, heads included; not those given to Bytes
	Outcome  Outcome
}

func newHTTP(listener, pool string, shards int, now time.Time) *HTTP {
	return &HTTP{
		listener:  listener,
		pool:      pool,
		created:   now,
		responses: newResponses(shards),
		shards:    make([]atomic.Pointer[httpShard], shards),
	}
}

// Done counts a finished request.
func (h *HTTP) Done(s Shard, e Exchange) {
	sh := h.shard(s)
	sh.latency.record(e.Duration)
	sh.bytes(e.In, e.Out)
	h.responses.add(s, e.Method, e.Status, e.Outcome)
}

// Bytes counts bytes of a request that is still going on, so that a long transfer shows while it
// runs, or those of several small ones at once. They must not be in an Exchange as well.
func (h *HTTP) Bytes(s Shard, in, out int64) { h.shard(s).bytes(in, out) }

// bytes leaves out the atomic additions of nothing: each costs some 6 ns.
func (sh *httpShard) bytes(in, out int64) {
	if in > 0 {
		sh.in.Add(uint64(in))
	}
	if out > 0 {
		sh.out.Add(uint64(out))
	}
}

func (h *HTTP) shard(s Shard) *httpShard {
	p := &h.shards[int(s)&(len(h.shards)-1)]
	if sh := p.Load(); sh != nil {
		return sh
	}
	p.CompareAndSwap(nil, new(httpShard))
	return p.Load()
}

// Latency is the distribution of the durations of all requests.
func (h *HTTP) Latency() Latency {
	var l Latency
	for i := range h.shards {
		if sh := h.shards[i].Load(); sh != nil {
			sh.latency.addTo(&l)
		}
	}
	return l
}

// Quantile is that quantile of all requests (Latency.Quantile).
func (h *HTTP) Quantile(q float64) time.Duration {
	l := h.Latency()
	return l.Quantile(q)
}

// HTTPCounts is what an HTTP has counted since it was made.
type HTTPCounts struct {
	Requests uint64
	Failed   uint64 // requests whose outcome is not a success
	In, Out  uint64 // bytes from and to clients
}

// Add adds another count to c.
func (c *HTTPCounts) Add(other HTTPCounts) {
	c.Requests += other.Requests
	c.Failed += other.Failed
	c.In += other.In
	c.Out += other.Out
}

// Counts reads the counters.
func (h *HTTP) Counts() HTTPCounts {
	var c HTTPCounts
	c.In, c.Out = h.bytes()
	h.responses.each(func(t *tally) {
		n := t.count.sum()
		c.Requests += n
		if !t.outcome.Success() {
			c.Failed += n
		}
	})
	return c
}

func (h *HTTP) bytes() (in, out uint64) {
	for i := range h.shards {
		if sh := h.shards[i].Load(); sh != nil {
			in += sh.in.Load()
			out += sh.out.Load()
		}
	}
	return in, out
}
