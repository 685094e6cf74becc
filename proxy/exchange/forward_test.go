package exchange

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/config"
	"weir/proxy/http1"
	"weir/proxy/message"
	"weir/proxy/route"
	"weir/telemetry"
)

var (
	trusted10 = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}
	allFields = []config.ForwardedField{
		config.XForwardedFor, config.XForwardedProto, config.XForwardedHost, config.XForwardedForPort, config.XRealIP, config.ForwardedElement,
	}
	usualFields = allFields[:3]
)

// forwarder is a client connection without a socket, from 10.9.8.7:4711 or another peer, that only
// writes request heads.
func forwarder(f config.Forwarded, peer string) *client {
	e := &Engine{Telemetry: telemetry.New(telemetry.Options{})}
	c := &client{src: netip.MustParseAddrPort(peer), work: &work{}}
	c.work.x.site = e.NewSite(SiteOptions{Config: &config.Listener{Name: "web", Forwarded: f}})
	return c
}

// forward is the head that a backend gets of a request.
func (c *client) forward(t testing.TB, action *route.Action, in []byte) []byte {
	w := c.work
	if _, err := http1.ParseRequest(in, &w.req, http1.Limits{}); err != nil {
		t.Fatalf("%q: %v", in, err)
	}
	w.x.action = action
	w.x.client = c.clientAddr()
	w.req.StripHopByHop()
	c.buildRequest()
	return w.out
}

// toldOf is the lines of a head that are about where it comes from.
func toldOf(head []byte) string {
	var lines []string
	for _, line := range strings.Split(string(head), "\r\n") {
		if lower := strings.ToLower(line); strings.HasPrefix(lower, "x-") || strings.HasPrefix(lower, "x_") || strings.HasPrefix(lower, "forwarded") || strings.HasPrefix(lower, "via") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " | ")
}

