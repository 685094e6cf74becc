package message

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// hopsOf reads a whole value.
func hopsOf(v []byte) (hops []Hop, err error) {
	for {
		var h Hop
		rest, found, err := NextHop(v, &h)
		if err != nil {
			return nil, err
		}
		if !found {
			return hops, nil
		}
		hops, v = append(hops, h), rest
	}
}

// show writes hops for a comparison.
func show(hops []Hop) string {
	var parts []string
	node := func(name string, n Node) string {
		if n.Addr.IsValid() || n.ID != nil || n.Port != 0 {
			return fmt.Sprintf("%s=%v/%d/%s ", name, n.Addr, n.Port, n.ID)
		}
		return ""
	}
	for _, h := range hops {
		part := node("for", h.For) + node("by", h.By)
		if h.Host != nil {
			part += fmt.Sprintf("host=%s ", h.Host)
		}
		if h.Proto != nil {
			part += fmt.Sprintf("proto=%s ", h.Proto)
		}
		parts = append(parts, strings.TrimSpace(part))
	}
	return strings.Join(parts, " | ")
}

var forwardedTests = []struct{ name, in, want string }{
	{"examples of section 4", `for="_gazonk"`, `for=invalid IP/0/_gazonk`},
	{"", `For="[2001:db8:cafe::17]:4711"`, `for=2001:db8:cafe::17/4711/`},
	{"", `for=192.0.2.60;proto=http;by=203.0.113.43`, `for=192.0.2.60/0/ by=203.0.113.43/0/ proto=http`},
	{"", `for=192.0.2.43, for=198.51.100.17`, `for=192.0.2.43/0/ | for=198.51.100.17/0/`},
	{"", `for=192.0.2.43, for="[2001:db8:cafe::17]"`, `for=192.0.2.43/0/ | for=2001:db8:cafe::17/0/`},
	{"", `for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown`, `for=192.0.2.43/0/ | for=2001:db8:cafe::17/0/ | `},
	{"", `for=_hidden, for=_SEVKISEK`, `for=invalid IP/0/_hidden | for=invalid IP/0/_SEVKISEK`},
	{"", `for="192.0.2.43:47011"`, `for=192.0.2.43/47011/`},
	{"", `for="[::ffff:192.0.2.43]:1"`, `for=192.0.2.43/1/`},
	{"ports", `for="unknown:80", for="_a:_b.c-D", for="1.2.3.4:_x"`, `for=invalid IP/80/ | for=invalid IP/0/_a | for=1.2.3.4/0/`},
	{"any case", `FOR=1.2.3.4;PROTO=HTTPS;bY=Unknown;hOST=A`, `for=1.2.3.4/0/ host=A proto=HTTPS`},
	{"host with port", `host="a.example:8080";for=1.2.3.4`, `for=1.2.3.4/0/ host=a.example:8080`},
	{"empty host", `host=""`, `host=`},
	{"parameters that are not known", `for=1.2.3.4;secret=egah2CGj55fSJFs;x="a,b;for=6.6.6.6\"\\"`, `for=1.2.3.4/0/`},
	{"a list in quotes is no list", `x="a, for=6.6.6.6", for=1.2.3.4`, ` | for=1.2.3.4/0/`},
	{"empty elements", " ,\t, for=1.2.3.4 \t,,", `for=1.2.3.4/0/`},
	{"empty pairs", `;for=1.2.3.4;;proto=http;`, `for=1.2.3.4/0/ proto=http`},
	{"an element without pairs", `;`, ``},
	{"nothing", ``, ``},

	{"white space at a semicolon", `for=1.2.3.4; proto=http`, "error"},
	{"", `for=1.2.3.4 ;proto=http`, "error"},
	{"white space at an equals sign", `for =1.2.3.4`, "error"},
	{"", `for= 1.2.3.4`, "error"},
	{"no value", `for=`, "error"},
	{"", `for`, "error"},
	{"no name", `=1.2.3.4`, "error"},
	{"twice", `for=1.2.3.4;for=1.2.3.5`, "error"},
	{"", `proto=http;for=1.2.3.4;Proto=http`, "error"},
	{"", `by=_a;by=_a`, "error"},
	{"", `host=a;host=a`, "error"},
	{"not quoted", `for=[::1]`, "error"},
	{"", `for=1.2.3.4:80`, "error"},
	{"", `host=a:80`, "error"},
	{"quotes that do not end", `for="1.2.3.4`, "error"},
	{"", `for="1.2.3.4\"`, "error"},
	{"", `x="`, "error"},
	{"text behind quotes", `for="1.2.3.4"x`, "error"},
	{"quoted pairs", `for="1.2.3\.4"`, "error"},
	{"", `host="a\b"`, "error"},
	{"nodes", `for=""`, "error"},
	{"", `for=client.example`, "error"},
	{"", `for=1.2.3`, "error"},
	{"", `for="::1"`, "error"},
	{"", `for="[::1%eth0]"`, "error"},
	{"", `for="[1.2.3.4]"`, "error"},
	{"", `for="[::1]x"`, "error"},
	{"", `for="[::1"`, "error"},
	{"", `for="1.2.3.4:"`, "error"},
	{"", `for="1.2.3.4:65536"`, "error"},
	{"", `for="1.2.3.4:000001"`, "error"},
	{"", `for="1.2.3.4:_"`, "error"},
	{"", `for=_`, "error"},
	{"", `for=_a!`, "error"},
	{"", `for=unknown1`, "error"},
	{"hosts", `host="a b"`, "error"},
	{"", `host="a/b"`, "error"},
	{"", `host="a@b"`, "error"},
	{"schemes", `proto=1http`, "error"},
	{"", `proto=ht_tp`, "error"},
	{"", `proto=""`, "error"},
	{"bytes", "x=\"a\x00\"", "error"},
	{"", "x=\"a\x7f\"", "error"},
	{"", "x=\xff", "error"},
	{"no comma", `for=1.2.3.4 for=1.2.3.5`, "error"},
	{"an address alone", `1.2.3.4`, "error"},
	{"good, then bad", `for=1.2.3.4, for=x`, "error"},
}

