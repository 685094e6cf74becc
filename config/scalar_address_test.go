package config

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// TestAddressesOfBackends wants names and literal addresses to be read, in both forms of a list of backends.
func TestAddressesOfBackends(t *testing.T) {
	tests := []struct {
		written string
		name    string // in the list
		address string // literal; empty: a name
		host    string
		port    uint16
	}{
		{"10.0.0.11:8080", "10.0.0.11:8080", "10.0.0.11:8080", "", 0},
		{"[2001:db8::1]:80", "[2001:db8::1]:80", "[2001:db8::1]:80", "", 0},
		{"[::ffff:10.0.0.1]:80", "10.0.0.1:80", "10.0.0.1:80", "", 0},
		{"app:8080", "app:8080", "", "app", 8080},
		{"App.Example:65535", "app.example:65535", "", "app.example", 65535},
		{"app.example.:80", "app.example.:80", "", "app.example.", 80},
		{"my_app.1e100.net:80", "my_app.1e100.net:80", "", "my_app.1e100.net", 80},
		{"3com.example:80", "3com.example:80", "", "3com.example", 80},
		{"xn--mller-kva.example:80", "xn--mller-kva.example:80", "", "xn--mller-kva.example", 80},
	}
	for _, tt := range tests {
		t.Run(tt.written, func(t *testing.T) {
			check := "\n    health_check: { port: 9000 }\n"
			for _, text := range []string{
				"backends: [\"" + tt.written + "\"]" + check,
				"backends: { \"" + tt.name + "\": { address: \"" + tt.written + "\" } }" + check,
			} {
				c, report := LoadBytes("x.yaml", []byte(webListener+"pools:\n  app:\n    "+text))
				if c == nil {
					t.Fatalf("%s: %+v", text, report)
				}
				b := c.Pools["app"].Backends[0]
				want := netip.AddrPort{}
				probe := netip.AddrPortFrom(netip.Addr{}, 9000)
				if tt.address != "" {
					want = netip.MustParseAddrPort(tt.address)
					probe = netip.AddrPortFrom(want.Addr(), 9000)
				}
				if b.Name != tt.name || b.Address != want || b.Host != tt.host || b.Port != tt.port || b.ProbeAddress != probe {
					t.Errorf("%s: got %+v", text, b)
				}
			}
		})
	}
}

// TestProbeAddressOfNames wants the port of the probe to be known before the name is resolved, and an address that is
// written to be kept.
func TestProbeAddressOfNames(t *testing.T) {
	tests := []struct{ check, own, want string }{
		{"{}", "{}", ":8080"},
		{"{ port: 9000 }", "{}", ":9000"},
		{"{ port: 9000 }", "{ port: 9001 }", ":9001"},
		{"{}", "{ address: 10.1.0.1 }", "10.1.0.1:8080"},
	}
	for _, tt := range tests {
		c, report := LoadBytes("x.yaml", []byte(webListener+"pools: { app: { health_check: "+tt.check+
			", backends: { b: { address: \"app.example:8080\", health_check: "+tt.own+" } } } }\n"))
		if c == nil {
			t.Fatalf("%+v", report)
		}
		got := c.Pools["app"].Backends[0].ProbeAddress
		text := fmt.Sprintf(":%d", got.Port())
		if got.Addr().IsValid() {
			text = got.String()
		}
		if text != tt.want {
			t.Errorf("%s, %s: got %s, want %s", tt.check, tt.own, text, tt.want)
		}
	}
}

// FuzzAddress wants every text to be one of three: a literal address, a name that can be looked up, or a problem with
// a remedy; and the canonical form to mean the same.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.1:80", "[2001:db8::1]:80", "[fe80::1%eth0]:80", "app.example:8080", "app.example.:1", "_srv._tcp.x:1", "1.2.3:4", "a:b:c", ":", "::", "x:",
		"app..x:1", "-a:1", "a-:1", "0x7f.1:1", "xn--a:1", "é:1", "a b:1", "[::ffff:1.2.3.4]:1", "0.0.0.0:1", "app.example:08", "app:65536", strings.Repeat("a.", 127) + "a:1",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, p := parseAddress(text, nil)
		if p != nil {
			if p.text == "" || p.hint == "" {
				t.Fatalf("%q: a problem without words: %+v", text, p)
			}
			return
		}
		a := v.(address)
		if a.port == 0 || (a.host == "") == !a.literal.IsValid() {
			t.Fatalf("%q: %+v", text, a)
		}
		if a.host != "" {
			if _, err := netip.ParseAddr(a.host); err == nil || len(a.host) > 254 || a.host != strings.ToLower(a.host) || strings.ContainsAny(a.host, " /:[]*%\x00") {
				t.Fatalf("%q: the name %q", text, a.host)
			}
		}
		again, p := parseAddress(a.String(), nil)
		if p != nil || again != v {
			t.Fatalf("%q: %q is %+v, %+v", text, a.String(), again, p)
		}
	})
}
