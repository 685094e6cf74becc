package sniff

import "testing"

func BenchmarkParseClientHello(b *testing.B) {
	in := records(helloOf(names("shop.example.com"), alpn("h2", "http/1.1"),
		extensionOf(extensionSupportedVersions, vector8(bytes16(0x0a0a, 0x0304, 0x0303))), extensionOf(51, make([]byte, 1220))))
	b.ReportAllocs()
	for b.Loop() {
		if h, _, _ := ParseClientHello(in); !h.NameIs("shop.example.com") {
			b.Fatal("not read")
		}
	}
}

func BenchmarkParseProxy(b *testing.B) {
	for name, in := range map[string][]byte{
		"v1":          AppendProxyV1(nil, src4, dst4),
		"v2":          AppendProxyV2(nil, src4, dst4, ProxyOptions{}),
		"v2 checksum": AppendProxyV2(nil, src4, dst4, ProxyOptions{Authority: []byte("shop.example.com"), Checksum: true}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if h, _, _, _ := ParseProxy(in); h.Src != src4 {
					b.Fatal("not read")
				}
			}
		})
	}
}

func BenchmarkAppendProxy(b *testing.B) {
	buf := make([]byte, 0, 1024)
	b.Run("v1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = AppendProxyV1(buf[:0], src4, dst4)
		}
	})
	b.Run("v2 checksum", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = AppendProxyV2(buf[:0], src4, dst4, ProxyOptions{Authority: []byte("shop.example.com"), Checksum: true})
		}
	})
}

func BenchmarkParseQUIC(b *testing.B) {
	for name, in := range map[string][]byte{"long": coalesced(), "short": append([]byte{0x40}, make([]byte, 1200)...)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p, _ := ParseQUIC(in, 8); len(p.DCID) != 8 {
					b.Fatal("not read")
				}
			}
		})
	}
}
