package sniff

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/pires/go-proxyproto"
	"pgregory.net/rapid"
)

// endpoint is what we know of an address of go-proxyproto.
func endpoint(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	case *net.UDPAddr:
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// peerPath is the same of a Unix address. go-proxyproto does not know abstract ones.
func peerPath(a net.Addr) string {
	if u, ok := a.(*net.UnixAddr); ok {
		return u.Name
	}
	return ""
}

// matchPeer compares what we read in a header with what go-proxyproto did.
func matchPeer(t rapid.TB, got *Header, want *proxyproto.Header) {
	t.Helper()
	if got.Version != want.Version {
		t.Errorf("version %d, want %d", got.Version, want.Version)
	}
	// go-proxyproto calls UNKNOWN of version 1 local.
	if local := got.Local || got.Version == 1 && got.Network == Unspec; local != want.Command.IsLocal() {
		t.Errorf("local %v, want %v", local, want.Command.IsLocal())
	}
	if want.Command.IsLocal() {
		return // it shows what is to be discarded
	}
	if byte(got.Network) != byte(want.TransportProtocol) {
		t.Errorf("network %v, want %x", got.Network, want.TransportProtocol)
	}
	if got.Src != endpoint(want.SourceAddr) || got.Dst != endpoint(want.DestinationAddr) {
		t.Errorf("%v to %v, want %v to %v", got.Src, got.Dst, want.SourceAddr, want.DestinationAddr)
	}
	if len(got.SrcPath) > 0 && got.SrcPath[0] != 0 && string(got.SrcPath) != peerPath(want.SourceAddr) {
		t.Errorf("path %q, want %v", got.SrcPath, want.SourceAddr)
	}
	tlvs, err := want.TLVs()
	if err != nil {
		t.Fatal(err)
	}
	tlvs = slices.DeleteFunc(tlvs, func(v proxyproto.TLV) bool { return v.Type == proxyproto.PP2_TYPE_NOOP })
	for kind, value := range got.TLVs.All() {
		if len(tlvs) == 0 || byte(tlvs[0].Type) != byte(kind) || !bytes.Equal(tlvs[0].Value, value) {
			t.Fatalf("TLV %x %q, want %v", kind, value, tlvs)
		}
		tlvs = tlvs[1:]
	}
	if len(tlvs) > 0 {
		t.Errorf("not read: %v", tlvs)
	}
}

var (
	ports = rapid.Uint16()
	addr4 = rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "IPv4")))
	})
	addr6 = rapid.Custom(func(t *rapid.T) netip.Addr {
		b := rapid.SliceOfN(rapid.OneOf(rapid.Just(byte(0)), rapid.Byte()), 16, 16).Draw(t, "IPv6")
		return netip.AddrFrom16([16]byte(b))
	})
	text = rapid.SliceOfN(rapid.Byte(), 0, 300)
)

// addresses draws two of a family.
func addresses(t *rapid.T, family *rapid.Generator[netip.Addr]) (src, dst netip.AddrPort) {
	return netip.AddrPortFrom(family.Draw(t, "src"), ports.Draw(t, "src port")),
		netip.AddrPortFrom(family.Draw(t, "dst"), ports.Draw(t, "dst port"))
}

// TestPeerReadsOurs: go-proxyproto and ParseProxy read in our headers what was written.
func TestPeerReadsOurs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		src, dst := addresses(t, rapid.OneOf(addr4, addr6))
		o := ProxyOptions{
			Local:     rapid.Bool().Draw(t, "local"),
			Datagram:  rapid.Bool().Draw(t, "datagram"),
			Checksum:  rapid.Bool().Draw(t, "checksum"),
			Authority: text.Draw(t, "authority"),
			ALPN:      text.Draw(t, "ALPN"),
			UniqueID:  text.Draw(t, "unique ID"),
		}
		for version, b := range [][]byte{AppendProxyV1(nil, src, dst), AppendProxyV2(nil, src, dst, o)} {
			h, n, state, err := ParseProxy(b)
			if state != Done || n != len(b) {
				t.Fatalf("%q: %v, %d, %v", b, state, n, err)
			}
			peer, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b)))
			if err != nil {
				t.Fatalf("%q: %v", b, err)
			}
			matchPeer(t, &h, peer)
			local := version == 1 && o.Local
			unmapped := netip.AddrPortFrom(src.Addr().Unmap(), src.Port())
			if h.Local != local || !local && (h.Src != unmapped || h.Dst.Port() != dst.Port()) {
				t.Fatalf("%q was read as %+v", b, h)
			}
			if value, ok := h.TLVs.Find(TLVAuthority); ok != (version == 1 && !local && len(o.Authority) > 0 && len(o.Authority) <= 255) ||
				ok && !bytes.Equal(value, o.Authority) {
				t.Fatalf("authority %q, %v, want %q", value, ok, o.Authority)
			}
		}
	})
}

