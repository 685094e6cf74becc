package telemetry

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"weir/balancer"
)

// populated is a registry in which every series has a value, with the time standing still.
func populated(t *testing.T) *Registry {
	t.Helper()
	pool := testPool(t, testConfig())
	r := New(Options{
		Version: "1.2.3",
		Commit:  "abcdef",
		Pools:   func() []*balancer.Pool { return []*balancer.Pool{pool} },
		Overdue: func() uint64 { return 4 },
		Memory:  func() (used, budget uint64) { return 700, 1000 },
		Now:     func() time.Time { return testStart },
	})
	r.Reload(true, testStart, 7, "c0ffee")
	r.Reload(false, testStart.Add(time.Hour), 8, "bad")
	r.Panic()
	r.AccessLogLost(3)
	r.JournalLost(2)
	r.AdminRefused(RefusedCredential)
	l := r.Listener("web")
	l.ConnectionOpened(0)
	l.ConnectionOpened(1)
	l.ConnectionClosed(1)
	l.Rejected(RejectDescriptors)
	l.AcceptError()
	l.Handshake(tls.VersionTLS13, true)
	l.Handshake(0, false)
	l.SetCertificates([]Certificate{{Name: "shop", NotAfter: testStart.Add(time.Hour)}})
	l.CertificatesNotRenewed()
	h := r.HTTP("web", "app")
	h.Done(0, Exchange{MethodGet, 200, 2 * time.Millisecond, 100, 1000, OutcomeOK})
	h.Done(1, Exchange{MethodGet, 200, 3 * time.Millisecond, 100, 1000, OutcomeRetriedOK})
	h.Done(1, Exchange{MethodPost, 502, time.Minute + 1, 100, 50, OutcomeBackendReset})
	r.HTTP("web", "").Done(0, Exchange{MethodGet, 403, time.Microsecond, 10, 90, OutcomeDenied})
	r.HTTP("web", "").Done(0, Exchange{MethodOther, 400, time.Microsecond, 10, 90, OutcomeBadRequest})
	for _, name := range []string{"b1", "b2"} {
		countBackend(r, name)
	}
	r.Pool("app").Retry(RetryConnectFailure)
	r.Pool("app").Session(0, SessionNew)
	r.CountNames("app", "n1")
	r.Resolution("app", "n1", Resolution{Result: ResolutionOK, Addresses: 3, Unusable: 2})
	r.Resolution("app", "n1", Resolution{Result: ResolutionTimeout, Addresses: 3})
	r.TCP("db", "app").Done(0, OutcomeOK)
	r.UDP("dns", "app").Done(0, OutcomeExpired)
	return r
}

// countBackend gives every counter of a backend another value.
func countBackend(r *Registry, name string) {
	b := r.Backend("app", name)
	times := func(n int, count func(s Shard)) {
		for i := range n {
			count(Shard(i))
		}
	}
	times(9, func(Shard) { b.ConnectionOpened() })
	times(3, func(Shard) { b.ConnectionClosed() })
	times(4, b.Reused)
	times(11, func(s Shard) { b.Request(s, 200, OutcomeOK) })
	times(1, func(s Shard) { b.Request(s, 0, OutcomeBackendReset) })
	times(2, func(s Shard) { b.Request(s, 0, OutcomeBackendTimeout) })
	times(5, func(s Shard) { b.Request(s, 502, OutcomeBackendBadResponse) })
	times(7, func(Shard) { b.ConnectError(ConnectRefused) })
	times(8, func(Shard) { b.ConnectError(ConnectTLS) })
	times(3, func(Shard) { r.Pool("app").Probe(name, true, time.Millisecond) })
	times(2, func(Shard) { r.Pool("app").Probe(name, false, time.Second) })
}

// scrape asks the handler for a format.
func scrape(t *testing.T, r *Registry, target string, accept string) *http.Response {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, target, nil)
	req.Header.Set("Accept", accept)
	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, req)
	return rec.Result()
}

func scrapeText(t *testing.T, r *Registry, target string) string {
	t.Helper()
	resp := scrape(t, r, target, "text/plain;version=0.0.4")
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", target, resp.Status, body)
	}
	return string(body)
}

