package main

import (
	"context"

	"weir/api"
	"weir/config"
	"weir/proxy"
	"weir/resolve"
	"weir/telemetry"
)

// serverPlane is the data plane of package proxy.
type serverPlane struct {
	server  *proxy.Server
	options planeOptions
}

var _ addressable = (*serverPlane)(nil)

// newPlane builds the data plane.
func newPlane(o planeOptions) (plane, error) {
	p, err := withNames(o, resolve.System(), newServerPlane)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// newServerPlane builds it for a configuration without names.
func newServerPlane(o planeOptions) (addressable, error) {
	s, err := proxy.New(proxy.Options{
		Config: o.config, Log: o.log, Telemetry: o.telemetry, AccessLog: o.access, Events: o.events,
		Inherited: o.inherited.ofPlane(), Held: o.inherited.held(),
	})
	if err != nil {
		return nil, err
	}
	s.SetMemoryBudget(limitMemory(o.config))
	return &serverPlane{s, o}, nil
}

func (p *serverPlane) Start(ctx context.Context) error { return p.server.Start(ctx) }

func (p *serverPlane) Prepare(c *config.Config, reread bool) (preparedPlane, error) {
	prepared, err := p.server.Prepare(c, reread)
	if err != nil {
		return nil, err
	}
	return preparedServer{prepared, p.server, c}, nil
}

func (p *serverPlane) Repopulate(c *config.Config) { p.server.Repopulate(c) }

// preparedServer is a configuration that package proxy has prepared.
type preparedServer struct {
	*proxy.Prepared
	server *proxy.Server
	config *config.Config
}

func (p preparedServer) Commit() int {
	p.server.SetMemoryBudget(limitMemory(p.config))
	return p.Prepared.Commit().ConnectionsClosed
}

func (p *serverPlane) SetAccessLog(l *telemetry.AccessLog) { p.server.SetAccessLog(l) }

func (p *serverPlane) Shutdown(ctx context.Context) error { return p.server.Shutdown(ctx) }

func (p *serverPlane) Pools() []api.Pool {
	var list []api.Pool
	for _, s := range p.server.Pools() {
		list = append(list, api.Pool{Pool: s.Balancer, Protocol: string(s.Config.Protocol), Required: s.Config.Required})
	}
	return list
}

func (p *serverPlane) Listeners() []api.Listener { return p.listeners(p.server.Listeners()) }

func (p *serverPlane) Leaving() []api.Listener { return p.listeners(p.server.Leaving()) }

func (p *serverPlane) listeners(states []proxy.ListenerState) (list []api.Listener) {
	for _, s := range states {
		list = append(list, api.Listener{
			Name: s.Config.Name, Protocol: string(s.Config.Protocol), Addresses: s.Addresses, Pool: s.Config.Pool,
			Active: int64(s.Connections), Total: p.options.telemetry.Listener(s.Config.Name).Counts().Opened,
		})
	}
	return list
}

func (p *serverPlane) Connections() int { return p.server.Connections() }

func (p *serverPlane) MemoryUsage() (used, budget uint64) { return p.server.MemoryUsage() }

func (p *serverPlane) Checks() checks { return p.server.Monitor() }
