package proxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/internal/lbtest"
)

// algorithmsSite has a route to a pool for each algorithm, with the same two named backends.
func algorithmsSite(t *testing.T) string {
	var routes, pools strings.Builder
	for _, a := range []string{"weighted_round_robin", "least_connections", "source_ip", "2_tuple_hash", "3_tuple_hash", "5_tuple_hash"} {
		fmt.Fprintf(&routes, "      - { path_prefix: /%s, pool: p_%s }\n", a, a)
		fmt.Fprintf(&pools, "  p_%s: { algorithm: %s, health_check: none, backends: { b1: { address: \"%s\", weight: 2 }, b2: { address: \"%s\" }, b3: { address: \"%s\" } } }\n",
			a, a, named(t, "b1", "").Addr(), named(t, "b2", "").Addr(), named(t, "b3", "").Addr())
	}
	return "listeners:\n  web:\n    protocol: http\n    address: 127.0.0.1:0\n    forwarded: { trust: [127.0.0.0/8] }\n    routes:\n" +
		"      - { path: /old, redirect: { to: /new, status: 308 } }\n      - { host: gone.example, respond: { status: 410 } }\n" +
		routes.String() + "pools:\n" + pools.String()
}

// What is explained of a request is what becomes of it.
func TestExplainAgreesWithRequests(t *testing.T) {
	r := start(t, algorithmsSite(t))
	random := rand.New(rand.NewPCG(1, 2))
	c := r.dial()
	local, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 400 {
		path := []string{"/weighted_round_robin/x", "/least_connections", "/source_ip?x=1", "/2_tuple_hash", "/3_tuple_hash/%61", "/5_tuple_hash", "/old", "/new", "/source_ip/..%2f"}[random.IntN(9)]
		host := []string{"a.example", "gone.example"}[random.IntN(9)/8]
		from := fmt.Sprintf("10.0.%d.%d", random.IntN(4), random.IntN(256))
		e, err := r.s.Explain(Query{Client: local, Path: path, Host: host, Headers: []config.Header{{Name: "X-Forwarded-For", Value: from}}})
		if err != nil {
			t.Fatal(err)
		}
		c.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nX-Forwarded-For: %s\r\n\r\n", path, host, from))
		a := c.receive("GET")
		seen[string(e.Outcome)+e.Routes.Pool] = true
		switch e.Outcome {
		case ToBackend:
			if a.StatusCode != 200 || a.body != e.Pick.Pick.Name() || e.Client.String() != from {
				t.Fatalf("%s of %s: got %d from %q; explained: %s", path, from, a.StatusCode, a.body, e.Result)
			}
		case Answered:
			if !strings.Contains(e.Result, fmt.Sprint(a.StatusCode)) {
				t.Fatalf("%s: got %d; explained: %s", path, a.StatusCode, e.Result)
			}
		default:
			if a.StatusCode != 400 && a.StatusCode != 421 {
				t.Fatalf("%s: got %d; explained: %s", path, a.StatusCode, e.Result)
			}
		}
		if a.Close {
			c = r.dial()
			local = netip.MustParseAddrPort(c.LocalAddr().String())
		}
	}
	if len(seen) != 8 {
		t.Errorf("seen: %v", seen)
	}
}

// A session is found, is not used by that, and is said to be lost when its backend goes.
func TestExplainSessions(t *testing.T) {
	_, addrs := three(t, "")
	r := start(t, site("", httpCookie, addrs...))
	first := r.dial().askWith("")
	q := Query{Headers: []config.Header{{Name: "Cookie", Value: issued(first)}}}
	e, err := r.s.Explain(q)
	if err != nil || !e.Session.Used || e.Session.Backend.Name() != first.body || !strings.Contains(e.Result, "because of its session") {
		t.Fatalf("got %+v, %v", e.Session, err)
	}
	q.If = []Supposition{{"app", balancer.Supposition{Backend: first.body, State: config.Drain}}}
	if e, err = r.s.Explain(q); err != nil || e.If.Changes || !e.If.Session || !strings.Contains(e.If.Result, "would stay") {
		t.Errorf("drain: got %+v, %v", e.If, err)
	}
	q.If[0].State, q.If[0].Down = "", true
	if e, err = r.s.Explain(q); err != nil || !e.If.Changes || e.If.Session {
		t.Errorf("down: got %+v, %v", e.If, err)
	}
	q = Query{Headers: []config.Header{{Name: "Cookie", Value: "WEIR=nonsense"}}}
	if e, err = r.s.Explain(q); err != nil || e.Session.Used || !strings.Contains(e.Session.Why, "malformed") {
		t.Errorf("a bad cookie: got %+v, %v", e.Session, err)
	}
}

