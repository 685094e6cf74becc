package contest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// portAttempts bounds the search for a free port.
const portAttempts = 1000

// freeAddrs returns two addresses that nobody listens on. Their ports are below those that the
// kernel gives to connections: with thousands of these a second one would soon be taken between
// here and the start of the proxy.
func freeAddrs() (one, other netip.AddrPort, err error) {
	low, high := freePorts(readText("/proc/sys/net/ipv4/ip_local_port_range"))
	var addrs []netip.AddrPort
	for range portAttempts {
		l, err := net.Listen("tcp4", "127.0.0.1:"+strconv.Itoa(low+rand.IntN(high-low)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return one, other, err
		}
		// Closed on return only, so that the two differ.
		defer l.Close()
		if addrs = append(addrs, l.Addr().(*net.TCPAddr).AddrPort()); len(addrs) == 2 {
			return addrs[0], addrs[1], nil
		}
	}
	return one, other, fmt.Errorf("no free port from %d to %d in %d attempts", low, high-1, portAttempts)
}

// freePorts reads the range of ports that connections get and returns one below it, without its end.
// Where that leaves few, and where it cannot be read, any port without privileges will do.
func freePorts(connections string) (low, high int) {
	const lowest, few, all = 10_240, 1024, 65_536
	first, _, _ := strings.Cut(strings.TrimSpace(connections), "\t")
	n, err := strconv.Atoi(first)
	if err != nil || n < lowest+few {
		return lowest, all
	}
	return lowest, n
}
