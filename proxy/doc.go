// Package proxy is the running data plane: it binds listeners, holds pools, and keeps both in step
// with a configuration. The work on a connection is done by the packages below it.
//
// The nouns: a [Server] owns everything; a listener (listener.go) is what a configuration calls so,
// with an exchange.Clients that serves, or a stream.Clients at layer 4; a socket (socket.go) accepts on
// one address, for the listener that owns it at that moment; a pool is an exchange.Pool or a stream.Pool
// (stream.go), which holds the balancer's pool. Listeners and pools of datagrams are apart (udp.go), for
// nothing is accepted there. One that changes from one kind to another is another one under the same
// name. A configuration comes into force in three steps (apply.go): prepare does all that can fail, which
// is binding, reading certificates and compiling expressions, and changes nothing; commit cannot
// fail and swaps; what was replaced then drains. Pools, backends and listeners are matched by name,
// so that what did not change keeps its health, ramp, counters and connections; sockets are matched
// by address (seating.go), and a listener that has left goes on under the name that got its socket.
//
// Verdicts of health checks come in from the monitor's goroutines (health.go) and are reported to
// the balancer, which publishes a new snapshot; exchanges meet it at their next pick. Failed
// connects of live traffic go the other way, to the monitor. The steward (steward.go) is the one
// goroutine with a clock: it advances slow starts, closes connections that have been idle for
// too long, moves those of backends that were lost, and cuts what is left on backends that have drained for as long as they may, also those of
// pools that are no longer configured. What outlives the process is in state_dir (statedir.go).
//
// Start, Apply and Shutdown are called by one goroutine at a time; everything else may be called
// from any. Shutdown waits for every goroutine that the server has started.
package proxy
