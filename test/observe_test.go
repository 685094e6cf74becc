package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/api"
)

// observed is a daemon that has served a known mix of requests.
type observed struct {
	*daemon
	log string // access log
	url string
}

// The mix: 40 GETs of 1,000 bytes, 10 POSTs of 500 that are answered 201 with 3, 5 GETs of what does
// not exist, 4 to a pool without a backend.
const mixed = 59

func startObserved(t *testing.T) observed {
	t.Helper()
	b := backends(t, 2)
	for _, backend := range b {
		backend.SetHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			switch {
			case r.Method == http.MethodPost:
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, "yes")
			case r.URL.Path == "/none":
				w.WriteHeader(http.StatusNotFound)
			default:
				_, _ = w.Write(make([]byte, 1000))
			}
		}))
	}
	o := observed{log: filepath.Join(t.TempDir(), "access.log")}
	o.daemon = start(t, fmt.Sprintf(`
listeners:
  web: { protocol: http, address: "127.0.0.1:0", pool: app, routes: [{ path_prefix: /empty, pool: empty }] }
pools:
  app: { backends: %s }
  empty: { required: false, backends: { idle: { address: "127.0.0.1:9", state: maintenance } }, health_check: none }
log: { access: { output: %q } }
`, listed(b...), o.log))
	o.awaitHealth("app", "b1", "up")
	o.awaitHealth("app", "b2", "up")
	o.url = o.daemon.url("web")
	for _, part := range []struct {
		load   load
		status int
	}{
		{load{url: o.url + "/page?id=7", limit: 40}, http.StatusOK},
		{load{url: o.url + "/form", method: http.MethodPost, body: strings.Repeat("x", 500), limit: 10}, http.StatusCreated},
		{load{url: o.url + "/none", limit: 5}, http.StatusNotFound},
		{load{url: o.url + "/empty", limit: 4}, http.StatusServiceUnavailable},
	} {
		part.load.clients = 2
		for _, c := range drive(t, part.load).wait() {
			if c.err != nil || c.status != part.status {
				t.Errorf("want status %d: %v", part.status, c)
			}
		}
	}
	return o
}

