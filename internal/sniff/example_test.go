package sniff_test

import (
	"fmt"
	"net/netip"

	"weir/internal/sniff"
)

func ExampleParseClientHello() {
	_, state, err := sniff.ParseClientHello([]byte{22, 3, 1}) // a record of TLS begins
	fmt.Println(state, err)
	_, state, err = sniff.ParseClientHello([]byte("GET / HTTP/1.1\r\n"))
	fmt.Println(state, err)
	// Output:
	// more <nil>
	// foreign not TLS
}

func ExampleParseProxy() {
	in := []byte("PROXY TCP4 192.0.2.1 198.51.100.2 56068 443\r\nGET / HTTP/1.1\r\n")
	h, n, state, err := sniff.ParseProxy(in)
	fmt.Println(h.Src, h.Dst, state, err)
	fmt.Printf("%q\n", in[n:])
	// Output:
	// 192.0.2.1:56068 198.51.100.2:443 done <nil>
	// "GET / HTTP/1.1\r\n"
}

func ExampleAppendProxyV1() {
	client, listener := netip.MustParseAddrPort("192.0.2.1:56068"), netip.MustParseAddrPort("[2001:db8::2]:443")
	fmt.Printf("%q\n", sniff.AppendProxyV1(nil, client, listener))
	// Output: "PROXY TCP6 ::ffff:c000:201 2001:db8::2 56068 443\r\n"
}

func ExampleAppendProxyV2() {
	client, listener := netip.MustParseAddrPort("192.0.2.1:56068"), netip.MustParseAddrPort("198.51.100.2:443")
	b := sniff.AppendProxyV2(nil, client, listener, sniff.ProxyOptions{Authority: []byte("shop.example.com"), Checksum: true})
	h, n, _, err := sniff.ParseProxy(b)
	name, _ := h.TLVs.Find(sniff.TLVAuthority)
	fmt.Println(n, h.Network, h.Src, string(name), err)
	// Output: 54 tcp4 192.0.2.1:56068 shop.example.com <nil>
}

func ExampleParseQUIC() {
	datagram := []byte{0x40, 0x2b, 's', '0', '1', 5, 6, 7, 8, 9, 10} // 1-RTT, to an ID of eight bytes
	p, err := sniff.ParseQUIC(datagram, 8)
	server, ok := sniff.ServerID(p.DCID, 1, 3)
	fmt.Println(p.Type, string(server), ok, err)
	// Output: short s01 true <nil>
}
