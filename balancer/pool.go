package balancer

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"weir/config"
)

// MaxBackends is the most backends that one pool can hold: tables have 16-bit entries.
const MaxBackends = 1 << 15

// Options are what a pool needs from its owner.
type Options struct {
	// Attach makes the data plane's side of a new backend; nil: none. It is called under the pool's
	// lock, before the backend is in a snapshot, and must not call the pool.
	Attach func(*Backend) Peer
	// Offset is where the rotation starts, so that many processes do not all begin with the same
	// backend. Any value will do; 0 is the beginning of the cycle.
	Offset uint64
	// Ejected is told of every backend that Pool.Failed has ejected; nil: nobody is. It is called without
	// the pool's lock, by who called Failed.
	Ejected func(*Backend, Ejection)
}

// Pool is a set of interchangeable backends and the rule by which flows are spread over them.
// Acquire and the readers may be called from any number of goroutines; the writers (Apply, Report,
// SetAdmin, Ramp, Failed, Readmit) serialise among themselves and never make a reader wait.
type Pool struct {
	name     string
	options  Options
	snapshot atomic.Pointer[Snapshot]
	queue    queue
	ejected  atomic.Int64 // backends

	mu       sync.Mutex // guards what follows
	config   *config.Pool
	seats    []*seat // in the order of the configuration
	wishes   wishes
	founding bool // the first answers about names are not all there since the pool was made
	rampNext time.Time
	ledger   ledger
	tables   tableCache
	scan     *leastConnections // the last one
	removed  []*Backend        // that have leases, or had until lately
	closed   time.Time         // the zero time: it is not
}

// seat is what the writers know about one backend.
type seat struct {
	backend  *Backend
	file     config.Backend // a copy: the file's wishes
	override Override
	slow     slowStart
	outlier  outlier
}

// Override is what the operator wants instead of the file; nil fields leave the file's value.
type Override struct {
	State  *config.State
	Weight *int // 0…256
}

// Change lists what an Apply did, in the order of the configuration, the removed in that of the former.
type Change struct{ Added, Removed, Changed []*Backend }

// NewPool makes a pool of the backends in c, which must not be changed afterwards. They count as
// warm: their first up is not followed by a slow start. It panics if there are more than
// MaxBackends.
func NewPool(c *config.Pool, o Options, now time.Time) *Pool {
	p := &Pool{name: c.Name, options: o}
	p.snapshot.Store(&Snapshot{tier: TierNone, refusal: ErrNoBackendUp, replaced: make(chan struct{})})
	p.Apply(c, now)
	return p
}

// Name is the name of the pool.
func (p *Pool) Name() string { return p.name }

// Snapshot is the present state.
func (p *Pool) Snapshot() *Snapshot { return p.snapshot.Load() }

// Apply makes the pool what c says. Backends are matched by name and address; one that is still
// there keeps its identity with health, ramp, leases and override. Nothing happens, and no snapshot
// is published, if nothing differs. When Apply returns, the snapshot without the removed backends
// is published and their peers have been told to retire. Overrides that c has otherwise than the
// configuration before it replace those of SetAdmin. c must not be changed afterwards. It
// panics if there are more than MaxBackends.
func (p *Pool) Apply(c *config.Pool, now time.Time) Change {
	if len(c.Backends) > MaxBackends {
		panic(fmt.Sprintf("balancer: pool %s has %d backends, limit %d", c.Name, len(c.Backends), MaxBackends))
	}
	change := p.reconcile(c, now)
	for _, b := range change.Removed {
		if b.peer != nil {
			b.peer.Retire()
		}
	}
	return change
}

