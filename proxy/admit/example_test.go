package admit_test

import (
	"fmt"
	"net/netip"
	"time"

	"weir/proxy/admit"
)

func ExampleAccess() {
	access, err := admit.NewAccess(
		[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
		[]netip.Prefix{netip.MustParsePrefix("10.66.0.0/16")},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, client := range []string{"10.1.2.3", "::ffff:10.1.2.3", "10.66.0.1", "192.0.2.1", "2001:db8::1"} {
		fmt.Println(client, access.Allowed(netip.MustParseAddr(client)))
	}
	// Output:
	// 10.1.2.3 true
	// ::ffff:10.1.2.3 true
	// 10.66.0.1 false
	// 192.0.2.1 false
	// 2001:db8::1 true
}

func ExampleRate() {
	rate, err := admit.NewRate(admit.RateOptions{Rate: 2, Burst: 3, IPv6Bits: 64})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := netip.MustParseAddr("192.0.2.1")
	for now := range 6 {
		fmt.Println(rate.Allow(client, int64(now)*int64(100*time.Millisecond)))
	}
	// Output:
	// true 0s
	// true 0s
	// true 0s
	// false 200ms
	// false 100ms
	// true 0s
}

func ExamplePace() {
	pace := admit.NewPace(2)
	for range 3 {
		fmt.Println(pace.Allow(0), pace.Wait(0))
	}
	// Output:
	// true 0s
	// true 500ms
	// false 500ms
}

func ExampleConnections() {
	connections, err := admit.NewConnections(1, 64)
	if err != nil {
		fmt.Println(err)
		return
	}
	client, neighbour := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	fmt.Println(connections.Enter(client), connections.Enter(neighbour))
	connections.Leave(client)
	fmt.Println(connections.Enter(neighbour))
	// Output:
	// true false
	// true
}

func ExampleBodyRate() {
	rate := admit.BodyRate{PerSecond: 1000, Grace: 5 * time.Second, Window: 5 * time.Second}
	mark, slow := rate.Start(0), false
	for _, at := range []time.Duration{4 * time.Second, 10 * time.Second, 15 * time.Second} {
		const received = 6000 // nothing comes after the first 6000 bytes
		mark, slow = rate.Check(mark, received, int64(at))
		fmt.Println(at, slow)
	}
	// Output:
	// 4s false
	// 10s false
	// 15s true
}

func ExampleDescriptors() {
	descriptors := admit.NewDescriptors(1000)
	descriptors.Observe(20)                   // listeners, logs, epoll
	fmt.Println(descriptors.Enter(879))       // sockets of clients and backends
	fmt.Println(descriptors.Enter(2))         // a new client would need two more
	fmt.Println(descriptors.EnterReserved(1)) // the admin can still come in
	descriptors.Leave(1)
	// Output:
	// true
	// false
	// true
}
