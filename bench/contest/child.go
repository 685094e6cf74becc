package contest

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"weir/bench/floor"
)

// Verbs with which this program starts itself.
const (
	originVerb = "contest-origin"
	floorVerb  = "contest-floor"
)

// Child runs the part of a comparison that the arguments of the process (without its name) ask for:
// the origin or the relay. It reports whether they did; if so the process should end when Child
// returns, which it does only with an error.
func Child(args []string) (asked bool, err error) {
	if len(args) == 0 {
		return false, nil
	}
	switch args[0] {
	case originVerb:
		return true, childOrigin(args[1:])
	case floorVerb:
		return true, childFloor(args[1:])
	}
	return false, nil
}

// childOrigin: the scenario, the number of ports.
func childOrigin(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("%s: want a scenario and the number of ports", originVerb)
	}
	s, err := scenario(args[0])
	if err != nil {
		return fmt.Errorf("%s: %w", originVerb, err)
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 {
		return fmt.Errorf("%s: %q is not a number of ports", originVerb, args[1])
	}
	return serveOrigin(s, n, os.Stdout)
}

// childFloor: the address to listen on, the number of connections to open, the backends.
func childFloor(args []string) error {
	if len(args) < 3 {
		return fmt.Errorf("%s: want an address, a number of connections and backends", floorVerb)
	}
	var addrs []netip.AddrPort
	for _, text := range append([]string{args[0]}, args[2:]...) {
		addr, err := netip.ParseAddrPort(text)
		if err != nil {
			return fmt.Errorf("%s: %w", floorVerb, err)
		}
		addrs = append(addrs, addr)
	}
	open, err := strconv.Atoi(args[1])
	if err != nil || open < 0 {
		return fmt.Errorf("%s: %q is not a number of connections", floorVerb, args[1])
	}
	r, err := floor.Listen(addrs[0], addrs[1:], open)
	if err != nil {
		return err
	}
	return errors.Join(r.Run(), r.Close())
}
