package healthcheck

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// defaultConcurrency bounds the probes that run at a time unless Options says otherwise.
const defaultConcurrency = 256

// Options configures a Monitor. The zero value is usable.
type Options struct {
	// Observe is called after every probe and after every ConnectFailed that is kept. nil: nobody is
	// told. The package documentation says from where and in which order.
	Observe func(Result)
	// Concurrency is how many probes may run at a time. 0: 256.
	Concurrency int
	// Rand spreads first probes and jitters intervals; the Monitor owns it from then on. nil: one
	// with a random seed.
	Rand *rand.Rand
	// Panicked is told of a panic in a probe, which is caught, with the stack of its goroutine. nil: nobody is.
	Panicked func(value any, stack []byte)
	// Dial opens the connection of a probe and must give up when ctx ends. nil: a plain TCP dialer.
	Dial func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
}

// Monitor probes targets, each on a schedule of its own.
type Monitor struct {
	observe  func(Result)
	panicked func(value any, stack []byte)
	opener   opener
	slots    *slots
	overdue  atomic.Uint64

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // one for every schedule that runs

	mu        sync.RWMutex // guards what follows
	rand      *rand.Rand
	schedules map[Key]*schedule
	memories  map[Key]*Memory // of the process before, of targets that have not come yet
	closed    bool
}

// New returns a Monitor without targets. Close ends it.
func New(o Options) *Monitor {
	if o.Observe == nil {
		o.Observe = func(Result) {}
	}
	if o.Panicked == nil {
		o.Panicked = func(any, []byte) {}
	}
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if o.Dial == nil {
		o.Dial = dialTCP
	}
	m := &Monitor{
		observe:   o.Observe,
		panicked:  o.Panicked,
		opener:    opener{dial: o.Dial, dialUDP: dialUDP},
		slots:     newSlots(o.Concurrency),
		rand:      o.Rand,
		schedules: make(map[Key]*schedule),
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// Apply makes targets the whole set that is probed; their keys must be distinct, of equal ones the
// last counts. A target that is as before is left alone, except that its TLS files are read again
// (if that does not succeed it keeps what it had). One whose check or probe address changed keeps
// its state and history and starts a new schedule. One whose Backend or Host changed starts anew. Apply
// waits for no probe: one under way on a schedule that has ended is cancelled and does not count.
// A check that Validate refuses fails each probe with that reason. After Close it does nothing.
func (m *Monitor) Apply(targets []Target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	wanted := make(map[Key]Target, len(targets))
	for _, t := range targets {
		wanted[t.Key] = t
	}
	for key, s := range m.schedules {
		if _, ok := wanted[key]; !ok {
			s.stop()
			delete(m.schedules, key)
		}
	}
	recipes := make(recipeBook)
	now := time.Now()
	for key, t := range wanted {
		m.applyOne(m.schedules[key], t, recipes, now)
	}
}

// applyOne brings the schedule of one target in line with t; old may be nil. mu must be held.
func (m *Monitor) applyOne(old *schedule, t Target, recipes recipeBook, now time.Time) {
	recipe := recipes.of(t.Check)
	if old != nil && sameTarget(old.target, t) {
		old.refresh(recipe)
		return
	}
	s := newSchedule(m, t, recipe)
	if old != nil {
		old.stop()
		s.after = old.done
		if old.target.Backend == t.Backend && old.target.Host == t.Host {
			s.record = old.record
			s.record.retarget(t)
		}
	}
	if s.record == nil && old == nil {
		s.record = m.remembered(t)
	}
	if s.record == nil {
		s.record = newRecord(t, now)
	}
	m.schedules[t.Key] = s
	m.wg.Go(s.run)
}

// sameTarget reports whether a schedule for a does for b too.
func sameTarget(a, b Target) bool {
	return a.Backend == b.Backend && a.Host == b.Host && a.Addr == b.Addr &&
		(a.Check == b.Check || reflect.DeepEqual(a.Check, b.Check))
}

// ConnectFailed says that live traffic could not connect to the backend. It counts as a failed
// probe and the next probe follows at once; of several within a second only the first counts. If
// err is about something missing on this side (Probe.Local), or a cancelled context, it is only
// kept in the history, at most once per interval. It is ignored unless the target k has that
// backend address. It never blocks.
func (m *Monitor) ConnectFailed(k Key, backend netip.AddrPort, err error) {
	m.mu.RLock()
	s := m.schedules[k]
	m.mu.RUnlock()
	if s != nil && s.target.Backend == backend {
		s.connectFailed(time.Now(), err)
	}
}

// Status returns what is known of the target k, and whether there is one.
func (m *Monitor) Status(k Key) (Status, bool) {
	m.mu.RLock()
	s := m.schedules[k]
	m.mu.RUnlock()
	if s == nil {
		return Status{}, false
	}
	return s.record.status(), true
}

// Overdue counts the probes that began late: because Options.Concurrency of them ran already, or
// because the one before had not ended.
func (m *Monitor) Overdue() uint64 { return m.overdue.Load() }

// Settled reports whether every target has had its first probe, though it may have been one that was
// not possible on this side. It is true without targets.
func (m *Monitor) Settled() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, s := range m.schedules {
		if !s.record.probed() {
			return false
		}
	}
	return true
}

// Close ends all schedules, cancels the probes under way and returns when every goroutine of the
// Monitor has ended. What is known stays readable. More calls do nothing.
func (m *Monitor) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.cancel()
	m.wg.Wait()
}
