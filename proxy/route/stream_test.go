package route

import (
	"net/netip"
	"testing"

	"weir/config"
	"weir/internal/sniff"
)

func TestStreams(t *testing.T) {
	routes := []config.Route{
		{SNI: []string{"Shop.example", "*.shop.example"}, Pool: "shop"},
		{ALPN: []string{"h2", "imap"}, Pool: "h2"},
		{SNI: []string{"mail.example"}, ALPN: []string{"smtp"}, Pool: "mail"},
		{Source: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Pool: "inside"},
		{SNI: []string{"split.example"}, Split: []config.Arm{{Pool: "a", Weight: 1}, {Pool: "b", Weight: 0}}},
	}
	table := NewStreams(routes, "rest", func(pool string) string { return pool })
	if !table.NeedsHello() {
		t.Error("names need no hello")
	}
	tests := []struct{ name, sni, alpn, src, want string }{
		{"exact", "shop.example", "", "192.0.2.1", "shop"},
		{"in another letter case", "SHOP.Example", "", "192.0.2.1", "shop"},
		{"with a final dot", "shop.example.", "", "192.0.2.1", "shop"},
		{"wildcard", "a.b.shop.example", "", "192.0.2.1", "shop"},
		{"not the end of another name", "myshop.example", "", "192.0.2.1", "rest"},
		{"second protocol", "x.example", "\x08http/1.1\x02h2", "192.0.2.1", "h2"},
		{"prefix of a protocol", "x.example", "\x03h2c", "192.0.2.1", "rest"},
		{"both", "mail.example", "\x04smtp", "192.0.2.1", "mail"},
		{"one of both", "mail.example", "", "192.0.2.1", "rest"},
		{"source", "", "", "::ffff:10.1.2.3", "inside"},
		{"split", "split.example", "", "192.0.2.1", "a"},
		{"no TLS", "", "", "192.0.2.1", "rest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			hello := sniff.Hello{ServerName: []byte(tt.sni), ALPN: sniff.Protocols(tt.alpn)}
			src := netip.MustParseAddr(tt.src)
			if got, ok := table.Match(&hello, src); got != tt.want || !ok {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if n := testing.AllocsPerRun(100, func() { table.Match(&hello, src) }); n != 0 && !raceEnabled {
				t.Errorf("%v allocations", n)
			}
		})
	}
	bare := NewStreams(routes[3:4], "", func(pool string) string { return pool })
	if _, ok := bare.Match(&sniff.Hello{}, netip.MustParseAddr("192.0.2.1")); ok || bare.NeedsHello() {
		t.Error("a table of sources matches what it should not, or needs a hello")
	}
}
