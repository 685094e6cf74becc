package proxy

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"weir/balancer"
	"weir/config"
	"weir/proxy/exchange"
	"weir/proxy/http1"
)

// listenersOf lists the listeners of a configuration in order of name.
func listenersOf(c *config.Config) (list []*config.Listener) {
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		list = append(list, c.Listeners[name])
	}
	return list
}

// find finds the listener.
func (f *flow) find(all []ListenerState) error {
	var found []ListenerState
	q, why := &f.query, ""
	switch {
	case q.Listener != "":
		why = "named in the question"
		found = slices.DeleteFunc(slices.Clone(all), func(l ListenerState) bool { return l.Config.Name != q.Listener })
	case q.Destination.IsValid():
		found, why = serving(all, q)
	default:
		found, why = usual(all, q.Protocol)
	}
	if len(found) != 1 {
		return f.ambiguous(all, found)
	}
	l := found[0]
	f.Listener, f.Addresses, f.ListenerWhy = l.Config, l.Addresses, why
	f.Destination = q.Destination
	if q.Destination.IsValid() && !q.Destination.Addr().IsUnspecified() {
		return nil
	}
	// Where the listener has one address, that is what the client used.
	f.Destination = netip.AddrPort{}
	if a, err := netip.ParseAddrPort(l.Addresses[0]); err == nil && !a.Addr().IsUnspecified() {
		f.Destination = a
	}
	return nil
}

// usual lists the listeners of a protocol, or, if there are several, those that have its usual port.
func usual(all []ListenerState, p config.Protocol) (found []ListenerState, why string) {
	of := slices.DeleteFunc(slices.Clone(all), func(l ListenerState) bool { return p != "" && l.Config.Protocol != p })
	if len(of) == 1 {
		return of, strings.TrimSpace("the only " + string(p) + " one")
	}
	port, known := map[config.Protocol]string{config.HTTP: ":80", config.HTTPS: ":443", config.TLS: ":443"}[p]
	if !known {
		return nil, ""
	}
	of = slices.DeleteFunc(of, func(l ListenerState) bool {
		return !slices.ContainsFunc(l.Addresses, func(a string) bool { return strings.HasSuffix(a, port) })
	})
	return of, "it has the usual port"
}

// serving lists the listeners that have the destination, those first that name its address.
func serving(all []ListenerState, q *Query) (found []ListenerState, why string) {
	var exact, wild []ListenerState
	for _, l := range all {
		if q.Protocol != "" && l.Config.Protocol != q.Protocol {
			continue
		}
		for _, address := range l.Addresses {
			host, port := address[:max(strings.LastIndexByte(address, ':'), 0)], address[strings.LastIndexByte(address, ':')+1:]
			if port != fmt.Sprint(q.Destination.Port()) {
				continue
			}
			a, err := netip.ParseAddr(strings.Trim(host, "[]"))
			switch {
			case host == "" || err == nil && a.IsUnspecified():
				wild = append(wild, l)
			case err == nil && (a == q.Destination.Addr().Unmap() || q.Destination.Addr().IsUnspecified()):
				exact = append(exact, l)
			}
		}
	}
	for _, list := range [][]ListenerState{exact, wild} {
		list = slices.CompactFunc(list, func(a, b ListenerState) bool { return a.Config == b.Config })
		if len(list) > 0 {
			return list, "it listens on the destination"
		}
	}
	return nil, ""
}

// ambiguous says why there is no one listener.
func (f *flow) ambiguous(all, found []ListenerState) error {
	var names []string
	for _, l := range all {
		names = append(names, l.Config.Name)
	}
	list := "listeners: " + strings.Join(names, ", ")
	if len(names) == 0 {
		list = "there are no listeners"
	}
	q := &f.query
	switch {
	case q.Listener != "":
		return &UnknownError{Kind: "listener", Name: q.Listener, Known: names}
	case !q.Destination.IsValid():
		return fmt.Errorf("%w: name one listener (%s)", ErrQuery, list)
	case len(found) > 1:
		return fmt.Errorf("%w: more than one listener is on port %d: name it (%s)", ErrQuery, q.Destination.Port(), list)
	}
	what := "listener"
	if q.Protocol != "" {
		what = string(q.Protocol) + " listener"
	}
	return fmt.Errorf("%w: no %s is on %s: name it (%s)", ErrQuery, what, shown(q.Destination), list)
}

