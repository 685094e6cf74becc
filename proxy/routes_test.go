package proxy

import (
	"fmt"
	"strings"
	"testing"

	"weir/config"
)

// routed is a configuration with routes in front of the pools "app" (b1) and "other".
func routed(t *testing.T, listener, routes string) (*rig, *origin, *origin) {
	t.Helper()
	app, other := named(t, "app", "Server: secret\r\nX-Old: 1\r\n"), named(t, "other", "")
	text := site(listener+"\nroutes:\n"+routes, "", app.Addr())
	text += fmt.Sprintf("  other:\n    health_check: none\n    backends: { b1: { address: %q } }\n", other.Addr())
	return start(t, text), app, other
}

func (c *client) request(line string, fields ...string) {
	c.t.Helper()
	c.send(line + " HTTP/1.1\r\nHost: shop.example\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n")
}

func TestRoutesByEverything(t *testing.T) {
	r, _, _ := routed(t, "forwarded: { trust: [127.0.0.1] }", `  - { path_regex: "^/img/[0-9]+$", pool: other }
  - { headers: { X-Canary: "yes" }, pool: other }
  - { query: { beta: "1" }, pool: other }
  - { source: ["192.0.2.0/24"], pool: other }
  - { method: [DELETE], pool: other }`)
	c := r.dial()
	tests := []struct {
		line, field, want string
	}{
		{"GET /", "X-A: b", "app"},
		{"GET /img/42", "X-A: b", "other"},
		{"GET /img/x", "X-A: b", "app"},
		{"GET /", "x-canary: yes", "other"},
		{"GET /", "x-canary: no", "app"},
		{"GET /?a=b&beta=%31", "X-A: b", "other"},
		{"GET /?beta=2", "X-A: b", "app"},
		{"GET /", "X-Forwarded-For: 192.0.2.9", "other"},
		{"GET /", "X-Forwarded-For: 198.51.100.9", "app"},
		{"DELETE /", "X-A: b", "other"},
	}
	for _, tt := range tests {
		c.request(tt.line, tt.field)
		if got := c.receive("GET").body; got != tt.want {
			t.Errorf("%s, %s: went to %s, want %s", tt.line, tt.field, got, tt.want)
		}
	}
}

func TestRouteChangesRequestAndResponse(t *testing.T) {
	r, app, _ := routed(t, "", `  - path_prefix: /api
    pool: app
    strip_prefix: /api
    rewrite: "/v2{path}"
    request_headers: { set: { Host: inner.example, X-Tier: gold }, add: { X-Via: weir }, remove: [X-Secret] }
    response_headers: { set: { Server: weir }, remove: [X-Old], add: { X-New: "2" } }`)
	c := r.dial()
	c.request("GET /api/users?q=a%20b", "X-Secret: hidden", "X-Tier: iron")
	a := c.want("GET", 200, "app")
	got := app.last()
	for _, want := range []string{"GET /v2/users?q=a%20b HTTP/1.1\r\n", "Host: inner.example\r\n", "X-Tier: gold\r\n", "X-Via: weir\r\n", "X-Forwarded-Host: shop.example\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the backend got %q, without %q", got, want)
		}
	}
	if strings.Contains(got, "hidden") || strings.Contains(got, "iron") || strings.Count(got, "Host: ") != 2 {
		t.Errorf("the backend got %q", got)
	}
	if a.Header.Get("Server") != "weir" || a.Header.Get("X-Old") != "" || a.Header.Get("X-New") != "2" {
		t.Errorf("the client got %v", a.Header)
	}
	c.request("GET /other") // the default pool: no change
	if a := c.want("GET", 200, "app"); a.Header.Get("Server") != "secret" || a.Header.Get("X-Old") != "1" {
		t.Errorf("the client got %v", a.Header)
	}
}

