package balancer

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/config"
)

// modelBackend is what a plain reading of the rules knows of a backend.
type modelBackend struct {
	file     config.Backend
	override Override
	health   Health
	backend  *Backend
	leases   int64

	faults  int       // in a row
	until   time.Time // of its ejection; the zero time: it is not ejected
	times   int       // it was ejected lately
	settled time.Time // end of its last ejection
}

// model is a pool without any of its machinery.
type model struct {
	config   config.Pool
	backends map[string]*modelBackend
	pool     *Pool
	now      time.Time
	held     []Lease
	retired  map[*Backend]int
	serial   int
}

func (b *modelBackend) weight() int {
	if b.override.Weight != nil {
		return *b.override.Weight
	}
	return b.file.Weight
}

func (b *modelBackend) state() config.State {
	if b.override.State != nil {
		return *b.override.State
	}
	return b.file.State
}

// usable is what an ejection must leave one of.
func (b *modelBackend) usable() bool {
	return b.health == Up && b.until.IsZero() && b.state() == config.Ready && b.weight() > 0
}

// readmit is the end of an ejection.
func (b *modelBackend) readmit(now time.Time) {
	if !b.until.IsZero() {
		b.until, b.settled, b.faults = time.Time{}, now, 0
	}
}

// settle ends the ejections that no longer make sense.
func (m *model) settle() {
	usable := false
	for _, b := range m.backends {
		usable = usable || b.usable()
	}
	for _, b := range m.backends {
		if !usable || b.health != Up || m.config.Outlier.ConsecutiveErrors == 0 {
			b.readmit(m.now)
		}
	}
}

// eligible says by the words of the specification who takes new flows.
func (m *model) eligible() (names []string, err error) {
	var primaries, backups, draining, open []string
	checking, present, idle := 0, 0, false
	for name, b := range m.backends {
		if b.state() == config.Maintenance {
			continue
		}
		present++
		if b.health == Checking {
			checking++
		}
		if b.weight() == 0 {
			idle = idle || b.health == Up
			continue
		}
		open = append(open, name)
		switch {
		case b.health != Up || !b.until.IsZero():
		case b.state() == config.Drain:
			draining = append(draining, name)
		case b.file.Backup:
			backups = append(backups, name)
		default:
			primaries = append(primaries, name)
		}
	}
	if present > 0 && checking == present {
		return nil, ErrChecking
	}
	serving, healthy := primaries, len(primaries)+len(backups)
	if len(serving) == 0 {
		serving = backups
	}
	if len(serving) == 0 {
		serving, healthy = draining, len(draining)
	}
	switch {
	case healthy+checking < m.config.MinHealthy && len(open) > 0:
		return open, nil
	case len(serving) > 0:
		return serving, nil
	case idle:
		return nil, ErrNoCapacity
	default:
		return nil, ErrNoBackendUp
	}
}

func drawBackend(t *rapid.T, i int) *config.Backend {
	b := backendOf(i, rapid.IntRange(0, 4).Draw(t, "weight"))
	if rapid.IntRange(0, 9).Draw(t, "other address") == 0 {
		b.Address = backendOf(100+i, 1).Address
	}
	b.Backup = rapid.IntRange(0, 3).Draw(t, "backup") == 0
	b.State = drawState(t)
	return b
}

func drawState(t *rapid.T) config.State {
	return rapid.SampledFrom([]config.State{
		config.Ready, config.Ready, config.Ready, config.Drain, config.Maintenance,
	}).Draw(t, "state")
}

