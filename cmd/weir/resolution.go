package main

import (
	"context"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"weir/api"
	"weir/config"
	"weir/proxy"
	"weir/resolve"
	"weir/telemetry"
)

// addressable is a data plane whose backends can get other addresses by themselves.
type addressable interface {
	plane
	// Repopulate puts the backends of a configuration in force that says nothing else than the one in
	// force, but for their addresses. It cannot fail.
	Repopulate(*config.Config)
}

// namedPlane stands between what is wanted and a data plane: the names of backends become their addresses,
// and change as the names do.
type namedPlane struct {
	addressable
	options  planeOptions
	resolver *resolve.Resolver
	last     *lastNames

	turn   chan struct{}  // has one place, taken from Prepare to its end and while addresses change
	wanted *config.Config // in force, with names; guarded by turn
}

var _ plane = (*namedPlane)(nil)

// withNames makes a data plane for a configuration with names, out of the one that build makes for one
// without.
func withNames(o planeOptions, lookup resolve.Lookup, build func(planeOptions) (addressable, error)) (*namedPlane, error) {
	p := &namedPlane{options: o, wanted: o.config, turn: make(chan struct{}, 1)}
	p.last = newLastNames(o.config.StateDir, o.log)
	p.resolver = resolve.New(resolve.Options{Lookup: lookup, Changed: p.readdress, Observe: p.observe, Last: p.last.load()})
	p.resolver.Remember(o.inherited.names())
	o.config = p.resolver.Expand(o.config)
	inner, err := build(o)
	if err != nil {
		p.resolver.Close()
		return nil, err
	}
	p.addressable = inner
	return p, nil
}

// Start serves, and then looks the names up: flows wait for the first answers as they do for first verdicts.
func (p *namedPlane) Start(ctx context.Context) error {
	if err := p.addressable.Start(ctx); err != nil {
		p.resolver.Close()
		return err
	}
	p.turn <- struct{}{}
	defer p.release()
	p.follow(p.wanted)
	return nil
}

// Server implements server.
func (p *namedPlane) Server() *proxy.Server { return p.addressable.(*serverPlane).server }

// Names implements server.
func (p *namedPlane) Names() []resolve.Status { return p.resolver.Status() }

// Expand implements server.
func (p *namedPlane) Expand(c *config.Config) *config.Config { return p.resolver.Expand(c) }

// Hold and Unhold implement server.
func (p *namedPlane) Hold()   { p.turn <- struct{}{} }
func (p *namedPlane) Unhold() { p.release() }

// Follow implements server.
func (p *namedPlane) Follow() {
	p.turn <- struct{}{}
	defer p.release()
	p.follow(p.wanted)
}

// Prepare implements plane.
func (p *namedPlane) Prepare(c *config.Config, reread bool) (preparedPlane, error) {
	p.turn <- struct{}{}
	prepared, err := p.addressable.Prepare(p.resolver.Expand(c), reread)
	if err != nil {
		p.release()
		return nil, err
	}
	return &preparedNames{p, prepared, c}, nil
}

// preparedNames is a configuration that only has to be put in force, and followed.
type preparedNames struct {
	plane    *namedPlane
	prepared preparedPlane
	wanted   *config.Config
}

func (n *preparedNames) Commit() int {
	defer n.plane.release()
	closed := n.prepared.Commit()
	n.plane.follow(n.wanted)
	return closed
}

func (n *preparedNames) Abandon() {
	n.prepared.Abandon()
	n.plane.release()
}

func (p *namedPlane) release() { <-p.turn }

// follow looks up the names of c, which is in force. The turn must be taken.
func (p *namedPlane) follow(c *config.Config) {
	p.wanted = c
	for _, pool := range c.Pools {
		for _, b := range pool.Backends {
			if b.Host != "" {
				p.options.telemetry.CountNames(pool.Name, b.Name)
			}
		}
	}
	p.resolver.Follow(c)
}

// readdress puts in force what has been learnt of the names, and keeps it for a restart.
func (p *namedPlane) readdress() {
	p.turn <- struct{}{}
	p.addressable.Repopulate(p.resolver.Expand(p.wanted))
	p.release()
	p.last.save(p.resolver.Status())
}

// Shutdown looks nothing up any more, and shuts the data plane down.
func (p *namedPlane) Shutdown(ctx context.Context) error {
	p.resolver.Close()
	return p.addressable.Shutdown(ctx)
}

// Pools adds what is known of the names.
func (p *namedPlane) Pools() []api.Pool {
	pools := p.addressable.Pools()
	names := map[string][]api.Name{}
	for _, s := range p.resolver.Status() {
		names[s.Key.Pool] = append(names[s.Key.Pool], api.Name{
			Backend: s.Key.Backend, Host: s.Host, Port: s.Port, State: s.State.String(), Since: s.Since,
			Reason: s.Reason, Addresses: s.Addresses, Asked: s.Asked,
		})
	}
	for i := range pools {
		pools[i].Names = names[pools[i].Name()]
	}
	return pools
}

// resolutionResults are the outcomes of look-ups as the telemetry knows them.
var resolutionResults = map[resolve.Outcome]telemetry.ResolutionResult{
	resolve.OK: telemetry.ResolutionOK, resolve.NotFound: telemetry.ResolutionNotFound, resolve.Timeout: telemetry.ResolutionTimeout,
	resolve.Failed: telemetry.ResolutionFailed, resolve.Unusable: telemetry.ResolutionUnusable,
}

// observe counts the end of a look-up, and logs what is new: addresses that come and go, and when there
// begin to be no answers.
func (p *namedPlane) observe(r resolve.Result) {
	p.options.telemetry.Resolution(r.Key.Pool, r.Key.Backend, telemetry.Resolution{
		Result: resolutionResults[r.Outcome], Addresses: len(r.Addresses), Unusable: len(r.Unusable),
	})
	fields := []zap.Field{zap.String("pool", r.Key.Pool), zap.String("backend", r.Key.Backend), zap.String("name", r.Host)}
	if r.Reason != "" {
		fields = append(fields, zap.String("reason", r.Reason))
	}
	switch {
	case r.Changed && r.State == resolve.Unresolved:
		p.options.log.Warn("name not resolved, the backend has no address", fields...)
	case r.Changed && r.State == resolve.Stale:
		p.options.log.Warn("name not resolved, the addresses of the last answer stay in use", append(fields, texts("addresses", r.Addresses))...)
	case len(r.Added)+len(r.Removed) > 0:
		p.options.log.Info("addresses of a name changed", append(fields, texts("added", r.Added), texts("removed", r.Removed), zap.Int("addresses", len(r.Addresses)))...)
	case r.Changed:
		p.options.log.Info("name resolved again", append(fields, zap.Int("addresses", len(r.Addresses)))...)
	}
}

// texts is a field of addresses.
func texts(key string, addrs []netip.Addr) zap.Field {
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	return zap.Strings(key, list)
}

// nameRows shows those names of a pool among its backends that are not as they should be.
func nameRows(p api.PoolStatus, now time.Time) (rows [][]string) {
	for _, n := range p.Names {
		if n.State != "resolved" || n.Reason != "" {
			rows = append(rows, []string{p.Name + "/" + n.Name, n.Address, n.State, age(now.Sub(n.Since)), "", "", "", "", n.Reason})
		}
	}
	return rows
}
