package telemetry

import (
	"sync/atomic"
	"time"
)

// Pool counts what happened in one pool as a whole. Its methods may be called concurrently.
type Pool struct {
	name       string
	created    time.Time
	registry   *Registry
	retries    [retryCount]atomic.Uint64
	rebalanced atomic.Uint64 // flows
	sessions   []sessionShard
	probes     histogram
}

func newPool(r *Registry, name string, now time.Time) *Pool {
	return &Pool{name: name, created: now, registry: r, sessions: make([]sessionShard, r.shards)}
}

// Name is the pool's name in the configuration.
func (p *Pool) Name() string { return p.name }

// Probe counts one health check of a backend, d being how long it took. A backend that is not
// counted otherwise is ignored: a probe that ends after its backend was forgotten must not bring
// the series back.
func (p *Pool) Probe(backend string, ok bool, d time.Duration) {
	p.probes.record(d)
	if b := p.registry.lookupBackend(p.name, backend); b != nil {
		b.probed(ok)
	}
}

// Retry counts that another backend was tried.
func (p *Pool) Retry(reason RetryReason) { p.retries[min(reason, RetryReset)].Add(1) }

// Latency is the distribution of the durations of all requests to the pool, whatever the listener.
func (p *Pool) Latency() Latency {
	var sum Latency
	for _, h := range p.registry.httpOf(p.name) {
		l := h.Latency()
		sum.Add(&l)
	}
	return sum
}

// Quantile is that quantile of all requests to the pool (Latency.Quantile).
func (p *Pool) Quantile(q float64) time.Duration {
	l := p.Latency()
	return l.Quantile(q)
}

// PoolCounts is what was counted for a pool.
type PoolCounts struct {
	HTTPCounts
	Retries uint64
}

// Counts reads the counters, those of the requests summed over the listeners.
func (p *Pool) Counts() PoolCounts {
	var c PoolCounts
	for _, h := range p.registry.httpOf(p.name) {
		c.Add(h.Counts())
	}
	for i := range p.retries {
		c.Retries += p.retries[i].Load()
	}
	return c
}
