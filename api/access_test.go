package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"weir/telemetry"
)

// TestAccess holds every kind of caller against every kind of request.
func TestAccess(t *testing.T) {
	const change, body = "/v1/pools/web/backends/b1/override", `{"weight":2}`
	bearer := func(token string) string { return "Authorization: Bearer " + token }
	tests := []struct {
		name   string
		access Access
		fields []string
		// The statuses of a read, of /livez, of a write.
		read, live, write int
		hint              string // in the problem of the write
	}{
		{"no credentials", Access{}, nil, 200, 200, 403, "set admin.credentials"},
		{"no credentials, one shown", Access{}, []string{bearer(adminToken)}, 401, 200, 401, "admin.credentials"},
		{"none shown", Access{Credentials: credentials()}, nil, 401, 200, 401, "Bearer TOKEN"},
		{"unknown", Access{Credentials: credentials()}, []string{bearer("somebody-else-0123")}, 401, 200, 401, "admin.credentials"},
		{"beginning of a token", Access{Credentials: credentials()}, []string{bearer(adminToken[:15])}, 401, 200, 401, ""},
		{"empty token", Access{Credentials: credentials()}, []string{"X-Auth-Token: "}, 401, 200, 401, ""},
		{"other scheme", Access{Credentials: credentials()}, []string{"Authorization: Basic " + adminToken}, 401, 200, 401, ""},
		{"other scheme beside a token", Access{Credentials: credentials()}, []string{"Authorization: Basic x", "X-Auth-Token: " + adminToken}, 401, 200, 401, ""},
		{"admin", Access{Credentials: credentials()}, []string{bearer(adminToken)}, 200, 200, 200, ""},
		{"scheme in capitals", Access{Credentials: credentials()}, []string{"Authorization: BEARER " + adminToken}, 200, 200, 200, ""},
		{"X-Auth-Token", Access{Credentials: credentials()}, []string{"X-Auth-Token: " + adminToken}, 200, 200, 200, ""},
		{"reader", Access{Credentials: credentials()}, []string{bearer(readToken)}, 200, 200, 403, "role is admin"},
		{"insecure", Access{Insecure: true}, nil, 200, 200, 200, ""},
		{"insecure, any credential", Access{Insecure: true}, []string{bearer("whatever")}, 200, 200, 200, ""},
		{"insecure, a reader", Access{Insecure: true, Credentials: credentials()}, []string{bearer(readToken)}, 200, 200, 200, ""},
		{"other name", Access{Insecure: true}, []string{"Host: evil.example"}, 403, 403, 403, "DNS rebinding"},
		{"page of another site", Access{Insecure: true}, []string{"Sec-Fetch-Site: cross-site"}, 200, 200, 403, "page of this address"},
		{"page of another port", Access{Credentials: credentials()}, []string{bearer(adminToken), "Origin: http://127.0.0.1:1"}, 200, 200, 403, "page of this address"},
		{"page of this address", Access{Insecure: true}, []string{"Sec-Fetch-Site: same-origin"}, 200, 200, 200, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newRig(t, func(o *Options) { o.Access = func() Access { return tt.access } })
			for path, want := range map[string]int{"/v1/status": tt.read, "/livez": tt.live, "/v1/config": tt.read, "/nothing": notFoundIf(tt.read)} {
				if got := g.tcp("GET", path, "", tt.fields...); got.status != want {
					t.Errorf("GET %s: got %d, want %d: %s", path, got.status, want, got.body)
				}
			}
			a := g.tcp("PUT", change, body, tt.fields...)
			if a.status != tt.write {
				t.Fatalf("PUT: got %d, want %d: %s", a.status, tt.write, a.body)
			}
			if tt.write == 200 {
				return
			}
			if p := a.problem(t); !strings.Contains(p.Hint, tt.hint) {
				t.Errorf("hint: got %q, want it to contain %q", p.Hint, tt.hint)
			}
			challenge := a.header.Get("WWW-Authenticate")
			if (tt.write == 401) != strings.HasPrefix(challenge, `Bearer realm="weir"`) {
				t.Errorf("WWW-Authenticate: got %q with %d", challenge, tt.write)
			}
			if n := len(g.store.Current().Overrides); n != 0 {
				t.Errorf("%d overrides after a write that was refused", n)
			}
			if len(g.refused) == 0 {
				t.Error("the refusal is not counted")
			}
		})
	}
}

// notFoundIf is the status of a path that is not there: only who may read is told.
func notFoundIf(read int) int {
	if read == 200 {
		return 404
	}
	return read
}