// own is the lines of a scrape that this package makes, without help and type.
func own(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "weir_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestScrapeValues(t *testing.T) {
	text := scrapeText(t, populated(t), "/metrics")
	for _, want := range []string{
		`weir_config_info{sha256="c0ffee"} 1`,
		`weir_config_generation 7`,
		`weir_config_last_reload_successful 0`,
		`weir_config_last_reload_success_timestamp_seconds 1.7e+09`,
		`weir_config_reloads_total{result="success"} 1`,
		`weir_config_reloads_total{result="failure"} 1`,
		`weir_panics_total 1`,
		`weir_access_log_lost_total 3`,
		`weir_journal_lost_total 2`,
		`weir_admin_refused_total{reason="credential"} 1`,
		`weir_admin_refused_total{reason="origin"} 0`,
		`weir_health_checks_overdue_total 4`,
		`weir_listener_connections_total{listener="web"} 2`,
		`weir_listener_connections_active{listener="web"} 1`,
		`weir_listener_connections_rejected_total{listener="web",reason="descriptors"} 1`,
		`weir_listener_connections_rejected_total{listener="web",reason="draining"} 0`,
		`weir_listener_connections_rejected_total{listener="web",reason="denied"} 0`,
		`weir_listener_connections_rejected_total{listener="web",reason="rate"} 0`,
		`weir_listener_connections_rejected_total{listener="web",reason="per_client"} 0`,
		`weir_listener_connections_rejected_total{listener="web",reason="other"} 0`,
		`weir_listener_accept_errors_total{listener="web"} 1`,
		`weir_tls_handshakes_total{listener="web",result="ok",version="1.3"} 1`,
		`weir_tls_handshakes_total{listener="web",result="error",version="unknown"} 1`,
		`weir_tls_handshakes_total{listener="web",result="error",version="1.3"} 0`,
		`weir_tls_certificate_refresh_errors_total{listener="web"} 1`,
		`weir_tls_certificate_not_after_seconds{listener="web",name="shop"} 1.7000036e+09`,
		`weir_http_requests_total{code="200",listener="web",method="GET",pool="app"} 2`,
		`weir_http_requests_total{code="502",listener="web",method="POST",pool="app"} 1`,
		`weir_http_requests_total{code="400",listener="web",method="_OTHER",pool=""} 1`,
		`weir_http_outcomes_total{listener="web",outcome="retried_ok",pool="app"} 1`,
		`weir_http_outcomes_total{listener="web",outcome="no_route",pool="app"} 0`,
		`weir_http_outcomes_total{listener="web",outcome="tunnel_idle",pool="app"} 0`,
		`weir_http_outcomes_total{listener="web",outcome="rate_limited",pool="app"} 0`,
		`weir_http_outcomes_total{listener="web",outcome="denied",pool=""} 1`,
		`weir_http_request_duration_seconds_bucket{listener="web",pool="app",le="0.001"} 0`,
		`weir_http_request_duration_seconds_bucket{listener="web",pool="app",le="0.0025"} 1`,
		`weir_http_request_duration_seconds_bucket{listener="web",pool="app",le="60"} 2`,
		`weir_http_request_duration_seconds_bucket{listener="web",pool="app",le="+Inf"} 3`,
		`weir_http_request_duration_seconds_count{listener="web",pool="app"} 3`,
		`weir_http_request_duration_seconds_sum{listener="web",pool="app"} 60.005`,
		`weir_bytes_total{direction="in",listener="web",pool="app"} 300`,
		`weir_bytes_total{direction="out",listener="web",pool="app"} 2050`,
		`weir_retries_total{pool="app",reason="connect_failure"} 1`,
		`weir_sessions_total{pool="app",result="new"} 1`,
		`weir_sessions_total{pool="app",result="lost"} 0`,
		`weir_health_check_duration_seconds_count{pool="app"} 10`,
		`weir_health_check_duration_seconds_bucket{pool="app",le="0.001"} 6`,
		`weir_memory_bytes{kind="used"} 700`,
		`weir_memory_bytes{kind="budget"} 1000`,
		`weir_backend_requests_total{backend="b1",code="2xx",pool="app"} 11`,
		`weir_backend_requests_total{backend="b1",code="5xx",pool="app"} 5`,
		`weir_backend_requests_total{backend="b1",code="none",pool="app"} 3`,
		`weir_backend_errors_total{backend="b1",pool="app",reason="reset"} 1`,
		`weir_backend_errors_total{backend="b1",pool="app",reason="timeout"} 2`,
		`weir_backend_errors_total{backend="b1",pool="app",reason="bad_response"} 5`,
		`weir_backend_connect_errors_total{backend="b2",pool="app",reason="refused"} 7`,
		`weir_backend_connect_errors_total{backend="b2",pool="app",reason="tls"} 8`,
		`weir_backend_connections_total{backend="b2",pool="app"} 9`,
		`weir_backend_connections_open{backend="b2",pool="app"} 6`,
		`weir_backend_connections_reused_total{backend="b2",pool="app"} 4`,
		`weir_backend_connections_idle{backend="b2",pool="app"} 5`,
		`weir_health_checks_total{backend="b2",pool="app",result="success"} 3`,
		`weir_health_checks_total{backend="b2",pool="app",result="failure"} 2`,
		`weir_resolutions_total{backend="n1",pool="app",result="ok"} 1`,
		`weir_resolutions_total{backend="n1",pool="app",result="timeout"} 1`,
		`weir_resolutions_total{backend="n1",pool="app",result="not_found"} 0`,
		`weir_resolved_addresses{backend="n1",pool="app"} 3`,
		`weir_resolved_addresses_unusable_total{backend="n1",pool="app"} 2`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if t.Failed() {
		t.Log(strings.Join(own(text), "\n"))
	}
}

// A scrape has exactly the series of the table, with their types, labels and help.
func TestScrapeIsWhatTheTableSays(t *testing.T) {
	families := decode(t, scrape(t, populated(t), "/metrics", "text/plain;version=0.0.4"))
	types := map[Kind]dto.MetricType{
		Counter:   dto.MetricType_COUNTER,
		Gauge:     dto.MetricType_GAUGE,
		Histogram: dto.MetricType_HISTOGRAM,
	}
	for _, s := range Describe() {
		f := families[s.Name]
		if f == nil {
			t.Errorf("%s is not in a scrape", s.Name)
			continue
		}
		delete(families, s.Name)
		if f.GetHelp() != s.Help || f.GetType() != types[s.Kind] {
			t.Errorf("%s: %v %q, want %v %q", s.Name, f.GetType(), f.GetHelp(), types[s.Kind], s.Help)
		}
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, l.GetName())
			}
			if want := slices.Sorted(slices.Values(s.Labels)); !slices.Equal(labels, want) {
				t.Errorf("%s has labels %v, want %v", s.Name, labels, want)
			}
		}
	}
	for name := range families {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is in a scrape and not in the table", name)
		}
	}
}