// apply draws a configuration and checks what Apply says that it changed.
func (m *model) apply(t *rapid.T) {
	m.config.Algorithm = rapid.SampledFrom(algorithms).Draw(t, "algorithm")
	m.config.MinHealthy = rapid.IntRange(0, 3).Draw(t, "min_healthy")
	m.config.Hash.Weighted = rapid.Bool().Draw(t, "weighted")
	m.config.SlowStart = config.SlowStart{
		Duration: time.Duration(rapid.IntRange(0, 3).Draw(t, "slow start")) * 10 * time.Second,
		Repeat:   rapid.Bool().Draw(t, "repeat"),
	}
	m.config.Outlier = config.Outlier{
		ConsecutiveErrors: rapid.IntRange(0, 2).Draw(t, "consecutive_errors"),
		Eject:             5 * time.Second,
		MaxEjected:        rapid.SampledFrom([]float64{0.1, 0.5, 1}).Draw(t, "max_ejected"),
	}
	m.config.Backends = nil
	next := map[string]*modelBackend{}
	removed := 0
	for i := range 6 {
		if rapid.IntRange(0, 3).Draw(t, "present") == 0 {
			continue
		}
		b := drawBackend(t, i)
		m.config.Backends = append(m.config.Backends, b)
		next[b.Name] = &modelBackend{file: *b, health: Checking}
	}
	for name, old := range m.backends {
		switch b := next[name]; {
		case b == nil:
			removed++
		case b.file.Address != old.file.Address:
			removed++
			b.override = old.override
		default:
			file := b.file
			*b = *old
			b.file = file
		}
	}
	c := m.config
	if m.pool == nil {
		m.pool = NewPool(&c, Options{Attach: func(b *Backend) Peer { return retiree{b, m.retired} }}, m.now)
	} else if change := m.pool.Apply(&c, m.now); len(change.Removed) != removed {
		t.Fatalf("removed %v, want %d", names(change.Removed), removed)
	}
	for name, b := range next {
		if b.backend == nil {
			for _, member := range m.pool.Snapshot().Members() {
				if member.Backend.Name() == name {
					b.backend = member.Backend
				}
			}
		}
	}
	m.backends = next
	m.settle()
}

// retiree records its retirement.
type retiree struct {
	backend *Backend
	retired map[*Backend]int
}

func (r retiree) Retire() { r.retired[r.backend]++ }

// any draws a backend, or nil if there is none.
func (m *model) any(t *rapid.T) *modelBackend {
	if len(m.config.Backends) == 0 {
		return nil
	}
	return m.backends[rapid.SampledFrom(m.config.Backends).Draw(t, "backend").Name]
}

func (m *model) report(t *rapid.T) {
	b := m.any(t)
	if b == nil {
		return
	}
	verdict := rapid.SampledFrom([]Health{Up, Up, Down}).Draw(t, "verdict")
	if got, want := m.pool.Report(b.backend, verdict == Up, m.now), b.health != verdict; got != want {
		t.Fatalf("report %v about %s, which is %v: got %v, want %v", verdict, b.file.Name, b.health, got, want)
	}
	b.health = verdict
	m.settle()
}

func (m *model) admin(t *rapid.T) {
	b := m.any(t)
	if b == nil {
		return
	}
	b.override = Override{}
	if rapid.Bool().Draw(t, "set state") {
		b.override.State = new(drawState(t))
	}
	if rapid.Bool().Draw(t, "set weight") {
		b.override.Weight = new(rapid.IntRange(0, 4).Draw(t, "weight"))
	}
	if err := m.pool.SetAdmin(b.file.Name, b.override, m.now); err != nil {
		t.Fatal(err)
	}
	m.settle()
}

// outcome is one of live traffic.
func (m *model) outcome(t *rapid.T) {
	b := m.any(t)
	if b == nil {
		return
	}
	if rapid.IntRange(0, 3).Draw(t, "success") == 0 {
		b.backend.Succeeded()
		b.faults = 0
		return
	}
	m.pool.Failed(b.backend, FaultReset, m.now)
	c := m.config.Outlier
	if c.ConsecutiveErrors == 0 {
		return
	}
	if b.faults++; b.faults < c.ConsecutiveErrors {
		return
	}
	b.faults = 0
	others, out := false, 0
	for _, other := range m.backends {
		others = others || other != b && other.usable()
		if !other.until.IsZero() {
			out++
		}
	}
	if !b.usable() || !others || out >= max(1, int(c.MaxEjected*float64(len(m.backends)))) {
		return
	}
	for at := b.settled.Add(c.Eject); b.times > 0 && !at.After(m.now); at = at.Add(c.Eject) {
		b.times--
	}
	b.times = min(b.times+1, 10)
	b.until = m.now.Add(time.Duration(b.times) * c.Eject)
}