// TestAccessOnSocket: the socket asks for nothing.
func TestAccessOnSocket(t *testing.T) {
	g := newRig(t, func(o *Options) { o.Access = func() Access { return Access{Credentials: credentials()} } })
	g.do("GET", "/v1/status", "", "Host: evil.example").must(t, 200)
	g.do("PUT", "/v1/pools/web/backends/b1/override", `{"weight":2}`, "Sec-Fetch-Site: cross-site", "Authorization: Bearer wrong").must(t, 200)
}

// TestAccessFollowsReload: what Access says is in force at once.
func TestAccessFollowsReload(t *testing.T) {
	access := Access{Credentials: credentials()}
	g := newRig(t, func(o *Options) { o.Access = func() Access { return access } })
	g.tcp("GET", "/v1/status", "", "X-Auth-Token: "+readToken).must(t, 200)
	access.Credentials = credentials()[:1]
	g.tcp("GET", "/v1/status", "", "X-Auth-Token: "+readToken).must(t, 401)
}

func TestRefusalsAreCounted(t *testing.T) {
	g := newRig(t, func(o *Options) { o.Access = func() Access { return Access{Credentials: credentials()} } })
	g.tcp("GET", "/v1/status", "").must(t, 401)
	g.tcp("POST", "/v1/reload", "", "X-Auth-Token: "+readToken).must(t, 403)
	g.tcp("GET", "/v1/status", "", "Host: a.example").must(t, 403)
	g.tcp("POST", "/v1/reload", "", "X-Auth-Token: "+adminToken, "Sec-Fetch-Site: cross-site").must(t, 403)
	for reason, want := range map[telemetry.AdminRefusal]int{telemetry.RefusedCredential: 1, telemetry.RefusedRole: 1, telemetry.RefusedHost: 1, telemetry.RefusedOrigin: 1} {
		if g.refused[reason] != want {
			t.Errorf("reason %d: got %d, want %d", reason, g.refused[reason], want)
		}
	}
}

// TestRefusalsAreLoggedSeldom: a line a minute for each address, which says how many it stands for.
func TestRefusalsAreLoggedSeldom(t *testing.T) {
	f := &refusals{}
	at := born
	for i := range 5 {
		if _, ok := f.due(addr(1), at); ok != (i == 0) {
			t.Errorf("request %d: line %v", i, ok)
		}
	}
	if _, ok := f.due(addr(2), at); !ok {
		t.Error("another address has no line")
	}
	silent, ok := f.due(addr(1), at.Add(refusalEvery))
	if !ok || silent != 4 {
		t.Errorf("after a minute: got %d, %v, want 4, true", silent, ok)
	}
	for i := range 3 * maxRefused {
		f.due(addr(i), at)
	}
	if len(f.seen) > maxRefused {
		t.Errorf("%d addresses are remembered, want at most %d", len(f.seen), maxRefused)
	}
	if _, ok := f.due(addr(5*maxRefused), at.Add(2*refusalEvery)); !ok {
		t.Error("no line after those before are forgotten")
	}
}

// TestActor: who changes something is known.
func TestActor(t *testing.T) {
	var actors []string
	g := newRig(t, func(o *Options) {
		o.Access = func() Access { return Access{Credentials: credentials()} }
		o.Metrics = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { actors = append(actors, Actor(r.Context())) })
	})
	g.do("GET", "/metrics", "")
	g.tcp("GET", "/metrics", "", "X-Auth-Token: "+readToken)
	g.tcp("GET", "/metrics", "")
	if got, want := fmt.Sprint(actors), fmt.Sprintf("[uid %d scraper anybody]", uid()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A change of a path with .. or // in it is not redirected to another one: the backend that is not there would
// be its pool.
func TestChangesAreNotRedirected(t *testing.T) {
	g := newRig(t, nil)
	g.do("PUT", "/v1/pools/api", aPool).must(t, 201)
	for _, path := range []string{"/v1/pools/api/backends/..", "/v1/pools/x/../api", "/v1//pools/api", "/v1/pools/./api"} {
		g.do("DELETE", path, "").must(t, 404)
		g.do("PUT", path, aPool).must(t, 404)
	}
	g.do("PUT", "/v1/pools/%2e%2e", aPool).must(t, 422)
	g.do("GET", "/v1/pools/api", "").must(t, 200)
	g.do("GET", "/v1/pools", "").must(t, 200)
}