func TestNamesFollowTheRules(t *testing.T) {
	for _, s := range Describe() {
		if !strings.HasPrefix(s.Name, "weir_") {
			t.Errorf("%s does not begin with weir_", s.Name)
		}
		if total := strings.HasSuffix(s.Name, "_total"); total != (s.Kind == Counter) {
			t.Errorf("%s is a %s", s.Name, s.Kind)
		}
		if s.Kind == Histogram && !strings.HasSuffix(s.Name, "_seconds") {
			t.Errorf("%s has no unit", s.Name)
		}
		if len(s.Help) < 20 || !strings.HasSuffix(s.Help, ".") {
			t.Errorf("%s: help %q is not a sentence", s.Name, s.Help)
		}
		if !knownLevel(s.Level) {
			t.Errorf("%s: level %q", s.Name, s.Level)
		}
		if has := slices.Contains(s.Labels, "backend"); has != (s.Level == BackendLevel) {
			t.Errorf("%s: level %s and labels %v", s.Name, s.Level, s.Labels)
		}
	}
}

// The three formats carry the same classic buckets; protobuf carries the native histogram as well.
func TestEveryFormat(t *testing.T) {
	r := populated(t)
	tests := []struct{ name, accept, contentType string }{
		{"text", "text/plain;version=0.0.4", "text/plain"},
		{"openmetrics", "application/openmetrics-text;version=1.0.0", "application/openmetrics-text"},
		{"protobuf", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
			"application/vnd.google.protobuf"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := scrape(t, r, "/metrics?level=pool", tt.accept)
			if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, tt.contentType) {
				t.Fatalf("content type %q", got)
			}
			if tt.name == "openmetrics" {
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				want := `weir_http_request_duration_seconds_bucket{listener="web",pool="app",le="60.0"} 2`
				if !strings.Contains(string(body), want) || !strings.HasSuffix(string(body), "# EOF\n") {
					t.Errorf("no %s, or no end, in\n%s", want, body)
				}
				return
			}
			h := exchangeHistogram(t, decode(t, resp))
			if got := h.Bucket[len(classicBounds)-1]; got.GetUpperBound() != 60 || got.GetCumulativeCount() != 2 {
				t.Errorf("last bucket %v", got)
			}
			if h.GetSampleCount() != 3 || h.GetSampleSum() != 60.005 {
				t.Errorf("%d of %v s, want 3 of 60.005 s", h.GetSampleCount(), h.GetSampleSum())
			}
			if tt.name != "protobuf" {
				return
			}
			// log2(0.002)·8 = -71.7, log2(0.003)·8 = -67.04, log2(60)·8 = 47.3: rounded up.
			want := map[int]int64{-71: 1, -67: 1, 48: 1}
			if got := nativeBuckets(h); !maps.Equal(got, want) || h.GetSchema() != 3 {
				t.Errorf("native buckets %v of schema %d, want %v of 3", got, h.GetSchema(), want)
			}
			if got := h.GetCreatedTimestamp().AsTime(); !got.Equal(testStart) {
				t.Errorf("created %v, want %v", got, testStart)
			}
		})
	}
}

