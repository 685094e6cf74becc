package stream_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"weir/config"
	"weir/proxy/stream"
	"weir/proxy/wire"
	"weir/telemetry"
)

// greeter is a backend that greets and leaves. It serves n connections.
func greeter(n int) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		defer l.Close()
		for range n {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "hello\n")
			_ = c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// newEngine is what all connections share, and what ends it.
func newEngine() (e *stream.Engine, end func()) {
	relays, err := wire.NewRelays()
	if err != nil {
		panic(err)
	}
	e = &stream.Engine{Log: zap.NewNop(), Telemetry: telemetry.New(telemetry.Options{}), Relays: relays}
	return e, func() { _ = relays.Close() }
}

// poolOf is a pool of one backend that is not checked.
func poolOf(backend netip.AddrPort) *config.Pool {
	return &config.Pool{
		Name: "sql", Protocol: config.TCP, Algorithm: config.WeightedRoundRobin, DrainTimeout: time.Minute,
		Timeouts: config.BackendTimeouts{Connect: time.Second, HalfClose: time.Second},
		Backends: []*config.Backend{{Name: "b1", Address: backend, Weight: 1, State: config.Ready}},
	}
}

// A listener gives the connections that it accepts to its Clients, which carry them to a backend of the pool.
func ExampleClients() {
	engine, end := newEngine()
	defer end()
	pool := engine.NewPool(poolOf(greeter(1)), nil, 0, time.Now())
	defer pool.Close(time.Now())

	c := &config.Listener{Name: "db", Protocol: config.TCP, Pool: "sql", Timeouts: config.ClientTimeouts{TCPIdle: time.Minute}}
	if err := stream.CheckSite(c); err != nil {
		fmt.Println(err)
		return
	}
	site := engine.NewSite(stream.SiteOptions{Config: c, Pools: map[string]*stream.Pool{"sql": pool}})
	clients := engine.NewClients(site)

	socket, err := wire.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer socket.Close()
	client, err := net.Dial("tcp", socket.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	conn, err := socket.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	clients.Serve(conn)
	line, _ := bufio.NewReader(client).ReadString('\n')
	fmt.Print(line)
	_ = client.Close()
	clients.Wait() // no connection may come any more
	fmt.Println(engine.Telemetry.TCP("db", "sql").Outcome(telemetry.OutcomeOK), "connection has ended well")
	// Output:
	// hello
	// 1 connection has ended well
}

// A reload changes the pool as a whole. Sessions on a backend that was removed go on; Sweep ends them when
// drain_timeout has passed.
func ExamplePool_Apply() {
	engine, end := newEngine()
	defer end()
	now := time.Now()
	pool := engine.NewPool(poolOf(netip.MustParseAddrPort("192.0.2.1:5432")), nil, 0, now)
	defer pool.Close(now)
	other := poolOf(netip.MustParseAddrPort("192.0.2.2:5432"))
	change := pool.Apply(other, nil, now)
	fmt.Println(len(change.Added), "backend added,", len(change.Removed), "removed")
	fmt.Println("again without hurry:", pool.Sweep(wire.Now()) == 0)
	// Output:
	// 1 backend added, 1 removed
	// again without hurry: true
}
