package sniff

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
)

func TestAppendProxyV1(t *testing.T) {
	zoned := netip.MustParseAddrPort("[fe80::1%eth0]:1")
	mapped4 := netip.MustParseAddrPort("[::ffff:192.0.2.1]:56068")
	tests := []struct {
		name     string
		src, dst netip.AddrPort
		want     string
	}{
		{"IPv4", src4, dst4, "PROXY TCP4 192.0.2.1 198.51.100.2 56068 443\r\n"},
		{"IPv6", src6, dst6, "PROXY TCP6 2001:db8::1 2001:db8::2 56068 443\r\n"},
		{"both", src4, dst6, "PROXY TCP6 ::ffff:c000:201 2001:db8::2 56068 443\r\n"},
		{"both, turned round", src6, dst4, "PROXY TCP6 2001:db8::1 ::ffff:c633:6402 56068 443\r\n"},
		{"mapped", mapped4, dst4, "PROXY TCP4 192.0.2.1 198.51.100.2 56068 443\r\n"},
		{"zone", zoned, dst6, "PROXY TCP6 fe80::1 2001:db8::2 1 443\r\n"},
		{"no source", none, dst4, "PROXY UNKNOWN\r\n"},
		{"no destination", src4, none, "PROXY UNKNOWN\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(AppendProxyV1([]byte("> "), tt.src, tt.dst)); got != "> "+tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAppendProxyV2(t *testing.T) {
	long := []byte(strings.Repeat("x", 255))
	tests := []struct {
		name     string
		src, dst netip.AddrPort
		options  ProxyOptions
		want     []byte
	}{
		{"IPv4", src4, dst4, ProxyOptions{}, block(0x21, 0x11, ip4)},
		{"IPv4 datagrams", src4, dst4, ProxyOptions{Datagram: true}, block(0x21, 0x12, ip4)},
		{"IPv6", src6, dst6, ProxyOptions{}, block(0x21, 0x21, ip6)},
		{"IPv6 datagrams", src6, dst6, ProxyOptions{Datagram: true}, block(0x21, 0x22, ip6)},
		{"both", src4, dst6, ProxyOptions{}, block(0x21, 0x21, mapped)},
		{"no addresses", none, none, ProxyOptions{Datagram: true}, block(0x21, 0)},
		{"local", src4, dst4, ProxyOptions{Local: true, Authority: []byte("a"), Checksum: true}, block(0x20, 0)},
		{"TLVs", src4, dst4, ProxyOptions{Authority: []byte("a.b"), ALPN: []byte("h2"), UniqueID: []byte("id")},
			block(0x21, 0x11, ip4, tlv(TLVALPN, "h2"), tlv(TLVAuthority, "a.b"), tlv(TLVUniqueID, "id"))},
		{"checksum", src4, dst4, ProxyOptions{ALPN: []byte("h2"), Checksum: true},
			sealed(block(0x21, 0x11, ip4, tlv(TLVALPN, "h2"), empty))},
		{"checksum without addresses", none, dst4, ProxyOptions{Checksum: true}, sealed(block(0x21, 0, empty))},
		{"longest", src6, dst6, ProxyOptions{Authority: long, ALPN: long, UniqueID: long[:128], Checksum: true},
			sealed(block(0x21, 0x21, ip6, tlv(TLVALPN, string(long)), tlv(TLVAuthority, string(long)), tlv(TLVUniqueID, string(long[:128])), empty))},
		{"too long", src4, dst4, ProxyOptions{Authority: append(long, 'x'), ALPN: append(long, 'x'), UniqueID: long[:129]}, block(0x21, 0x11, ip4)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := AppendProxyV2([]byte("> "), tt.src, tt.dst, tt.options)
			if !bytes.Equal(got, append([]byte("> "), tt.want...)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if tt.name == "longest" && len(tt.want) != 706 {
				t.Errorf("the longest has %d bytes, AppendProxyV2 says 706", len(tt.want))
			}
		})
	}
}

func TestAppendProxyAllocs(t *testing.T) {
	b := make([]byte, 0, 1024)
	options := ProxyOptions{Authority: []byte("a.example"), ALPN: []byte("h2"), UniqueID: []byte("id"), Checksum: true}
	checkAllocs(t, 0, func() {
		AppendProxyV1(b, src4, dst4)
		AppendProxyV1(b, src4, dst6)
		AppendProxyV2(b, src6, dst6, options)
		AppendProxyV2(b, src4, dst4, ProxyOptions{Local: true})
	})
}
