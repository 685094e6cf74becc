package session_test

import (
	"fmt"
	"net/netip"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/proxy/session"
)

// backends are b1 and b2, which are up.
func backends() []*balancer.Backend {
	c := &config.Pool{Name: "web", Algorithm: config.WeightedRoundRobin}
	for i, name := range []string{"b1", "b2"} {
		address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(11 + i)}), 8080)
		c.Backends = append(c.Backends, &config.Backend{Name: name, Address: address, Weight: 1, State: config.Ready})
	}
	var found []*balancer.Backend
	for _, m := range balancer.NewPool(c, balancer.Options{}, time.Now()).Snapshot().Members() {
		found = append(found, m.Backend)
	}
	return found
}

// A response starts a session; the next request brings it back, and the backend does not see it.
func ExampleCodec() {
	codec, err := session.NewCodec([][]byte{[]byte("a key that all machines share...")}, "web")
	if err != nil {
		fmt.Println(err)
		return
	}
	setter, err := session.NewSetter(session.Attributes{Name: "WEIR", Path: "/", HTTPOnly: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	index := codec.Index(backends())
	const now, timeout = 1_800_000_000, 24 * time.Hour

	value := codec.Encode(nil, "b2", now)
	fmt.Printf("Set-Cookie: %s\n", setter.Append(nil, value, true))

	cookies := []byte("theme=dark; WEIR=" + string(value) + "; lang=en")
	value, _ = session.Find("WEIR", cookies)
	tag, _, verdict := codec.Decode(value, now+3600, timeout)
	fmt.Println(verdict, index.Backend(tag).Name())
	fmt.Printf("Cookie: %s\n", session.Strip(nil, cookies, "WEIR"))
	// Output:
	// Set-Cookie: WEIR=ASJchOJWpx0jDeaAY3leItEAAGtJ0gCherktGeCgFJtCZQSsO6J0; Path=/; HttpOnly; SameSite=Lax; Secure
	// valid b2
	// Cookie: theme=dark; lang=en
}

func ExampleTable() {
	b := backends()
	table := session.NewTable(100_000, time.Minute)
	client := session.AddressKey(netip.MustParseAddr("192.0.2.7"))
	fmt.Println(table.Get(client, 0) == nil)
	table.Put(client, b[1], 0)
	fmt.Println(table.Get(client, int64(59*time.Second)).Name())
	fmt.Println(table.Get(client, int64(2*time.Minute)) == nil)
	// Output:
	// true
	// b2
	// true
}

func ExampleLearner() {
	b := backends()
	learner := session.NewLearner("JSESSIONID", session.NewTable(100_000, time.Hour))
	learner.Learn([]byte("JSESSIONID=4711; Path=/"), b[0], 0, 1_800_000_000)
	_, found := learner.Session(0, []byte("lang=en"), []byte("JSESSIONID=4711"))
	fmt.Println(found.Name())
	// Output: b1
}

// Two connections of a client come at once. The second would have had another backend.
func ExampleBond() {
	b := backends()
	clients := session.NewAddresses(&config.Persistence{Type: config.PersistSourceIP, Timeout: time.Minute}, nil)
	client := netip.MustParseAddr("192.0.2.7")
	first, second := clients.Find(client, 0), clients.Find(client, 0)
	fmt.Println(first.Claim(b[0], 0))
	fmt.Println(second.Claim(b[1], 0), second.Backend().Name())
	// Output:
	// true
	// false b1
}
