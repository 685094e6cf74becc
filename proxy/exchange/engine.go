package exchange

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/proxy/admit"
	"weir/proxy/wire"
	"weir/telemetry"
)

// Engine is what all exchanges of a process share.
type Engine struct {
	Log       *zap.Logger
	Telemetry *telemetry.Registry
	Watcher   *wire.Watcher
	Arrivals  *wire.Arrivals // where clients wait that have sent nothing yet

	// Descriptors is the budget that client connections are accepted within. Connections to backends
	// may go beyond it, into its reserve: work that has been accepted goes on. nil: no limit.
	Descriptors *admit.Descriptors

	// Pipes are what large bodies are spliced through; nil: they are copied. Its owner sweeps it and
	// closes it.
	Pipes *wire.Pipes

	// ConnectFailed is told of every backend that could not be connected to. It must not block.
	ConnectFailed func(pool string, b *balancer.Backend, err error)

	// Memory is the budget that new work is accepted within; nil: no limit.
	Memory *admit.Memory

	// Ejected is told of every backend that live traffic has put out of service. It must not block; nil:
	// nobody is.
	Ejected func(pool string, b *balancer.Backend, e balancer.Ejection)

	// SessionKey is that of the cookies of pools without keys in their configuration; nil: each makes a
	// random one. NewPool and Pool.Apply alone look at it.
	SessionKey []byte

	// AccessLog is nil while there is none.
	AccessLog atomic.Pointer[telemetry.AccessLog]

	date dateLine
}

// SetTime says what the time is, which responses without a Date get. From the first call on it is to be
// called about once a second.
func (e *Engine) SetTime(now time.Time) { e.date.set(now) }

// accessLog returns the access log if lines are wanted.
func (e *Engine) accessLog() *telemetry.AccessLog {
	if l := e.AccessLog.Load(); l != nil && l.Enabled() {
		return l
	}
	return nil
}
