package sim

import (
	"math"
	"time"

	"weir/balancer"
	"weir/config"
)

// ledger turns what happens in a run into its report.
type ledger struct {
	result   Report
	interval time.Duration
	index    map[string]int // of Report.Backends by name
	keyed    bool
	row      counts         // since the beginning of the present interval
	segment  counts         // since the last step or event
	open     map[string]int // ramps under way: index of Report.Ramps by backend
	tier     balancer.Tier
}

// counts are picks by backend.
type counts struct {
	picks   map[string]int
	total   int
	refused int
	queued  int
	moved   int
	events  []Event
}

func newLedger(s *balancer.Snapshot, c *config.Pool, script Script, keyed bool) ledger {
	l := ledger{
		result: Report{
			Pool: c.Name, Algorithm: c.Algorithm, Duration: Offset(script.Duration),
			Rate: script.Rate, Clients: script.Clients, Seed: script.Seed,
		},
		interval: script.Interval,
		index:    map[string]int{},
		keyed:    keyed,
		row:      counts{picks: map[string]int{}},
		segment:  counts{picks: map[string]int{}},
		open:     map[string]int{},
	}
	if keyed {
		l.result.Moved = new(int)
	}
	for _, b := range c.Backends {
		if b.MaxConnections > 0 && l.result.Queue == nil {
			l.result.Queue = &Queue{Places: c.Queue, Timeout: Offset(c.Timeouts.Queue)}
		}
	}
	l.look(0, s)
	return l
}

// arrived enters a flow that comes in.
func (l *ledger) arrived(at time.Duration) {
	l.until(at)
	l.result.Flows++
}

// queued enters that it has to wait.
func (l *ledger) queued(at time.Duration) {
	l.until(at)
	l.row.queued++
	l.result.Queue.Flows++
}

// waited enters that it was served after so long.
func (l *ledger) waited(d time.Duration) {
	l.result.Queue.Longest = max(l.result.Queue.Longest, Offset(d))
}

// picked enters a flow that b got at the moment at.
func (l *ledger) picked(at time.Duration, b *balancer.Backend) {
	l.until(at)
	total := &l.result.Backends[l.index[b.Name()]]
	total.Picks++
	total.MaxLeases = max(total.MaxLeases, int(b.Active()))
	l.row.picks[b.Name()]++
	l.row.total++
	l.segment.picks[b.Name()]++
	l.segment.total++
}

// refused enters a flow that nobody got.
func (l *ledger) refused(at time.Duration) {
	l.until(at)
	l.row.refused++
	l.result.Refused++
}

// event enters e, which moved so many clients and led to s.
func (l *ledger) event(at time.Duration, e Event, moved int, s *balancer.Snapshot) {
	l.until(at)
	l.row.events = append(l.row.events, e)
	l.step(at, moved, s)
}

// step enters a change of the pool to s.
func (l *ledger) step(at time.Duration, moved int, s *balancer.Snapshot) {
	l.until(at)
	l.row.moved += moved
	if l.keyed {
		*l.result.Moved += moved
	}
	l.look(at, s)
}

// look closes the segment before s and opens the points of what ramps in it.
func (l *ledger) look(at time.Duration, s *balancer.Snapshot) {
	l.closeSegment()
	l.tier = s.Tier()
	var sum float64
	for _, m := range s.Members() {
		sum += m.Effective
	}
	ramping := map[string]bool{}
	for _, m := range s.Members() {
		name := m.Backend.Name()
		if _, known := l.index[name]; !known {
			l.index[name] = len(l.result.Backends)
			l.result.Backends = append(l.result.Backends, Backend{Name: name})
		}
		if m.Ramp == 1 || !m.Eligible {
			continue
		}
		ramping[name] = true
		i, under := l.open[name]
		if !under {
			i = len(l.result.Ramps)
			l.open[name] = i
			l.result.Ramps = append(l.result.Ramps, Ramp{Backend: name, Began: Offset(at)})
		}
		l.result.Ramps[i].Points = append(l.result.Ramps[i].Points,
			Point{At: Offset(at), Ratio: rounded(m.Ramp), Want: rounded(m.Effective / sum)})
	}
	for name := range l.open {
		if !ramping[name] {
			delete(l.open, name)
		}
	}
}

// closeSegment writes what was counted since the last step into the points that are open.
func (l *ledger) closeSegment() {
	for name, i := range l.open {
		points := l.result.Ramps[i].Points
		last := &points[len(points)-1]
		last.Flows = l.segment.total
		last.Got = share(l.segment.picks[name], l.segment.total)
	}
	l.segment = counts{picks: map[string]int{}}
}

// until closes the intervals that end at or before the moment at.
func (l *ledger) until(at time.Duration) {
	for end := l.end(); end <= at; end = l.end() {
		l.closeRow(end)
	}
}

// end is when the present interval ends.
func (l *ledger) end() time.Duration {
	return l.interval * time.Duration(len(l.result.Intervals)+1)
}

func (l *ledger) closeRow(end time.Duration) {
	row := Interval{
		From:    Offset(l.end() - l.interval),
		To:      Offset(end),
		Flows:   l.row.total + l.row.refused,
		Refused: l.row.refused,
		Queued:  l.row.queued,
		Moved:   l.row.moved,
		Shares:  map[string]float64{},
		Tier:    l.tier.String(),
		Events:  l.row.events,
	}
	for name, n := range l.row.picks {
		row.Shares[name] = share(n, l.row.total)
	}
	l.result.Intervals = append(l.result.Intervals, row)
	l.row = counts{picks: map[string]int{}}
}

// report closes everything at the end of the run, at which so many are in the queue.
func (l *ledger) report(end time.Duration, waiting int) Report {
	l.until(end)
	if l.end()-l.interval < end {
		l.closeRow(end)
	}
	l.closeSegment()
	if l.result.Queue != nil {
		l.result.Queue.Left = waiting
	}
	for i := range l.result.Backends {
		b := &l.result.Backends[i]
		b.Share = share(b.Picks, l.result.Flows-l.result.Refused-waiting)
	}
	return l.result
}

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return rounded(float64(n) / float64(of))
}

// rounded keeps six decimals: more are noise, and differ between processors.
func rounded(f float64) float64 { return math.Round(f*1e6) / 1e6 }