// Layer 4 is explained by its own rules.
func TestExplainStreams(t *testing.T) {
	r := start(t, fmt.Sprintf(`
listeners:
  pg: { protocol: tcp, address: 127.0.0.1:0, pool: db, deny: [10.0.0.0/8], limits: { max_connections: 50 } }
  dns: { protocol: udp, address: 127.0.0.1:0, pool: names }
pools:
  db: { protocol: tcp, algorithm: 5_tuple_hash, health_check: none, session_persistence: { type: source_ip }, backends: ["%s", "%s"] }
  names: { protocol: udp, algorithm: 5_tuple_hash, backends: ["%s", "%s", "%s"] }
`, lbtest.NewTCP(t, lbtest.Script(1, "b1")).Addr(), lbtest.NewTCP(t, lbtest.Script(1, "b2")).Addr(),
		udpOrigin(t, "1"), udpOrigin(t, "2"), udpOrigin(t, "3")))

	for range 12 {
		c := udpClient(t, r.addr("dns"))
		e, err := r.s.Explain(Query{Listener: "dns", Client: netip.MustParseAddrPort(c.LocalAddr().String())})
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprint(indexOf(r, "names", e.Pick.Pick) + 1)
		if got := question(t, c); got != want {
			t.Errorf("%s got %q; explained: %s", c.LocalAddr(), got, e.Result)
		}
	}
	e, err := r.s.Explain(Query{Listener: "pg", Client: netip.MustParseAddrPort("10.1.2.3:4")})
	if err != nil || e.Outcome != Refused || e.Admitted || e.Admission != "10.1.2.3 is in 10.0.0.0/8 of deny" || e.Pick != nil {
		t.Errorf("denied: got %s, %q, %v", e.Outcome, e.Admission, err)
	}
	c, err := net.Dial("tcp", r.addr("pg"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	e, err = r.s.Explain(Query{Destination: netip.MustParseAddrPort(r.addr("pg")), Client: netip.MustParseAddrPort("127.0.0.1:9")})
	if err != nil || !e.Session.Used || e.Listener.Name != "pg" || len(e.Limits) != 1 || e.Limits[0] != "max_connections: 50, of which 1 are taken" {
		t.Errorf("had a session: got %s, %q, %v", e.Result, e.Limits, err)
	}
}

func indexOf(r *rig, pool string, b *balancer.Backend) int {
	for _, p := range r.s.Pools() {
		for i, m := range p.Balancer.Snapshot().Members() {
			if p.Config.Name == pool && m.Backend == b {
				return i
			}
		}
	}
	return -1
}

const explained = `
listeners:
  web: { protocol: http, address: ":8080", pool: app, allow: [10.0.0.0/8, 127.0.0.0/8], limits: { max_target: 256 } }
  api: { protocol: http, address: "127.0.0.1:8081", routes: [{ host: a.example, pool: hashed }] }
  any: { protocol: tcp, address: ":8082", pool: tuple, accept_proxy_protocol: { from: [10.9.0.0/16] } }
  dns: { protocol: udp, address: ":8081", pool: names }
pools:
  app: { backends: { b1: { address: "10.0.0.1:80" }, b2: { address: "10.0.0.2:80", state: drain }, b3: { address: "10.0.0.3:80", backup: true } } }
  hashed: { algorithm: source_ip, session_persistence: { type: http_cookie }, backends: ["10.0.1.1:80", "10.0.1.2:80"] }
  tuple: { protocol: tcp, algorithm: 5_tuple_hash, backends: ["10.0.2.1:80"] }
  names: { protocol: udp, backends: ["10.0.3.1:53"] }
`

// A configuration alone can be asked as well.
func TestExplainConfig(t *testing.T) {
	c := load(t, explained)
	at := netip.MustParseAddrPort
	tests := []struct {
		name    string
		q       Query
		outcome Outcome
		result  string
	}{
		{"pick", Query{Listener: "web"}, ToBackend, "app/b1 at 10.0.0.1:80: its turn is next"},
		{"by port", Query{Destination: at("0.0.0.0:8080")}, ToBackend, "app/b1"},
		{"by protocol", Query{Protocol: "udp"}, ToBackend, "names/"},
		{"by port and protocol", Query{Destination: at("0.0.0.0:8081"), Protocol: "udp"}, ToBackend, "names/"},
		{"by address", Query{Destination: at("127.0.0.1:8081"), Host: "a.example"}, ToBackend, "owns the key"},
		{"not allowed", Query{Listener: "web", Client: at("192.0.2.1:1")}, Refused, "192.0.2.1 is in no network of allow"},
		{"no route", Query{Listener: "api"}, Refused, "no route takes the flow"},
		{"bad request", Query{Listener: "web", Path: "/" + strings.Repeat("x", 300)}, Refused, "answered 414"},
		{"proxy", Query{Listener: "any", Client: at("10.9.0.1:1"), Destination: at("10.0.0.9:8082")}, ToBackend, "tuple/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := ExplainConfig(c, tt.q)
			if err != nil || e.Outcome != tt.outcome || !strings.Contains(e.Result, tt.result) || !e.Offline {
				t.Errorf("got %s, %q, %v", e.Outcome, e.Result, err)
			}
			if strings.Contains(e.ClientWhy, "PROXY") != (tt.name == "proxy") {
				t.Errorf("client: %q", e.ClientWhy)
			}
		})
	}
	bad := []struct {
		name string
		q    Query
		want string
	}{
		{"which listener", Query{}, "name one listener (listeners: any, api, dns, web)"},
		{"no such listener", Query{Listener: "wbe"}, `there is no listener "wbe" (listeners: any, api, dns, web)`},
		{"nobody there", Query{Destination: at("0.0.0.0:9")}, "no listener is on port 9"},
		{"no such protocol there", Query{Destination: at("10.0.0.1:8080"), Protocol: "tcp"}, "no tcp listener is on 10.0.0.1:8080"},
		{"destination", Query{Listener: "any"}, "name it as the destination"},
		{"line break", Query{Listener: "web", Host: "a\r\nb"}, "line break"},
		{"line break in a field", Query{Listener: "web", Headers: []config.Header{{Name: "A", Value: "b\nc"}}}, "line break"},
		{"pool", Query{Listener: "web", If: []Supposition{{"ap", balancer.Supposition{Backend: "b1"}}}}, `there is no pool "ap" (pools: app, hashed, names, tuple)`},
		{"backend", Query{Listener: "web", If: []Supposition{{"app", balancer.Supposition{Backend: "b9"}}}}, `there is no backend "b9" in pool app (backends: b1, b2, b3)`},
	}
	for _, tt := range bad {
		if _, err := ExplainConfig(c, tt.q); !errors.Is(err, ErrQuery) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestExplainIf(t *testing.T) {
	c := load(t, explained)
	down := func(pool string, names ...string) (list []Supposition) {
		for _, name := range names {
			list = append(list, Supposition{pool, balancer.Supposition{Backend: name, Down: true}})
		}
		return list
	}
	tests := []struct {
		name    string
		list    []Supposition
		changes bool
		result  string
	}{
		{"backup takes over", down("app", "b1"), true, "the flow would go to app/b3 at 10.0.0.3:80; 100.0 % of all keys or turns of the pool would move"},
		{"draining takes over", down("app", "b1", "b3"), true, "would go to app/b2"},
		{"nobody", down("app", "b1", "b2", "b3"), true, "would get no backend: no backend is up"},
		{"not concerned", down("app", "b2"), false, "all the same; 0.0 %"},
		{"another pool", down("hashed", "10.0.1.1:80"), false, "does not come to that pool"},
	}
	for _, tt := range tests {
		e, err := ExplainConfig(c, Query{Listener: "web", If: tt.list})
		if err != nil || e.If.Changes != tt.changes || !strings.Contains(e.If.Result, tt.result) {
			t.Errorf("%s: got %+v, %v", tt.name, e.If, err)
		}
	}
}
