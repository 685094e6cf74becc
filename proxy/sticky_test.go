package proxy

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/internal/lbtest"
)

// named answers with its name and with extra fields.
func named(t *testing.T, name, fields string) *origin {
	return answering(t, fmt.Sprintf("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(name), name))
}

// three are backends that answer with their names b1, b2, b3.
func three(t *testing.T, fields string) (list []*origin, addrs []fmt.Stringer) {
	for i := range 3 {
		o := named(t, fmt.Sprintf("b%d", i+1), fields)
		list, addrs = append(list, o), append(addrs, o.Addr())
	}
	return list, addrs
}

// askWith sends a GET with that Cookie line, if it is not empty.
func (c *client) askWith(cookie string) answer {
	c.t.Helper()
	line := ""
	if cookie != "" {
		line = "Cookie: " + cookie + "\r\n"
	}
	c.send("GET / HTTP/1.1\r\nHost: shop.example\r\n" + line + "\r\n")
	return c.want("GET", 200, "")
}

// issued is the name=value of our cookie in a response, empty if it sets none.
func issued(a answer) string {
	for _, c := range a.Cookies() {
		if c.Name == "WEIR" {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}

const httpCookie = "session_persistence: { type: http_cookie, cookie: { keys: [\"" +
	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"] } }"

func TestOwnCookieKeepsTheBackend(t *testing.T) {
	origins, addrs := three(t, "Cache-Control: public, max-age=60\r\n")
	r := start(t, site("", httpCookie, addrs...))
	c := r.dial()
	first := c.askWith("")
	cookie := issued(first)
	if cookie == "" {
		t.Fatalf("no cookie in %v", first.Header)
	}
	if got := first.Header.Values("Cache-Control"); len(got) != 1 || got[0] != "private, max-age=60" {
		t.Errorf("Cache-Control is %q", got)
	}
	if set := first.Header.Get("Set-Cookie"); !strings.Contains(set, "HttpOnly") || strings.Contains(set, "Secure") ||
		!strings.Contains(set, "SameSite=Lax") || strings.Contains(set, addrs[0].String()) {
		t.Errorf("Set-Cookie is %q", set)
	}
	for range 6 {
		a := r.dial().askWith("lang=en; " + cookie + "; theme=dark")
		if a.body != first.body {
			t.Fatalf("went to %s, the session is on %s", a.body, first.body)
		}
		if issued(a) != "" || a.Header.Get("Cache-Control") != "public, max-age=60" {
			t.Errorf("issued again: %v", a.Header)
		}
	}
	for _, o := range origins {
		if o.requests() == 0 {
			continue
		}
		if got := o.last(); strings.Contains(got, "WEIR") || !strings.Contains(got, "lang=en") || !strings.Contains(got, "theme=dark") {
			t.Errorf("the backend got %q", got)
		}
	}
	r.dial().askWith(cookie)
	for _, o := range origins {
		if o.requests() > 0 && strings.Contains(o.last(), "Cookie") {
			t.Errorf("the backend got an empty Cookie line: %q", o.last())
		}
	}
}

func TestOwnCookieOfOthersIsNotBelieved(t *testing.T) {
	_, addrs := three(t, "")
	r := start(t, site("", httpCookie, addrs...))
	cookie := issued(r.dial().askWith(""))
	forged := cookie[:len(cookie)-1] + "A"
	if forged == cookie {
		forged = cookie[:len(cookie)-1] + "B"
	}
	seen := map[string]bool{}
	for range 3 {
		a := r.dial().askWith(forged)
		seen[a.body] = true
		if issued(a) == "" {
			t.Error("a forged cookie was not replaced")
		}
	}
	if len(seen) != 3 {
		t.Errorf("a forged cookie led to %v, want the rotation", seen)
	}
}

// Others may put cookies of our name in front of ours; the first that is good counts.
func TestOwnCookieBehindAForgedOne(t *testing.T) {
	origins, addrs := three(t, "")
	r := start(t, site("", httpCookie, addrs...))
	first := r.dial().askWith("")
	cookie := issued(first)
	for range 6 {
		for _, line := range []string{"WEIR=bad; " + cookie, "a=1\r\nCookie: WEIR=" + strings.Repeat("A", 52) + "; WEIR\r\nCookie: " + cookie} {
			if a := r.dial().askWith(line); a.body != first.body || issued(a) != "" {
				t.Fatalf("%q: went to %s with %q, the session is on %s", line, a.body, issued(a), first.body)
			}
		}
	}
	for _, o := range origins {
		if strings.Contains(o.last(), "WEIR") {
			t.Errorf("a backend got %q", o.last())
		}
	}
}

// What a backend sets under the name of our cookie would take its place.
func TestBackendsCannotSetOurCookie(t *testing.T) {
	const set = "Set-Cookie: a=1\r\nSet-Cookie: WEIR=evil; Path=/\r\nset-cookie: =WEIR=evil\r\nSET-COOKIE: WEIR\r\nSet-Cookie: WEIRD=2\r\n"
	o := answering(t, "HTTP/1.1 103 Early Hints\r\n"+set+"\r\nHTTP/1.1 200 OK\r\n"+set+"Content-Length: 2\r\n\r\nok")
	r := start(t, site("", httpCookie, o.Addr()))
	ask := func(cookie string) (head string) {
		c := r.dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: " + cookie + "\r\n\r\n")
		b, err := io.ReadAll(c.r)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	_, after, _ := strings.Cut(ask("x=y"), "WEIR=")
	value, _, _ := strings.Cut(after, ";")
	for i, cookie := range []string{"x=y", "b=1", "WEIR=" + value} {
		got := ask(cookie)
		ours := strings.Count(got, "WEIR=")
		if strings.Count(got, "a=1") != 2 || strings.Count(got, "WEIRD=2") != 2 || strings.Contains(got, "evil") ||
			strings.Contains(got, ": WEIR\r\n") || (i < 2) != (ours == 1) || ours > 1 {
			t.Errorf("with cookie %q the client got %q", cookie, got)
		}
	}
	if n := r.logs.FilterMessageSnippet("sets a cookie of the name").Len(); n != 1 {
		t.Errorf("the log tells of it %d times, want once", n)
	}
	// In a pool without cookies of ours it is a cookie like any other.
	r = start(t, site("", "", o.Addr()))
	if got := ask("x=y"); strings.Count(got, "WEIR=evil") != 4 {
		t.Errorf("without persistence the client got %q", got)
	}
}

// secure: auto says Secure where the client has come over TLS, and only there.
func TestOwnCookieOverTLSIsSecure(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	_, addrs := three(t, "")
	for secure, want := range map[string]bool{"auto": true, "never": false, "always": true} {
		r := start(t, secureSite(cert, "", strings.Replace(httpCookie, "cookie: {", "cookie: { secure: "+secure+",", 1), addrs...))
		c := r.dialTLS(trusting(t, cert))
		c.ask(getShop)
		a := c.want("GET", 200, "b")
		if set := a.Header.Get("Set-Cookie"); issued(a) == "" || strings.Contains(set, "; Secure") != want {
			t.Errorf("secure: %s: Set-Cookie is %q, want Secure: %v", secure, set, want)
		}
	}
	r := start(t, site("", httpCookie, addrs...))
	if set := r.dial().askWith("").Header.Get("Set-Cookie"); strings.Contains(set, "Secure") {
		t.Errorf("over plain HTTP Set-Cookie is %q", set)
	}
}

// A session goes on while the keys rotate, and its cookie follows them.
func TestKeysRotate(t *testing.T) {
	key := func(digits ...string) (list string) {
		for _, d := range digits {
			list += ", \"" + strings.Repeat(d, 64) + "\""
		}
		return strings.TrimPrefix(list, ", ")
	}
	_, addrs := three(t, "")
	text := func(keys string) string {
		return site("", "session_persistence: { type: http_cookie, cookie: { keys: ["+keys+"] } }", addrs...)
	}
	r := start(t, text(key("1")))
	first := r.dial().askWith("")
	cookie := issued(first)
	r.apply(load(t, text(key("1", "2"))))
	if a := r.dial().askWith(cookie); a.body != first.body || issued(a) != "" {
		t.Errorf("a second key: went to %s with %q, want %s and no new cookie", a.body, issued(a), first.body)
	}
	r.apply(load(t, text(key("2", "1"))))
	a := r.dial().askWith(cookie)
	next := issued(a)
	if a.body != first.body || next == "" {
		t.Errorf("another key signs: went to %s with %q, want %s and a new cookie", a.body, next, first.body)
	}
	r.apply(load(t, text(key("2"))))
	if a := r.dial().askWith(next); a.body != first.body || issued(a) != "" {
		t.Errorf("the first key is gone: went to %s with %q, want %s and no new cookie", a.body, issued(a), first.body)
	}
	if a := r.dial().askWith(cookie); issued(a) == "" {
		t.Error("a cookie of a key that is gone is believed")
	}
}

// A draining backend, or one without weight, keeps its sessions; one in maintenance does not.
func TestSessionsOfABackendThatLeaves(t *testing.T) {
	ready, drain, maintenance := config.Ready, config.Drain, config.Maintenance
	zero := 0
	_, addrs := three(t, "")
	r := start(t, site("", httpCookie, addrs...))
	first := r.dial().askWith("")
	cookie := issued(first)
	pool := r.s.Pools()[0].Balancer
	for _, tt := range []struct {
		name     string
		override balancer.Override
		stays    bool
	}{
		{"drain", balancer.Override{State: &drain}, true},
		{"weight 0", balancer.Override{State: &ready, Weight: &zero}, true},
		{"maintenance", balancer.Override{State: &maintenance}, false},
	} {
		if err := pool.SetAdmin(first.body, tt.override, r.b0(first.body).Since()); err != nil {
			t.Fatal(err)
		}
		a := r.dial().askWith(cookie)
		if (a.body == first.body) != tt.stays {
			t.Errorf("%s: went to %s, the session was on %s", tt.name, a.body, first.body)
		}
		if (issued(a) == "") != tt.stays {
			t.Errorf("%s: Set-Cookie is %q", tt.name, a.Header.Get("Set-Cookie"))
		}
		for range 6 {
			if b := r.dial().askWith("").body; b == first.body {
				t.Errorf("%s: a new client went there", tt.name)
			}
		}
	}
}

// b0 is a backend of the pool app, by its name.
func (r *rig) b0(name string) *balancer.Backend {
	r.t.Helper()
	return r.backend("app", name)
}

func TestSessionWithoutFallback(t *testing.T) {
	maintenance := config.Maintenance
	_, addrs := three(t, "")
	r := start(t, site("", strings.Replace(httpCookie, "type:", "fallback: fail, type:", 1), addrs...))
	first := r.dial().askWith("")
	cookie := issued(first)
	if err := r.s.Pools()[0].Balancer.SetAdmin(first.body, balancer.Override{State: &maintenance}, r.b0(first.body).Since()); err != nil {
		t.Fatal(err)
	}
	c := r.dial()
	c.send("GET / HTTP/1.1\r\nHost: shop.example\r\nCookie: " + cookie + "\r\n\r\n")
	c.want("GET", 503, "session")
}

// A good cookie whose backend was removed names a session that is lost, which is no new one.
func TestSessionOfARemovedBackend(t *testing.T) {
	_, addrs := three(t, "")
	text := site("", httpCookie, addrs...)
	r := start(t, text)
	first := r.dial().askWith("")
	cookie := issued(first)
	without := func(c *config.Config) {
		p := c.Pools["app"]
		p.Backends = slices.DeleteFunc(p.Backends, func(b *config.Backend) bool { return b.Name == first.body })
	}
	r.apply(load(t, text, without))
	if second := r.dial().askWith(cookie); second.body == first.body || issued(second) == "" {
		t.Errorf("went to %s with %q, want another backend and a new cookie", second.body, second.Header.Get("Set-Cookie"))
	}
	fail := strings.Replace(text, "type:", "fallback: fail, type:", 1)
	r.apply(load(t, fail, without))
	c := r.dial()
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: shop.example\r\nCookie: " + cookie + "\r\n\r\n")
		c.want("GET", 503, "session")
	}
	for _, other := range []string{"", cookie[:len(cookie)-1], "WEIR=x"} { // not ours, so not lost
		if a := r.dial().askWith(other); issued(a) == "" {
			t.Errorf("%q: no new session", other)
		}
	}
	r.apply(load(t, fail))
	if again := r.dial().askWith(cookie); again.body != first.body {
		t.Errorf("the backend is back, and the session went to %s", again.body)
	}
	r.wantOutcomes("ok 6 no_backend_up 2")
}

func TestOwnCookieSurvivesReloadsAndRestarts(t *testing.T) {
	_, addrs := three(t, "")
	text := site("", httpCookie, addrs...)
	r := start(t, text)
	first := r.dial().askWith("")
	cookie := issued(first)
	r.apply(load(t, strings.Replace(text, "pool: app", "pool: app\n    keepalive_requests: 9", 1)))
	if got := r.dial().askWith(cookie); got.body != first.body {
		t.Errorf("after a reload: %s, want %s", got.body, first.body)
	}
	other := start(t, text)
	if got := other.dial().askWith(cookie); got.body != first.body {
		t.Errorf("on another machine with the same key: %s, want %s", got.body, first.body)
	}
	random := start(t, site("", "session_persistence: { type: http_cookie }", addrs...))
	mine := random.dial().askWith("")
	random.apply(load(t, site("keepalive_requests: 9", "session_persistence: { type: http_cookie, timeout: 2h }", addrs...)))
	if got := random.dial().askWith(issued(mine)); got.body != mine.body {
		t.Errorf("with a random key, after a reload: %s, want %s", got.body, mine.body)
	}
}

func TestApplicationCookieIsLearned(t *testing.T) {
	var addrs []fmt.Stringer
	for i := range 3 {
		name := fmt.Sprintf("b%d", i+1)
		addrs = append(addrs, named(t, name, "Set-Cookie: JSESSIONID=of-"+name+"; Path=/\r\n").Addr())
	}
	r := start(t, site("", "session_persistence: { type: app_cookie, cookie: { name: JSESSIONID } }", addrs...))
	for range 3 {
		a := r.dial().askWith("")
		cookies := a.Cookies()
		if len(cookies) != 1 || cookies[0].Name != "JSESSIONID" {
			t.Fatalf("cookies are %v", cookies)
		}
		for range 3 {
			if got := r.dial().askWith("JSESSIONID=of-" + a.body); got.body != a.body {
				t.Fatalf("went to %s, the session is on %s", got.body, a.body)
			}
		}
	}
}

func TestSourceIPKeepsTheBackend(t *testing.T) {
	_, addrs := three(t, "")
	r := start(t, site("forwarded: { trust: [127.0.0.1] }", "session_persistence: { type: source_ip }", addrs...))
	ask := func(client string) string {
		c := r.dial()
		c.send("GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: " + client + "\r\n\r\n")
		return c.want("GET", 200, "").body
	}
	seen := map[string]bool{}
	for i := range 9 {
		client := fmt.Sprintf("192.0.2.%d", i)
		first := ask(client)
		seen[first] = true
		for range 3 {
			if got := ask(client); got != first {
				t.Fatalf("%s went to %s and to %s", client, first, got)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("nine clients went to %v, want all three", seen)
	}
}

// A session whose backend cannot be connected to goes to another, for good, with a cookie that says so.
func TestSessionMovesWhenItsBackendIsGone(t *testing.T) {
	_, addrs := three(t, "")
	r := start(t, site("", httpCookie, addrs...))
	first := r.dial().askWith("")
	cookie := issued(first)
	for i := range addrs {
		if first.body == fmt.Sprintf("b%d", i+1) {
			addrs[i] = lbtest.Refusing(t)
		}
	}
	r.apply(load(t, site("", httpCookie, addrs...)))
	second := r.dial().askWith(cookie)
	if second.body == first.body || issued(second) == "" {
		t.Fatalf("went to %s with %q", second.body, second.Header.Get("Set-Cookie"))
	}
	if third := r.dial().askWith(issued(second)); third.body != second.body {
		t.Errorf("then to %s, want %s", third.body, second.body)
	}
}

// Sessions that are kept here and not in a cookie of ours fail as those do, until their backend is back
// or their time is over.
func TestLostSessionsFail(t *testing.T) {
	tests := []struct{ name, persistence, fields string }{
		{"source_ip", "type: source_ip", ""},
		{"app_cookie", "type: app_cookie, cookie: { name: SID }", "SID=one"},
		{"any cookie", "type: app_cookie, cookie: { name: \"*\" }", "a=1; SID=one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, addrs := three(t, "Set-Cookie: SID=one\r\n")
			text := func(more string) string {
				return site("", "session_persistence: { "+tt.persistence+more+" }", addrs...)
			}
			r := start(t, text(", fallback: fail"))
			first := r.dial().askWith("").body
			without := func(c *config.Config) {
				p := c.Pools["app"]
				p.Backends = slices.DeleteFunc(p.Backends, func(b *config.Backend) bool { return b.Name == first })
			}
			ask := func(when string, status int) answer {
				t.Helper()
				c := r.dial()
				c.send("GET / HTTP/1.1\r\nHost: shop.example\r\nCookie: " + tt.fields + "\r\n\r\n")
				a := c.receive("GET")
				if a.StatusCode != status {
					t.Errorf("%s: got %d %q, want %d", when, a.StatusCode, a.body, status)
				}
				return a
			}
			if got := ask("before", 200); got.body != first {
				t.Fatalf("the session is not kept: %s and %s", first, got.body)
			}
			r.apply(load(t, text(", fallback: fail"), without))
			for range 3 {
				ask("without its backend", 503)
			}
			r.apply(load(t, text(", fallback: fail")))
			if got := ask("with its backend again", 200); got.body != first {
				t.Errorf("the session went to %s, want %s", got.body, first)
			}
			r.apply(load(t, text(", fallback: fail"), without))
			ask("without it again", 503)
			r.apply(load(t, text(""), without))
			if got := ask("rebalanced", 200); got.body == first {
				t.Error("a backend that is not there has answered")
			}
		})
	}
}

// TestFirstRequestsAgree: two first requests of a client that look for a backend at the same time go to the
// same, though another one is free.
func TestFirstRequestsAgree(t *testing.T) {
	origins := map[string]*gated{"b1": newGated(t, "b1"), "b2": newGated(t, "b2")}
	r := start(t, site("forwarded: { trust: [127.0.0.1] }", "session_persistence: { type: source_ip }", origins["b1"].Addr(), origins["b2"].Addr()),
		capacity(1, 10, time.Minute))
	busy := func(client string) *client {
		return r.begin("GET /busy HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: " + client + "\r\n\r\n")
	}
	busy("192.0.2.8")
	busy("192.0.2.9")
	for _, o := range origins {
		<-o.arrived
	}
	waiting := []*client{busy("192.0.2.1"), busy("192.0.2.1")}
	r.wantQueued(2)
	for _, o := range origins {
		o.let <- struct{}{}
	}
	var chosen *gated
	select {
	case <-origins["b1"].arrived:
		chosen = origins["b1"]
	case <-origins["b2"].arrived:
		chosen = origins["b2"]
	}
	r.wantQueued(1) // while the other backend is free
	chosen.let <- struct{}{}
	<-chosen.arrived
	chosen.let <- struct{}{}
	first, second := waiting[0].want("GET", 200, "").body, waiting[1].want("GET", 200, "").body
	if first != second {
		t.Errorf("first requests of a client went to %s and %s", first, second)
	}
}
