package contest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"weir/bench"
)

// Turn is what one contestant did in one round. Times are in µs, loads are shares of the window.
type Turn struct {
	Round      int    `json:"round"`
	Contestant string `json:"contestant"`

	Requests     uint64  `json:"requests"`
	Seconds      float64 `json:"seconds"`
	Rate         float64 `json:"requests_per_second"`
	Offered      float64 `json:"offered_per_second,omitempty"` // open loop
	Unfinished   uint64  `json:"unfinished,omitempty"`         // open loop: due and never sent
	CPUMicros    float64 `json:"cpu_us_per_unit"`              // user + system, all processes
	UserShare    float64 `json:"user_share"`                   // of the CPU time
	P50Micros    float64 `json:"p50_us"`
	P90Micros    float64 `json:"p90_us"`
	P99Micros    float64 `json:"p99_us"`
	P999Micros   float64 `json:"p999_us"`
	MaxMicros    float64 `json:"max_us"`
	RSS          int64   `json:"rss_bytes"`        // of all processes, when the window closed
	ProxyLoad    float64 `json:"proxy_load"`       // of the proxy CPU, by the contestant
	LoadLoad     float64 `json:"load_load"`        // of the load CPUs, by generator and origin
	OthersLoad   float64 `json:"others_load"`      // of the proxy CPU, by anything else, and stolen time
	BackendConns int64   `json:"backend_connects"` // opened during the load
	Processes    int     `json:"processes"`
}

// turn starts a contestant, checks it, loads it and stops it.
func (a *arena) turn(ctx context.Context, e entrant) (t Turn, err error) {
	if err := a.origin.died(); err != nil {
		return Turn{}, err
	}
	p, err := a.plan(e)
	if err != nil {
		return Turn{}, err
	}
	s := e.prepare(p)
	if err := s.write(p.dir); err != nil {
		return Turn{}, err
	}
	proxy, err := start(e.name, command{path: e.path, args: s.args, env: s.env, dir: p.dir, cpus: []int{a.proxyCPU}})
	if err != nil {
		return Turn{}, err
	}
	defer func() { err = errors.Join(err, proxy.stop()) }()
	c := candidate{entrant: e, scenario: a.scenario, plan: p, metrics: s.metrics, certificate: a.certificate, process: proxy}
	if err := c.awaitServing(ctx); err != nil {
		return Turn{}, err
	}
	return a.load(ctx, c)
}

// plan makes a folder and chooses addresses.
func (a *arena) plan(e entrant) (plan, error) {
	dir, err := os.MkdirTemp(a.dir, e.name+"-")
	if err != nil {
		return plan{}, err
	}
	p := plan{
		scenario:     a.scenario,
		dir:          dir,
		certificates: a.dir,
		backends:     a.backends,
		cpu:          a.proxyCPU,
		connections:  a.options.Connections,
		promex:       e.promex,
		stream:       e.stream,
	}
	p.listen, p.metrics, err = freeAddrs()
	return p, err
}

