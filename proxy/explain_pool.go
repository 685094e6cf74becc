package proxy

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"weir/balancer"
	"weir/config"
	"weir/internal/sniff"
	"weir/proxy/datagram"
	"weir/proxy/route"
)

// admit asks the listener whether the client comes in.
func (f *flow) admit(p place) {
	l := f.Listener
	first := func(networks []netip.Prefix) int {
		return slices.IndexFunc(networks, func(n netip.Prefix) bool { return n.Contains(f.Client.Unmap().WithZone("")) })
	}
	denied, allowed := first(l.Access.Deny), first(l.Access.Allow)
	switch {
	case denied >= 0:
		f.Admission = fmt.Sprintf("%s is in %s of deny", f.Client, l.Access.Deny[denied])
	case allowed >= 0:
		f.Admitted, f.Admission = true, fmt.Sprintf("%s is in %s of allow", f.Client, l.Access.Allow[allowed])
	case len(l.Access.Allow) > 0:
		f.Admission = fmt.Sprintf("%s is in no network of allow", f.Client)
	default:
		f.Admitted, f.Admission = true, "no list keeps the client out"
	}
	if !f.Admitted {
		f.end(Refused, "the listener refuses the client: %s", f.Admission)
		return
	}
	open := -1
	for _, s := range p.listeners {
		if s.Config == l && !p.offline {
			open = s.Connections
		}
	}
	f.limit(open)
}

// limit lists the limits of the listener. open is how many connections it has; -1: that is not known.
func (f *flow) limit(open int) {
	l := f.Listener
	note := func(limit int, format string) {
		if limit > 0 {
			f.Limits = append(f.Limits, fmt.Sprintf(format, limit))
		}
	}
	if most := l.Limits.MaxConnections; most > 0 && open >= 0 {
		f.Limits = append(f.Limits, fmt.Sprintf("max_connections: %d, of which %d are taken", most, open))
		if open >= most && l.Protocol != config.UDP {
			f.end(Refused, "the listener has its maximum of %d connections", most)
		}
	} else {
		note(most, "max_connections: %d")
	}
	note(l.Limits.NewConnections, "new_connections_per_second: %d")
	note(l.Limits.PerClient, "per_client_connections: %d")
	note(l.UDP.MaxSessions, "max_sessions: %d")
	if r := l.RateLimit; r.Rate > 0 {
		f.Limits = append(f.Limits, fmt.Sprintf("rate_limit: %g requests a second of one client, %d at once", r.Rate, r.Burst))
	}
}

// route asks the routes.
func (f *flow) route() {
	if f.Listener.Protocol.HTTP() {
		f.Routes = route.Explain(f.Listener, &f.head, f.Client)
	} else {
		hello := sniff.Hello{ServerName: []byte(f.query.SNI)}
		for _, name := range f.query.ALPN {
			hello.ALPN = append(append(hello.ALPN, byte(len(name))), name...)
		}
		f.Routes = route.ExplainStream(f.Listener, &hello, f.Client)
	}
	r := f.Routes.Route
	switch {
	case f.Routes.Refused == route.EncodedNUL:
		f.end(Refused, "the request is answered 400: its path has %%00")
	case f.Routes.Refused != route.NotRefused:
		f.end(Refused, "the request is answered 400: its path can be read in ways that lead elsewhere")
	case r != nil && r.Redirect != nil:
		f.end(Answered, "the route at %s answers with a redirection, %d to %s", r.Origin, r.Redirect.Status, r.Redirect.To)
	case r != nil && r.Respond != nil:
		f.end(Answered, "the route at %s answers with status %d", r.Origin, r.Respond.Status)
	case f.Routes.Pool == "":
		f.end(Refused, "no route takes the flow, and the listener has no default pool")
	}
}

// pick asks the pool.
func (f *flow) pick(p placePool) error {
	f.Pool = p.config
	b, err := f.balanced()
	if err != nil {
		return err
	}
	e := p.balancer.Explain(b)
	f.Pick = &e
	if f.lookUp(p); f.Outcome != "" {
		return nil
	}
	switch {
	case f.Session != nil && f.Session.Used:
		f.end(ToBackend, "%s, because of its session: %s", f.named(f.Session.Backend), f.Session.Why)
	case e.Pick != nil:
		f.end(ToBackend, "%s: %s", f.named(e.Pick), e.Why)
	default:
		f.refuse(e.Refusal, e.Why)
	}
	return nil
}

// balanced is the flow as the balancer sees it.
func (f *flow) balanced() (balancer.Flow, error) {
	b := balancer.Flow{
		Src: netip.AddrPortFrom(f.Client, f.Peer.Port()), Dst: f.Destination, Proto: f.Protocol,
		CID: datagram.ConnectionKey(f.Pool.Hash, f.query.CID),
	}
	switch f.Pool.Algorithm {
	case config.TwoTupleHash, config.ThreeTupleHash, config.FiveTupleHash:
		if !b.Dst.IsValid() {
			return b, fmt.Errorf("%w: pool %s hashes the address that the client used, and %s listens on all: name it as the destination",
				ErrQuery, f.Pool.Name, f.Listener.Name)
		}
	case config.QUICCID:
		if len(f.query.CID) == 0 {
			return b, fmt.Errorf("%w: pool %s hashes the connection ID: name it", ErrQuery, f.Pool.Name)
		}
	}
	return b, nil
}