func TestEmptyHistogramIsNative(t *testing.T) {
	r := New(Options{})
	r.HTTP("web", "app")
	h := exchangeHistogram(t, decode(t, scrape(t, r, "/metrics",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")))
	if len(h.PositiveSpan) != 1 || h.PositiveSpan[0].GetLength() != 0 || len(h.Bucket) != len(classicBounds) {
		t.Errorf("spans %v, %d classic buckets", h.PositiveSpan, len(h.Bucket))
	}
}

// exchangeHistogram finds the latency of listener web and pool app.
func exchangeHistogram(t *testing.T, families map[string]*dto.MetricFamily) *dto.Histogram {
	t.Helper()
	f := families["weir_http_request_duration_seconds"]
	for _, m := range f.GetMetric() {
		if m.Label[1].GetValue() == "app" {
			return m.Histogram
		}
	}
	t.Fatal("no latency of pool app")
	return nil
}

func decode(t *testing.T, resp *http.Response) map[string]*dto.MetricFamily {
	t.Helper()
	families := make(map[string]*dto.MetricFamily)
	d := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header))
	for {
		f := new(dto.MetricFamily)
		err := d.Decode(f)
		if errors.Is(err, io.EOF) {
			return families
		}
		if err != nil {
			t.Fatal(err)
		}
		families[f.GetName()] = f
	}
}

func TestPromtoolAcceptsTheMetrics(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian package prometheus): names are checked by TestNamesFollowTheRules only")
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrapeText(t, populated(t), "/metrics"))
	out, err := cmd.CombinedOutput()
	if err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestFilters(t *testing.T) {
	r := populated(t)
	r.HTTP("web", "other").Done(0, benchExchange)
	r.Backend("other", "o1")
	r.Pool("other")
	tests := []struct {
		query string
		want  func(line string) bool
	}{
		{"pool=app", func(l string) bool { return strings.Contains(l, `pool="app"`) }},
		{"pool=app&pool=other", func(l string) bool {
			return strings.Contains(l, `pool="app"`) || strings.Contains(l, `pool="other"`)
		}},
		{"pool=missing", func(string) bool { return false }},
		{"level=listener", func(l string) bool {
			return strings.Contains(l, `listener="`) && !strings.Contains(l, `pool="`)
		}},
		{"level=backend", func(l string) bool { return strings.Contains(l, `backend="`) }},
		{"level=backend&pool=other", func(l string) bool {
			return strings.Contains(l, `backend="`) && strings.Contains(l, `pool="other"`)
		}},
		{"level=process", func(l string) bool {
			return !strings.Contains(l, `pool="`) && !strings.Contains(l, `listener="`)
		}},
		{"level=process&level=listener", func(l string) bool { return !strings.Contains(l, `pool="`) }},
	}
	whole := own(scrapeText(t, r, "/metrics"))
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			text := scrapeText(t, r, "/metrics?"+tt.query)
			got := own(text)
			var want []string
			for _, line := range whole {
				if tt.want(line) {
					want = append(want, line)
				}
			}
			if !slices.Equal(names(got), names(want)) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if goRuntime := strings.Contains(text, "go_goroutines"); goRuntime != strings.Contains(tt.query, "process") {
				t.Errorf("series of the Go runtime: %v", goRuntime)
			}
		})
	}
}

