package sniff

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

// parseProxy is ParseProxy for checkStream.
func parseProxy(b []byte) (int, State, error) {
	_, n, state, err := ParseProxy(b)
	return n, state, err
}

// block builds a header of version 2.
func block(command, network byte, parts ...[]byte) []byte {
	return concat([]byte(signatureV2), []byte{command, network}, vector16(parts...))
}

// tlv is one TLV.
func tlv(kind TLVType, value string) []byte {
	return concat([]byte{byte(kind)}, vector16([]byte(value)))
}

// sealed puts the checksum into a header whose TLV for it is empty. It is computed bit by bit as
// RFC 9260, appendix A, describes it.
func sealed(header []byte) []byte {
	at := strings.Index(string(header), string(tlv(TLVChecksum, "\x00\x00\x00\x00"))) + 3
	sum := ^uint32(0)
	for _, c := range header {
		sum ^= uint32(c)
		for range 8 {
			low := sum & 1
			sum >>= 1
			if low != 0 {
				sum ^= 0x82f63b78
			}
		}
	}
	binary.BigEndian.PutUint32(header[at:], ^sum)
	return header
}

var (
	ip4    = []byte{192, 0, 2, 1, 198, 51, 100, 2, 0xdb, 0x04, 1, 0xbb}
	ip6    = concat(bytes16(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), bytes16(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2), bytes16(56068, 443))
	mapped = concat(bytes16(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201), bytes16(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2), bytes16(56068, 443))
	unix   = concat([]byte("/run/a"), make([]byte, 102), []byte("\x00name"), make([]byte, 103))
	empty  = tlv(TLVChecksum, "\x00\x00\x00\x00")
	src4   = netip.MustParseAddrPort("192.0.2.1:56068")
	dst4   = netip.MustParseAddrPort("198.51.100.2:443")
	src6   = netip.MustParseAddrPort("[2001:db8::1]:56068")
	dst6   = netip.MustParseAddrPort("[2001:db8::2]:443")
	none   netip.AddrPort
)

func TestProxyHeaders(t *testing.T) {
	full := strings.Repeat("ffff:", 7) + "ffff"
	allOnes := netip.MustParseAddrPort("[" + full + "]:65535")
	tests := []struct {
		name     string
		in       []byte
		network  Network
		local    bool
		src, dst netip.AddrPort
	}{
		{"v1 IPv4", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 56068 443\r\n"), TCP4, false, src4, dst4},
		{"v1 IPv6", []byte("PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 56068 443\r\n"), TCP6, false, src6, dst6},
		{"v1 mapped", []byte("PROXY TCP6 ::ffff:c000:201 2001:db8::2 56068 443\r\n"), TCP6, false, src4, dst6},
		{"v1 mapped, as nginx writes it", []byte("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56068 443\r\n"), TCP6, false, src4, dst6},
		{"v1 ports", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 0 65535\r\n"), TCP4, false,
			netip.AddrPortFrom(src4.Addr(), 0), netip.AddrPortFrom(dst4.Addr(), 65535)},
		{"v1 longest IPv6", []byte("PROXY TCP6 " + full + " " + full + " 65535 65535\r\n"), TCP6, false, allOnes, allOnes},
		{"v1 unknown", []byte("PROXY UNKNOWN\r\n"), Unspec, false, none, none},
		{"v1 unknown with anything", []byte("PROXY UNKNOWN  \x00what ever\r\n"), Unspec, false, none, none},
		{"v1 unknown, longest", []byte("PROXY UNKNOWN " + full + " " + full + " 65535 65535\r\n"), Unspec, false, none, none},
		{"v2 TCP4", block(0x21, 0x11, ip4), TCP4, false, src4, dst4},
		{"v2 UDP4", block(0x21, 0x12, ip4), UDP4, false, src4, dst4},
		{"v2 TCP6", block(0x21, 0x21, ip6), TCP6, false, src6, dst6},
		{"v2 UDP6", block(0x21, 0x22, ip6), UDP6, false, src6, dst6},
		{"v2 mapped", block(0x21, 0x21, mapped), TCP6, false, src4, dst6},
		{"v2 unix", block(0x21, 0x31, unix), UnixStream, false, none, none},
		{"v2 unix datagrams", block(0x21, 0x32, unix), UnixDatagram, false, none, none},
		{"v2 unspec", block(0x21, 0), Unspec, false, none, none},
		{"v2 unspec with TLVs", sealed(block(0x21, 0, empty)), Unspec, false, none, none},
		{"v2 unspec with something else", block(0x21, 0, ip4), Unspec, false, none, none},
		{"v2 local", block(0x20, 0), Unspec, true, none, none},
		{"v2 local with addresses", block(0x20, 0x11, ip4), Unspec, true, none, none},
		{"v2 local with anything", block(0x20, 0xee, []byte{1}), Unspec, true, none, none},
		{"v2 checksum", sealed(block(0x21, 0x11, ip4, empty)), TCP4, false, src4, dst4},
		{"v2 checksum among others", sealed(block(0x21, 0x21, ip6, tlv(TLVNoop, "\x03\x00\x04"), empty, tlv(TLVALPN, "h2"))),
			TCP6, false, src6, dst6},
		{"v2 longest", block(0x21, 0x11, ip4, tlv(0xe0, strings.Repeat("x", maxBlockV2-12-3))), TCP4, false, src4, dst4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, n, state, err := ParseProxy(append(tt.in[:len(tt.in):len(tt.in)], "GET / HTTP/1.1\r\n"...))
			if state != Done || err != nil || n != len(tt.in) {
				t.Fatalf("%v, %d of %d, %v", state, n, len(tt.in), err)
			}
			if h.Network != tt.network || h.Local != tt.local || h.Src != tt.src || h.Dst != tt.dst {
				t.Errorf("got %v, local %v, %v to %v", h.Network, h.Local, h.Src, h.Dst)
			}
			if version := tt.name[1] - '0'; h.Version != version {
				t.Errorf("version %d, want %d", h.Version, version)
			}
			if wantTLVs := strings.Contains(tt.name, "checksum") || strings.Contains(tt.name, "TLVs") ||
				tt.name == "v2 longest"; (len(h.TLVs) > 0) != wantTLVs {
				t.Errorf("got TLVs %q", h.TLVs)
			}
			checkStream(t, tt.in, MaxProxy, parseProxy)
		})
	}
}

