// Package datagram lives the life of UDP sessions, and passes QUIC through: pick → connect → exchange
// → account.
//
// A [Socket] receives the datagrams of all clients on one address, in batches, in one goroutine
// (socket.go). Each belongs to a session: the client, and the address that it has used (table.go).
// The first datagram of a client opens one (open.go): it is admitted, acquires a lease
// ([balancer.Pool.Acquire]) on a backend, that of its client if the pool is persistent, and gets a
// socket of its own that is connected to the backend. What comes back on those sockets is awaited by
// a loop (loop.go), one goroutine for any number of sessions, and leaves in batches by the listening
// socket, from the address that the client has used. Each session has its turn, in which it is received
// from once, or a few times if replies come several at a time.
//
// While every backend is still being checked, datagrams of new clients are held for the first verdict
// (hold.go), in bounds.
//
// A session ends when nothing has come for udp_idle, when it has had all replies that are expected,
// when it makes room for another one, and with its backend (sweep.go): at its next datagram, which
// goes to another one, if the pool rebalances, and at the end of drain_timeout. Its local port is then
// left alone for udp_idle, so that late replies reach nobody (ports.go).
//
// In pools of QUIC a connection is known by its ID, too (quic.go, ids.go): a client that comes back
// from another port keeps its session, one that comes from another address its backend.
//
// A reload replaces a [Site], or the settings of a [Pool], as a whole; sessions go on. They go with their
// socket to another listener, and to the socket that takes its place (give.go).
//
// Rules that must hold:
//   - A session is used only by those who hold it (session.hold): the table does while it is in it,
//     and whoever found it there does until release. The last one closes its socket and counts.
//   - Whoever takes a session out of the table ends it, and says why, or puts it into another one.
//   - A lease is released once: by close, or by whoever acquired it and has no session for it.
//   - A (backend, port) pair is claimed before its socket is made and vacated when that is closed.
//   - Locks are taken in this order: socket, session, shard of a table; every other lock is taken alone, or
//     below the socket's.
//
// Forwarding a datagram of a session that is there takes one lock, one reading of the clock for each
// batch, and allocates nothing.
package datagram
