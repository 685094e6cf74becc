package wire_test

import (
	"fmt"
	"net"

	"weir/proxy/wire"
)

// A listener answers whom it has received from, by the address that it was asked at.
func ExampleUDPListener() {
	l, err := wire.ListenUDP("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	batch, out := wire.NewUDPBatch(32, true), wire.NewUDPOut(32)
	served := make(chan error)
	go func() {
		served <- l.Receive(batch, func(n int) {
			for i := range n {
				from := l.From(batch, i)
				out.Add(batch.Payload(i), l.Peer(&from), from.Segment)
			}
			_ = l.Control(func(fd uintptr) {
				for out.Send(fd) != 0 {
					out.Drop()
				}
			})
		})
	}()
	c, err := net.Dial("udp", l.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Fprint(c, "hello")
	b := make([]byte, 100)
	n, err := c.Read(b)
	fmt.Println(string(b[:n]), err)
	fmt.Println(l.Close(), <-served == wire.ErrClosed)
	// Output:
	// hello <nil>
	// <nil> true
}

// A connected socket hears one peer alone, and what the network says about it.
func ExampleConnectUDP() {
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		fmt.Println(err)
		return
	}
	addr := peer.LocalAddr().(*net.UDPAddr).AddrPort()
	peer.Close() // nobody is there
	c, err := wire.ConnectUDP(addr, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	out, batch := wire.NewUDPOut(1), wire.NewUDPBatch(1, false)
	out.Add([]byte("hello"), nil, 0)
	fmt.Println("sent:", out.Send(c.FD()) == 0)
	_, errno := c.Receive(batch, 0, 1)
	fmt.Println("received:", errno)
	// Output:
	// sent: true
	// received: connection refused
}