func TestNames(t *testing.T) {
	networks := map[Network]string{
		Unspec: "unspec", TCP4: "tcp4", UDP4: "udp4", TCP6: "tcp6", UDP6: "udp6", UnixStream: "unix", UnixDatagram: "unixgram", 0x10: "unknown",
	}
	for n, want := range networks {
		if got := n.String(); got != want {
			t.Errorf("network %x is %q, want %q", uint8(n), got, want)
		}
	}
	states := map[State]string{More: "more", Done: "done", Foreign: "foreign", Malformed: "malformed", Malformed + 1: "unknown"}
	for s, want := range states {
		if got := s.String(); got != want {
			t.Errorf("state %d is %q, want %q", uint8(s), got, want)
		}
	}
	if got := ErrNotTLS.Error(); got != "not TLS" {
		t.Errorf("got %q", got)
	}
}

func TestUnixPaths(t *testing.T) {
	filled := strings.Repeat("p", 108)
	tests := []struct{ name, in, want string }{
		{"a file", "/run/a\x00garbage", "/run/a"},
		{"abstract", "\x00a\x00b", "\x00a\x00b"},
		{"none", "", ""},
		{"all of it", filled, filled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			padded := concat([]byte(tt.in), make([]byte, 108-len(tt.in)))
			h, _, state, err := ParseProxy(block(0x21, 0x31, padded, []byte(filled), tlv(TLVALPN, "h2")))
			if state != Done || string(h.SrcPath) != tt.want || string(h.DstPath) != filled {
				t.Errorf("got %v, %q, %q, %v", state, h.SrcPath, h.DstPath, err)
			}
			if value, ok := h.TLVs.Find(TLVALPN); !ok || string(value) != "h2" {
				t.Errorf("got %q, %v", value, ok)
			}
		})
	}
}

