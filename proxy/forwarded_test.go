package proxy

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"weir/config"
	"weir/internal/lbtest"
)

// forwardedOf is what a backend got of the fields that say where a request comes from.
func forwardedOf(head string) http.Header {
	got := http.Header{}
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ": ")
		name = http.CanonicalHeaderKey(name)
		folded := strings.ReplaceAll(name, "_", "-")
		if strings.HasPrefix(folded, "X-Forwarded") || name == "Forwarded" || strings.EqualFold(folded, "X-Real-Ip") {
			got.Add(name, value)
		}
	}
	return got
}

func TestForwarded(t *testing.T) {
	const spoof = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\n"
	own := http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"shop.example"}}
	trusted := func(xff ...string) http.Header {
		h := http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil"}, "X-Forwarded-Port": {"1"},
			"Forwarded": {"for=6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"}}
		if len(xff) > 0 {
			h["X-Forwarded-For"] = xff
		}
		return h
	}
	without := func(h http.Header, name string) http.Header {
		h = h.Clone()
		h.Del(name)
		return h
	}
	const every = "fields: [X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port, X-Forwarded-For-Port, X-Forwarded-ELB-IP, X-Real-IP, Forwarded]"
	all := http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"shop.example"},
		"X-Forwarded-Port": {"PORT"}, "X-Forwarded-For-Port": {"MINE"}, "X-Forwarded-Elb-Ip": {"127.0.0.1"}, "X-Real-Ip": {"127.0.0.1"},
		"Forwarded": {"for=127.0.0.1;host=shop.example;proto=http"}}
	with := func(h http.Header, name, value string) http.Header {
		h = h.Clone()
		h.Set(name, value)
		return h
	}
	tests := []struct {
		name, forwarded, fields string
		want                    http.Header
	}{
		{"plain", "{}", "", own},
		{"stranger, append", "{ mode: append }", spoof, own},
		{"stranger, replace", "{ mode: replace }", spoof, own},
		{"stranger, preserve", "{ mode: preserve }", spoof, own},
		{"stranger, remove", "{ mode: remove }", spoof, own},
		{"another is trusted", "{ trust: [10.0.0.0/8] }", spoof, own},
		{"stranger names ours in Connection", "{}", "Connection: X-Forwarded-For, X-Forwarded-Proto, close\r\n", own},
		{"trusted, append", "{ trust: [127.0.0.0/8] }", spoof, trusted("6.6.6.6, 7.7.7.7, 127.0.0.1")},
		{"trusted, replace", "{ trust: [127.0.0.0/8], mode: replace }", spoof, without(trusted("127.0.0.1"), "Forwarded")},
		{"trusted, preserve", "{ trust: [127.0.0.0/8], mode: preserve }", spoof, trusted("6.6.6.6", "7.7.7.7")},
		{"trusted, remove", "{ trust: [127.0.0.0/8], mode: remove }", spoof, without(trusted(), "Forwarded")},
		{"every field", "{ " + every + " }", spoof, all},
		{"every field, remove", "{ mode: remove, " + every + " }", spoof, all},
		{"named, with ports", "{ by: address, ports: true, " + every + " }", spoof,
			with(all, "Forwarded", `for="127.0.0.1:MINE";by="127.0.0.1:PORT";host=shop.example;proto=http`)},
		{"no field", "{ fields: [] }", spoof, http.Header{}},
		{"every field, from a trusted proxy", "{ trust: [127.0.0.0/8], by: _edge, " + every + " }",
			"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", http.Header{
				"X-Forwarded-For": {"192.0.2.1, 127.0.0.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"shop.example"},
				"X-Forwarded-Elb-Ip": {"127.0.0.1"}, "X-Real-Ip": {"192.0.2.1"},
				"Forwarded": {"for=192.0.2.1;proto=https, for=127.0.0.1;by=_edge;host=shop.example;proto=http"}}},
		{"trusted, with empty elements", "{ trust: [127.0.0.0/8], fields: [X-Forwarded-For, Forwarded] }",
			"X-Forwarded-For: ,6.6.6.6,\r\nX-Forwarded-For: ,\r\nForwarded: for=6.6.6.6, ,\r\n",
			http.Header{"X-Forwarded-For": {"6.6.6.6, 127.0.0.1"}, "Forwarded": {"for=6.6.6.6, for=127.0.0.1;host=shop.example;proto=http"}}},
		{"trusted, nothing said", "{ trust: [127.0.0.0/8] }", "", own},
		{"trusted, named in Connection", "{ trust: [127.0.0.0/8] }",
			spoof + "Connection: X-Forwarded-Proto, X-Forwarded-For, Forwarded\r\n", trusted("6.6.6.6, 7.7.7.7, 127.0.0.1")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := answering(t, ok200)
			r := start(t, site("forwarded: "+tt.forwarded, "", o.Addr()))
			c := r.dial()
			c.send("GET / HTTP/1.1\r\nHost: shop.example\r\n" + tt.fields + "\r\n")
			c.want("GET", 200, "ok")
			got := forwardedOf(o.last())
			if len(got) != len(tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			_, port, _ := net.SplitHostPort(r.addr())
			_, mine, _ := net.SplitHostPort(c.LocalAddr().String())
			ports := strings.NewReplacer("PORT", port, "MINE", mine)
			for name, values := range tt.want {
				if want := ports.Replace(strings.Join(values, "|")); strings.Join(got[name], "|") != want {
					t.Errorf("%s: got %q, want %q", name, got[name], want)
				}
			}
		})
	}
}

