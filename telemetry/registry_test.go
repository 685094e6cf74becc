package telemetry

import (
	"crypto/tls"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/config"
)

// countAll counts once in everything that has a name.
func countAll(r *Registry) {
	for _, listener := range []string{"web", "api"} {
		l := r.Listener(listener)
		l.ConnectionOpened(0)
		l.ConnectionClosed(0)
		l.Handshake(tls.VersionTLS13, true)
		l.SetCertificates([]Certificate{{Name: "shop", NotAfter: testStart}})
		for _, pool := range []string{"", "app", "old"} {
			r.HTTP(listener, pool).Done(0, benchExchange)
		}
	}
	for _, pool := range []string{"app", "old"} {
		r.Pool(pool).Retry(RetryReset)
		r.Pool(pool).Session(0, SessionHit)
		for _, backend := range []string{"b1", "b2"} {
			r.Backend(pool, backend).Request(0, 200, OutcomeOK)
		}
	}
}

func TestTheSameNameIsTheSameCounter(t *testing.T) {
	r := New(Options{})
	find := func() [6]any {
		return [...]any{r.Listener("a"), r.HTTP("a", "p"), r.HTTP("a", ""), r.Pool("p"),
			r.Backend("p", "b"), r.Backend("q", "b")}
	}
	first := find()
	if second := find(); first != second {
		t.Errorf("got %v, then %v", first, second)
	}
	for i, c := range first {
		if slices.Contains(first[i+1:], c) {
			t.Errorf("two names give the counter %v", c)
		}
	}
}