// TestMetrics holds the counters against what was sent, and the exposition against promtool.
func TestMetrics(t *testing.T) {
	o := startObserved(t)
	// A request is counted when its response has been sent, which the client may see earlier.
	eventually(t, "all requests are counted", func() bool { return o.metric("weir_http_requests_total") == mixed })
	tests := []struct {
		name   string
		labels []string
		want   float64
	}{
		{"weir_http_requests_total", []string{"listener", "web", "pool", "app", "method", "GET", "code", "200"}, 40},
		{"weir_http_requests_total", []string{"listener", "web", "pool", "app", "method", "POST", "code", "201"}, 10},
		{"weir_http_requests_total", []string{"listener", "web", "pool", "app", "method", "GET", "code", "404"}, 5},
		{"weir_http_requests_total", []string{"listener", "web", "pool", "empty", "method", "GET", "code", "503"}, 4},
		{"weir_http_outcomes_total", []string{"outcome", "ok"}, 55},
		{"weir_http_outcomes_total", []string{"pool", "empty", "outcome", "no_backend_up"}, 4},
		{"weir_http_request_duration_seconds_count", []string{"listener", "web", "pool", "app"}, 55},
		{"weir_http_request_duration_seconds_bucket", []string{"pool", "app", "le", "+Inf"}, 55},
		{"weir_backend_requests_total", []string{"pool", "app"}, 55},
		{"weir_backend_picks_total", []string{"pool", "app"}, 55},
		{"weir_backend_up", []string{"pool", "app"}, 2},
		{"weir_backend_weight", []string{"pool", "app", "backend", "b1"}, 1},
		{"weir_backend_effective_weight", []string{"pool", "app", "backend", "b1"}, 1},
		{"weir_backend_connections_active", []string{"pool", "app"}, 0},
		{"weir_config_last_reload_successful", nil, 1},
		{"weir_config_generation", nil, 1},
		{"weir_panics_total", nil, 0},
		{"weir_access_log_lost_total", nil, 0},
	}
	for _, tt := range tests {
		if got := o.metric(tt.name, tt.labels...); got != tt.want {
			t.Errorf("%s %v: got %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
	// The bodies and, on top, the heads: of each message between 50 and 500 bytes.
	for direction, bodies := range map[string]float64{"in": 10 * 500, "out": 40*1000 + 10*3} {
		got := o.metric("weir_bytes_total", "listener", "web", "pool", "app", "direction", direction)
		if got < bodies+55*50 || got > bodies+55*500 {
			t.Errorf("bytes %s: got %v, want the %v of the bodies and some for the heads", direction, got, bodies)
		}
	}
	if got := o.metric("weir_health_checks_total", "pool", "app"); got < 2 {
		t.Errorf("got %v health checks, want at least one per backend", got)
	}
	wantMetric(t, o, "weir_build_info", "weir_config_info", "weir_descriptors", "weir_listener_connections_active",
		"weir_slow_start_ratio", "weir_health_check_duration_seconds_count", "weir_retries_total", "weir_pool_fail_open")
	// Filters leave out the rest.
	if _, body := o.get("/metrics?pool=empty"); !bytes.Contains(body, []byte(`pool="empty"`)) || bytes.Contains(body, []byte(`pool="app"`)) {
		t.Errorf("?pool=empty: got %s", body)
	}
	t.Run("promtool", func(t *testing.T) {
		check := exec.Command(program(t, "promtool"), "check", "metrics")
		_, body := o.get("/metrics")
		check.Stdin = bytes.NewReader(body)
		if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool check metrics: %v: %s", err, out)
		}
	})
}

// wantMetric holds that the names are in the exposition.
func wantMetric(t *testing.T, o observed, names ...string) {
	t.Helper()
	_, body := o.get("/metrics")
	for _, name := range names {
		if !bytes.Contains(body, []byte("\n"+name+"{")) && !bytes.Contains(body, []byte("\n"+name+" ")) &&
			!bytes.Contains(body, []byte("# TYPE "+name+" ")) {
			t.Errorf("no %s in /metrics", name)
		}
	}
}

// TestProbesOfTheProcess asks for /livez and /readyz of a daemon that serves and of one that cannot.
func TestProbesOfTheProcess(t *testing.T) {
	b := backends(t, 1)
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s, health_check: { protocol: http, interval: 100ms, timeout: 5s, rise: 1, fall: 1 } } }
`, listed(b...)))
	if status, body := d.get("/livez"); status != http.StatusOK || strings.TrimSpace(string(body)) != `{"live":true}` && !json.Valid(body) {
		t.Errorf("/livez: got %d %s", status, body)
	}
	ready := func() (int, map[string]string) {
		t.Helper()
		status, body := d.get("/readyz")
		var readiness api.Readiness
		if err := json.Unmarshal(body, &readiness); err != nil {
			t.Fatalf("/readyz: %s: %v", body, err)
		}
		if readiness.Ready != (status == http.StatusOK) {
			t.Errorf("/readyz: status %d with %s", status, body)
		}
		missing := map[string]string{}
		names := []string{}
		for _, c := range readiness.Checks {
			names = append(names, c.Name)
			if !c.OK {
				missing[c.Name] = c.Detail
			}
		}
		if got := fmt.Sprint(names); got != "[loaded bound probed pool app serving]" {
			t.Errorf("/readyz: got conditions %s", got)
		}
		return status, missing
	}
	if status, missing := ready(); status != http.StatusOK || len(missing) != 0 {
		t.Errorf("/readyz: got %d, missing %v", status, missing)
	}
	b[0].SetStatus(http.StatusInternalServerError)
	d.awaitHealth("app", "b1", "down")
	if status, missing := ready(); status != http.StatusServiceUnavailable || len(missing) != 1 || !strings.Contains(missing["pool app"], "1 down") {
		t.Errorf("/readyz without a backend: got %d, missing %v", status, missing)
	}
	if status, _ := d.get("/livez"); status != http.StatusOK {
		t.Errorf("/livez without a backend: got %d", status)
	}
	if code, stdout, _ := d.cli("health"); code != 1 || !strings.Contains(stdout, "1 down") {
		t.Errorf("weir health: exit code %d: %s", code, stdout)
	}
}

// TestAdminAddress asks the TCP address of the admin server: it serves reads, to names that cannot be
// another site's, and nothing else.
func TestAdminAddress(t *testing.T) {
	b := backends(t, 1)
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s } }
admin: { socket: SOCKET, listen: "127.0.0.1:0" }
`, listed(b...)))
	var found []string
	eventually(t, "the log says where", func() bool {
		found = regexp.MustCompile(`"admin_address":"([^"]+)"`).FindStringSubmatch(d.log.String())
		return found != nil
	})
	tests := []struct {
		method, path, host string
		status             int
	}{
		{"GET", "/livez", "", http.StatusOK},
		{"GET", "/readyz", "", http.StatusOK},
		{"GET", "/metrics", "", http.StatusOK},
		{"GET", "/v1/status", "localhost", http.StatusOK},
		{"GET", "/v1/status", "rebound.example", http.StatusForbidden},
		{"POST", "/v1/config/reload", "", http.StatusForbidden},
		{"GET", "/debug/pprof/", "", http.StatusForbidden},
		{"GET", "/none", "", http.StatusNotFound},
	}
	for _, tt := range tests {
		request, err := http.NewRequest(tt.method, "http://"+found[1]+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = tt.host
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		if response.StatusCode != tt.status {
			t.Errorf("%s %s for host %q: got %d, want %d", tt.method, tt.path, tt.host, response.StatusCode, tt.status)
		}
	}
	if d.status().Generation != 1 {
		t.Error("something was reloaded")
	}
}