// TestWeReadPeers: ParseProxy reads what go-proxyproto writes.
func TestWeReadPeers(t *testing.T) {
	networks := rapid.SampledFrom([]Network{TCP4, UDP4, TCP6, UDP6, UnixStream, UnixDatagram})
	rapid.Check(t, func(t *rapid.T) {
		network := networks.Draw(t, "network")
		peer := &proxyproto.Header{
			Version:           byte(rapid.IntRange(1, 2).Draw(t, "version")),
			Command:           proxyproto.PROXY,
			TransportProtocol: proxyproto.AddressFamilyAndProtocol(network),
		}
		if rapid.IntRange(0, 9).Draw(t, "command") == 0 && peer.Version == 2 {
			peer.Command = proxyproto.LOCAL
		}
		peer.SourceAddr, peer.DestinationAddr = peerAddresses(t, network)
		if peer.Version == 2 {
			if err := peer.SetTLVs(peerTLVs(t)); err != nil {
				t.Fatal(err)
			}
		}
		b, err := peer.Format()
		if err != nil {
			t.Fatal(err)
		}
		h, n, state, err := ParseProxy(b)
		if state != Done || n != len(b) {
			t.Fatalf("%q: %v, %d, %v", b, state, n, err)
		}
		if peer.Version == 1 && network != TCP4 && network != TCP6 {
			if h.Network != Unspec {
				t.Fatalf("%q was read as %v", b, h.Network)
			}
			return // version 1 has no other networks
		}
		matchPeer(t, &h, peer)
	})
}

func peerAddresses(t *rapid.T, network Network) (src, dst net.Addr) {
	if network == UnixStream || network == UnixDatagram {
		name := rapid.StringMatching(`/[a-z]{0,107}`)
		kind := map[Network]string{UnixStream: "unix", UnixDatagram: "unixgram"}[network]
		return &net.UnixAddr{Net: kind, Name: name.Draw(t, "src")}, &net.UnixAddr{Net: kind, Name: name.Draw(t, "dst")}
	}
	family := addr4
	if network == TCP6 || network == UDP6 {
		family = addr6
	}
	from, to := addresses(t, family)
	if network == UDP4 || network == UDP6 {
		return net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to)
	}
	return net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to)
}

// peerTLVs draws TLVs of the types that have no form of their own.
func peerTLVs(t *rapid.T) []proxyproto.TLV {
	kinds := rapid.SampledFrom([]proxyproto.PP2Type{
		proxyproto.PP2_TYPE_ALPN, proxyproto.PP2_TYPE_AUTHORITY, proxyproto.PP2_TYPE_NOOP, proxyproto.PP2_TYPE_NETNS, 0xe0, 0xff,
	})
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) proxyproto.TLV {
		return proxyproto.TLV{Type: kinds.Draw(t, "type"), Value: text.Draw(t, "value")}
	}), 0, 8).Draw(t, "TLVs")
}

// FuzzParseProxy: what was decided stays decided, nothing is read beyond the end, and what
// go-proxyproto accepts as well it reads in the same way.
func FuzzParseProxy(f *testing.F) {
	for _, tt := range refusedProxies {
		f.Add(tt.in)
	}
	f.Add([]byte("PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 56068 443\r\nGET"))
	f.Add(sealed(block(0x21, 0x21, ip6, tlv(TLVNoop, "x"), empty, tlv(TLVALPN, "h2"))))
	f.Add(block(0x21, 0x31, unix, tlv(TLVSSL, "\x07\x00\x00\x00\x00\x21\x00\x01x")))
	f.Add(block(0x20, 0x11, ip4))
	f.Add(block(0x21, 0, ip4))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkStream(t, b, MaxProxy, parseProxy)
		h, n, state, _ := ParseProxy(b)
		if h.Src.IsValid() != h.Dst.IsValid() || h.Src.Addr().Zone() != "" || h.Src.Addr().Is4In6() {
			t.Fatalf("got %+v", h)
		}
		peer, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b), 1<<17))
		switch {
		case state == Done && err == nil:
			matchPeer(t, &h, peer)
		case state == Foreign && err == nil:
			t.Fatalf("%q is a header to go-proxyproto", b)
		case state == Done && n > 0 && h.Version == 1:
			t.Fatalf("go-proxyproto refuses %q: %v", b[:n], err)
		}
	})
}
