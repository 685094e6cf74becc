package proxy

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/proxy/message"
	"weir/proxy/route"
)

// Query describes a flow that may never come. What is left empty is not known, or absent.
type Query struct {
	Listener string          // name; empty: found by Destination and Protocol
	Protocol config.Protocol // of the listener; empty: any
	Client   netip.AddrPort  // who connects; not valid: 127.0.0.1
	// Destination is what the client connects to. With the address 0.0.0.0 only the port counts. Not
	// valid: the first address of the listener.
	Destination netip.AddrPort
	Method      string // empty: GET
	Host        string // empty: the destination
	Path        string // with the query; empty: /
	Headers     []config.Header
	SNI         string
	ALPN        []string
	CID         []byte // connection ID of a QUIC packet
	If          []Supposition
}

// Supposition is one about a backend of a pool.
type Supposition struct {
	Pool string
	balancer.Supposition
}

// Outcome is what becomes of a flow.
type Outcome string

// The outcomes.
const (
	ToBackend Outcome = "backend"
	Waits     Outcome = "waits"    // for a first verdict, or for room
	Answered  Outcome = "answered" // by its route
	Refused   Outcome = "refused"
)

// Explanation is the way of one flow. Steps that it does not come to are empty.
type Explanation struct {
	Outcome Outcome
	Result  string // one sentence
	Offline bool

	Listener    *config.Listener
	Addresses   []string // as bound, or as configured
	ListenerWhy string

	Protocol    balancer.Proto
	Peer        netip.AddrPort
	Client      netip.Addr
	ClientWhy   string
	Destination netip.AddrPort // not valid: not known
	Request     string         // its first line and its host; of http and https listeners

	Admitted  bool
	Admission string   // why, or why not
	Limits    []string // that could turn the client away all the same

	Routes  route.Explanation
	Pool    *config.Pool // nil: none
	Session *SessionStep // nil: the pool has no persistence
	Pick    *balancer.Explanation
	If      *IfStep // nil: nothing was supposed
}

// SessionStep is what persistence says of a flow.
type SessionStep struct {
	Backend *balancer.Backend // that the client had; nil: none
	Used    bool              // the flow goes there
	Why     string
}

// IfStep is what would be if the suppositions came true.
type IfStep struct {
	Pick    *balancer.Explanation // nil: they are not about the pool of the flow
	Session bool                  // the session of the flow goes on
	Moved   float64               // see balancer.Pool.ExplainIf
	Changes bool                  // the flow goes elsewhere
	Result  string
}

// ErrQuery wraps what is wrong with a query.
var ErrQuery = errors.New("cannot be explained")

// place is what a flow could come to: the server, or a configuration.
type place struct {
	offline   bool
	listeners []ListenerState // in order of name
	pool      func(name string) placePool
	pools     func() []string // names, in order
}

// placePool is a pool with what knows its sessions; nil: nobody does.
type placePool struct {
	config   *config.Pool
	balancer *balancer.Pool
	session  func(*flow) (b *balancer.Backend, lost bool, why string)
}

// flow is a query on its way.
type flow struct {
	query Query
	head  message.Head
	Explanation
}

// Explain says what would become of a flow, and why. Nothing changes by it. The error wraps ErrQuery.
func (s *Server) Explain(q Query) (Explanation, error) {
	return explain(place{listeners: s.Listeners(), pool: s.placePool, pools: s.poolNames}, q)
}

func (s *Server) placePool(name string) placePool {
	s.mu.RLock()
	p := placePool{config: s.config.Pools[name]}
	s.mu.RUnlock()
	if h := (*s.pools.Load())[name]; h != nil {
		p.balancer = h.Balancer
		p.session = func(f *flow) (*balancer.Backend, bool, string) { return h.Session(&f.head, f.Client) }
	}
	if t := (*s.streams.pools.Load())[name]; t != nil {
		p.balancer = t.Balancer
		p.session = func(f *flow) (*balancer.Backend, bool, string) {
			b, why := t.Session(f.Client)
			return b, false, why
		}
	}
	if d := (*s.datagrams.pools.Load())[name]; d != nil {
		p.balancer = d.Balancer
		p.session = func(f *flow) (*balancer.Backend, bool, string) {
			b, why := d.Session(f.Client, f.query.CID)
			return b, false, why
		}
	}
	return p
}

func (s *Server) poolNames() (names []string) {
	for _, p := range s.Pools() {
		names = append(names, p.Config.Name)
	}
	return names
}

// ExplainConfig is Server.Explain for a configuration that is not in force: its backends count as up and
// idle, nobody has a session, and rotations are at their beginning.
func ExplainConfig(c *config.Config, q Query) (Explanation, error) {
	p := place{offline: true, pools: func() []string { return slices.Sorted(maps.Keys(c.Pools)) }}
	for _, l := range listenersOf(c) {
		p.listeners = append(p.listeners, ListenerState{Config: l, Addresses: l.Addresses})
	}
	p.pool = func(name string) placePool {
		pool := c.Pools[name]
		if pool == nil {
			return placePool{}
		}
		up := *pool
		up.Health = nil // nobody probes, and so they are up at once
		return placePool{config: pool, balancer: balancer.NewPool(&up, balancer.Options{}, time.Time{})}
	}
	return explain(p, q)
}

// explain goes the way of the flow to its end.
func explain(p place, q Query) (Explanation, error) {
	f := &flow{query: q, Explanation: Explanation{Offline: p.offline}}
	if err := f.find(p.listeners); err != nil {
		return Explanation{}, err
	}
	if err := f.arrive(); err != nil {
		return Explanation{}, err
	}
	for _, step := range []func(){func() { f.admit(p) }, f.route} {
		if f.Outcome == "" {
			step()
		}
	}
	pool := placePool{}
	if f.Outcome == "" {
		if pool = p.pool(f.Routes.Pool); pool.balancer == nil {
			return Explanation{}, fmt.Errorf("%w: pool %s is not in service", ErrQuery, f.Routes.Pool)
		}
		if err := f.pick(pool); err != nil {
			return Explanation{}, err
		}
	}
	if err := f.suppose(p, pool); err != nil {
		return Explanation{}, err
	}
	return f.Explanation, nil
}
