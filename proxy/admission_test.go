package proxy

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/lbtest"
)

func TestDeniedClients(t *testing.T) {
	for _, listener := range []string{"deny: [127.0.0.0/8]", "allow: [192.0.2.0/24]", "allow: [127.0.0.1]\ndeny: [127.0.0.1/32]"} {
		t.Run(listener, func(t *testing.T) {
			r := start(t, site(listener, "", answering(t, ok200).Addr()))
			r.dial().wantEnd() // without a word
			if got := r.stats.Listener("web").Counts().Rejected; got != 1 {
				t.Errorf("%d connections were rejected, want 1", got)
			}
		})
	}
}

// Behind a trusted proxy it is the client that counts, and only its request can say who that is.
func TestDeniedBehindAProxy(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("deny: [192.0.2.0/24, 127.0.0.0/8]\nforwarded: { trust: [127.0.0.1] }", "", o.Addr()))
	c := r.dial()
	ask := "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: %s\r\n\r\n"
	c.send(fmt.Sprintf(ask, "192.0.2.7"))
	c.want("GET", 403, "may not")
	c.send(fmt.Sprintf(ask, "198.51.100.7"))
	c.want("GET", 200, "ok")
	if got := o.requests(); got != 1 {
		t.Errorf("the backend got %d requests, want 1", got)
	}
	r.wantOutcomes("denied 1 ok 1")
}

func TestConnectionsOfOneClient(t *testing.T) {
	text := site("limits: { per_client_connections: 2 }", "", answering(t, ok200).Addr())
	r := start(t, text)
	first, second := r.dial(), r.dial()
	first.get("/", "ok")
	second.get("/", "ok")
	r.dial().want("GET", 503, "too many connections")
	second.Close()
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 1 })
	r.dial().get("/", "ok")
	// A reload counts those that are there, and knows the new limit.
	r.apply(load(t, strings.Replace(text, "per_client_connections: 2", "per_client_connections: 1", 1)))
	r.dial().want("GET", 503, "too many connections")
	first.get("/", "ok")
}

// TestPaceOfOthers: connections of a client beyond its share use up nothing of the pace
// at which others may come.
func TestPaceOfOthers(t *testing.T) {
	r := start(t, site("limits: { per_client_connections: 1, new_connections_per_second: 3 }", "", answering(t, ok200).Addr()))
	r.dial().get("/", "ok")
	for range 8 {
		r.dial().want("GET", 503, "too many connections")
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	c, err := d.Dial("tcp", r.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	other := &client{t, c.(*net.TCPConn), bufio.NewReader(c)}
	other.get("/", "ok")
}

func TestNewConnectionsPerSecond(t *testing.T) {
	r := start(t, site("limits: { new_connections_per_second: 3 }", "", answering(t, ok200).Addr()))
	for range 3 {
		r.dial().get("/", "ok")
	}
	r.dial().want("GET", 503, "too many connections")
}

func TestRateLimit(t *testing.T) {
	text := site("rate_limit: { key: client_ip, rate: 0.2, burst: 3 }", "", answering(t, ok200).Addr())
	r := start(t, text)
	c := r.dial()
	for range 3 {
		c.get("/", "ok")
	}
	limited := func() {
		t.Helper()
		c.send("GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n")
		a := c.want("GET", 429, "too many requests")
		if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || n < 4 || n > 5 {
			t.Errorf("Retry-After is %q, want 4 or 5 at one request in 5 s", a.Header.Get("Retry-After"))
		}
	}
	limited()
	r.apply(load(t, text)) // nobody gets a fresh burst
	limited()
	r.wantOutcomes("ok 3 rate_limited 2")
}

func TestMinimumBodyRate(t *testing.T) {
	t.Parallel() // it lasts as long as the grace and a window
	r := start(t, site("limits: { min_body_rate: 1000000 }", "", newOrigin(t, each(func(_, body string) string { return ok200 })).Addr()))
	c := r.dial()
	c.send("POST / HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 100000000\r\n\r\n")
	stop := make(chan struct{})
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if _, err := c.Write([]byte("x")); err != nil {
					return
				}
			}
		}
	}()
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c.want("POST", 408, "too slowly")
	close(stop)
	<-sent
	r.wantOutcomes("client_timeout 1")
}

// A client of IPv6 is its /64, whether it counts requests or connections.
func TestClientsOfIPv6AreNetworks(t *testing.T) {
	const trust = "forwarded: { trust: [127.0.0.1] }\n"
	c := start(t, site(trust+"rate_limit: { rate: 0.001, burst: 2 }", "", answering(t, ok200).Addr())).dial()
	for _, tt := range []struct {
		client string
		status int
	}{
		{"2001:db8:0:1::1", 200}, {"2001:db8:0:1:ffff::2", 200}, {"2001:db8:0:1:8000::3", 429},
		{"2001:db8:0:2::1", 200}, {"2001:db8:0:2::1", 200}, {"2001:db8:0:2::2", 429}, {"2001:db8:0:1::1", 429},
	} {
		c.send("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: " + tt.client + "\r\n\r\n")
		c.want("GET", tt.status, "")
	}
	r := start(t, site("accept_proxy_protocol: { from: [127.0.0.1] }\nlimits: { per_client_connections: 2 }", "", answering(t, ok200).Addr()))
	from := func(client string, status int) {
		t.Helper()
		c := r.dial()
		c.send("PROXY TCP6 " + client + " 2001:db8::80 4711 80\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
		c.want("GET", status, "")
	}
	from("2001:db8:0:1::1", 200)
	from("2001:db8:0:1:ffff::2", 200)
	from("2001:db8:0:1:8000::3", 503)
	from("2001:db8:0:2::1", 200)
}
