package api

import (
	"time"

	"weir/balancer"
	"weir/healthcheck"
)

// Running is the data plane as the admin server sees it. Both methods are called from any goroutine,
// at any time between Serve and Close, and must not block.
type Running interface {
	Process() Process
	// Pools lists the pools in service, in order of name.
	Pools() []Pool
}

// Checks answers for the health checks; *healthcheck.Monitor does.
type Checks interface {
	Status(healthcheck.Key) (healthcheck.Status, bool)
	// Settled reports whether every target had its first probe.
	Settled() bool
}

var _ Checks = (*healthcheck.Monitor)(nil)

// Process is the state of the whole process.
type Process struct {
	Loaded     bool // a configuration is in force
	Bound      bool // every listener of it is bound
	Draining   bool // the process was told to stop
	Generation uint64
	ConfigFile string
	Digest     string    // SHA-256 of the configuration, in hex
	LoadedAt   time.Time // when this generation came into force
	Listeners  []Listener
	Leaving    []Listener // that were removed and have connections left; without addresses
	Former     []int      // processes before this one that have connections left
}

// Listener is one listener in service.
type Listener struct {
	Name      string
	Protocol  string
	Addresses []string // as bound
	Pool      string   // default pool; may be empty
	Active    int64    // client connections
	Total     uint64   // client connections since start
}

// Pool is one pool in service.
type Pool struct {
	*balancer.Pool
	Protocol string
	Required bool // counts for readiness
	// Names are the backends whose addresses are those of a name, in order of name.
	Names []Name
}
