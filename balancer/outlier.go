package balancer

import (
	"slices"
	"time"

	"weir/config"
)

// mostEjections bounds how many times outlier.eject one ejection may last.
const mostEjections = 10

// Fault is how live traffic failed on a backend.
type Fault uint8

// The faults.
const (
	FaultConnect     Fault = iota // there was no connection
	FaultReset                    // it ended before its time
	FaultTimeout                  // nothing came in time
	FaultBadResponse              // what came is not of the protocol

	// FaultCount is the number of faults.
	FaultCount
)

// String is connect_failure, reset, timeout or bad_response.
func (f Fault) String() string {
	switch f {
	case FaultReset:
		return "reset"
	case FaultTimeout:
		return "timeout"
	case FaultBadResponse:
		return "bad_response"
	default:
		return "connect_failure"
	}
}

// Ejection takes a backend out of service for a while although its health check passes, because live
// traffic failed on it. Backends in service are preferred, so it counts as little as health when a pool
// fails open.
type Ejection struct {
	Since, Until time.Time
	Why          Fault // the last of the faults
	Times        int   // ejections, this one included, less one for each outlier.eject without one
}

// outlier is what a seat remembers of its ejections.
type outlier struct {
	times int
	ended time.Time // of the last one
}

// Ejection is the present one; nil: there is none.
func (b *Backend) Ejection() *Ejection { return b.status.Load().ejection }

// Succeeded notes that live traffic came to a good end on b: its faults are in a row no more. It costs a
// load as long as there are none.
func (b *Backend) Succeeded() {
	if b.faults.Load() != 0 {
		b.faults.Store(0)
	}
}

// Failed notes that live traffic failed on b, for no fault of the client or of this machine. As many
// faults in a row as outlier.consecutive_errors eject it: for outlier.eject, and as much longer each time
// as it has been ejected lately, unless it is the last backend that could serve or outlier.max_ejected are out. It
// is told of in Options.Ejected. A backend that is not of this pool any more changes nothing.
func (p *Pool) Failed(b *Backend, why Fault, now time.Time) {
	most := p.snapshot.Load().faults
	if most == 0 || b.faults.Add(1) < int64(most) {
		return
	}
	if e := p.eject(b, why, now); e != nil && p.options.Ejected != nil {
		p.options.Ejected(b, *e)
	}
}

func (p *Pool) eject(b *Backend, why Fault, now time.Time) *Ejection {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.faults.Store(0)
	i := slices.IndexFunc(p.seats, func(s *seat) bool { return s.backend == b })
	if i < 0 || !p.mayEject(p.seats[i]) {
		return nil
	}
	s, unit := p.seats[i], p.config.Outlier.Eject
	if forgiven := now.Sub(s.outlier.ended) / unit; forgiven > 0 {
		s.outlier.times = max(0, s.outlier.times-int(min(forgiven, mostEjections)))
	}
	s.outlier.times = min(s.outlier.times+1, mostEjections)
	e := &Ejection{Since: now, Until: now.Add(time.Duration(s.outlier.times) * unit), Why: why, Times: s.outlier.times}
	b.update(func(st *status) { st.ejection = e })
	p.settle(now)
	p.publish()
	return e
}

// mayEject reports whether the pool can do without s.
func (p *Pool) mayEject(s *seat) bool {
	c := p.config.Outlier
	if c.ConsecutiveErrors == 0 || !s.usable() {
		return false
	}
	most, others := max(1, int(c.MaxEjected*float64(len(p.seats)))), false
	for _, other := range p.seats {
		if other.backend.Ejection() != nil {
			most--
		}
		others = others || other != s && other.usable()
	}
	return most > 0 && others
}

// usable reports whether new flows may go to s while nothing better is there.
func (s *seat) usable() bool {
	return s.backend.Health() == Up && s.backend.Ejection() == nil && s.state() == config.Ready && s.weight() > 0
}

// Readmit ends the ejections that are over and returns their backends, most often nil. It is called about
// once a second; while nothing is ejected it costs a load.
func (p *Pool) Readmit(now time.Time) (back []*Backend) {
	if p.ejected.Load() == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.seats {
		if e := s.backend.Ejection(); e != nil && !now.Before(e.Until) {
			s.readmit(now)
			back = append(back, s.backend)
		}
	}
	if back != nil {
		p.settle(now)
		p.publish()
	}
	return back
}

func (s *seat) readmit(at time.Time) {
	s.outlier.ended = at
	s.backend.faults.Store(0)
	s.backend.update(func(st *status) { st.ejection = nil })
}

// settleEjections ends those that make no sense any more: of backends that are down, where health has the
// word, and all of them if the pool has no other backend left or ejects no more.
func (p *Pool) settleEjections(now time.Time) {
	none := p.config.Outlier.ConsecutiveErrors == 0 || !slices.ContainsFunc(p.seats, (*seat).usable)
	ejected := int64(0)
	for _, s := range p.seats {
		switch e := s.backend.Ejection(); {
		case e == nil:
		case none || s.backend.Health() != Up:
			s.readmit(now)
		default:
			ejected++
		}
	}
	p.ejected.Store(ejected)
}