func TestForwarded(t *testing.T) {
	for _, tt := range forwardedTests {
		hops, err := hopsOf([]byte(tt.in))
		got := show(hops)
		if err != nil {
			got = "error"
		}
		if got != tt.want {
			t.Errorf("%s: %s is read as %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}

// The grammar of RFC 7239, once more: as expressions.
var (
	refToken   = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	refQuoted  = `"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"`
	refPair    = "(?:" + refToken + "=(?:" + refToken + "|" + refQuoted + "))"
	refElement = "(?:" + refPair + "?(?:;" + refPair + "?)*)"
	refList    = regexp.MustCompile("^[\t ]*" + refElement + "(?:[\t ]*,[\t ]*" + refElement + ")*[\t ]*$")
	refPairs   = regexp.MustCompile("(" + refToken + ")=(" + refToken + "|" + refQuoted + ")|,|;")
	refNode    = regexp.MustCompile(`^(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]|(?i:unknown)|_[A-Za-z0-9._-]+)(?::(?:([0-9]{1,5})|_[A-Za-z0-9._-]+))?$`)
	refHost    = regexp.MustCompile(`^[A-Za-z0-9._~!$&'()*+,;=:\[\]-]*$`)
	refProto   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)
)

// latin makes text of which each rune is a byte of b, for expressions.
func latin(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

// refForwarded reports whether a value is one to believe, and the number of its elements.
func refForwarded(b []byte) (elements int, ok bool) {
	s := latin(b)
	if !refList.MatchString(s) {
		return 0, false
	}
	seen := map[string]bool{}
	filled := false
	for _, m := range refPairs.FindAllStringSubmatch(s, -1) {
		switch m[0] {
		case ",":
			if filled {
				elements++
			}
			seen, filled = map[string]bool{}, false
			continue
		case ";":
			filled = true
			continue
		}
		filled = true
		name, value := strings.ToLower(m[1]), strings.Trim(m[2], `"`)
		valid, known := true, true
		switch name {
		case "for", "by":
			valid = refValidNode(value)
		case "host":
			valid = refHost.MatchString(value)
		case "proto":
			valid = refProto.MatchString(value)
		default:
			known = false
		}
		if known && (seen[name] || !valid) {
			return 0, false
		}
		seen[name] = true
	}
	if filled {
		elements++
	}
	return elements, true
}

func refValidNode(s string) bool {
	m := refNode.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	if port, err := strconv.Atoi(m[3]); err == nil && port > 65535 {
		return false
	}
	if address := m[1] + m[2]; address != "" {
		a, err := netip.ParseAddr(address)
		return err == nil && a.Is4() == (m[1] != "")
	}
	return true
}

// FuzzForwarded compares with the reference what is accepted, and wants whatever was read to be
// written such that it is read again as the same.
func FuzzForwarded(f *testing.F) {
	for _, tt := range forwardedTests {
		f.Add([]byte(tt.in))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		hops, err := hopsOf(v)
		elements, ok := refForwarded(v)
		if (err == nil) != ok || len(hops) != elements {
			t.Fatalf("%q: %d elements, %v; want %d, %v", v, len(hops), err, elements, ok)
		}
		var out []byte
		for i := range hops {
			if h := &hops[i]; h.For.Addr.Is4In6() || h.By.Addr.Is4In6() {
				t.Fatalf("%q: %s has an IPv4 address as IPv6", v, show(hops))
			}
			if i > 0 {
				out = append(out, ", "...)
			}
			out = AppendHop(out, &hops[i])
		}
		again, err := hopsOf(out)
		if err != nil || len(again) != len(hops) {
			t.Fatalf("%q is written as %q, which has %d elements, %v", v, out, len(again), err)
		}
		for i := range hops {
			if hops[i].By.ID == nil && !hops[i].By.Addr.IsValid() {
				hops[i].By = Node{} // not worth writing
			}
		}
		if got, want := show(again), show(hops); got != want {
			t.Fatalf("%q was read as %q, and what is written, %q, as %q", v, want, out, got)
		}
	})
}

// Property: hops that are written are read as they were.
func TestHopRoundTrip(t *testing.T) {
	node := rapid.Custom(func(t *rapid.T) Node {
		n := Node{Port: rapid.Uint16().Draw(t, "port")}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			n.Addr = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "v4")))
		case 1:
			n.Addr = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "v6"))).Unmap()
		case 2:
			n.ID = []byte(rapid.StringMatching(`_[A-Za-z0-9._-]+`).Draw(t, "id"))
		default:
			n.Port = 0
		}
		return n
	})
	text := func(expression string) *rapid.Generator[[]byte] {
		return rapid.Custom(func(t *rapid.T) []byte {
			if rapid.Bool().Draw(t, "given") {
				return []byte(rapid.StringMatching(expression).Draw(t, "text"))
			}
			return nil
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		var want []Hop
		var out []byte
		for range rapid.IntRange(1, 4).Draw(t, "hops") {
			h := Hop{For: node.Draw(t, "for"), By: node.Draw(t, "by"),
				Host: text(`[a-z0-9.-]{1,9}(:[0-9]{1,5})?|\[::1\]`).Draw(t, "host"), Proto: text(`[a-z][a-z0-9+.-]{0,5}`).Draw(t, "proto")}
			if len(want) > 0 {
				out = append(out, ", "...)
			}
			want, out = append(want, h), AppendHop(out, &h)
		}
		got, err := hopsOf(out)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q is read as %q, %v, want %q", out, show(got), err, show(want))
		}
	})
}

func TestForwardedAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	in := []byte(`for="[2001:db8:cafe::17]:4711";host="a:80";proto=https;by=_edge, for=192.0.2.43;x="\"", for=unknown`)
	xff := []byte(" 2001:db8::1, [::1]:80, 192.0.2.1:4711")
	out := make([]byte, 0, 1024)
	if got := testing.AllocsPerRun(100, func() {
		var h Hop
		out = out[:0]
		for v := in; ; {
			rest, found, err := NextHop(v, &h)
			if err != nil {
				t.Fatal(err)
			}
			if !found {
				break
			}
			out, v = AppendHop(out, &h), rest
		}
		for entry := range tokens(xff) {
			if _, ok := ParseClient(entry); !ok {
				t.Fatalf("%q is not read", entry)
			}
		}
	}); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
