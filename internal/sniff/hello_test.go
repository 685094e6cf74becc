package sniff

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// parseHello is ParseClientHello for checkStream.
func parseHello(b []byte) (int, State, error) {
	h, state, err := ParseClientHello(b)
	return h.Size, state, err
}

// list copies what an iterator of protocols yields.
func list(p Protocols) []string {
	var names []string
	for name := range p.All() {
		names = append(names, string(name))
	}
	return names
}

// compare compares a hello with what crypto/tls has read in it.
func compare(t *testing.T, h *Hello, want *tls.ClientHelloInfo) {
	t.Helper()
	if got := string(h.ServerName); got != want.ServerName {
		t.Errorf("server name %q, want %q", got, want.ServerName)
	}
	if got, want := list(h.ALPN), withoutGrease(want.SupportedProtos); !slices.Equal(got, want) {
		t.Errorf("protocols %q, want %q", got, want)
	}
	if h.Versions != nil {
		offered := slices.DeleteFunc(slices.Clone(want.SupportedVersions), grease)
		if got := slices.Collect(h.Versions.All()); !slices.Equal(got, offered) {
			t.Errorf("versions %x, want %x", got, offered)
		}
	}
}

func withoutGrease(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(s string) bool {
		return len(s) == 2 && s[0] == s[1] && s[0]&0xf == 0xa
	})
}

// TestClientsOfEveryVersion reads what crypto/tls sends in every version, whole, in pieces, and cut
// into records at every byte.
func TestClientsOfEveryVersion(t *testing.T) {
	for low := uint16(tls.VersionTLS10); low <= tls.VersionTLS13; low++ {
		for high := low; high <= tls.VersionTLS13; high++ {
			for _, name := range []string{"", "Shop.Example.com"} {
				for _, protos := range [][]string{nil, {"h2", "http/1.1"}} {
					t.Run(fmt.Sprintf("%x-%x %s %s", low, high, name, protos), func(t *testing.T) {
						b := capture(t, &tls.Config{
							MinVersion: low, MaxVersion: high, NextProtos: protos, ServerName: name, InsecureSkipVerify: true,
						})
						testCapture(t, b, high)
					})
				}
			}
		}
	}
}

func testCapture(t *testing.T, b []byte, highest uint16) {
	h, state, err := ParseClientHello(b)
	if state != Done || err != nil || h.Size != len(b) {
		t.Fatalf("%v, %d of %d, %v", state, h.Size, len(b), err)
	}
	info := facts(b)
	if info == nil {
		t.Fatal("crypto/tls refuses the hello of crypto/tls")
	}
	compare(t, &h, info)
	if got := h.MaxVersion(); got != highest {
		t.Errorf("highest version %x, want %x", got, highest)
	}
	if highest == tls.VersionTLS13 && len(h.SessionID) != 32 {
		t.Errorf("session ID of %d bytes, want 32: this client looks like TLS 1.2 to the path", len(h.SessionID))
	}
	checkStream(t, b, MaxHello, parseHello)
	testRecords(t, b[recordHead:], info)
}

// testRecords cuts a message into two records at each byte, and into as many as there may be.
func testRecords(t *testing.T, message []byte, want *tls.ClientHelloInfo) {
	least := slices.Repeat([]int{(len(message) + maxRecords - 1) / maxRecords}, maxRecords)
	for cut := 0; cut < len(message); cut++ {
		b := records(message, 1+cut)
		if cut == 0 {
			b = records(message, least...)
			checkStream(t, b, MaxHello, parseHello)
		}
		before := bytes.Clone(b)
		h, state, err := ParseClientHello(append(b, "more"...))
		if state != Done || h.Size != len(b) {
			t.Fatalf("cut at %d: %v, %d of %d, %v", cut, state, h.Size, len(b), err)
		}
		compare(t, &h, want)
		if !bytes.Equal(b, before) {
			t.Fatalf("cut at %d: the input was changed", cut)
		}
	}
}

var greases = []byte{0x0a, 0x1a, 0x2a, 0x3a, 0x4a, 0x5a, 0x6a, 0x7a, 0x8a, 0x9a, 0xaa, 0xba, 0xca, 0xda, 0xea, 0xfa}

func TestGreaseIsPassedOver(t *testing.T) {
	for _, g := range greases {
		v := uint16(g)<<8 | uint16(g)
		h, state, err := ParseClientHello(records(helloOf(
			extensionOf(v, nil),
			names("a.example"),
			alpn(string([]byte{g, g}), "h2", "zx"),
			extensionOf(extensionSupportedVersions, vector8(bytes16(v, 0x0304, 0x0303))),
			extensionOf(v, []byte{0}),
		)))
		if state != Done {
			t.Fatalf("%x: %v, %v", v, state, err)
		}
		if got := list(h.ALPN); !slices.Equal(got, []string{"h2", "zx"}) {
			t.Errorf("%x: protocols %q", v, got)
		}
		if got := slices.Collect(h.Versions.All()); !slices.Equal(got, []uint16{0x0304, 0x0303}) || h.MaxVersion() != 0x0304 {
			t.Errorf("%x: versions %x, highest %x", v, got, h.MaxVersion())
		}
	}
	for _, v := range []uint16{0x0a1a, 0x1a0a, 0x0303, 0x0b0b, 0xaaab} {
		if grease(v) {
			t.Errorf("%x is taken for GREASE", v)
		}
	}
}