func TestTrustedPeerIsHeard(t *testing.T) {
	append_, replace, remove, preserve := config.ForwardedAppend, config.ForwardedReplace, config.ForwardedRemove, config.ForwardedPreserve
	xff, fwd, real := config.XForwardedFor, config.ForwardedElement, config.XRealIP
	const ours = "X-Forwarded-Proto: http | "
	tests := []struct {
		name   string
		mode   config.ForwardedMode
		from   config.ForwardedField
		fields string // of the request, separated by " | "
		want   string
	}{
		{"nothing said", append_, xff, "", "X-Forwarded-For: 10.9.8.7 | X-Forwarded-Proto: http | X-Forwarded-For-Port: 4711 | X-Real-IP: 10.9.8.7 | X-Forwarded-Host: h | Forwarded: for=10.9.8.7;host=h;proto=http"},
		{"added to", append_, xff, "X-Forwarded-For: 6.6.6.6 | X-Forwarded-For: 192.0.2.1, 10.1.1.1 | Forwarded: for=_a | Forwarded: for=192.0.2.1;proto=https,for=10.1.1.1",
			"X-Forwarded-For: 6.6.6.6, 192.0.2.1, 10.1.1.1, 10.9.8.7 | " + ours + "X-Real-IP: 192.0.2.1 | X-Forwarded-Host: h | Forwarded: for=_a, for=192.0.2.1;proto=https,for=10.1.1.1, for=10.9.8.7;host=h;proto=http"},
		{"replaced", replace, xff, "X-Forwarded-For: 192.0.2.1 | Forwarded: for=192.0.2.1", "X-Forwarded-For: 10.9.8.7 | " + ours + "X-Real-IP: 192.0.2.1 | X-Forwarded-Host: h | Forwarded: for=10.9.8.7;host=h;proto=http"},
		{"removed", remove, xff, "X-Forwarded-For: 192.0.2.1 | Forwarded: for=192.0.2.1", ours + "X-Real-IP: 192.0.2.1 | X-Forwarded-Host: h"},
		{"preserved", preserve, xff, "X-Forwarded-For: 192.0.2.1 | forwarded: for=192.0.2.1; x", "X-Forwarded-For: 192.0.2.1 | forwarded: for=192.0.2.1; x | " + ours + "X-Real-IP: 192.0.2.1 | X-Forwarded-Host: h"},
		{"preserved, nothing said", preserve, xff, "", ours + "X-Forwarded-For-Port: 4711 | X-Real-IP: 10.9.8.7 | X-Forwarded-Host: h"},
		{"the rest stays", append_, xff, "X-Forwarded-Proto: https | X-Forwarded-Host: shop | x-real-ip: 192.0.2.7 | X-Forwarded-Server: s | X-Forwarded-For-Port: 5",
			"X-Forwarded-Proto: https | X-Forwarded-Host: shop | x-real-ip: 192.0.2.7 | X-Forwarded-Server: s | X-Forwarded-For-Port: 5 | X-Forwarded-For: 10.9.8.7 | Forwarded: for=10.9.8.7;host=h;proto=http"},
		{"malformed is replaced", append_, fwd, "Forwarded: for=192.0.2.1 | Forwarded: for=192.0.2.2; proto=https", "X-Forwarded-For: 10.9.8.7 | X-Forwarded-Proto: http | X-Forwarded-For-Port: 4711 | X-Real-IP: 10.9.8.7 | X-Forwarded-Host: h | Forwarded: for=10.9.8.7;host=h;proto=http"},
		{"X-Forwarded-For becomes Forwarded", append_, xff, "X-Forwarded-For: 2001:db8::1, 10.1.1.1 | X-Forwarded-Proto: https | X-Forwarded-Host: shop:80",
			`X-Forwarded-Proto: https | X-Forwarded-Host: shop:80 | X-Forwarded-For: 2001:db8::1, 10.1.1.1, 10.9.8.7 | X-Real-IP: 2001:db8::1 | Forwarded: for="[2001:db8::1]";host="shop:80";proto=https, for=10.9.8.7;host=h;proto=http`},
		{"what cannot stand in Forwarded is left out", append_, xff, `X-Forwarded-For: 192.0.2.1 | X-Forwarded-Proto: ";for=6.6.6.6 | X-Forwarded-Host: a"b`,
			`X-Forwarded-Proto: ";for=6.6.6.6 | X-Forwarded-Host: a"b | X-Forwarded-For: 192.0.2.1, 10.9.8.7 | X-Real-IP: 192.0.2.1 | Forwarded: for=192.0.2.1, for=10.9.8.7;host=h;proto=http`},
		{"Forwarded names the client", append_, fwd, `Forwarded: for="192.0.2.1:77";proto=https;host="shop:1", for=10.1.1.1;proto=http`,
			`X-Forwarded-For: 192.0.2.1, 10.9.8.7 | X-Forwarded-Proto: https | X-Forwarded-For-Port: 77 | X-Real-IP: 192.0.2.1 | X-Forwarded-Host: shop:1 | Forwarded: for="192.0.2.1:77";proto=https;host="shop:1", for=10.1.1.1;proto=http, for=10.9.8.7;host=h;proto=http`},
		{"Forwarded alone, and X-Forwarded-For of somebody", append_, fwd, `Forwarded: for=192.0.2.1 | X-Forwarded-For: 6.6.6.6`,
			`X-Forwarded-For: 6.6.6.6, 10.9.8.7 | ` + ours + `X-Real-IP: 192.0.2.1 | X-Forwarded-Host: h | Forwarded: for=192.0.2.1, for=10.9.8.7;host=h;proto=http`},
		{"Forwarded is not asked", append_, xff, `Forwarded: for=192.0.2.1;proto=https`,
			`X-Forwarded-For: 10.9.8.7 | X-Forwarded-Proto: http | X-Forwarded-For-Port: 4711 | X-Real-IP: 10.9.8.7 | X-Forwarded-Host: h | Forwarded: for=192.0.2.1;proto=https, for=10.9.8.7;host=h;proto=http`},
		{"X-Real-IP names the client", append_, real, "X-Real-IP: 192.0.2.1 | X-Forwarded-For: 6.6.6.6",
			"X-Real-IP: 192.0.2.1 | X-Forwarded-For: 6.6.6.6, 10.9.8.7 | " + ours + "X-Forwarded-Host: h | Forwarded: for=192.0.2.1, for=10.9.8.7;host=h;proto=http"},
		{"look-alikes", preserve, xff, "X_Forwarded_For: 6.6.6.6 | X-Forwarded_Proto: https | X.Real.IP: 6.6.6.6 | X_Forwarded-Clientcert-Subjectdn: root | X-Forwarded-Clientcert_Verify: SUCCESS | x-forwarded-clientcert-subjectdn: root | X-Other_Field: y",
			"X-Other_Field: y | " + ours + "X-Forwarded-For-Port: 4711 | X-Real-IP: 10.9.8.7 | X-Forwarded-Host: h"},
		{"named in Connection", append_, xff, "Connection: X-Forwarded-For, Forwarded, X-Real-IP | X-Forwarded-For: 192.0.2.1 | Forwarded: for=192.0.2.1 | X-Real-IP: 192.0.2.1",
			"X-Real-IP: 192.0.2.1 | X-Forwarded-For: 192.0.2.1, 10.9.8.7 | " + ours + "X-Forwarded-Host: h | Forwarded: for=192.0.2.1, for=10.9.8.7;host=h;proto=http"},
		{"empty", append_, fwd, "Forwarded:  | X-Forwarded-For: ", "X-Forwarded-For: 10.9.8.7 | X-Forwarded-Proto: http | X-Forwarded-For-Port: 4711 | X-Real-IP: 10.9.8.7 | X-Forwarded-Host: h | Forwarded: for=10.9.8.7;host=h;proto=http"},
	}
	for _, tt := range tests {
		c := forwarder(config.Forwarded{Trust: trusted10, Mode: tt.mode, Fields: allFields, ClientFrom: tt.from}, "10.9.8.7:4711")
		in := "GET / HTTP/1.1\r\nHost: h\r\n"
		if tt.fields != "" {
			in += strings.ReplaceAll(tt.fields, " | ", "\r\n") + "\r\n"
		}
		if got := toldOf(c.forward(t, nil, []byte(in+"\r\n"))); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// Only what is listed is written; what a trusted peer sends of the rest stays as it came.
func TestFieldsThatAreNotListed(t *testing.T) {
	const in = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n\r\n"
	c := forwarder(config.Forwarded{Trust: trusted10, Mode: config.ForwardedAppend}, "10.9.8.7:4711")
	if got, want := toldOf(c.forward(t, nil, []byte(in))), "X-Forwarded-For: 192.0.2.1 | Forwarded: for=192.0.2.1"; got != want {
		t.Errorf("trusted: got %s, want %s", got, want)
	}
	c = forwarder(config.Forwarded{Trust: trusted10, Mode: config.ForwardedAppend}, "192.0.2.7:4711")
	if got := toldOf(c.forward(t, nil, []byte(in))); got != "" {
		t.Errorf("stranger: got %s, want nothing", got)
	}
}

func TestForwardedOfStrangers(t *testing.T) {
	const spoof = "GET / HTTP/1.1\r\nHost: h:8\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\nX-Forwarded-Clientcert-Subjectdn: root\r\nX_Forwarded_Clientcert_Subjectdn: root\r\n\r\n"
	tests := []struct {
		by, peer string
		ports    bool
		want     string
	}{
		{"", "192.0.2.1:77", false, `for=192.0.2.1;host="h:8";proto=http`},
		{"_edge1", "192.0.2.1:77", true, `for="192.0.2.1:77";by=_edge1;host="h:8";proto=http`},
		{"", "[2001:db8::1]:77", false, `for="[2001:db8::1]";host="h:8";proto=http`},
		{"", "[fe80::1%eth0]:77", true, `for="[fe80::1]:77";host="h:8";proto=http`},
	}
	for _, tt := range tests {
		for _, mode := range []config.ForwardedMode{config.ForwardedAppend, config.ForwardedReplace, config.ForwardedRemove, config.ForwardedPreserve} {
			c := forwarder(config.Forwarded{Mode: mode, Fields: allFields, ClientFrom: config.ForwardedElement, By: tt.by, Ports: tt.ports}, tt.peer)
			a := c.src.Addr().String()
			want := "X-Forwarded-For: " + a + " | X-Forwarded-Proto: http | X-Forwarded-For-Port: 77 | X-Real-IP: " + a + " | X-Forwarded-Host: h:8 | Forwarded: " + tt.want
			for range 2 { // the second time from what was kept
				if got := toldOf(c.forward(t, nil, []byte(spoof))); got != want {
					t.Errorf("%s, %s:\n got %s\nwant %s", tt.peer, mode, got, want)
				}
			}
		}
	}
}

// A client of TLS is told apart, and the peer of a trusted network has no zone to hide behind.
func TestForwardedOverTLSAndLinkLocal(t *testing.T) {
	const in = "GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
	c := forwarder(config.Forwarded{Trust: trusted10, Mode: config.ForwardedReplace, Fields: allFields, ClientFrom: config.XForwardedFor}, "[fe80::1%eth0]:77")
	c.stream.tls = &tls.Conn{}
	want := `X-Forwarded-For: fe80::1%eth0 | X-Forwarded-Proto: https | X-Real-IP: 192.0.2.1 | X-Forwarded-Host: h | Forwarded: for="[fe80::1]";host=h;proto=https`
	if got := toldOf(c.forward(t, nil, []byte(in))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What was kept for a connection is not used by the rules of another configuration.
func TestForwardedFollowsTheSite(t *testing.T) {
	const in = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	c := forwarder(config.Forwarded{Fields: usualFields}, "192.0.2.1:77")
	c.forward(t, nil, []byte(in))
	c.work.x.site = forwarder(config.Forwarded{Fields: []config.ForwardedField{config.XRealIP}}, "192.0.2.1:77").work.x.site
	if got, want := toldOf(c.forward(t, nil, []byte(in))), "X-Real-IP: 192.0.2.1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// actionOf is the action of a route with these changes of a request.
func actionOf(t *testing.T, change config.HeaderChange) *route.Action {
	t.Helper()
	r := config.Route{Pool: "app", PathPrefix: "/", RequestHeaders: change}
	var h message.Head
	if _, err := http1.ParseRequest([]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), &h, http1.Limits{}); err != nil {
		t.Fatal(err)
	}
	return route.New([]config.Route{r}, "", func(string) int { return 0 }).Match(&h, netip.Addr{}).Action
}

// A field that a route sets or removes is not written by us as well, and what it removes does not come
// back in another form.
func TestRouteClaimsForwardingFields(t *testing.T) {
	names := []string{"X-Forwarded-For", "x-forwarded-proto", "X-Forwarded-Host", "X-Forwarded-For-Port", "X-Real-IP", "FORWARDED"}
	const said = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\nX-Forwarded-For-Port: 5\r\nX-Real-IP: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n"
	for _, peer := range []string{"10.9.8.7:4711", "192.0.2.7:4711"} {
		for _, fields := range []string{"", said} {
			for _, name := range names {
				c := forwarder(config.Forwarded{Trust: trusted10, Mode: config.ForwardedAppend, Fields: allFields, ClientFrom: config.XForwardedFor}, peer)
				in := []byte("GET / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n")
				set := string(c.forward(t, actionOf(t, config.HeaderChange{Set: []config.Header{{Name: name, Value: "mine"}}}), in))
				removed := string(c.forward(t, actionOf(t, config.HeaderChange{Remove: []string{name}}), in))
				lower := "\r\n" + strings.ToLower(name) + ": "
				if n := strings.Count(strings.ToLower(set), lower); n != 1 || !strings.Contains(strings.ToLower(set), lower+"mine\r\n") {
					t.Errorf("from %s, set %s: the backend gets %q", peer, name, set)
				}
				if strings.Contains(strings.ToLower(removed), lower) {
					t.Errorf("from %s, without %s: the backend gets %q", peer, name, removed)
				}
			}
		}
	}
}

func TestViaNamesTheVersion(t *testing.T) {
	e := &Engine{Telemetry: telemetry.New(telemetry.Options{})}
	c := &client{src: netip.MustParseAddrPort("192.0.2.1:77"), work: &work{}}
	c.work.x.site = e.NewSite(SiteOptions{Config: &config.Listener{Name: "web", Via: "edge"}})
	for in, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: h\r\nVia: 1.0 fred\r\n\r\n": "Via: 1.0 fred | Via: 1.1 edge",
		"GET / HTTP/1.0\r\nHost: h\r\n\r\n":                  "Via: 1.0 edge",
	} {
		if got := toldOf(c.forward(t, nil, []byte(in))); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

// Property: whatever a stranger sends, the backend gets the forwarding fields that it gets from
// somebody who sends none.
func TestStrangersCannotForgeForwarding(t *testing.T) {
	names := rapid.OneOf(
		rapid.SampledFrom([]string{"X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Clientcert-Subjectdn", "Connection", "X-Forwarded-", "X-Forwarded-Foo"}),
		rapid.StringMatching(`[xX][._-][fF]orwarded[_.-][A-Za-z_.-]{1,8}`), rapid.StringMatching(`[xX][_.-][rR]eal[_.-][iI][pP]`))
	values := rapid.OneOf(rapid.SampledFrom([]string{"6.6.6.6", "for=6.6.6.6", "X-Forwarded-For", "x-forwarded-for, X-Real-IP, forwarded", "https"}), rapid.StringMatching(`[ -~]{0,12}`))
	rapid.Check(t, func(rt *rapid.T) {
		mode := rapid.SampledFrom([]config.ForwardedMode{config.ForwardedAppend, config.ForwardedReplace, config.ForwardedRemove, config.ForwardedPreserve}).Draw(rt, "mode")
		c := forwarder(config.Forwarded{Trust: trusted10, Mode: mode, Fields: allFields, ClientFrom: config.XForwardedFor}, "192.0.2.7:4711")
		want := toldOf(c.forward(t, nil, []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n")))
		in := "GET / HTTP/1.1\r\nHost: h\r\n"
		for range rapid.IntRange(0, 5).Draw(rt, "fields") {
			name, value := names.Draw(rt, "name"), strings.TrimSpace(values.Draw(rt, "value"))
			if strings.EqualFold(name, "Connection") {
				value = strings.ReplaceAll(value, "close", "")
			}
			in += name + ": " + value + "\r\n"
		}
		if got := toldOf(c.forward(t, nil, []byte(in+"\r\n"))); got != want {
			rt.Fatalf("%q: the backend gets %s, want %s", in, got, want)
		}
	})
}

// FuzzClientOf: the client is never a trusted proxy, and is the same whichever field names it.
func FuzzClientOf(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "1.2.3.4, 10.0.0.1", "x,,[::1]:3", ",", " ,\t", "2001:db8::1, 10.1.2.3", "10.0.0.1", ":0", "1.2.3.4,", "1.2.3.4, ,\t,10.0.0.1,"} {
		f.Add([]byte(s))
	}
	list := &forwarding{trust: trusted10, client: config.XForwardedFor}
	elements := &forwarding{trust: trusted10, client: config.ForwardedElement}
	f.Fuzz(func(t *testing.T, value []byte) {
		a, ok := list.clientOf(headWith(message.XForwardedFor, value))
		if ok && (!a.IsValid() || list.trusts(a) || a.Is4In6() || a.Zone() != "") {
			t.Errorf("clientOf(%q) = %v", value, a)
		}
		var forwarded []byte
		for i, entry := range strings.Split(string(value), ",") {
			if i > 0 {
				forwarded = append(forwarded, ',')
			}
			if strings.Trim(entry, " \t") == "" {
				continue
			}
			h := message.Hop{}
			h.For.Addr, _ = message.ParseClient([]byte(entry))
			forwarded = message.AppendHop(forwarded, &h)
		}
		if b, bok := elements.clientOf(headWith(message.Forwarded, forwarded)); len(value) > 0 && (b != a || bok != ok) {
			t.Errorf("clientOf(%q) = %v, and of %q %v", value, a, forwarded, b)
		}
	})
}

// headWith is a head of one field.
func headWith(name message.Name, value []byte) *message.Head {
	h := &message.Head{Buf: value}
	field := h.Add(name)
	field.Start, field.NameLen, field.Value, field.ValueEnd, field.End = 0, 0, 0, uint32(len(value)), uint32(len(value))
	return h
}

const (
	usualRequest = "GET /api/items?page=2 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en\r\nX-Requested-With: XMLHttpRequest\r\nCookie: a=b; c=d\r\nConnection: keep-alive\r\n\r\n"
	proxiedRequest = "GET /api/items?page=2 HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 192.0.2.1, 10.1.2.3\r\nX-Forwarded-Proto: https\r\n\r\n"
	toldRequest    = "GET /api/items?page=2 HTTP/1.1\r\nHost: shop.example\r\nForwarded: for=\"[2001:db8::1]:77\";proto=https, for=10.1.2.3\r\n\r\n"
)

var forwardCases = []struct {
	name, in, peer string
	forwarded      config.Forwarded
}{
	{"stranger", usualRequest, "192.0.2.7:4711", config.Forwarded{Mode: config.ForwardedAppend, Fields: usualFields, ClientFrom: config.XForwardedFor}},
	{"trusted", proxiedRequest, "10.9.8.7:4711", config.Forwarded{Mode: config.ForwardedAppend, Fields: usualFields, ClientFrom: config.XForwardedFor, Trust: trusted10}},
	{"everything", proxiedRequest, "10.9.8.7:4711", config.Forwarded{Mode: config.ForwardedAppend, Fields: allFields, ClientFrom: config.XForwardedFor, Trust: trusted10}},
	{"Forwarded", toldRequest, "10.9.8.7:4711", config.Forwarded{Mode: config.ForwardedAppend, Fields: allFields, ClientFrom: config.ForwardedElement, Trust: trusted10, By: "_edge", Ports: true}},
}

func TestForwardAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, tt := range forwardCases {
		c, in := forwarder(tt.forwarded, tt.peer), []byte(tt.in)
		if got := testing.AllocsPerRun(100, func() { c.forward(t, nil, in) }); got != 0 {
			t.Errorf("%s: %v allocations, want 0", tt.name, got)
		}
	}
}

func BenchmarkBuildRequest(b *testing.B) {
	for _, bb := range forwardCases {
		b.Run(bb.name, func(b *testing.B) {
			c, in := forwarder(bb.forwarded, bb.peer), []byte(bb.in)
			b.ReportAllocs()
			for b.Loop() {
				c.forward(b, nil, in)
			}
		})
	}
}
