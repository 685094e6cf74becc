package telemetry

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weir/balancer"
)

// collector reads the counters of a Registry for one scrape.
type collector struct {
	registry *Registry
	filter   filter
}

var _ prometheus.Collector = collector{}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.registry.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := sink{ch: ch, descs: &c.registry.descs, filter: c.filter}
	s.process(c.registry)
	counted := c.registry.registered()
	for _, l := range counted.listeners {
		s.listener(l)
	}
	for _, h := range counted.http {
		s.http(h)
	}
	for _, t := range counted.tcp {
		s.tcp(t)
	}
	for _, u := range counted.udp {
		s.udp(u)
	}
	s.bytes(counted.http, counted.tcp, counted.udp)
	for _, p := range counted.pools {
		s.pool(p)
	}
	for _, b := range counted.backends {
		s.backend(b)
	}
	for _, n := range counted.names {
		s.resolutions(n)
	}
	if c.registry.options.Pools == nil {
		return
	}
	for _, p := range c.registry.options.Pools() {
		s.balancing(c.registry, p)
	}
}

// sink sends the series that the filter lets through.
type sink struct {
	ch     chan<- prometheus.Metric
	descs  *[seriesCount]*prometheus.Desc
	filter filter
}

// wants reports whether a series of a pool is to be sent. pool is empty if it has no such label.
func (s *sink) wants(id seriesID, pool string) bool {
	return s.filter.level(series[id].Level) && s.filter.pool(pool)
}

// send sends one value; labels are in the order of the table.
func (s *sink) send(id seriesID, value float64, labels ...string) {
	if !s.wants(id, poolOf(id, labels)) {
		return
	}
	kind := prometheus.GaugeValue
	if series[id].Kind == Counter {
		kind = prometheus.CounterValue
	}
	m, err := prometheus.NewConstMetric(s.descs[id], kind, value, labels...)
	s.pass(id, m, err)
}

func (s *sink) sendCount(id seriesID, n uint64, labels ...string) { s.send(id, float64(n), labels...) }

func (s *sink) sendBool(id seriesID, b bool, labels ...string) {
	value := 0.0
	if b {
		value = 1
	}
	s.send(id, value, labels...)
}

func (s *sink) sendHistogram(id seriesID, l *Latency, created time.Time, labels ...string) {
	m, err := newHistogramMetric(s.descs[id], l, created, labels...)
	s.pass(id, m, err)
}

// pass hands m on, or the error in its place: the scrape reports it and goes on. It comes from a
// label that is not UTF-8.
func (s *sink) pass(id seriesID, m prometheus.Metric, err error) {
	if err != nil {
		m = prometheus.NewInvalidMetric(s.descs[id], err)
	}
	s.ch <- m
}

// poolOf is the value of the label pool.
func poolOf(id seriesID, values []string) string {
	for i, label := range series[id].Labels {
		if label == "pool" {
			return values[i]
		}
	}
	return ""
}

func (s *sink) process(r *Registry) {
	o := r.options
	s.send(buildInfo, 1, o.Version, o.Commit, runtime.Version())
	s.sendCount(panicsTotal, r.panics.Load())
	s.sendCount(accessLogLost, r.accessLost.Load())
	s.sendCount(journalLost, r.journalLost.Load())
	for i := range r.adminRefused {
		s.sendCount(adminRefused, r.adminRefused[i].Load(), adminRefusalNames[i])
	}
	if o.Overdue != nil {
		s.sendCount(healthOverdue, o.Overdue())
	}
	if o.Memory != nil {
		if used, budget := o.Memory(); budget != 0 {
			s.sendCount(memory, used, "used")
			s.sendCount(memory, budget, "budget")
		}
	}
	if s.wants(descriptors, "") {
		if open, limit, ok := readDescriptors(); ok {
			s.sendCount(descriptors, open, "open")
			s.sendCount(descriptors, limit, "limit")
		}
	}
	reloads := r.ReloadStatus()
	s.sendCount(configReloads, reloads.Succeeded, "success")
	s.sendCount(configReloads, reloads.Failed, "failure")
	if reloads.Succeeded+reloads.Failed == 0 {
		return
	}
	s.sendBool(configLastOK, reloads.LastOK)
	if reloads.Succeeded == 0 {
		return
	}
	s.send(configInfo, 1, reloads.Digest)
	s.sendCount(configGeneration, reloads.Generation)
	s.send(configLastOKTime, float64(reloads.LastOKAt.UnixMilli())/1e3)
}

