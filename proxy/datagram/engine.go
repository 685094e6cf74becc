package datagram

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"weir/balancer"
	"weir/proxy/admit"
	"weir/telemetry"
)

// Engine is what all sessions of a process share.
type Engine struct {
	Log       *zap.Logger
	Telemetry *telemetry.Registry

	// Descriptors is the budget that sessions are opened within; nil: no limit.
	Descriptors *admit.Descriptors
	// MaxSessions is how many sessions a listener may have that does not say so itself.
	MaxSessions int

	// ConnectFailed is told of every backend that is not there. It must not block; nil: nobody is.
	ConnectFailed func(pool string, b *balancer.Backend, err error)

	// Memory is the budget that new work is accepted within; nil: no limit.
	Memory *admit.Memory

	// Ejected is told of every backend that live traffic has put out of service. It must not block; nil:
	// nobody is.
	Ejected func(pool string, b *balancer.Backend, e balancer.Ejection)

	// AccessLog is nil while there is none.
	AccessLog atomic.Pointer[telemetry.AccessLog]

	ports     portBook
	mu        sync.Mutex // guards loops while they are started
	loops     []*loop    // nil: not started
	portRange portRange
}

// maxLoops bounds the goroutines that wait for replies.
const maxLoops = 4

// Start starts the goroutines that wait for replies, unless they run. It is called before a session
// can be opened.
func (e *Engine) Start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loops != nil {
		return nil
	}
	var loops []*loop
	for i := range min(runtime.GOMAXPROCS(0), maxLoops) {
		l, err := newLoop(e, i)
		if err != nil {
			for _, l := range loops {
				err = errors.Join(err, l.close())
			}
			return err
		}
		loops = append(loops, l)
	}
	e.loops, e.portRange = loops, localPorts()
	return nil
}

// Close ends them. No session may be left.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	for _, l := range e.loops {
		errs = append(errs, l.close())
	}
	e.loops = nil
	return errors.Join(errs...)
}

// Sweep forgets ports that nobody has used for long. It is called about once a second.
func (e *Engine) Sweep(now int64) { e.ports.sweep(now) }

// accessLog returns the access log if lines are wanted.
func (e *Engine) accessLog() *telemetry.AccessLog {
	if l := e.AccessLog.Load(); l != nil && l.Enabled() {
		return l
	}
	return nil
}
