package resolve

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"weir/config"
)

const (
	// defaultConcurrency bounds the look-ups that run at a time unless Options says otherwise.
	defaultConcurrency = 64
	// pause is the least time between two calls of Changed, so that many answers make few changes.
	pause = 50 * time.Millisecond
)

// Options configures a Resolver. The zero value is usable.
type Options struct {
	// Lookup finds addresses. nil: System.
	Lookup Lookup
	// Changed is called when Expand may give something else than before, from one goroutine, so once at a
	// time; what happens during a call is told by the next one. nil: nobody is told.
	Changed func()
	// Observe is told the end of every look-up, in order for each name. It must not block. nil: nobody is told.
	Observe func(Result)
	// Concurrency is how many look-ups may run at a time. 0: 64.
	Concurrency int
	// Last is the addresses that a process which has ended knew of hosts. They are used for a name whose
	// first look-up has failed, until there is an answer.
	Last map[string][]netip.Addr
	// Local lists the addresses of this machine. nil: those of its interfaces.
	Local func() ([]netip.Addr, error)
	// Rand jitters the intervals; the Resolver owns it from then on. nil: one with a random seed.
	Rand *rand.Rand
}

// Resolver finds the addresses of the names of a configuration, each on a schedule of its own.
type Resolver struct {
	options Options
	slots   chan struct{}
	dirty   chan struct{}
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu     sync.Mutex // guards what follows
	rand   *rand.Rand
	names  map[Key]*name
	closed bool
}

// New makes a Resolver that follows nothing yet. Close ends it.
func New(o Options) *Resolver {
	if o.Lookup == nil {
		o.Lookup = System()
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	if o.Observe == nil {
		o.Observe = func(Result) {}
	}
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Local == nil {
		o.Local = localAddresses
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	r := &Resolver{
		options: o, rand: o.Rand, names: map[Key]*name{},
		slots: make(chan struct{}, o.Concurrency), dirty: make(chan struct{}, 1),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.wg.Go(r.tell)
	return r
}

// Follow makes the names of c the whole set that is looked up. One that is as before goes on as it was; a new one
// is looked up at once, and begins with what is known of its host from elsewhere; of one that has left nothing
// is kept. A changed interval begins with a look-up. It waits for none. c must not be changed afterwards. After
// Close it does nothing.
func (r *Resolver) Follow(c *config.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	before, kept := r.names, map[*name]bool{}
	r.names = map[Key]*name{}
	for _, p := range c.Pools {
		for _, b := range p.Backends {
			if b.Host == "" {
				continue
			}
			key := Key{p.Name, b.Name}
			n := before[key]
			if n == nil || n.status.Host != b.Host {
				n = &name{status: Status{Key: key, Host: b.Host, Since: time.Now()}, last: sift(r.options.Last[b.Host]).addresses}
				n.adopt(known(before, b.Host))
			}
			kept[n], n.status.Port = true, b.Port
			r.names[key] = n
			r.schedule(n, p.ResolveInterval)
		}
	}
	for _, n := range before {
		if !kept[n] && n.stop != nil {
			n.stop()
		}
	}
}

// adopt begins with what is known of the host from elsewhere; other may be nil.
func (n *name) adopt(other *name) {
	if other == nil {
		return
	}
	n.answered, n.note = true, other.note
	n.status.State, n.status.Since = other.status.State, other.status.Since
	n.status.Addresses, n.status.Asked = other.status.Addresses, other.status.Asked
}

// known finds a name with addresses of host; nil: there is none.
func known(names map[Key]*name, host string) *name {
	for _, n := range names {
		if n.status.Host == host && len(n.status.Addresses) > 0 {
			return n
		}
	}
	return nil
}

// schedule starts the look-ups of n, if they do not run at that interval. mu must be held.
func (r *Resolver) schedule(n *name, interval time.Duration) {
	if n.stop != nil {
		if n.interval == interval {
			return
		}
		n.stop()
	}
	n.interval = interval
	ctx, stop := context.WithCancel(r.ctx)
	n.stop = stop
	r.wg.Go(func() { r.run(ctx, n) })
}

// run is the life of a schedule.
func (r *Resolver) run(ctx context.Context, n *name) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		wait, ok := r.ask(ctx, n)
		if !ok {
			return
		}
		timer.Reset(wait)
	}
}

// ask makes one look-up as soon as there is room for it and says when to make the next. It is not ok if ctx
// has ended.
func (r *Resolver) ask(ctx context.Context, n *name) (wait time.Duration, ok bool) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, false
	}
	r.mu.Lock()
	host, held := n.status.Host, slices.Clone(n.status.Addresses)
	r.mu.Unlock()
	bounded, cancel := context.WithTimeout(ctx, patience)
	began := time.Now()
	reply, err := r.options.Lookup(bounded, host, held)
	cancel()
	<-r.slots
	return r.learn(ctx, n, reply, err, began)
}

// learn files the end of a look-up and tells who wants to know.
func (r *Resolver) learn(ctx context.Context, n *name, reply []netip.Addr, err error, began time.Time) (time.Duration, bool) {
	at := time.Now()
	r.mu.Lock()
	if ctx.Err() != nil { // it was an answer to somebody else's question
		r.mu.Unlock()
		return 0, false
	}
	first := !n.answered
	result := n.file(reply, err, at)
	result.Took = at.Sub(began)
	wait := n.wait(r.rand)
	r.mu.Unlock()
	r.options.Observe(result)
	if first || len(result.Added)+len(result.Removed) > 0 {
		select {
		case r.dirty <- struct{}{}:
		default:
		}
	}
	return wait, true
}

// tell calls Changed.
func (r *Resolver) tell() {
	for {
		select {
		case <-r.dirty:
		case <-r.ctx.Done():
			return
		}
		r.options.Changed()
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-r.ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Status lists what is known of the names, in order of pool and backend.
func (r *Resolver) Status() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Status, 0, len(r.names))
	for _, n := range r.names {
		all = append(all, n.report())
	}
	slices.SortFunc(all, func(a, b Status) int { return compareKeys(a.Key, b.Key) })
	return all
}

// Close ends all look-ups and returns when every goroutine of the Resolver has ended. What is known stays
// readable. More calls do nothing.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
}
