// Package stream lives the life of a TCP connection at layer 4: begin → pick → connect → relay →
// account.
//
// A [Clients] takes over the connections that a listener accepts. Each is a session (session.go): it
// is admitted and gets a goroutine. It takes the PROXY header off, where the peer is a proxy, does the
// TLS handshake or looks at the ClientHello without taking it, and finds its route (opening.go,
// secure.go, [route.Streams]). Then it acquires a lease ([balancer.Pool.Acquire]) on a backend, the one
// of its client if the pool is persistent ([session.Bond]), and connects; when that fails it tries the next
// one (connect.go), and while there is none to be had it waits (queue.go). The header that tells the
// backend who the client is, if the pool sends one, goes first, then the handshake of a tls pool. From
// then on a [wire.Relay] carries bytes both ways and the session has no goroutine: the sets of
// [wire.Relays] wait for all of them. When it has ended, finish closes both connections,
// releases the lease and counts (finish.go).
//
// A [Pool] has a peer for each of its backends, which knows the sessions on it. Pool.Sweep, called
// about once a second, ends those that may not go on (rebalance.go): when their backend went down or
// was removed and the pool rebalances, at a bounded rate; when their backend was drained, or removed,
// and drain_timeout has passed. Everything else is left alone, whatever happens to its backend.
//
// A reload replaces a [Site], or the settings of a [Pool], as a whole; a session goes on with those
// that it began with, but is led by the routes of the moment in which its client is known. Those of a
// listener that was removed have the drain_timeout of their pool (retire.go).
//
// Rules that must hold:
//   - A lease is released once: by acquire, if another connection of the client has chosen otherwise, by
//     connectFailed or by finish.
//   - A session that is not over is among those of its Clients, and while it has a backend among those
//     of its peer.
//   - What ends a session is one thing, the first: whoever ends it from outside (session.cut) names it
//     before it does so.
//   - Only finish closes; whoever ends a session from outside resets its sockets.
//   - A connection that did not end in order is reset, on both sides, so that nobody takes a part for
//     the whole.
package stream