func TestForget(t *testing.T) {
	tests := []struct {
		name   string
		forget func(*Registry)
		gone   func(line string) bool
	}{
		{"listener", func(r *Registry) { r.ForgetListener("api") },
			func(l string) bool { return strings.Contains(l, `listener="api"`) }},
		{"pool", func(r *Registry) { r.ForgetPool("old") },
			func(l string) bool { return strings.Contains(l, `pool="old"`) }},
		{"backend", func(r *Registry) { r.ForgetBackend("app", "b2") },
			func(l string) bool { return strings.Contains(l, `pool="app"`) && strings.Contains(l, `backend="b2"`) }},
		{"retain", func(r *Registry) { r.Retain(retained()) }, func(l string) bool {
			return strings.Contains(l, `listener="api"`) || strings.Contains(l, `pool="old"`) ||
				strings.Contains(l, `backend="b2"`)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := New(Options{})
			countAll(r)
			before := own(scrapeText(t, r, "/metrics"))
			want := slices.DeleteFunc(slices.Clone(before), tt.gone)
			if len(want) == len(before) {
				t.Fatal("nothing is to be forgotten")
			}
			tt.forget(r)
			if got := own(scrapeText(t, r, "/metrics")); !slices.Equal(names(got), names(want)) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// retained is a configuration without listener api, pool old and the backends b2.
func retained() *config.Config {
	return &config.Config{
		Listeners: map[string]*config.Listener{"web": {Name: "web"}},
		Pools: map[string]*config.Pool{
			"app": {Name: "app", Backends: []*config.Backend{{Name: "b1"}}},
		},
	}
}

// TestRetainWhatHasConnections: what is not configured any more is shown until a while after its last
// connection has ended.
func TestRetainWhatHasConnections(t *testing.T) {
	now := testStart
	r := New(Options{Now: func() time.Time { return now }})
	countAll(r)
	for _, pool := range []string{"app", "old"} {
		r.TCP("api", pool).Done(0, OutcomeOK)
	}
	shown := func(name string) bool {
		return strings.Contains(scrapeText(t, r, "/metrics"), name)
	}
	b := r.Backend("old", "b2")
	b.ConnectionOpened()
	if !r.Retain(retained()) {
		t.Error("nothing is left to look at")
	}
	if !shown(`weir_backend_connections_open{backend="b2",pool="old"} 1`) || !shown(`weir_http_outcomes_total{listener="web",outcome="ok",pool="old"}`) {
		t.Error("what has connections is not shown")
	}
	if shown(`backend="b1",pool="old"`) || shown(`listener="api"`) || shown(`backend="b2",pool="app"`) {
		t.Error("what has none is shown")
	}
	l := r.Listener("api")
	l.ConnectionOpened(0)
	r.TCP("api", "old").Done(0, OutcomeDrainTimeout)
	r.Retain(retained())
	if !shown(`weir_tcp_connections_total{listener="api",outcome="drain_timeout",pool="old"} 1`) {
		t.Error("a listener that has connections is not shown")
	}
	l.ConnectionClosed(0)
	b.ConnectionClosed()
	now = now.Add(lastScrapes - 1)
	if !r.Retain(retained()) || !shown(`listener="api"`) || !shown(`pool="old"`) {
		t.Error("the end of the last connection is not shown")
	}
	now = now.Add(1)
	if r.Retain(retained()) || shown(`listener="api"`) || shown(`pool="old"`) {
		t.Error("it is shown for ever")
	}
	// What comes back goes on.
	b = r.Backend("app", "b2")
	b.ConnectionOpened()
	r.Retain(retained())
	all := retained()
	all.Pools["app"].Backends = append(all.Pools["app"].Backends, &config.Backend{Name: "b2"})
	if r.Retain(all) || r.Backend("app", "b2") != b {
		t.Error("a backend that has come back has another counter, or is to leave")
	}
}

func TestForgottenCountersMayBeUsed(t *testing.T) {
	r := New(Options{})
	l, h, p, b := r.Listener("web"), r.HTTP("web", "app"), r.Pool("app"), r.Backend("app", "b1")
	h.Done(0, benchExchange)
	r.Retain(&config.Config{})
	l.ConnectionOpened(0)
	l.Handshake(0, false)
	l.SetCertificates([]Certificate{{Name: "shop", NotAfter: testStart}})
	h.Done(0, benchExchange)
	p.Probe("b1", true, time.Millisecond)
	p.Session(0, SessionLost)
	b.Request(0, 200, OutcomeOK)
	if got := h.Counts().Requests; got != 2 {
		t.Errorf("forgotten counter has %d requests, want 2", got)
	}
	if text := scrapeText(t, r, "/metrics"); strings.Contains(text, `"web"`) || strings.Contains(text, `"app"`) {
		t.Errorf("forgotten series in\n%s", strings.Join(own(text), "\n"))
	}
	if got := r.HTTP("web", "app").Counts().Requests; got != 0 {
		t.Errorf("a new counter of a forgotten name begins at %d", got)
	}
}

func TestCountsOfListenerAndBackend(t *testing.T) {
	r := New(Options{})
	l := r.Listener("web")
	l.ConnectionOpened(0)
	l.ConnectionOpened(1)
	l.ConnectionOpened(0)
	l.ConnectionClosed(1)
	l.Rejected(RejectMaxConnections)
	l.Rejected(RejectReason(77))
	l.AcceptError()
	if got, want := l.Counts(), (ListenerCounts{Opened: 3, Active: 2, Rejected: 2, AcceptErrors: 1}); got != want {
		t.Errorf("listener %+v, want %+v", got, want)
	}

	b := r.Backend("app", "b1")
	for _, status := range []int{0, 101, 200, 204, 302, 404, 500, 503, 700, -3} {
		b.Request(Shard(status), status, OutcomeOK)
	}
	b.Request(0, 0, OutcomeBackendTimeout)
	b.Request(0, 0, OutcomeBackendReset)
	b.Request(0, 0, OutcomeBackendBadResponse)
	b.Request(0, 0, OutcomeClientClosed)
	b.ConnectionOpened()
	b.ConnectionOpened()
	b.ConnectionClosed()
	b.Reused(0)
	b.ConnectError(ConnectTimeout)
	b.ConnectError(ConnectReason(99))
	r.Pool("app").Probe("b1", true, time.Millisecond)
	r.Pool("app").Probe("b1", false, time.Millisecond)
	r.Pool("app").Probe("unknown", false, time.Millisecond)
	want := BackendCounts{
		Requests: 14, Classes: [6]uint64{7, 1, 2, 1, 1, 2}, Errors: 3, ConnectErrors: 2,
		Opened: 2, Open: 1, Reused: 1, ProbesPassed: 1, ProbesFailed: 1,
	}
	if got := b.Counts(); got != want {
		t.Errorf("backend %+v, want %+v", got, want)
	}
}

func TestReloadStatus(t *testing.T) {
	r := New(Options{})
	if text := scrapeText(t, r, "/metrics"); strings.Contains(text, "weir_config_last") {
		t.Error("the state of a reload is shown before the first one")
	}
	r.Reload(false, testStart, 1, "bad")
	if text := scrapeText(t, r, "/metrics"); !strings.Contains(text, "weir_config_last_reload_successful 0\n") ||
		strings.Contains(text, "weir_config_info") {
		t.Error("a failed first load is not shown as such")
	}
	r.Reload(true, testStart, 2, "good")
	r.Reload(false, testStart.Add(time.Hour), 3, "bad")
	want := ReloadStatus{Succeeded: 1, Failed: 2, LastOKAt: testStart, Generation: 2, Digest: "good"}
	if got := r.ReloadStatus(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Everything at once, for the race detector; counters never go backwards from scrape to scrape.
func TestRegistryConcurrently(t *testing.T) {
	r := populated(t)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					countAll(r)
				}
			}
		})
	}
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				r.ForgetPool("old")
				r.ForgetBackend("app", "b2")
				r.Reload(true, testStart, 1, "x")
			}
		}
	})
	var last uint64
	for range 20 {
		text := scrapeText(t, r, "/metrics")
		if !strings.Contains(text, "weir_build_info") {
			t.Error("broken scrape")
		}
		now := r.HTTP("web", "app").Counts().Requests
		if now < last {
			t.Errorf("requests went from %d to %d", last, now)
		}
		last = now
	}
	close(stop)
	wg.Wait()
}