// accessLine is what every line of the access log has; pointers tell absent from empty.
type accessLine struct {
	TS         *time.Time `json:"ts"`
	Level      *string    `json:"level"`
	Listener   *string    `json:"listener"`
	Client     *string    `json:"client"`
	ClientPort *int       `json:"client_port"`
	Method     *string    `json:"method"`
	Host       *string    `json:"host"`
	Path       *string    `json:"path"`
	Proto      *string    `json:"proto"`
	Status     *int       `json:"status"`
	BytesIn    *int64     `json:"bytes_in"`
	BytesOut   *int64     `json:"bytes_out"`
	DurationMS *float64   `json:"duration_ms"`
	QueueMS    *float64   `json:"queue_ms"`
	ConnectMS  *float64   `json:"connect_ms"`
	TTFBMS     *float64   `json:"ttfb_ms"`
	Pool       *string    `json:"pool"`
	Backend    *string    `json:"backend"`
	Attempts   *int       `json:"attempts"`
	Outcome    *string    `json:"outcome"`
	UA         *string    `json:"ua"`
	Reason     string     `json:"reason"`
}

// accessLines parses a log strictly: no field more, none less.
func accessLines(t *testing.T, path string) (lines []accessLine) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var l accessLine
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if again, err := json.Marshal(l); err != nil || bytes.Contains(again, []byte("null")) {
			t.Fatalf("a field is missing (%v) in %s", err, line)
		}
		lines = append(lines, l)
	}
	return lines
}

// TestAccessLog counts the lines of a known mix, and rotates the file.
func TestAccessLog(t *testing.T) {
	o := startObserved(t)
	eventually(t, "all lines are written", func() bool { return len(accessLines(t, o.log)) >= mixed })
	lines := accessLines(t, o.log)
	counts := map[string]int{}
	for _, l := range lines {
		counts[fmt.Sprintf("%s %s %d %s %s", *l.Method, *l.Path, *l.Status, *l.Pool, *l.Outcome)]++
		if *l.Client != "127.0.0.1" || *l.ClientPort == 0 || *l.Listener != "web" || *l.Proto != "HTTP/1.1" ||
			"http://"+*l.Host != o.url || *l.UA != "Go-http-client/1.1" || *l.DurationMS <= 0 {
			t.Errorf("got %s", words(l))
		}
		served := *l.Pool == "app"
		if served != (*l.Backend == "b1" || *l.Backend == "b2") || served != (*l.Attempts == 1) || served != (l.Reason == "") || served != (*l.Level == "info") {
			t.Errorf("got %s", words(l))
		}
		if served && (*l.TTFBMS <= 0 || *l.TTFBMS > *l.DurationMS) {
			t.Errorf("timers: got %s", words(l))
		}
	}
	want := map[string]int{
		"GET /page?id=7 200 app ok": 40, "POST /form 201 app ok": 10, "GET /none 404 app ok": 5,
		"GET /empty 503 empty no_backend_up": 4,
	}
	if fmt.Sprint(counts) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", counts, want)
	}

	old := o.log + ".1"
	if err := os.Rename(o.log, old); err != nil {
		t.Fatal(err)
	}
	o.signal(syscall.SIGUSR1)
	eventually(t, "the log is opened anew", func() bool { return strings.Contains(o.daemon.log.String(), "access log reopened") })
	wantNoFailure(t, drive(t, load{url: o.url, clients: 1, limit: 3}).wait())
	eventually(t, "the new lines are in the new file", func() bool { return len(accessLines(t, o.log)) >= 3 })
	o.stop()
	if n, m := len(accessLines(t, old)), len(accessLines(t, o.log)); n != mixed || m != 3 {
		t.Errorf("got %d lines in the old file and %d in the new, want %d and 3", n, m, mixed)
	}
}

// words is a line for messages.
func words(l accessLine) string {
	text, err := json.Marshal(l)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