func (p *Pool) reconcile(c *config.Pool, now time.Time) (change Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.seats
	old := make(map[string]*seat, len(before))
	for _, s := range before {
		old[s.file.Name] = s
	}
	founding := p.config == nil || p.founding && p.config.Resolving > 0
	var overrides map[string]config.Override // that the one before had
	if p.config != nil {
		overrides = p.config.Overrides
	}
	p.wishes.follow(overrides, c.Overrides)
	p.config, p.founding = c, founding
	p.seats = make([]*seat, 0, len(c.Backends))
	for _, want := range c.Backends {
		s, known := old[want.Name]
		if known && s.file.Address == want.Address && s.file.Host == want.Host {
			delete(old, want.Name)
			if s.rewrite(want) {
				change.Changed = append(change.Changed, s.backend)
			}
		} else {
			s = p.admit(want, founding, now)
			change.Added = append(change.Added, s.backend)
		}
		p.seats = append(p.seats, s)
	}
	for _, s := range before {
		if old[s.file.Name] == nil {
			continue
		}
		change.Removed = append(change.Removed, s.backend)
		s.backend.update(func(st *status) { st.removed = true })
		s.backend.leave(now)
		p.removed = append(p.removed, s.backend)
		p.ledger.forget(s.backend)
	}
	p.forgetRemoved(now)
	p.wishes.retain(c)
	for _, s := range p.seats {
		s.override = p.wishes.of(&s.file)
		if c.Health == nil && s.backend.Health() != Up {
			s.backend.update(func(st *status) { st.health, st.since = Up, now })
		}
	}
	p.settle(now)
	p.publish()
	return change
}

// admit makes the seat of a backend that was not there before.
func (p *Pool) admit(want *config.Backend, founding bool, now time.Time) *seat {
	b := &Backend{name: want.Name, address: want.Address, host: want.Host, id: xxhash.Sum64String(want.Name), queue: &p.queue}
	b.limit.Store(int64(want.MaxConnections))
	b.status.Store(&status{health: initialHealth(p.config), since: now, state: want.State})
	if p.options.Attach != nil {
		b.peer = p.options.Attach(b)
	}
	return &seat{backend: b, file: *want, slow: slowStart{founder: founding, cold: true, ratio: 1}}
}

func initialHealth(c *config.Pool) Health {
	if c.Health == nil {
		return Up
	}
	switch c.Health.Initial {
	case config.InitialUp:
		return Up
	case config.InitialDown:
		return Down
	default:
		return Checking
	}
}

// Report gives the verdict of the health check about b and reports whether that changed anything. A
// backend that has left the pool changes nothing.
func (p *Pool) Report(b *Backend, up bool, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	verdict := Down
	if up {
		verdict = Up
	}
	if b.Health() == verdict {
		return false
	}
	if !slices.ContainsFunc(p.seats, func(s *seat) bool { return s.backend == b }) {
		return false
	}
	b.update(func(st *status) { st.health, st.since = verdict, now })
	p.settle(now)
	p.publish()
	return true
}

// SetAdmin replaces the override of the named backend; the zero Override clears it. It holds over
// Apply for as long as the backend stays in the pool, also at another address. A backend whose Host was
// resolved can be named as a whole, which is all its addresses at any time, or as one of them, be it
// there at present or not; what is wanted of one goes before what is wanted of all.
func (p *Pool) SetAdmin(backend string, o Override, now time.Time) error {
	if err := o.validate(); err != nil {
		return fmt.Errorf("backend %s: %w", backend, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !hasBackend(p.config, backend) {
		return fmt.Errorf("pool %s has no backend %q", p.name, backend)
	}
	p.wishes.set(backend, o.clone())
	for _, s := range p.seats {
		s.override = p.wishes.of(&s.file)
	}
	p.settle(now)
	p.publish()
	return nil
}

func (o Override) validate() error {
	if o.Weight != nil && (*o.Weight < 0 || *o.Weight > 256) {
		return fmt.Errorf("weight %d is not in 0…256", *o.Weight)
	}
	if o.State != nil {
		switch *o.State {
		case config.Ready, config.Drain, config.Maintenance:
		default:
			return fmt.Errorf("state %q is not ready, drain or maintenance", *o.State)
		}
	}
	return nil
}

// clone copies what the fields point to, so that the caller may go on using its variables.
func (o Override) clone() Override {
	if o.State != nil {
		o.State = new(*o.State)
	}
	if o.Weight != nil {
		o.Weight = new(*o.Weight)
	}
	return o
}

// rewrite takes over what the file says and reports whether that differs.
func (s *seat) rewrite(want *config.Backend) bool {
	old := s.file
	s.file = *want
	s.backend.limit.Store(int64(want.MaxConnections))
	return old.Weight != want.Weight || old.Backup != want.Backup || old.State != want.State ||
		old.ProbeAddress != want.ProbeAddress || old.MaxConnections != want.MaxConnections
}

func (s *seat) weight() int {
	if s.override.Weight != nil {
		return *s.override.Weight
	}
	return s.file.Weight
}

func (s *seat) state() config.State {
	if s.override.State != nil {
		return *s.override.State
	}
	return s.file.State
}
