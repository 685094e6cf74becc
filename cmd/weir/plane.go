package main

import (
	"context"

	"go.uber.org/zap"

	"weir/api"
	"weir/config"
	"weir/telemetry"
)

// plane is the data plane as the daemon runs it. package proxy's server is one (run.go adapts it), the
// fake of the tests another.
type plane interface {
	// Start binds every listener and serves. On an error nothing stays bound.
	Start(context.Context) error
	// Prepare does everything for a configuration that can fail, and nothing that shows. With reread,
	// files that it names as before are read again too. Commit or Abandon follows before anything else.
	Prepare(c *config.Config, reread bool) (preparedPlane, error)
	// SetAccessLog replaces the access log; the one before may get lines for a moment more.
	SetAccessLog(*telemetry.AccessLog)
	// Shutdown stops accepting and returns when no work is left, or cuts what is left when ctx ends.
	Shutdown(context.Context) error
	// Pools and Listeners are what is in service, in order of name.
	Pools() []api.Pool
	Listeners() []api.Listener
	// Leaving is the listeners that were removed and have connections left.
	Leaving() []api.Listener
	// Connections counts the clients that are connected, those of removed listeners included.
	Connections() int
	Checks() checks
	// Explain says where a flow would go.
	Explain(api.ExplainQuery) (api.Explanation, error)
	// MemoryUsage is the memory in use and the budget, 0 for none; in bytes.
	MemoryUsage() (used, budget uint64)
}

// preparedPlane is a configuration that only has to be put in force.
type preparedPlane interface {
	// Commit puts it in force and returns how many client connections that brings to their end.
	Commit() (closed int)
	Abandon()
}

// checks is the monitor of the health checks.
type checks interface {
	api.Checks
	// Overdue counts the probes that could not start in time.
	Overdue() uint64
}

// planeOptions is what a data plane needs from the daemon.
type planeOptions struct {
	config    *config.Config
	log       *zap.Logger
	telemetry *telemetry.Registry
	access    *telemetry.AccessLog
	events    func(telemetry.Event) // takes what happens; never blocks
	inherited *inheritance          // sockets that others have made; nil: none
}
