package route_test

import (
	"fmt"
	"net/netip"

	"weir/config"
	"weir/proxy/message"
	"weir/proxy/route"
)

func ExampleTable_Match() {
	table := route.New([]config.Route{
		{Path: "/old", Redirect: &config.Redirect{To: "https://{host}/new{query}", Status: 308}},
		{PathPrefix: "/api", Pool: "api", StripPrefix: "/api"},
	}, "web", func(pool string) string { return pool })

	client := netip.MustParseAddr("192.0.2.7")
	for _, target := range []string{"/", "/api/v1/things?page=2", "/old?page=2"} {
		h := &message.Head{Method: []byte("GET"), Authority: []byte("shop.example:80"), Target: []byte(target)}
		switch m := table.Match(h, client); {
		case !m.Found:
			fmt.Println("refused")
		case !m.HasTarget && m.Action.Redirect != nil:
			fmt.Printf("%d %s\n", m.Action.Redirect.Status, m.Action.Location(nil, h))
		case m.HasTarget:
			fmt.Printf("%s gets %s\n", m.Target, m.Action.Target(nil, h))
		}
	}
	// Output:
	// web gets /
	// api gets /v1/things?page=2
	// 308 https://shop.example/new?page=2
}

func ExampleHeaderChange() {
	table := route.New([]config.Route{{Pool: "web", ResponseHeaders: config.HeaderChange{
		Set: []config.Header{{Name: "Strict-Transport-Security", Value: "max-age=63072000"}},
	}}}, "", func(pool string) string { return pool })
	m := table.Match(&message.Head{Method: []byte("GET"), Target: []byte("/")}, netip.Addr{})
	fmt.Printf("%q\n", m.Action.ResponseHeaders.Append(nil))
	// Output: "Strict-Transport-Security: max-age=63072000\r\n"
}

func ExampleDescribe() {
	l := &config.Listener{
		Origin: config.Origin{File: "weir.yaml", Line: 3}, Pool: "web",
		Routes: []config.Route{{Origin: config.Origin{File: "weir.yaml", Line: 7}, Host: "shop.example", PathPrefix: "/api", Pool: "api"}},
	}
	for _, line := range route.Describe(l) {
		fmt.Println(line)
	}
	// Output:
	// weir.yaml:7: host shop.example, path_prefix /api → pool api
	// weir.yaml:3: everything else → pool web
}