// UnknownError is a name in a query that nothing has. It wraps ErrQuery.
type UnknownError struct {
	Kind  string // listener pool backend
	Name  string
	Pool  string // of a backend
	Known []string
}

// Error names what there is.
func (e *UnknownError) Error() string {
	where := ""
	if e.Pool != "" {
		where = " in pool " + e.Pool
	}
	return fmt.Sprintf("there is no %s %q%s (%ss: %s)", e.Kind, e.Name, where, e.Kind, strings.Join(e.Known, ", "))
}

// Unwrap is ErrQuery.
func (e *UnknownError) Unwrap() error { return ErrQuery }

// shown is a destination of which the address may be any.
func shown(d netip.AddrPort) string {
	if d.Addr().IsUnspecified() {
		return fmt.Sprintf("port %d", d.Port())
	}
	return d.String()
}

// arrive finds out who the client is, from the connection and from the head of the request.
func (f *flow) arrive() error {
	q := &f.query
	f.Peer, f.ClientWhy = q.Client, "the peer"
	if !q.Client.IsValid() {
		f.Peer, f.ClientWhy = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0), "not given: this machine is assumed"
	}
	f.Client = f.Peer.Addr()
	f.Protocol = balancer.TCP
	if f.Listener.Protocol == config.UDP {
		f.Protocol = balancer.UDP
	}
	if within(f.Client, f.Listener.Proxy.From) {
		f.ClientWhy += "; it has to send a PROXY header, and who that names would count as the client (accept_proxy_protocol)"
	}
	if !f.Listener.Protocol.HTTP() {
		return nil
	}
	return f.read()
}

// read parses the request as it would come.
func (f *flow) read() error {
	q := &f.query
	method, target, host := q.Method, q.Path, q.Host
	if method == "" {
		method = "GET"
	}
	if target == "" {
		target = "/"
	}
	if host == "" && f.Destination.IsValid() {
		host = f.Destination.String()
	} else if host == "" {
		host = "localhost"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, host)
	for _, h := range q.Headers {
		fmt.Fprintf(&text, "%s: %s\r\n", h.Name, h.Value)
		if strings.ContainsAny(h.Name+h.Value, "\r\n") {
			return fmt.Errorf("%w: a line break is in a field", ErrQuery)
		}
	}
	f.Request = fmt.Sprintf("%s %s of host %s", method, target, host)
	if strings.ContainsAny(method+target+host, "\r\n") {
		return fmt.Errorf("%w: a line break is in the request", ErrQuery)
	}
	l := f.Listener.Limits
	_, err := http1.ParseRequest([]byte(text.String()+"\r\n"), &f.head, http1.Limits{Header: l.MaxHeader, Fields: l.MaxHeaderCount, Target: l.MaxTarget})
	if bad, ok := errors.AsType[*http1.Error](err); ok {
		f.Admission = "not asked: the request cannot be read"
		f.end(Refused, "the request is answered %d: %s", bad.Status, bad.Reason)
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrQuery, err)
	}
	if client, told := exchange.ClientOf(f.Listener, f.Client, &f.head); told {
		f.Client, f.ClientWhy = client, fmt.Sprintf("%s of the request, because %s is in forwarded.trust", f.Listener.Forwarded.ClientFrom, f.Peer.Addr())
	} else if within(f.Peer.Addr(), f.Listener.Forwarded.Trust) {
		f.ClientWhy += ", which is in forwarded.trust but names nobody"
	}
	return nil
}

// within reports whether a is in one of the networks.
func within(a netip.Addr, networks []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// end ends the way of the flow.
func (f *flow) end(o Outcome, format string, a ...any) {
	f.Outcome, f.Result = o, fmt.Sprintf(format, a...)
}
