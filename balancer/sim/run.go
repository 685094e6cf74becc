package sim

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"weir/balancer"
	"weir/config"
)

// epoch is where virtual time begins.
var epoch = time.Unix(0, 0).UTC()

// run is one simulation under way.
type run struct {
	script    Script
	config    *config.Pool
	pool      *balancer.Pool
	overrides map[string]balancer.Override
	added     int // backends, for their addresses
	draw      *rand.Rand
	leases    leaseHeap
	waiting   []waiter // in the queue
	events    []Event  // still to come
	flows     int      // that have arrived
	ramp      time.Time
	keyed     bool
	owners    []*balancer.Backend // by client, of a hashing pool
	ledger    ledger
}

// Run plays script to a pool of configuration c, which it does not change. It fails if the script is
// out of bounds or an event does not fit the pool at its moment.
func Run(c *config.Pool, script Script) (Report, error) {
	script, err := script.resolve()
	if err != nil {
		return Report{}, err
	}
	r := newRun(c, script)
	for {
		at, step := r.next()
		if at >= script.Duration {
			break
		}
		if err := step(at); err != nil {
			return Report{}, err
		}
	}
	return r.ledger.report(script.Duration, len(r.waiting)), nil
}

func newRun(c *config.Pool, script Script) *run {
	own := *c
	// Verdicts come from the script. With no health check at all Apply would turn everything up.
	own.Health = &config.HealthCheck{Initial: config.InitialChecking}
	own.Backends = slices.Clone(c.Backends)
	r := &run{
		script:    script,
		config:    &own,
		pool:      balancer.NewPool(&own, balancer.Options{}, epoch),
		overrides: map[string]balancer.Override{},
		draw:      rand.New(rand.NewPCG(script.Seed, 0)),
		events:    slices.Clone(script.Events),
		keyed:     c.Algorithm != config.WeightedRoundRobin && c.Algorithm != config.LeastConnections,
	}
	slices.SortStableFunc(r.events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
	for _, m := range r.pool.Snapshot().Members() {
		r.pool.Report(m.Backend, true, epoch)
	}
	r.owners = make([]*balancer.Backend, script.Clients)
	r.survey()
	r.ledger = newLedger(r.pool.Snapshot(), c, script, r.keyed)
	return r
}

// next is the earliest thing to do and its time. At equal times leases end first, then events
// happen, then slow starts advance, then waits expire, then flows arrive, so a flow sees all that its
// moment brings.
func (r *run) next() (time.Duration, func(time.Duration) error) {
	at, step := r.arrival(), r.arrive
	if expiry := r.expiry(); expiry <= at {
		at, step = expiry, r.expire
	}
	if !r.ramp.IsZero() && r.ramp.Sub(epoch) <= at {
		at, step = r.ramp.Sub(epoch), r.advance
	}
	if len(r.events) > 0 && r.events[0].At <= at {
		at, step = r.events[0].At, r.happen
	}
	if len(r.leases) > 0 && r.leases[0].end <= at {
		at, step = r.leases[0].end, r.finish
	}
	return at, step
}

// arrival is when the next flow arrives. It is computed from the number of flows, so that the
// rounding does not add up. At a rate of next to nothing that is after the end.
func (r *run) arrival() time.Duration {
	at := float64(r.flows) / r.script.Rate * float64(time.Second)
	return time.Duration(min(at, float64(r.script.Duration)))
}

func (r *run) arrive(at time.Duration) error {
	r.flows++
	r.ledger.arrived(at)
	client := r.draw.IntN(r.script.Clients)
	if len(r.waiting) > 0 { // nobody overtakes
		r.enqueue(at, client)
		return nil
	}
	switch l, err := r.pool.Acquire(flowOf(client), nil); err {
	case nil:
		r.begin(at, l)
	case balancer.ErrFull:
		r.enqueue(at, client)
	default:
		r.ledger.refused(at)
	}
	return nil
}

// begin holds the lease of a flow for as long as its backend takes.
func (r *run) begin(at time.Duration, l balancer.Lease) {
	service, own := r.script.Services[l.Backend().Name()]
	if !own {
		service = r.script.Service
	}
	heap.Push(&r.leases, held{at + service, r.flows, l})
	r.ledger.picked(at, l.Backend())
}

func (r *run) finish(at time.Duration) error {
	heap.Pop(&r.leases).(held).lease.Release()
	r.serve(at)
	return nil
}

func (r *run) happen(at time.Duration) error {
	e := r.events[0]
	r.events = r.events[1:]
	if err := r.apply(e); err != nil {
		return err
	}
	moved := r.survey()
	r.ramp = r.pool.Ramp(epoch.Add(at))
	r.ledger.event(at, e, moved, r.pool.Snapshot())
	r.serve(at)
	return nil
}

func (r *run) advance(at time.Duration) error {
	r.ramp = r.pool.Ramp(epoch.Add(at))
	r.ledger.step(at, r.survey(), r.pool.Snapshot())
	r.serve(at)
	return nil
}

// survey asks a hashing pool for the backend of every client and counts those that have another one
// than before. For the other algorithms a client has no backend of its own.
func (r *run) survey() (moved int) {
	if !r.keyed {
		return 0
	}
	for i, before := range r.owners {
		var owner *balancer.Backend
		if l, err := r.pool.Acquire(flowOf(i), nil); err == nil {
			owner = l.Backend()
			l.Release()
		}
		if owner != before && before != nil {
			moved++
		}
		r.owners[i] = owner
	}
	return moved
}

// flowOf is the flow of the i-th client: an address, a port and a connection ID of its own.
func flowOf(i int) balancer.Flow {
	address := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
	return balancer.Flow{
		Src:   netip.AddrPortFrom(address, uint16(1024+i%60_000)),
		Dst:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, 1}), 443),
		Proto: balancer.TCP,
		CID:   uint64(i),
	}
}

// add lets a backend join and be up, as after its first probe.
func (r *run) add(e Event, now time.Time) {
	r.added++
	next := *r.config
	next.Backends = append(slices.Clone(r.config.Backends), &config.Backend{
		Name:    e.Backend,
		Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(r.added)}), uint16(1+r.added>>8)),
		Weight:  e.Weight,
		State:   config.Ready,
	})
	r.config = &next
	for _, b := range r.pool.Apply(r.config, now).Added {
		r.pool.Report(b, true, now)
	}
}

func (r *run) remove(name string, now time.Time) {
	next := *r.config
	next.Backends = slices.DeleteFunc(slices.Clone(r.config.Backends), func(b *config.Backend) bool {
		return b.Name == name
	})
	r.config = &next
	delete(r.overrides, name)
	r.pool.Apply(r.config, now)
}

// held is a lease and when it ends.
type held struct {
	end   time.Duration
	order int
	lease balancer.Lease
}

// leaseHeap is ordered by end, then by beginning.
type leaseHeap []held

func (h leaseHeap) Len() int      { return len(h) }
func (h leaseHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h leaseHeap) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(h[i].end, h[j].end), cmp.Compare(h[i].order, h[j].order)) < 0
}

// Push appends x; for container/heap.
func (h *leaseHeap) Push(x any) { *h = append(*h, x.(held)) }

// Pop takes the last; for container/heap.
func (h *leaseHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