// A field that a route sets or removes is there once, or not at all: weir does not add its own.
func TestRouteChangesFieldsOfOurs(t *testing.T) {
	backend := answering(t, "HTTP/1.1 200 OK\r\nDate: of the backend\r\nServer: secret\r\nX-Request-ID: theirs\r\nContent-Length: 2\r\n\r\nok")
	r := start(t, site(`request_id: true
routes:
  - { path: /set, pool: app, request_headers: { set: { X-Request-ID: mine } }, response_headers: { set: { Date: today, Server: weir, X-Request-ID: mine } } }
  - { path: /remove, pool: app, request_headers: { remove: [X-Request-ID] }, response_headers: { remove: [Date, Server, X-Request-ID] } }
  - { path: /answer, respond: { status: 200, body: ok }, response_headers: { set: { Date: today, Server: weir, X-Request-ID: mine, Content-Type: a/b } } }
  - { path: /bare, respond: { status: 200, body: ok }, response_headers: { remove: [Date, Server, X-Request-ID, Content-Type] } }`, "", backend.Addr()))
	c := r.dial()
	for _, tt := range []struct {
		path string
		want map[string]string
	}{
		{"/set", map[string]string{"Date": "today", "Server": "weir", "X-Request-Id": "mine"}},
		{"/remove", map[string]string{"Date": "", "Server": "", "X-Request-Id": ""}},
		{"/answer", map[string]string{"Date": "today", "Server": "weir", "X-Request-Id": "mine", "Content-Type": "a/b"}},
		{"/bare", map[string]string{"Date": "", "Server": "", "X-Request-Id": "", "Content-Type": ""}},
	} {
		c.request("GET "+tt.path, "X-Request-ID: theirs", "X_Request_ID: theirs")
		a := c.want("GET", 200, "ok")
		for name, want := range tt.want {
			if got := a.Header.Values(name); strings.Join(got, "|") != want || want == "" && len(got) > 0 {
				t.Errorf("%s: %s is %q, want %q", tt.path, name, got, want)
			}
		}
		head := strings.ToLower(backend.last())
		mine := strings.Count(head, "x-request-id: mine\r\n")
		if strings.Contains(head, "theirs") || tt.path == "/set" && mine != 1 || strings.Count(head, "request-id")+strings.Count(head, "request_id") != mine {
			t.Errorf("%s: the backend got %q", tt.path, head)
		}
	}
}

func TestRouteRedirects(t *testing.T) {
	r, app, _ := routed(t, "", `  - { path_prefix: /old, redirect: { to: "https://{host}/new{path}{query}", status: 308 }, response_headers: { set: { X-Why: moved } } }`)
	c := r.dial()
	c.request("GET /old/a?b=c")
	a := c.want("GET", 308, "")
	if got := a.Header.Get("Location"); got != "https://shop.example/new/old/a?b=c" || a.Header.Get("X-Why") != "moved" {
		t.Errorf("Location is %q, fields are %v", got, a.Header)
	}
	c.request("GET /") // the connection goes on
	c.want("GET", 200, "app")
	if got := app.requests(); got != 1 {
		t.Errorf("the backend got %d requests, want 1", got)
	}
	r.wantOutcomes("ok 2")
}

func TestRouteResponds(t *testing.T) {
	r, app, _ := routed(t, "", `  - { path: /robots.txt, respond: { status: 200, body: "User-agent: *", content_type: text/plain } }
  - { method: [TRACE], respond: { status: 405 } }
  - { path: /empty, respond: { status: 204 } }`)
	c := r.dial()
	c.request("GET /robots.txt")
	if a := c.want("GET", 200, "User-agent: *"); a.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("fields are %v", a.Header)
	}
	c.request("HEAD /robots.txt")
	if a := c.want("HEAD", 200, ""); a.ContentLength != int64(len("User-agent: *")) {
		t.Errorf("HEAD: Content-Length is %d", a.ContentLength)
	}
	c.request("TRACE /")
	c.want("TRACE", 405, "")
	c.request("GET /empty")
	if a := c.want("GET", 204, ""); a.Header.Get("Content-Length") != "" {
		t.Errorf("204 with %v", a.Header)
	}
	if got := app.requests(); got != 0 {
		t.Errorf("the backend got %d requests, want none", got)
	}
	// A body that is still to come is not read: the connection ends.
	c.send("POST /robots.txt HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000\r\n\r\n")
	c.want("POST", 200, "User-agent")
	c.wantEnd()
}