// names leaves out the values, since the descriptors change between two scrapes.
func names(lines []string) []string {
	var all []string
	for _, line := range lines {
		all = append(all, line[:strings.LastIndexByte(line, ' ')])
	}
	return all
}

func TestBadScrapesAreRefused(t *testing.T) {
	h := New(Options{}).Handler()
	tests := []struct {
		method, target string
		status         int
		says           string
	}{
		{http.MethodGet, "/metrics?level=node", 400, "want process, listener, pool or backend"},
		{http.MethodGet, "/metrics?name=x", 400, "want pool or level"},
		{http.MethodGet, "/metrics?pool=%zz", 400, "query"},
		{http.MethodPost, "/metrics", 405, "GET"},
	}
	for _, tt := range tests {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(tt.method, tt.target, nil))
		if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.says) {
			t.Errorf("%s %s: %d %q, want %d %q", tt.method, tt.target, rec.Code, rec.Body, tt.status, tt.says)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add("pool=a&level=backend")
	f.Add("level=&pool=%00")
	f.Fuzz(func(t *testing.T, query string) {
		got, err := parseFilter(query)
		if err != nil {
			return
		}
		for l := range got.levels {
			if !knownLevel(l) {
				t.Errorf("%q selects level %q", query, l)
			}
		}
	})
}

func TestScrapesAreBounded(t *testing.T) {
	enter, leave := make(chan struct{}), make(chan struct{})
	r := New(Options{Overdue: func() uint64 { enter <- struct{}{}; <-leave; return 0 }})
	h := r.Handler()
	done := make(chan int)
	get := func() int {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return rec.Code
	}
	for range maxScrapes {
		go func() { done <- get() }()
	}
	for range maxScrapes {
		<-enter
	}
	if got := get(); got != http.StatusServiceUnavailable {
		t.Errorf("scrape %d got %d, want 503", maxScrapes+1, got)
	}
	close(leave)
	for range maxScrapes {
		if got := <-done; got != http.StatusOK {
			t.Errorf("got %d, want 200", got)
		}
	}
}

// A defect in one metric is logged and costs that metric only.
func TestBrokenMetricIsLogged(t *testing.T) {
	core, logged := observer.New(zap.WarnLevel)
	r := New(Options{Version: "not \xff UTF-8", Log: zap.New(core)})
	r.Listener("web")
	text := scrapeText(t, r, "/metrics")
	if strings.Contains(text, "weir_build_info{") || !strings.Contains(text, "weir_panics_total 0\n") {
		t.Errorf("scrape:\n%s", strings.Join(own(text), "\n"))
	}
	if logged.Len() != 1 || !strings.Contains(logged.All()[0].Message, "weir_build_info") {
		t.Errorf("logged %v, want one message about weir_build_info", logged.All())
	}
}

func BenchmarkScrape(b *testing.B) {
	r := New(Options{})
	for p := range 10 {
		pool := fmt.Sprintf("pool%d", p)
		r.Pool(pool)
		r.HTTP("web", pool).Done(0, benchExchange)
		for i := range 100 {
			r.Backend(pool, fmt.Sprintf("b%d", i)).Request(0, 200, OutcomeOK)
		}
	}
	h := r.Handler()
	b.ReportAllocs()
	for b.Loop() {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}
