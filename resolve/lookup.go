package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// patience is how long one look-up may take, whatever the servers do. That of the resolver itself is 5 s for
// each try of each server, unless resolv.conf says otherwise.
const patience = 30 * time.Second

// Lookup finds the addresses of a host. held is what it is known to have, which a Lookup may keep where it
// cannot tell. It must end when ctx does.
type Lookup func(ctx context.Context, host string, held []netip.Addr) ([]netip.Addr, error)

// dialer is net.Resolver.Dial.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// interrupted makes a question end with its context, and not only with its time: a resolver that is closed leaves
// nothing behind. The connection must be the one that was dialled, because its type says how to speak.
func (d dialer) interrupted() dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d(ctx, network, address)
		if err == nil {
			// An error means that it is closed already.
			context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
		}
		return c, err
	}
}

// System looks names up as programs of this machine do: by /etc/hosts and the servers of
// /etc/resolv.conf with its search domains and options, changes of both within seconds. It is done in Go, so that
// no look-up holds a thread. Truncated replies are asked for again over TCP.
func System() Lookup { return system(new(net.Dialer).DialContext) }

// system is System with another way to reach the servers.
func system(dial dialer) Lookup {
	dial = dial.interrupted()
	lenient := &net.Resolver{PreferGo: true, Dial: dial}
	strict := &net.Resolver{PreferGo: true, Dial: dial, StrictErrors: true}
	return func(ctx context.Context, host string, held []netip.Addr) ([]netip.Addr, error) {
		got, err := lenient.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, err
		}
		missing := lacksFamily(held, ordered(unmapped(got)))
		if len(missing) == 0 {
			return got, nil
		}
		// Either there is none of that family any more, or the question about it had no reply, which
		// does not show in the result. The strict one can tell.
		sure, err := strict.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return append(got, missing...), nil
		}
		return sure, nil
	}
}

// unmapped returns addrs without the IPv6 form of IPv4 addresses.
func unmapped(addrs []netip.Addr) []netip.Addr {
	list := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		list[i] = a.Unmap()
	}
	return list
}

// Outcome is how a look-up ended: the label values of its counter.
type Outcome string

// The outcomes.
const (
	OK       Outcome = "ok"
	NotFound Outcome = "not_found" // there is no such name, or it has no address
	Timeout  Outcome = "timeout"   // no server answered in time
	Failed   Outcome = "failed"    // the servers could not be asked, or could not say
	Unusable Outcome = "unusable"  // no address of the answer can be that of a backend
)

// Outcomes lists all of them.
func Outcomes() []Outcome { return []Outcome{OK, NotFound, Timeout, Failed, Unusable} }

// explain says how a look-up that failed with err ended, in words that are the same whenever it is the
// same.
func explain(err error) (Outcome, string) {
	var about *net.DNSError
	if !errors.As(err, &about) {
		if errors.Is(err, context.DeadlineExceeded) {
			return Timeout, fmt.Sprintf("no answer within %s", patience)
		}
		return Failed, err.Error()
	}
	from := ""
	if about.Server != "" {
		from = " (asked " + about.Server + ")"
	}
	switch {
	case about.IsNotFound:
		return NotFound, "no such name, or one without addresses" + from
	case about.IsTimeout:
		return Timeout, "no answer in time" + from
	}
	cause := about.Err
	if verb, _, _ := strings.Cut(cause, " "); verb == "dial" || verb == "read" || verb == "write" {
		parts := strings.Split(cause, ": ")
		cause = parts[len(parts)-1] // without the ports, which differ each time
	}
	return Failed, cause + from
}
