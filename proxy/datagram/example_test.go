package datagram_test

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"weir/config"
	"weir/proxy/datagram"
	"weir/telemetry"
)

// answering is a backend that answers one datagram.
func answering() netip.AddrPort {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		panic(err)
	}
	go func() {
		defer c.Close()
		b := make([]byte, 100)
		if n, from, err := c.ReadFromUDPAddrPort(b); err == nil {
			_, _ = c.WriteToUDPAddrPort(append([]byte("you asked: "), b[:n]...), from)
		}
	}()
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// A socket gives the datagrams of its clients to their sessions, and a new one to a backend of the pool.
func ExampleSocket() {
	engine := &datagram.Engine{Log: zap.NewNop(), Telemetry: telemetry.New(telemetry.Options{}), MaxSessions: 1000}
	if err := engine.Start(); err != nil {
		fmt.Println(err)
		return
	}
	pool := engine.NewPool(&config.Pool{
		Name: "names", Protocol: config.UDP, Algorithm: config.WeightedRoundRobin,
		Backends: []*config.Backend{{Name: "b1", Address: answering(), Weight: 1, State: config.Ready}},
	}, 0, time.Now())

	c := &config.Listener{Name: "dns", Protocol: config.UDP, Pool: "names", Timeouts: config.ClientTimeouts{UDPIdle: time.Minute}}
	c.UDP.Responses = 1 // the session is over with its reply
	if err := datagram.CheckSite(c); err != nil {
		fmt.Println(err)
		return
	}
	site := engine.NewSite(datagram.SiteOptions{Config: c, Pools: map[string]*datagram.Pool{"names": pool}})
	clients := engine.NewClients(site)
	socket, err := engine.Open("127.0.0.1:0", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	socket.Give(clients)
	socket.Serve()

	client, err := net.Dial("udp", socket.Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	fmt.Fprint(client, "who?")
	b := make([]byte, 100)
	n, err := client.Read(b)
	fmt.Println(string(b[:n]), err)

	clients.Stop() // no datagram opens a session any more
	socket.Stop()
	clients.Wait()
	pool.Close(time.Now())
	fmt.Println(engine.Close())
	counts := engine.Telemetry.UDP("dns", "names").Counts()
	fmt.Println(counts.Received, "datagram from the client,", counts.Sent, "to it,", counts.Ended, "session")
	// Output:
	// you asked: who? <nil>
	// <nil>
	// 1 datagram from the client, 1 to it, 1 session
}