func (s *sink) listener(l *Listener) {
	counts := l.Counts()
	s.sendCount(listenerConnections, counts.Opened, l.name)
	s.sendCount(listenerActive, counts.Active, l.name)
	s.sendCount(listenerAcceptErrors, counts.AcceptErrors, l.name)
	for i := range l.rejected {
		s.sendCount(listenerRejected, l.rejected[i].Load(), l.name, rejectNames[i])
	}
	s.tls(l)
}

func (s *sink) http(h *HTTP) {
	if !s.wants(httpRequests, h.pool) {
		return
	}
	type response struct {
		method Method
		code   uint16
	}
	requests := make(map[response]uint64)
	var outcomes [outcomeCount]uint64
	h.responses.each(func(t *tally) {
		n := t.count.sum()
		requests[response{t.method, t.code}] += n
		outcomes[t.outcome] += n
	})
	for k, n := range requests {
		s.sendCount(httpRequests, n, h.listener, h.pool, k.method.String(), codeLabel(k.code))
	}
	for o, n := range outcomes[:OutcomeInternalError+1] {
		s.sendCount(httpOutcomes, n, h.listener, h.pool, outcomeNames[o])
	}
	latency := h.Latency()
	s.sendHistogram(httpDuration, &latency, h.created, h.listener, h.pool)
}

func (s *sink) pool(p *Pool) {
	if !s.wants(healthDuration, p.name) {
		return
	}
	for i := range p.retries {
		s.sendCount(retriesTotal, p.retries[i].Load(), p.name, retryNames[i])
	}
	s.sendCount(rebalancedFlows, p.rebalanced.Load(), p.name)
	s.sessions(p)
	var probes Latency
	p.probes.addTo(&probes)
	s.sendHistogram(healthDuration, &probes, p.created, p.name)
}

func (s *sink) backend(b *Backend) {
	if !s.wants(backendRequests, b.pool) {
		return
	}
	totals := b.totals()
	for class, n := range totals.classes {
		s.sendCount(backendRequests, n, b.pool, b.name, classNames[class])
	}
	for kind, n := range totals.errors {
		s.sendCount(backendErrors, n, b.pool, b.name, backendErrorNames[kind])
	}
	for i := range b.connect {
		s.sendCount(backendConnectErrors, b.connect[i].Load(), b.pool, b.name, connectNames[i])
	}
	for why := range b.ejections {
		s.sendCount(ejectionsTotal, b.ejections[why].Load(), b.pool, b.name, balancer.Fault(why).String())
	}
	s.sendCount(backendOpened, totals.opened, b.pool, b.name)
	s.sendCount(backendOpen, totals.open, b.pool, b.name)
	s.sendCount(backendReused, totals.reused, b.pool, b.name)
	s.sendCount(healthChecks, b.probes[1].Load(), b.pool, b.name, "success")
	s.sendCount(healthChecks, b.probes[0].Load(), b.pool, b.name, "failure")
}

// filter selects series by the parameters of a request. The zero value selects all.
type filter struct {
	pools  map[string]bool
	levels map[Level]bool
}

func (f filter) all() bool { return f.pools == nil && f.levels == nil }

func (f filter) level(l Level) bool { return f.levels == nil || f.levels[l] }

// pool reports whether a series with that value of the label pool is selected. A series that has
// no pool is not selected by a name.
func (f filter) pool(name string) bool { return f.pools == nil || f.pools[name] }