func TestHelloWithoutExtensions(t *testing.T) {
	for _, b := range [][]byte{records(helloOf()), records(helloOf([]byte{}))} {
		h, state, err := ParseClientHello(b)
		if state != Done {
			t.Fatalf("%v, %v", state, err)
		}
		if h.ServerName != nil || h.ALPN != nil || h.Versions != nil || h.Encrypted {
			t.Errorf("got %+v", h)
		}
		if string(h.SessionID) != "session" || h.LegacyVersion != 0x0303 || h.MaxVersion() != 0x0303 {
			t.Errorf("got session ID %q, version %x, highest %x", h.SessionID, h.LegacyVersion, h.MaxVersion())
		}
	}
}

func TestHighestVersion(t *testing.T) {
	tests := []struct {
		name string
		h    Hello
		want uint16
	}{
		{"legacy", Hello{LegacyVersion: 0x0301}, 0x0301},
		{"TLS 1.3 needs the extension", Hello{LegacyVersion: 0x0304}, 0x0303},
		{"extension wins", Hello{LegacyVersion: 0x0303, Versions: bytes16(0x0302, 0x0301)}, 0x0302},
		{"order is preference", Hello{Versions: bytes16(0x0303, 0x0304)}, 0x0304},
		{"draft", Hello{Versions: bytes16(0x7f1c, 0x0303)}, 0x0303},
		{"nothing known", Hello{Versions: bytes16(0x7f1c)}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.h.MaxVersion(); got != tt.want {
				t.Errorf("got %x, want %x", got, tt.want)
			}
		})
	}
}

func TestServerNames(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, strings.Repeat("b", 61)}, ".")
	good := []string{"a", "example.com", "xn--bcher-kva.example", "_dns.example", "a-.b", "192.0.2.1", long}
	for _, name := range good {
		h, state, err := ParseClientHello(records(helloOf(names(name))))
		if state != Done || string(h.ServerName) != name {
			t.Errorf("%q: %v, %q, %v", name, state, h.ServerName, err)
		}
	}
	bad := []string{
		"", ".", "a.", ".a", "a..b", "a b", "a\x00", "a/b", "a:443", "[::1]", "::1", "*.a", "bücher.example", "a\n",
		long + "b", label + "a.b", "b." + label + "a",
	}
	for _, name := range bad {
		if _, state, err := ParseClientHello(records(helloOf(names(name)))); state != Malformed || err != error(ErrServerName) {
			t.Errorf("%q: %v, %v", name, state, err)
		}
	}
}

func TestNameOfAnotherType(t *testing.T) {
	other := concat([]byte{7}, vector16([]byte("?")))
	host := concat([]byte{typeHostName}, vector16([]byte("a.b")))
	h, state, err := ParseClientHello(records(helloOf(extensionOf(extensionServerName, vector16(other, host, other)))))
	if state != Done || string(h.ServerName) != "a.b" {
		t.Errorf("%v, %q, %v", state, h.ServerName, err)
	}
	h, state, err = ParseClientHello(records(helloOf(extensionOf(extensionServerName, vector16(other)))))
	if state != Done || h.ServerName != nil {
		t.Errorf("%v, %q, %v", state, h.ServerName, err)
	}
}

func TestNamesFoldInASCIIAlone(t *testing.T) {
	h := Hello{ServerName: []byte("Shop.EXAMPLE.com")}
	if !h.NameIs("shop.example.com") || h.NameIs("shop.example.co") || h.NameIs("shop.example.net") || h.NameIs("") {
		t.Error("a name is not compared as names are")
	}
	if got := string(h.AppendName([]byte("x "))); got != "x shop.example.com" {
		t.Errorf("got %q", got)
	}
	// '@' and '[' are next to the letters; '`' and '{' are what a careless fold makes of them.
	if h = (Hello{ServerName: []byte("@[")}); h.NameIs("`{") {
		t.Error("more than letters fold")
	}
}

func TestEncryptedHello(t *testing.T) {
	h, state, err := ParseClientHello(records(helloOf(names("public.example"), extensionOf(extensionEncryptedHello, []byte{0}))))
	if state != Done || !h.Encrypted || !h.NameIs("public.example") {
		t.Errorf("%v, %+v, %v", state, h, err)
	}
}

func TestProtocolsHas(t *testing.T) {
	h, state, err := ParseClientHello(records(helloOf(alpn("h2", "http/1.1"))))
	if state != Done {
		t.Fatal(state, err)
	}
	if !h.ALPN.Has("h2") || !h.ALPN.Has("http/1.1") || h.ALPN.Has("h") || h.ALPN.Has("H2") || h.ALPN.Has("") {
		t.Error("a protocol is not found, or one that is not there")
	}
}

func TestHelloAllocs(t *testing.T) {
	whole := records(helloOf(names("shop.example.com"), alpn("h2", "http/1.1"),
		extensionOf(extensionSupportedVersions, vector8(bytes16(0x0a0a, 0x0304)))))
	cut := records(whole[recordHead:], 20)
	foreign := []byte("GET / HTTP/1.1")
	name := make([]byte, 0, maxName)
	use := func(b []byte) func() {
		return func() {
			h, _, _ := ParseClientHello(b)
			if !h.ALPN.Has("http/1.1") || h.MaxVersion() != 0x0304 || !h.NameIs("shop.example.com") {
				t.Error("not read")
			}
			name = h.AppendName(name[:0])
		}
	}
	checkAllocs(t, 0, use(whole))
	checkAllocs(t, 0, func() { _, _, _ = ParseClientHello(cut[:len(cut)-1]) })
	checkAllocs(t, 0, func() { _, _, _ = ParseClientHello(whole[:len(whole)-1]) })
	checkAllocs(t, 0, func() { _, _, _ = ParseClientHello(foreign) })
	checkAllocs(t, 1, use(cut)) // the copy
}