// write puts the files into a folder.
func (s setup) write(dir string) error {
	for name, text := range s.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// load puts the load on a contestant that serves.
func (a *arena) load(ctx context.Context, c candidate) (Turn, error) {
	pids, err := tree(c.process.pid())
	if err != nil {
		return Turn{}, err
	}
	m := meter{proxy: pids, origin: []int{a.origin.pid()}, self: []int{os.Getpid()}, cpu: a.proxyCPU}
	served, err := a.originStats(ctx)
	if err != nil {
		return Turn{}, err
	}
	o := a.loadOptions(c)
	o.Begin, o.End = m.begin, m.end
	r, err := bench.Load(ctx, o)
	if err := errors.Join(err, m.err); err != nil {
		return Turn{}, errors.Join(err, c.process.died())
	}
	if err := judge(r); err != nil {
		return Turn{}, fmt.Errorf("%w; its output ends with: %s", err, c.process.log)
	}
	after, err := tree(c.process.pid())
	if err != nil {
		return Turn{}, err
	}
	if !slices.Equal(pids, after) {
		return Turn{}, fmt.Errorf("its processes changed during the load: %v before, %v after", pids, after)
	}
	now, err := a.originStats(ctx)
	if err != nil {
		return Turn{}, err
	}
	if got := now.Exchanges - served.Exchanges; uint64(got) < r.Total {
		return Turn{}, fmt.Errorf("%d responses, but the origin served only %d requests", r.Total, got)
	}
	t := m.turn(r, a.scenario.perExchange(), len(a.loadCPUs))
	t.Contestant = c.name
	t.BackendConns = now.Connections - served.Connections
	return t, nil
}

// loadOptions put the scenario into the generator's words.
func (a *arena) loadOptions(c candidate) bench.LoadOptions {
	s := a.scenario
	o := bench.LoadOptions{
		URL:         s.scheme() + "://" + c.plan.listen.String() + s.Path,
		Fresh:       s.Fresh,
		Connections: a.options.Connections,
		Rate:        a.options.Rate,
		Warmup:      a.options.Warmup,
		Duration:    a.options.Duration,
	}
	if s.Protocol != HTTP {
		o.Body, o.Reply = message(), []byte(s.Body)
		return o
	}
	o.Fields, o.Check = s.Fields, a.check
	if s.Upload != "" {
		o.Method, o.Body = http.MethodPost, []byte(s.Upload)
	}
	if s.TLS {
		o.TLS, o.Resume, o.CheckTLS = clientTLS(), s.Resume, checkTLS(a.certificate)
	}
	return o
}

func (a *arena) check(status int, body []byte) error {
	if status != http.StatusOK || string(body) != a.scenario.Body {
		return fmt.Errorf("got status %d, %.80q, want 200, %.80q", status, body, a.scenario.Body)
	}
	return nil
}

// judge refuses a result that is not worth a figure.
func judge(r bench.Result) error {
	if n := r.Failed(); n > 0 {
		return fmt.Errorf("%d of %d requests failed (%v), the first with: %w", n, n+r.Total, r.Errors, r.FirstError)
	}
	if r.Requests == 0 {
		return errors.New("no request was answered")
	}
	return nil
}

func (a *arena) originStats(ctx context.Context) (originStats, error) {
	body, err := get(ctx, a.stats, statsPath)
	if err != nil {
		return originStats{}, fmt.Errorf("origin: %w", err)
	}
	var s originStats
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		return originStats{}, fmt.Errorf("origin: %w", err)
	}
	return s, nil
}

// meter reads the accounts when the window opens and when it closes.
type meter struct {
	proxy, origin, self []int
	cpu                 int // the proxy's

	from, to reading
	err      error
}

type reading struct {
	proxy, origin, self usage
	core                coreTime
}

func (m *meter) begin() { m.from = m.read() }
func (m *meter) end()   { m.to = m.read() }

func (m *meter) read() (r reading) {
	var errs [4]error
	r.proxy, errs[0] = sample(m.proxy)
	r.origin, errs[1] = sample(m.origin)
	r.self, errs[2] = sample(m.self)
	r.core, errs[3] = readCore(m.cpu)
	m.err = errors.Join(m.err, errors.Join(errs[:]...))
	return r
}

// turn makes the figures.
func (m *meter) turn(r bench.Result, perExchange float64, loadCPUs int) Turn {
	proxy := m.to.proxy.cpu - m.from.proxy.cpu
	load := m.to.self.cpu - m.from.self.cpu + m.to.origin.cpu - m.from.origin.cpu
	core := m.to.core.busy - m.from.core.busy + m.to.core.stolen - m.from.core.stolen
	user := m.to.proxy.user - m.from.proxy.user
	system := m.to.proxy.system - m.from.proxy.system
	t := Turn{
		Requests:   r.Requests,
		Seconds:    r.Elapsed.Seconds(),
		Rate:       r.Rate(),
		Offered:    r.Offered,
		Unfinished: r.Unfinished,
		CPUMicros:  micros(proxy) / float64(r.Requests) / perExchange,
		P50Micros:  micros(r.Latency.Quantile(0.50)),
		P90Micros:  micros(r.Latency.Quantile(0.90)),
		P99Micros:  micros(r.Latency.Quantile(0.99)),
		P999Micros: micros(r.Latency.Quantile(0.999)),
		MaxMicros:  micros(r.Latency.Max()),
		RSS:        m.to.proxy.rss,
		ProxyLoad:  proxy.Seconds() / r.Elapsed.Seconds(),
		LoadLoad:   load.Seconds() / r.Elapsed.Seconds() / float64(loadCPUs),
		OthersLoad: max(0, (core-proxy).Seconds()/r.Elapsed.Seconds()),
		Processes:  len(m.proxy),
	}
	if user+system > 0 {
		t.UserShare = user.Seconds() / (user + system).Seconds()
	}
	return t
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
