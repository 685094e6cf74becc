package stream

import (
	"sync/atomic"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/proxy/admit"
	"weir/proxy/wire"
	"weir/telemetry"
)

// Engine is what all sessions of a process share.
type Engine struct {
	Log       *zap.Logger
	Telemetry *telemetry.Registry

	// Descriptors is the budget that client connections are accepted within; connections to backends
	// may go into its reserve. nil: no limit.
	Descriptors *admit.Descriptors

	// Watcher tells of clients that are gone while their sessions wait; nil: that shows afterwards.
	Watcher *wire.Watcher

	// Relays is where the connections of all sessions are waited for. Its owner closes it when all have ended.
	Relays *wire.Relays

	// Pipes are what large transfers are spliced through; nil: they are copied. Its owner sweeps it.
	Pipes *wire.Pipes

	// ConnectFailed is told of every backend that could not be connected to. It must not block; nil:
	// nobody is.
	ConnectFailed func(pool string, b *balancer.Backend, err error)

	// Memory is the budget that new work is accepted within; nil: no limit.
	Memory *admit.Memory

	// Ejected is told of every backend that live traffic has put out of service. It must not block; nil:
	// nobody is.
	Ejected func(pool string, b *balancer.Backend, e balancer.Ejection)

	// AccessLog is nil while there is none.
	AccessLog atomic.Pointer[telemetry.AccessLog]
}

// accessLog returns the access log if lines are wanted.
func (e *Engine) accessLog() *telemetry.AccessLog {
	if l := e.AccessLog.Load(); l != nil && l.Enabled() {
		return l
	}
	return nil
}
