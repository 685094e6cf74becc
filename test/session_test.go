package test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"weir/internal/lbtest"
)

// visitor is a client with a session: it has an address of its own, and keeps the cookies it is given.
type visitor struct {
	address string
	cookies map[string]string
	backend string // of its session
}

// ask sends a request, follows the cookies of the answer, and returns which backend gave it and whether
// it set a cookie.
func (v *visitor) ask(t testing.TB, url string) (backend string, set bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", v.address)
	for name, value := range v.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %s, %v", v.address, res.Status, err)
	}
	for _, c := range res.Cookies() {
		v.cookies[c.Name], set = c.Value, true
	}
	return res.Header.Get("X-Backend"), set
}

// visitors are clients whose first requests have begun their sessions, on all backends.
func visitors(t testing.TB, url string, backends int) (list []*visitor) {
	t.Helper()
	on := map[string]bool{}
	for i := range 3 * backends {
		v := &visitor{address: fmt.Sprintf("192.0.2.%d", i+1), cookies: map[string]string{}}
		v.backend, _ = v.ask(t, url)
		on[v.backend] = true
		list = append(list, v)
	}
	if len(on) != backends {
		t.Fatalf("%d clients are on %v, want %d backends", len(list), on, backends)
	}
	return list
}

// wantKept asks twice for each visitor and wants the backends of their sessions.
func wantKept(t testing.TB, when, url string, list []*visitor) {
	t.Helper()
	for range 2 {
		for _, v := range list {
			if got, _ := v.ask(t, url); got != v.backend {
				t.Errorf("%s: %s went to %s, its session is on %s", when, v.address, got, v.backend)
			}
		}
	}
}

// sessionCookies makes backends that begin sessions of their own, as applications do.
func sessionCookies(list []*lbtest.HTTP) {
	var begun atomic.Int64
	for _, b := range list {
		b.SetHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := r.Cookie("SID"); err != nil {
				http.SetCookie(w, &http.Cookie{Name: "SID", Value: fmt.Sprintf("%s-%d", b.Name(), begun.Add(1)), Path: "/"})
			}
			w.Header().Set("X-Backend", b.Name())
		}))
	}
}

const (
	keyOne = "1111111111111111111111111111111111111111111111111111111111111111"
	keyTwo = "2222222222222222222222222222222222222222222222222222222222222222"
)

// TestSessions takes the sessions of each kind through what happens to a running weir: reloads, drains,
// backends that leave, and a restart.
func TestSessions(t *testing.T) {
	tests := []struct {
		name, persistence string
		restart           bool // the sessions outlive one
	}{
		{"http_cookie", `type: http_cookie, cookie: { keys: ["` + keyOne + `"] }`, true},
		{"app_cookie", "type: app_cookie, cookie: { name: SID }", false},
		{"source_ip", "type: source_ip", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := backends(t, 4)
			if sessionCookies(b); tt.name == "http_cookie" {
				for _, backend := range b {
					backend.SetHandler(nil)
				}
			}
			text := func(listener, state, backends string) string {
				return fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app, forwarded: { trust: [127.0.0.1] }%s } }
pools: { app: { session_persistence: { %s }, health_check: { interval: 200ms }, backends: %s } }
`, listener, tt.persistence, strings.Replace(backends, " }", state+" }", 1))
			}
			d := start(t, text("", "", listed(b...)))
			d.allUp(4)
			url := d.url("web")
			list := visitors(t, url, 4)
			wantKept(t, "at first", url, list)

			d.reload(text(", keepalive_requests: 50", "", listed(b...)))
			wantKept(t, "after a reload", d.url("web"), list)

			d.reload(text("", ", state: drain", listed(b...)))
			wantKept(t, "while b1 drains", d.url("web"), list)
			for i := range 8 {
				v := &visitor{address: fmt.Sprintf("198.51.100.%d", i+1), cookies: map[string]string{}}
				if got, _ := v.ask(t, d.url("web")); got == "b1" {
					t.Error("a new client went to a backend that drains")
				}
			}

			d.reload(text("", "", listed(b[1:]...)))
			for _, v := range list {
				if v.backend != "b1" {
					continue
				}
				if v.backend, _ = v.ask(t, d.url("web")); v.backend == "b1" {
					t.Error("a backend that was removed has answered")
				}
			}
			wantKept(t, "without b1", d.url("web"), list)

			d.stop()
			d = start(t, text("", "", listed(b[1:]...)))
			d.allUp(3)
			if !tt.restart {
				if tt.name == "app_cookie" {
					return // the application begins sessions, and has no reason to
				}
				for _, v := range list {
					v.backend, _ = v.ask(t, d.url("web"))
				}
			}
			wantKept(t, "after a restart", d.url("web"), list)
		})
	}
}

// allUp waits until so many backends of the only pool are up.
func (d *daemon) allUp(n int) {
	d.t.Helper()
	eventually(d.t, "all backends are up", func() bool { return d.status().Pools[0].Up == n })
}

// TestSessionKeysRotate changes the keys of session cookies as the documentation says: a new one that
// verifies, then signs, then the old one goes. No session ends, and each cookie is issued again once.
func TestSessionKeysRotate(t *testing.T) {
	t.Parallel()
	b := backends(t, 3)
	text := func(keys ...string) string {
		return fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { session_persistence: { type: http_cookie, cookie: { keys: ["%s"] } }, backends: %s } }
`, strings.Join(keys, `", "`), listed(b...))
	}
	d := start(t, text(keyOne))
	d.allUp(3)
	list := visitors(t, d.url("web"), 3)
	for _, step := range []struct {
		name string
		keys []string
		set  bool
	}{
		{"another key verifies", []string{keyOne, keyTwo}, false},
		{"it signs", []string{keyTwo, keyOne}, true},
		{"the first one is gone", []string{keyTwo}, false},
	} {
		d.reload(text(step.keys...))
		for _, v := range list {
			if got, set := v.ask(t, d.url("web")); got != v.backend || set != step.set {
				t.Errorf("%s: went to %s with a new cookie: %v; want %s, %v", step.name, got, set, v.backend, step.set)
			}
		}
		wantKept(t, step.name, d.url("web"), list)
	}
	// On another machine with the same key the sessions are the same.
	d = start(t, text(keyTwo))
	d.allUp(3)
	wantKept(t, "on another machine", d.url("web"), list)
}
