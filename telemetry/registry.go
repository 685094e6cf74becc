package telemetry

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"weir/balancer"
)

// Options are what a Registry is told about the process. Functions are called during scrapes,
// possibly concurrently; they must not block. A nil function leaves its series out.
type Options struct {
	Version, Commit string
	Pools           func() []*balancer.Pool      // those in use: gauges of backends are read from them
	Overdue         func() uint64                // health checks that started late, since the start
	Memory          func() (used, budget uint64) // bytes; without a budget (0) they are left out
	Log             *zap.Logger                  // where a failed scrape is reported; nil: nowhere
	Now             func() time.Time             // for created timestamps; nil: time.Now
}

// Idler is implemented by a balancer.Peer that keeps idle connections to its backend; Idle is how
// many there are now. It is called at scrapes.
type Idler interface{ Idle() int }

// Registry owns all counters of a process. Its methods may be called concurrently. Those that
// return a counter return the same one for the same name until it is forgotten, so that counters
// survive reloads; they take a lock and are called when a configuration is applied, not per
// request.
type Registry struct {
	options Options
	shards  int
	next    atomic.Uint32
	descs   [seriesCount]*prometheus.Desc

	panics     atomic.Uint64
	accessLost atomic.Uint64
	reloads    reloads

	journalLost  atomic.Uint64
	adminRefused [adminRefusalCount]atomic.Uint64

	mu        sync.RWMutex // guards the maps below
	listeners map[string]*Listener
	http      map[httpKey]*HTTP
	tcp       map[httpKey]*TCP
	udp       map[httpKey]*UDP
	pools     map[string]*Pool
	backends  map[backendKey]*Backend
	names     map[backendKey]*resolutions
	picks     picks
	leaving   map[countersOf]time.Time // not configured, and kept for its connections: when it last had some
}

type httpKey struct{ listener, pool string }

type backendKey struct{ pool, backend string }

// New makes a Registry that shares nothing with any other.
func New(o Options) *Registry {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Registry{
		options:   o,
		shards:    shardCount(),
		descs:     newDescs(),
		listeners: make(map[string]*Listener),
		http:      make(map[httpKey]*HTTP),
		tcp:       make(map[httpKey]*TCP),
		udp:       make(map[httpKey]*UDP),
		pools:     make(map[string]*Pool),
		backends:  make(map[backendKey]*Backend),
		names:     make(map[backendKey]*resolutions),
		leaving:   make(map[countersOf]time.Time),
	}
}

// NextShard hands out the shards in turn.
func (r *Registry) NextShard() Shard { return Shard(r.next.Add(1)) & Shard(r.shards-1) }

// Listener returns the counters of a listener.
func (r *Registry) Listener(name string) *Listener {
	return intern(r, r.listeners, name, func() *Listener { return newListener(name, r.shards) })
}

// HTTP returns the counters of the requests from a listener to a pool; pool is empty for requests
// that were refused before they had one.
func (r *Registry) HTTP(listener, pool string) *HTTP {
	return intern(r, r.http, httpKey{listener, pool}, func() *HTTP {
		return newHTTP(listener, pool, r.shards, r.options.Now())
	})
}

// TCP returns the counters of the connections from a listener to a pool, at layer 4; pool is empty for
// those that had none.
func (r *Registry) TCP(listener, pool string) *TCP {
	return intern(r, r.tcp, httpKey{listener, pool}, func() *TCP { return newTCP(listener, pool, r.shards) })
}

// UDP returns the counters of the sessions from a udp listener to a pool; pool is empty for datagrams
// that had none.
func (r *Registry) UDP(listener, pool string) *UDP {
	return intern(r, r.udp, httpKey{listener, pool}, func() *UDP { return newUDP(listener, pool, r.shards) })
}

// Pool returns the counters of a pool.
func (r *Registry) Pool(name string) *Pool {
	return intern(r, r.pools, name, func() *Pool { return newPool(r, name, r.options.Now()) })
}

// Backend returns the counters of a backend, by its name in the configuration. Pool.Probe counts
// for a backend only after this was called for it.
func (r *Registry) Backend(pool, backend string) *Backend {
	return intern(r, r.backends, backendKey{pool, backend}, func() *Backend {
		return newBackend(pool, backend, r.shards)
	})
}

// intern returns m[k], made by create if it is not there.
func intern[K comparable, V any](r *Registry, m map[K]*V, k K, create func() *V) *V {
	r.mu.RLock()
	v := m[k]
	r.mu.RUnlock()
	if v != nil {
		return v
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := m[k]; v != nil {
		return v
	}
	v = create()
	m[k] = v
	return v
}

// Panic counts a recovered panic.
func (r *Registry) Panic() { r.panics.Add(1) }

// AccessLogLost counts lines of the access log that were not written. It is what OpenAccessLog
// takes.
func (r *Registry) AccessLogLost(n uint64) { r.accessLost.Add(n) }

// JournalLost counts events that did not get into the file of the journal. It is what JournalOptions
// take.
func (r *Registry) JournalLost(n uint64) { r.journalLost.Add(n) }

// AdminRefused counts a request that the admin address refused.
func (r *Registry) AdminRefused(reason AdminRefusal) {
	r.adminRefused[min(reason, adminRefusalCount-1)].Add(1)
}

func (r *Registry) lookupBackend(pool, backend string) *Backend {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.backends[backendKey{pool, backend}]
}

// httpOf returns the counters of all listeners for a pool.
func (r *Registry) httpOf(pool string) []*HTTP {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []*HTTP
	for k, h := range r.http {
		if k.pool == pool {
			found = append(found, h)
		}
	}
	return found
}

// registered is a consistent copy of the maps for one scrape.
type registered struct {
	listeners []*Listener
	http      []*HTTP
	tcp       []*TCP
	udp       []*UDP
	pools     []*Pool
	backends  []*Backend
	names     []*resolutions
}

func (r *Registry) registered() registered {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return registered{
		listeners: slices.Collect(maps.Values(r.listeners)),
		http:      slices.Collect(maps.Values(r.http)),
		tcp:       slices.Collect(maps.Values(r.tcp)),
		udp:       slices.Collect(maps.Values(r.udp)),
		pools:     slices.Collect(maps.Values(r.pools)),
		backends:  slices.Collect(maps.Values(r.backends)),
		names:     slices.Collect(maps.Values(r.names)),
	}
}