// lookUp finds the session of the flow, and whether it is used. A session that may go nowhere ends the way.
func (f *flow) lookUp(p placePool) {
	if f.Pool.Persistence == nil && (f.Pool.Protocol != config.QUIC || len(f.query.CID) == 0) {
		return
	}
	f.Session = &SessionStep{Why: "sessions are known only to the daemon"}
	if p.session == nil {
		return
	}
	s := f.Session
	var lost bool
	s.Backend, lost, s.Why = p.session(f)
	fails := f.Pool.Persistence != nil && f.Pool.Persistence.Fallback == config.FallbackFail
	if s.Backend == nil {
		if lost && fails {
			f.end(Refused, "%s, and the pool has fallback: fail", s.Why)
		}
		return
	}
	switch err := p.balancer.ExplainBackend(s.Backend); {
	case err == nil:
		s.Used = true
	case !errors.Is(err, balancer.ErrNoBackendUp):
		s.Why += "; " + waitWords(err)
		f.end(Waits, "%s: %s", f.named(s.Backend), s.Why)
	case fails:
		f.end(Refused, "%s, which cannot be used, and the pool has fallback: fail", s.Why)
	default:
		s.Why += ", which cannot be used any more: another one is picked"
	}
}

// waitWords says what a session waits for.
func waitWords(err error) string {
	if errors.Is(err, balancer.ErrFull) {
		return "it has its maximum of connections: the flow waits for room, if the queue has a place"
	}
	return "it has had no verdict yet: the flow waits for that"
}

// named is a backend with its pool and address.
func (f *flow) named(b *balancer.Backend) string {
	if a := b.Address(); a.IsValid() && a.String() != b.Name() {
		return fmt.Sprintf("%s/%s at %s", f.Pool.Name, b.Name(), a)
	}
	return fmt.Sprintf("%s/%s", f.Pool.Name, b.Name())
}

// refuse ends the way of a flow that gets no backend now.
func (f *flow) refuse(err error, why string) {
	udp := f.Protocol == balancer.UDP
	if errors.Is(err, balancer.ErrChecking) || errors.Is(err, balancer.ErrFull) && f.Pool.Queue > 0 && !udp {
		f.end(Waits, "pool %s: %s", f.Pool.Name, why)
		return
	}
	does := "the connection is closed"
	switch {
	case udp:
		does = "the datagram is dropped"
	case f.Listener.Protocol.HTTP():
		does = "the request is answered 503"
	}
	f.end(Refused, "%s: in pool %s %s", does, f.Pool.Name, err)
}

// suppose asks what would be if.
func (f *flow) suppose(p place, own placePool) error {
	var about []balancer.Supposition
	for _, s := range f.query.If {
		pool := p.pool(s.Pool)
		if pool.balancer == nil {
			return &UnknownError{Kind: "pool", Name: s.Pool, Known: p.pools()}
		}
		var names []string
		for _, m := range pool.balancer.Snapshot().Members() {
			names = append(names, m.Backend.Name())
		}
		// The name of a host stands for all of its addresses.
		meant := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
			return name != s.Backend && !strings.HasPrefix(name, s.Backend+"/")
		})
		if len(meant) == 0 {
			return &UnknownError{Kind: "backend", Name: s.Backend, Pool: s.Pool, Known: names}
		}
		for _, name := range meant {
			if f.Pool != nil && s.Pool == f.Pool.Name {
				s.Supposition.Backend = name
				about = append(about, s.Supposition)
			}
		}
	}
	switch {
	case len(f.query.If) == 0:
		return nil
	case f.Pick == nil || len(about) == 0:
		f.If = &IfStep{Moved: math.NaN(), Result: "nothing changes for the flow: it does not come to that pool"}
		return nil
	}
	e, moved, err := own.balancer.ExplainIf(f.Pick.Flow, about)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrQuery, err)
	}
	f.If = &IfStep{Pick: &e, Moved: moved}
	f.wouldGo(about)
	return nil
}

// wouldGo says where the flow would go.
func (f *flow) wouldGo(about []balancer.Supposition) {
	before, after := f.Pick.Pick, f.If.Pick.Pick
	fails := f.Pool.Persistence != nil && f.Pool.Persistence.Fallback == config.FallbackFail
	if f.Session != nil && f.Session.Used {
		before = f.Session.Backend
		switch f.If.Session = f.keeps(about); {
		case f.If.Session:
			after = before
		case fails:
			after = nil
		}
	}
	f.If.Changes = before != after
	share := ""
	if !math.IsNaN(f.If.Moved) {
		share = fmt.Sprintf("; %.1f %% of all keys or turns of the pool would move", 100*f.If.Moved)
	}
	switch {
	case after == nil:
		f.If.Result = "the flow would get no backend: " + f.If.Pick.Why
		if f.If.Pick.Pick != nil {
			f.If.Result = "the flow would get no backend: its session is lost, and the pool has fallback: fail"
		}
	case f.If.Changes:
		f.If.Result = fmt.Sprintf("the flow would go to %s%s", f.named(after), share)
	case f.If.Session:
		f.If.Result = fmt.Sprintf("the flow would stay with %s: sessions go on%s", f.named(after), share)
	default:
		f.If.Result = fmt.Sprintf("the flow would go to %s all the same%s", f.named(after), share)
	}
}

// keeps reports whether the session of the flow would go on: it does unless its backend is down or in
// maintenance, and also if it is down when the pool fails open.
func (f *flow) keeps(about []balancer.Supposition) bool {
	for _, s := range about {
		if s.Backend != f.Session.Backend.Name() {
			continue
		}
		if s.State == config.Maintenance || s.Down && f.If.Pick.Snapshot.Tier() != balancer.TierFailOpen {
			return false
		}
	}
	return true
}