// The client of a hash is the right-most address in X-Forwarded-For that is no proxy of ours, and
// only if the peer is one.
func TestSourceIPFollowsTrustedForwardedFor(t *testing.T) {
	names := []*lbtest.HTTP{lbtest.NewHTTP(t, "b1"), lbtest.NewHTTP(t, "b2"), lbtest.NewHTTP(t, "b3"), lbtest.NewHTTP(t, "b4")}
	text := site("forwarded: { trust: [127.0.0.0/8, 10.0.0.0/8] }", "algorithm: source_ip", names[0].Addr(), names[1].Addr(), names[2].Addr(), names[3].Addr())
	r := start(t, text)
	c := r.dial()
	ask := func(xff string) string {
		c.send("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: " + xff + "\r\n\r\n")
		return c.want("GET", 200, "b").body
	}
	seen := map[string]string{} // a client of each backend
	for i := range 200 {
		ip := "192.0.2." + string(rune('0'+i%10)) + string(rune('0'+i/10%10))
		ip = strings.Replace(ip, ".0", ".1", 1)
		seen[ask(ip)] = ip
	}
	if len(seen) != 4 {
		t.Fatalf("200 clients met %d backends, want 4", len(seen))
	}
	for b, ip := range seen {
		for _, xff := range []string{ip, "6.6.6.6, " + ip, "junk, " + ip + ", 10.1.2.3", ip + ":4711", "::ffff:" + ip, ip + ",", "6.6.6.6,, " + ip + " ,\t, 10.1.2.3 , ", ip + "\r\nX-Forwarded-For: ,", ip + "\r\nX-Forwarded-For:"} {
			if got := ask(xff); got != b {
				t.Errorf("X-Forwarded-For: %s went to %s, want %s as %s alone", xff, got, b, ip)
			}
		}
	}
	// From a stranger the field is not believed: all its requests are from one client.
	r = startWith(t, load(t, text, func(c *config.Config) { c.Listeners["web"].Forwarded.Trust = nil }), nil)
	c = r.dial()
	first := ask("192.0.2.1")
	for _, ip := range seen {
		if got := ask(ip); got != first {
			t.Errorf("a stranger chose its backend by X-Forwarded-For: %s and %s", got, first)
		}
	}
}

// The client is named by the field that the configuration says, and by no other.
func TestClientFrom(t *testing.T) {
	o := answering(t, ok200)
	const said = "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2, for=127.0.0.9\r\nX-Real-IP: 192.0.2.3\r\n"
	for from, want := range map[string]int{"X-Forwarded-For": 200, "Forwarded": 201, "X-Real-IP": 202} {
		text := site("forwarded: { trust: [127.0.0.0/8], client_from: "+from+" }\nroutes:\n"+
			"  - { source: [192.0.2.1], respond: { status: 200 } }\n  - { source: [192.0.2.2], respond: { status: 201 } }\n"+
			"  - { source: [192.0.2.3], respond: { status: 202 } }", "", o.Addr())
		c := start(t, text).dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\n" + said + "\r\n")
		c.want("GET", want, "")
	}
}