func TestRouteSplitsByClient(t *testing.T) {
	r, app, other := routed(t, "forwarded: { trust: [127.0.0.1] }", `  - { path_prefix: /, split: [{ pool: app, weight: 3 }, { pool: other, weight: 1 }] }`)
	c := r.dial()
	for i := range 200 {
		field := fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i)
		c.request("GET /", field)
		first := c.receive("GET").body
		c.request("GET /again", field)
		if again := c.receive("GET").body; again != first {
			t.Fatalf("client %d went to %s and then to %s", i, first, again)
		}
	}
	if a, o := app.requests(), other.requests(); a+o != 400 || o < 50 || o > 150 {
		t.Errorf("%d and %d requests, want 3 to 1", a, o)
	}
}

func TestNoRouteIsMisdirected(t *testing.T) {
	r, _, _ := routed(t, "", `  - { host: shop.example, pool: other }`)
	c := r.dial()
	c.request("GET /")
	c.want("GET", 200, "other")
	text := strings.Replace(site("routes:\n  - { host: shop.example, pool: app }", "", named(t, "app", "").Addr()), "pool: app\n    routes", "routes", 1)
	only := start(t, text, func(c *config.Config) {
		if c.Listeners["web"].Pool != "" {
			t.Fatal("there is a default pool")
		}
	})
	c = only.dial()
	c.send("GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
	c.want("GET", 421, "no route matches")
}

// TestRouteRefusesAmbiguousPaths: such a path is answered, and nothing else happens to the connection.
func TestRouteRefusesAmbiguousPaths(t *testing.T) {
	r, app, _ := routed(t, "", `  - { path_prefix: /admin, respond: { status: 403 } }
  - { path_prefix: /pub, strip_prefix: /pub, rewrite: "/x{path}", pool: app }`)
	c := r.dial()
	const differ, nul = "the path does not lead to the same in its plain and its folded form", "the path has an encoded NUL"
	for _, tt := range []struct {
		target string
		status int
		body   string
	}{
		{"/admin", 403, ""},
		{"//admin", 400, differ},
		{"/x/..%2fadmin", 400, differ},
		{"/pub/..;/admin", 400, differ},
		{`/pub/..\admin`, 400, differ},
		{"/admin%00", 400, nul},
		{"/x%00?y", 400, nul},
		{"/x?y=%00//..%2f", 200, "app"},
		{"/x/a%2Fb", 200, "app"},
	} {
		c.request("GET " + tt.target)
		if a := c.receive("GET"); a.StatusCode != tt.status || !strings.Contains(a.body, tt.body) {
			t.Errorf("%s: got %d %q, want %d %q", tt.target, a.StatusCode, a.body, tt.status, tt.body)
		}
	}
	if got := app.requests(); got != 2 {
		t.Errorf("the backend got %d requests, want 2", got)
	}
	if got := app.last(); !strings.HasPrefix(got, "GET /x/a%2Fb HTTP/1.1\r\n") {
		t.Errorf("the backend got %q, want the target as it came", got)
	}
	r.wantOutcomes("bad_request 6 ok 3")
}

// What a route removes or sets does not reach a backend under a name that many servers take for it.
func TestLookAlikesOfWhatARouteTakes(t *testing.T) {
	o := answering(t, ok200)
	c := start(t, site("routes: [{ path: /, pool: app, request_headers: { remove: [X-User, X_Odd], set: { X-Role: guest } } }]", "", o.Addr())).dial()
	c.send("GET / HTTP/1.1\r\nHost: h\r\nX-User: a\r\nx_user: b\r\nX.USER: c\r\nX_Role: root\r\nX-Role: root\r\nX_Odd: d\r\nX-Odd: kept\r\nX-Users: kept\r\n\r\n")
	c.want("GET", 200, "ok")
	got := strings.ToLower(o.last())
	for text, want := range map[string]int{"user:": 0, "root": 0, "role: guest": 1, "odd:": 1, "kept": 2} {
		if n := strings.Count(got, text); n != want {
			t.Errorf("the backend got %q %d times, want %d: %q", text, n, want, got)
		}
	}
}
