package test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stateful is a configuration with sessions whose key is kept in dir.
func stateful(dir, backends, more string) string {
	return fmt.Sprintf(`
state_dir: %q
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { session_persistence: http_cookie, health_check: { interval: 200ms }, backends: %s%s } }
`, dir, backends, more)
}

// visit asks for the name of a backend with a cookie, if it is not empty, and returns the cookie that the
// client has afterwards.
func visit(t testing.TB, url, cookie string) (backend, now string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("got %s, %v", res.Status, err)
	}
	for _, c := range res.Cookies() {
		cookie = c.Name + "=" + c.Value
	}
	return res.Header.Get("X-Backend"), cookie
}

// TestRestartKeepsSessions stops weir and starts it again: sessions whose key is in the state directory go on,
// also for the first request, which comes before the backends have been checked.
func TestRestartKeepsSessions(t *testing.T) {
	b := backends(t, 4)
	dir := filepath.Join(t.TempDir(), "state")
	text := stateful(dir, listed(b...), "")
	d := start(t, text)
	sessions := map[string]string{} // cookie by backend
	for range 12 {
		backend, cookie := visit(t, d.url("web"), "")
		sessions[backend] = cookie
	}
	if len(sessions) != len(b) {
		t.Fatalf("12 clients are on %d backends, want %d", len(sessions), len(b))
	}
	key := filepath.Join(dir, "session.key")
	if info, err := os.Stat(key); err != nil || info.Mode() != 0o600 {
		t.Errorf("%s: got %v %v, want mode 0600", key, info, err)
	}
	if code, stdout, stderr := weir(t, "check", "--files", d.file); code != 0 || strings.Contains(stdout+stderr, "restart") {
		t.Errorf("weir check: %d %s%s", code, stdout, stderr)
	}
	d.stop()
	for range 2 {
		again := launch(t, text)
		eventually(t, "weir listens", func() bool { return len(again.listening()) == 1 })
		for backend, cookie := range sessions {
			if got, _ := visit(t, again.url("web"), cookie); got != backend {
				t.Errorf("after a restart the session of %s goes to %s", backend, got)
			}
		}
		if code, _, stderr := weir(t, "run", "-c", again.file); code != 1 || !strings.Contains(stderr, "another process of weir uses "+dir) {
			t.Errorf("another process with the same directory: %d %s", code, stderr)
		}
		again.stop()
	}
}

// listening lists the addresses of the listeners, none while nobody answers.
func (d *daemon) listening() []string {
	status, body, err := d.ask(http.MethodGet, "/v1/status")
	if err != nil || status != http.StatusOK || !strings.Contains(string(body), `"addresses"`) {
		return nil
	}
	var all []string
	for _, l := range d.status().Listeners {
		all = append(all, l.Addresses...)
	}
	return all
}