func TestVia(t *testing.T) {
	o := answering(t, "HTTP/1.1 200 OK\r\nVia: 1.0 cache\r\nContent-Length: 2\r\n\r\nok")
	old := answering(t, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
	for _, tt := range []struct {
		listener      string
		backend       *origin
		request, want []string // Via at the backend and at the client
	}{
		{"", o, []string{"1.1 fred"}, []string{"1.0 cache"}},
		{"via: edge", o, []string{"1.1 fred", "1.1 edge"}, []string{"1.0 cache", "1.1 edge"}},
		{"via: edge", old, []string{"1.1 fred", "1.1 edge"}, []string{"1.0 edge"}},
		{"via: edge\nroutes: [{ path: /, pool: app, request_headers: { remove: [via] }, response_headers: { set: { VIA: mine } } }]", o, nil, []string{"mine"}},
	} {
		c := start(t, site(tt.listener, "", tt.backend.Addr())).dial()
		c.send("GET / HTTP/1.1\r\nHost: h\r\nVia: 1.1 fred\r\n\r\n")
		a := c.want("GET", 200, "ok")
		var got []string
		for _, line := range strings.Split(tt.backend.last(), "\r\n") {
			if value, ok := strings.CutPrefix(line, "Via: "); ok {
				got = append(got, value)
			}
		}
		if !slices.Equal(got, tt.request) || !slices.Equal(a.Header.Values("Via"), tt.want) {
			t.Errorf("%q: the backend got %q, the client %q; want %q, %q", tt.listener, got, a.Header.Values("Via"), tt.request, tt.want)
		}
	}
}

// Fields that need not change arrive as they came, those of one connection do not.
func TestRequestHeadIsForwardedAsItCame(t *testing.T) {
	o := answering(t, "HTTP/1.1 200 Fine by me\r\nDATE: just now\r\nserver:  X\r\nSet-Cookie: a=1\r\nSET-COOKIE: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok")
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send("GET /a//b/../%7e?q=1;2&x=%zz HTTP/1.1\r\nuser-agent:  Tést\r\nHost: Shop.Example:80\r\nCookie: a=b; c=\"d\"\r\nCOOKIE: e=f\r\n" +
		"Connection: keep-alive, X-Secret\r\nConnection: X-Other\r\nX-Secret: 1\r\nx-other: 2\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nUpgrade: h2c\r\nProxy-Authorization: x\r\n\r\n")
	b := make([]byte, 1024)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	want := "GET /a//b/../%7e?q=1;2&x=%zz HTTP/1.1\r\nuser-agent:  Tést\r\nHost: Shop.Example:80\r\nCookie: a=b; c=\"d\"\r\nCOOKIE: e=f\r\n" +
		"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: Shop.Example:80\r\n"
	if got := o.last(); got != want {
		t.Errorf("the backend got\n%q, want\n%q", got, want)
	}
	want = "HTTP/1.1 200 Fine by me\r\nDATE: just now\r\nserver:  X\r\nSet-Cookie: a=1\r\nSET-COOKIE: b=2\r\nContent-Length: 2\r\n\r\nok"
	if got := string(b[:n]); got != want {
		t.Errorf("the client got\n%q, want\n%q", got, want)
	}
}

func TestAbsoluteTargetReplacesHost(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("", "", o.Addr()))
	c := r.dial()
	c.send("GET http://real.example/x?y HTTP/1.1\r\nHost: other.example\r\n\r\n")
	c.want("GET", 200, "ok")
	head := o.last()
	if !strings.HasPrefix(head, "GET /x?y HTTP/1.1\r\n") || strings.Count(head, "Host: ") != 2 ||
		!strings.Contains(head, "\r\nHost: real.example\r\n") || strings.Contains(head, "other.example") {
		t.Errorf("the backend got %q", head)
	}
}