var refusedProxies = []struct {
	name  string
	in    []byte
	state State
	err   error
}{
	{"nothing", nil, More, nil},
	{"beginning of version 1", []byte("PROX"), More, nil},
	{"beginning of version 2", []byte("\r\n\r\n\x00"), More, nil},
	{"HTTP", []byte("POST / HTTP/1.1\r\n"), Foreign, ErrNotProxy},
	{"TLS", []byte{22, 3, 1}, Foreign, ErrNotProxy},
	{"lower case", []byte("proxy TCP4"), Foreign, ErrNotProxy},
	{"no space", []byte("PROXY\tTCP4"), Foreign, ErrNotProxy},
	{"CR inside", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r3\r\n"), Malformed, ErrProxyLine},
	{"bare LF", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n"), Malformed, ErrProxyLine},
	{"bare LF in unknown", []byte("PROXY UNKNOWN a\nb\r\n"), Malformed, ErrProxyLine},
	{"no line end yet", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r"), More, nil},
	{"no line end in 107 bytes", []byte("PROXY UNKNOWN " + strings.Repeat("x", 93)), Malformed, ErrProxyTooLong},
	{"half a line end in 107 bytes", []byte("PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n"), Malformed, ErrProxyTooLong},
	{"no network", []byte("PROXY \r\n"), Malformed, ErrProxyLine},
	{"network only", []byte("PROXY TCP4\r\n"), Malformed, ErrProxyLine},
	{"another network", []byte("PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n"), Malformed, ErrProxyLine},
	{"longer network", []byte("PROXY UNKNOWNS\r\n"), Malformed, ErrProxyLine},
	{"two spaces", []byte("PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n"), Malformed, ErrProxyLine},
	{"two spaces inside", []byte("PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n"), Malformed, ErrProxyLine},
	{"space at the end", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n"), Malformed, ErrProxyLine},
	{"field too many", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n"), Malformed, ErrProxyLine},
	{"field too few", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n"), Malformed, ErrProxyLine},
	{"IPv6 in TCP4", []byte("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), Malformed, ErrProxyLine},
	{"mapped in TCP4", []byte("PROXY TCP4 ::ffff:c000:201 198.51.100.2 1 2\r\n"), Malformed, ErrProxyLine},
	{"IPv4 in TCP6", []byte("PROXY TCP6 192.0.2.1 2001:db8::2 1 2\r\n"), Malformed, ErrProxyLine},
	{"IPv4 in TCP6, second", []byte("PROXY TCP6 2001:db8::2 192.0.2.1 1 2\r\n"), Malformed, ErrProxyLine},
	{"zone", []byte("PROXY TCP6 fe80::1%1 2001:db8::2 1 2\r\n"), Malformed, ErrProxyLine},
	{"zero in front of an octet", []byte("PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n"), Malformed, ErrProxyLine},
	{"octet too large", []byte("PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n"), Malformed, ErrProxyLine},
	{"brackets", []byte("PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n"), Malformed, ErrProxyLine},
	{"zero in front of a port", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n"), Malformed, ErrProxyLine},
	{"port too large", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n"), Malformed, ErrProxyLine},
	{"port of six digits", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 1 655350\r\n"), Malformed, ErrProxyLine},
	{"sign of a port", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n"), Malformed, ErrProxyLine},
	{"no port", []byte("PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n"), Malformed, ErrProxyLine},

	{"version 1 in binary", []byte(signatureV2 + "\x11"), Malformed, ErrProxyVersion},
	{"version 3", []byte(signatureV2 + "\x31"), Malformed, ErrProxyVersion},
	{"command 2", []byte(signatureV2 + "\x22"), Malformed, ErrProxyCommand},
	{"family 4", []byte(signatureV2 + "\x21\x41"), Malformed, ErrProxyFamily},
	{"transport 3", []byte(signatureV2 + "\x21\x13"), Malformed, ErrProxyFamily},
	{"family without transport", []byte(signatureV2 + "\x21\x10"), Malformed, ErrProxyFamily},
	{"transport without family", []byte(signatureV2 + "\x21\x01"), Malformed, ErrProxyFamily},
	{"above the bound", []byte(signatureV2 + "\x21\x11\x10\x01"), Malformed, ErrProxyTooLong},
	{"local above the bound", []byte(signatureV2 + "\x20\x00\xff\xff"), Malformed, ErrProxyTooLong},
	{"too short for IPv4", block(0x21, 0x11, ip4[:11]), Malformed, ErrProxyAddress},
	{"too short for IPv6", block(0x21, 0x21, ip6[:35]), Malformed, ErrProxyAddress},
	{"too short for unix", block(0x21, 0x31, unix[:215]), Malformed, ErrProxyAddress},
	{"half of the head", []byte(signatureV2 + "\x21\x11\x00"), More, nil},
	{"half of the addresses", block(0x21, 0x11, ip4)[:20], More, nil},
	{"half of a TLV's head", block(0x21, 0x11, ip4, []byte{1, 0}), Malformed, ErrProxyTLV},
	{"TLV beyond the header", block(0x21, 0x11, ip4, []byte{1, 0, 2, 'h'}), Malformed, ErrProxyTLV},
	{"two checksums", block(0x21, 0x11, ip4, empty, empty), Malformed, ErrProxyTLV},
	{"checksum of three bytes", block(0x21, 0x11, ip4, tlv(TLVChecksum, "abc")), Malformed, ErrProxyTLV},
	{"wrong checksum", block(0x21, 0x11, ip4, empty), Malformed, ErrProxyChecksum},
	{"wrong checksum of unspec", block(0x21, 0, empty), Malformed, ErrProxyChecksum},
	{"unique ID of 129 bytes", block(0x21, 0x11, ip4, tlv(TLVUniqueID, strings.Repeat("x", 129))), Malformed, ErrProxyTLV},
	{"SSL of four bytes", block(0x21, 0x11, ip4, tlv(TLVSSL, "\x01\x00\x00\x00")), Malformed, ErrProxyTLV},
	{"half a TLV in SSL", block(0x21, 0x11, ip4, tlv(TLVSSL, "\x01\x00\x00\x00\x00\x21\x00")), Malformed, ErrProxyTLV},
}

func TestRefusedProxies(t *testing.T) {
	for _, tt := range refusedProxies {
		t.Run(tt.name, func(t *testing.T) {
			h, n, state, err := ParseProxy(tt.in)
			if state != tt.state || err != tt.err || n != 0 || h.Version != 0 || h.Src.IsValid() {
				t.Errorf("got %v, %v, %d, %+v, want %v, %v", state, err, n, h, tt.state, tt.err)
			}
			checkStream(t, tt.in, MaxProxy, parseProxy)
		})
	}
}

// TestEveryBitIsProtected: no single bit of a header with a checksum can change without notice, but
// for those that say that there is a checksum, and that there is something to check.
func TestEveryBitIsProtected(t *testing.T) {
	b := sealed(block(0x21, 0x11, ip4, tlv(TLVAuthority, "a.example"), empty))
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			_, _, state, _ := ParseProxy(b)
			local, unchecked := i == 12 && bit == 0, i == len(b)-len(empty)
			if state == Done && !local && !unchecked {
				t.Errorf("bit %d of byte %d is not protected", bit, i)
			}
			b[i] ^= 1 << bit
		}
	}
}

func TestTLVs(t *testing.T) {
	ssl := concat([]byte{7, 0, 0, 0, 0}, tlv(SSLVersion, "TLSv1.3"), tlv(SSLCommonName, "Ann"))
	in := block(0x21, 0x11, ip4, tlv(TLVNoop, "xyz"), tlv(TLVAuthority, "a.example"), tlv(TLVSSL, string(ssl)),
		tlv(TLVUniqueID, strings.Repeat("u", 128)), tlv(TLVNoop, ""), tlv(0xe0, ""), tlv(0xe0, "second"))
	h, _, state, err := ParseProxy(in)
	if state != Done {
		t.Fatal(state, err)
	}
	var kinds []byte
	for kind := range h.TLVs.All() {
		kinds = append(kinds, byte(kind))
	}
	if want := "\x02\x20\x05\xe0\xe0"; string(kinds) != want {
		t.Errorf("got types %x, want %x", kinds, want)
	}
	if v, ok := h.TLVs.Find(TLVAuthority); !ok || string(v) != "a.example" {
		t.Errorf("authority %q, %v", v, ok)
	}
	if v, ok := h.TLVs.Find(0xe0); !ok || len(v) != 0 {
		t.Errorf("the first of two is %q, %v", v, ok)
	}
	if v, ok := h.TLVs.Find(TLVALPN); ok {
		t.Errorf("found %q, which is not there", v)
	}
	s, ok := h.TLVs.SSL()
	if !ok || !s.TLS || !s.Certificate || !s.Session || !s.Verified {
		t.Errorf("got %+v, %v", s, ok)
	}
	if v, ok := s.TLVs.Find(SSLCommonName); !ok || string(v) != "Ann" {
		t.Errorf("common name %q, %v", v, ok)
	}
}

func TestSSL(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want SSL
	}{
		{"no certificate", "\x01\x00\x00\x00\x00", SSL{TLS: true}},
		{"certificate", "\x03\x00\x00\x00\x00", SSL{TLS: true, Certificate: true, Verified: true}},
		{"of the session", "\x05\x00\x00\x00\x00", SSL{TLS: true, Session: true, Verified: true}},
		{"not verified", "\x03\x00\x00\x00\x01", SSL{TLS: true, Certificate: true}},
		{"plain", "\x00\x00\x00\x00\x00", SSL{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := TLVs(tlv(TLVSSL, tt.in)).SSL()
			if !ok || len(got.TLVs) != 0 {
				t.Errorf("got %+v, %v", got, ok)
			}
			got.TLVs = nil
			if got.TLS != tt.want.TLS || got.Certificate != tt.want.Certificate || got.Session != tt.want.Session || got.Verified != tt.want.Verified {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	if _, ok := TLVs(tlv(TLVALPN, "h2")).SSL(); ok {
		t.Error("found SSL in ALPN")
	}
}

func TestParseProxyAllocs(t *testing.T) {
	for _, in := range [][]byte{
		[]byte("PROXY TCP4 192.0.2.1 198.51.100.2 56068 443\r\n"),
		[]byte("PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 56068 443\r\n"),
		[]byte("PROXY TCP6 2001:db8::1 2001:db8::2 56068 443\r"),
		sealed(block(0x21, 0x21, ip6, tlv(TLVALPN, "h2"), empty)),
		block(0x21, 0x31, unix, tlv(TLVSSL, "\x01\x00\x00\x00\x00")),
		block(0x20, 0),
	} {
		checkAllocs(t, 0, func() {
			h, _, state, err := ParseProxy(in)
			if err != nil {
				t.Error(state, err)
			}
			h.TLVs.Find(TLVUniqueID)
			h.TLVs.SSL()
		})
	}
}