// TestKillWhileTheKeyIsMade kills weir again and again around the moment at which it makes its key. What is
// there afterwards is a whole key or none, one that is there never changes, and weir starts.
func TestKillWhileTheKeyIsMade(t *testing.T) {
	b := backends(t, 1)
	dir := t.TempDir()
	state, file := filepath.Join(dir, "state"), filepath.Join(dir, "weir.yaml")
	text := stateful(state, listed(b...), "") + fmt.Sprintf("admin: { socket: %q }\n", filepath.Join(dir, "a.sock"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(state, "session.key")
	made, killed := 0, 0
	for round := range 30 {
		if round%3 == 0 {
			if err := os.RemoveAll(state); err != nil {
				t.Fatal(err)
			}
		}
		before, _ := os.ReadFile(key) // empty while there is none
		cmd := exec.Command(binary, "run", "-c", file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The moment is the first at which something is in the directory, and some around it.
		begun := time.Now()
		for time.Since(begun) < patience {
			if entries, err := os.ReadDir(state); err == nil && len(entries) > 0 {
				break
			}
		}
		<-time.After(time.Duration(round%5) * 200 * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, ok := cmd.Wait().(*exec.ExitError); ok {
			killed++
		}
		after, err := os.ReadFile(key)
		if err == nil {
			made++
		} else if !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err == nil && len(after) != 65 || len(before) > 0 && string(after) != string(before) {
			t.Fatalf("round %d: the key of %d bytes is one of %d now, and another: %v", round, len(before), len(after), string(after) != string(before))
		}
	}
	t.Logf("%d kills, %d times with a key afterwards", killed, made)
	d := start(t, stateful(state, listed(b...), ""))
	visit(t, d.url("web"), "")
	left, err := filepath.Glob(filepath.Join(state, "*"))
	if want := []string{filepath.Join(state, "journal.jsonl"), key}; err != nil || !slices.Equal(left, want) {
		t.Errorf("the directory has %v, want %v, without beginnings of keys", left, want)
	}
}

// TestKeyIsNeverOverwritten: a start with a file that is no key ends with an error that says what to do.
func TestKeyIsNeverOverwritten(t *testing.T) {
	b := backends(t, 1)
	dir := t.TempDir()
	key := filepath.Join(dir, "session.key")
	if err := os.WriteFile(key, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "weir.yaml")
	if err := os.WriteFile(file, []byte(stateful(dir, listed(b...), "")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run", "-c", file}, {"check", "--files", file}} {
		code, _, stderr := weir(t, args...)
		if code != 1 || !strings.Contains(stderr, key) || !strings.Contains(stderr, "moved away, a new one is made") {
			t.Errorf("weir %s: %d %s", args[0], code, stderr)
		}
	}
	if code, _, stderr := weir(t, "check", file); code != 0 {
		t.Errorf("weir check without --files: %d %s", code, stderr)
	}
	if text, err := os.ReadFile(key); err != nil || string(text) != "precious" {
		t.Errorf("the file is %q now, %v", text, err)
	}
}

// TestCapacity holds a backend to its limit, shows who waits, drains it, and cuts what is left.
func TestCapacity(t *testing.T) {
	b := backends(t, 2)
	gate := make(chan struct{})
	var once bool
	open := func() {
		if !once {
			once = true
			close(gate)
		}
	}
	t.Cleanup(open)
	for _, backend := range b {
		backend.SetHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				select {
				case <-gate:
				case <-r.Context().Done():
				}
			}
			_, _ = io.WriteString(w, "done")
		}))
	}
	text := func(state string) string {
		return fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools:
  app:
    health_check: { interval: 200ms }
    drain_timeout: 1s
    max_connections: 2
    queue: { max: 1, timeout: 30s }
    retries: { on: connect_failure }
    backends: { b1: { address: %q, state: %s }, b2: { address: %q, max_connections: 1 } }
`, b[0].Addr(), state, b[1].Addr())
	}
	d := start(t, text("ready"))
	d.awaitHealth("app", "b1", "up")
	d.awaitHealth("app", "b2", "up")
	url := d.url("web")
	answers := make(chan int, 10)
	for i := range 4 {
		go func() {
			res, err := http.Get(url + "/wait")
			if err != nil {
				answers <- 0
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			answers <- res.StatusCode
		}()
		eventually(t, "the request is with a backend, or waits", func() bool {
			var all int64
			for _, s := range d.status().Pools[0].Backends {
				all += s.Active
			}
			return all+d.status().Pools[0].Queued == int64(i+1)
		})
	}
	if queued := d.metric("weir_pool_queue_length", "pool", "app"); queued != 1 {
		t.Errorf("weir_pool_queue_length is %v, want 1", queued)
	}
	if _, stdout, _ := d.cli("status"); !strings.Contains(stdout, "2/2") || !strings.Contains(stdout, "1/1") || !strings.Contains(stdout, "QUEUED") {
		t.Errorf("weir status does not show limits and queue:\n%s", stdout)
	}
	res, err := http.Get(url + "/wait")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("beyond the queue: got %s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
	}
	d.reload(text("drain"))
	cut := map[int]int{}
	for range 2 { // the two of b1: they have no answer, and GET may not be sent again here
		cut[<-answers]++
	}
	if cut[http.StatusServiceUnavailable] != 2 {
		t.Errorf("at the end of drain_timeout: got %v, want 503 twice", cut)
	}
	open()
	for range 2 {
		if code := <-answers; code != http.StatusOK {
			t.Errorf("on the other backend: got %d, want 200", code)
		}
	}
	if n := d.metric("weir_http_outcomes_total", "pool", "app", "outcome", "drain_timeout"); n != 2 {
		t.Errorf("outcomes drain_timeout: got %v, want 2", n)
	}
	d.signal(syscall.SIGTERM)
}