// wait lets time pass.
func (m *model) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
	m.pool.Ramp(m.now)
	back := m.pool.Readmit(m.now)
	for _, b := range m.backends {
		if over := !b.until.IsZero() && !b.until.After(m.now); over {
			b.readmit(m.now)
		} else if slices.Contains(back, b.backend) {
			t.Fatalf("%s is back before its time", b.file.Name)
		}
	}
}

func (m *model) flow(t *rapid.T) {
	eligible, want := m.eligible()
	var tried Tried
	for {
		m.serial++
		l, err := m.pool.Acquire(client(m.serial), &tried)
		if tried.Len() == len(eligible) && want == nil {
			want = ErrNoBackendUp
		}
		if !errors.Is(err, want) {
			t.Fatalf("eligible %v, tried %d: got %v, want %v", eligible, tried.Len(), err, want)
		}
		if err != nil {
			return
		}
		name := l.Backend().Name()
		if !slices.Contains(eligible, name) || tried.Has(l.Backend()) {
			t.Fatalf("picked %s of %v", name, eligible)
		}
		m.held = append(m.held, l)
		m.backends[name].leases++
		if tried.Add(l.Backend()); rapid.Bool().Draw(t, "no retry") {
			return
		}
	}
}

func (m *model) release(t *rapid.T) {
	if len(m.held) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.held)-1).Draw(t, "lease")
	l := m.held[i]
	l.Release()
	m.held = slices.Delete(m.held, i, i+1)
	if b := m.backends[l.Backend().Name()]; b != nil && b.backend == l.Backend() {
		b.leases--
	}
}

func (m *model) check(t *rapid.T) {
	eligible, _ := m.eligible()
	members := m.pool.Snapshot().Members()
	if len(members) != len(m.backends) {
		t.Fatalf("%d members, want %d", len(members), len(m.backends))
	}
	for i, got := range members {
		want := m.backends[m.config.Backends[i].Name]
		if got.Backend != want.backend || got.Weight != want.weight() || got.State != want.state() ||
			got.Health != want.health || got.Ejected == want.until.IsZero() || got.Backup != want.file.Backup {
			t.Fatalf("got member %+v, want %+v", got, want)
		}
		if e := got.Backend.Ejection(); e != nil && (!e.Until.Equal(want.until) || e.Times != want.times) {
			t.Fatalf("%s: ejected %+v, want until %v, %d times", want.file.Name, e, want.until, want.times)
		}
		if in := slices.Contains(eligible, want.file.Name); got.Eligible != in {
			t.Fatalf("%s: eligible %v, want %v", want.file.Name, got.Eligible, in)
		}
		if got.Backend.Active() != want.leases {
			t.Fatalf("%s: %d leases, want %d", want.file.Name, got.Backend.Active(), want.leases)
		}
		mayRamp := m.config.SlowStart.Duration > 0 && want.health == Up && want.state() != config.Maintenance
		if got.Ramp < firstRatio || got.Ramp > 1 || got.Ramp < 1 && !mayRamp {
			t.Fatalf("%s: %v %v ramps at %v", want.file.Name, want.health, want.state(), got.Ramp)
		}
		if got.Backend.Removed() || m.retired[got.Backend] != 0 {
			t.Fatalf("%s is in the pool and was removed", want.file.Name)
		}
	}
	for b, n := range m.retired {
		if n != 1 || !b.Removed() {
			t.Fatalf("%s was retired %d times", b.Name(), n)
		}
	}
}

// The pool behaves as the plain reading of the rules under any sequence of events. With
// -rapid.checks=34000 it takes a million of them.
func TestPoolAgreesWithModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{now: epoch, retired: map[*Backend]int{}}
		m.config.Name, m.config.Health = "web", &config.HealthCheck{Initial: config.InitialChecking}
		m.apply(t)
		t.Repeat(map[string]func(*rapid.T){
			"apply":   m.apply,
			"report":  m.report,
			"report2": m.report,
			"admin":   m.admin,
			"flow":    m.flow,
			"flow2":   m.flow,
			"release": m.release,
			"outcome": m.outcome,
			"wait":    m.wait,
			"":        m.check,
		})
		for _, l := range m.held {
			l.Release()
		}
	})
}
