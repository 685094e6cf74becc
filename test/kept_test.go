package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/api"
)

// tell sends a document to the API and returns the answer.
func (d *daemon) tell(ctx context.Context, method, path, document string) (status int, body []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://weir"+path, strings.NewReader(document))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := d.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(res.Body)
	return res.StatusCode, b.Bytes(), err
}

// told is tell that must succeed.
func (d *daemon) told(method, path, document string) (done api.Changed) {
	d.t.Helper()
	status, body, err := d.tell(d.t.Context(), method, path, document)
	if err != nil || status/100 != 2 {
		d.t.Fatalf("%s %s: %d %s %v", method, path, status, body, err)
	}
	if err := json.Unmarshal(body, &done); err != nil {
		d.t.Fatalf("%s %s: %s: %v", method, path, body, err)
	}
	return done
}

// revive starts the process again after it was killed.
func (d *daemon) revive() {
	d.t.Helper()
	d.cmd = exec.Command(d.cmd.Args[0], d.cmd.Args[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	d.ended = make(chan struct{})
	ended, cmd := d.ended, d.cmd
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() {
		defer close(ended)
		_ = cmd.Wait() // exitCode tells
	}()
	eventually(d.t, "weir answers", func() bool {
		if d.over() {
			d.t.Fatalf("weir has ended: %v\n%s", cmd.ProcessState, tail(d.log.String(), 5))
		}
		status, _, err := d.ask(http.MethodGet, "/livez")
		return err == nil && status == http.StatusOK
	})
}

// TestKilledDaemon kills weir at random moments while a client changes things through the API. Whatever was
// answered is there afterwards, and at most the one change more that was under way.
func TestKilledDaemon(t *testing.T) {
	const pools = 12
	changes := 150
	if os.Getenv(longEnv) != "" {
		changes = 1000
	}
	b := backends(t, 1)
	dir := filepath.Join(t.TempDir(), "state")
	d := start(t, stateful(dir, listed(b...), ""))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	answered, kills := 0, 0
	for answered < changes {
		stopAt := answered + 1 + random.IntN(30)
		for {
			if answered+1 == stopAt {
				time.AfterFunc(time.Duration(random.IntN(4_000))*time.Microsecond, func() { _ = d.cmd.Process.Kill() })
			}
			n := answered + 1
			status, body, err := d.tell(t.Context(), http.MethodPut, fmt.Sprintf("/v1/pools/p%d", n%pools),
				fmt.Sprintf(`{"required": false, "meta": {"n": "%d"}, "health_check": "none", "backends": {"x": "%s"}}`, n, b[0].Addr()))
			if err != nil {
				break
			}
			if status/100 != 2 {
				t.Fatalf("change %d: %d %s", n, status, body)
			}
			answered = n
		}
		<-d.ended
		kills++
		d.revive()
		last := 0
		for p := range pools {
			status, body, err := d.ask(http.MethodGet, fmt.Sprintf("/v1/pools/p%d", p))
			if err != nil || status != http.StatusOK && status != http.StatusNotFound {
				t.Fatalf("%d %s %v", status, body, err)
			}
			var pool struct {
				Spec struct{ Meta map[string]string }
			}
			if status == http.StatusNotFound {
				continue
			}
			if err := json.Unmarshal(body, &pool); err != nil {
				t.Fatal(err)
			}
			n, err := strconv.Atoi(pool.Spec.Meta["n"])
			if err != nil || n%pools != p || n <= answered-pools {
				t.Errorf("p%d has change %q after %d", p, pool.Spec.Meta["n"], answered)
			}
			last = max(last, n)
		}
		if last != answered && last != answered+1 {
			t.Fatalf("%d changes are there, want the %d that were answered", last, answered)
		}
		answered = last
	}
	t.Logf("%d changes answered, %d kills", answered, kills)
}

// TestOverridesAreKept drains a backend of the file: it stays so over reloads and a restart, from the first
// request on, until that is taken back.
func TestOverridesAreKept(t *testing.T) {
	b := backends(t, 2)
	dir := filepath.Join(t.TempDir(), "state")
	text := strings.Replace(stateful(dir, listed(b...), ""), "session_persistence: http_cookie, health_check: { interval: 200ms }", "health_check: none", 1)
	d := start(t, text)
	gets := func(step string, want map[string]bool) {
		t.Helper()
		got := map[string]bool{}
		for range 20 {
			backend, _ := visit(t, d.url("web"), "")
			got[backend] = true
		}
		if len(got) != len(want) || !got["b2"] {
			t.Errorf("%s: requests went to %v, want %v", step, got, want)
		}
	}
	both, second := map[string]bool{"b1": true, "b2": true}, map[string]bool{"b2": true}
	gets("start", both)
	done := d.told(http.MethodPut, "/v1/pools/app/backends/b1/override", `{"state": "drain"}`)
	if !strings.HasPrefix(done.Summary, "1 override set") {
		t.Errorf("got %+v", done)
	}
	gets("drained", second)
	d.reload(text + "# another\n")
	gets("reloaded", second)
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-d.ended
	d.revive()
	gets("restarted", second)
	if s, ok := d.backend("app", "b1"); !ok || !s.Overridden || s.State != "drain" {
		t.Errorf("the status does not show the override: %+v", s)
	}
	if done = d.told(http.MethodDelete, "/v1/pools/app/backends/b1/override", ""); !strings.HasPrefix(done.Summary, "1 override cleared") {
		t.Errorf("got %+v", done)
	}
	gets("cleared", both)
}
