// Package wire owns the sockets of the data plane: how they are made, read, written, awaited and
// given up. It knows no protocol.
//
// A [Listener] accepts, [Dial] connects; both yield a [Conn], a non-blocking TCP socket that goes to the
// runtime's poller when somebody waits for it, made with half of the system calls of package net:
// options are set once on the listening socket and inherited, addresses come from accept itself.
// Accepted connections can wait among [Arrivals] for their first bytes, without a goroutine.
//
// What happens for each connection is done by raw system calls, which do not tell the scheduler that
// they might block: nothing here does. One that tells it wakes the runtime's monitor thread if the process
// was idle just before, and that then costs more than the connection.
//
// The rule that makes it fast is to wait first: a read from a drained socket is a wasted system
// call, so [Conn.Exchange] sends, waits and only then receives, and [Conn.Serve] lets one callback
// handle every readiness of a client for as long as its requests are simple.
//
// What waiting first must respect:
//   - A short receive proves that no data is left, not that no FIN or RST is. Waiting after it is
//     right only where the protocol promises more bytes, or where a late end of the stream costs
//     nothing; every wait here has a deadline, and an expired deadline receives once more.
//   - Inside the callback of Serve, Close or a nested read of the same Conn never returns. The
//     callback may write to its Conn, and do anything with another one.
//   - Deadlines act between two calls of the callback only. [Conn.Shutdown] stops a Conn from
//     outside, at any time; only its owner closes it.
//
// Deadlines are lazy. Moving a timer costs more than a receive, so a Conn keeps a timer that is
// already set to fire earlier, and sets it anew only when it has fired; see Conn.Arm.
//
// A [Relay] carries bytes between two Conns until both have ended, copying small messages and splicing
// large ones through a pipe of [Pipes]; [Secure] is TLS for it. It waits in an epoll set of [Relays] and
// has a goroutine only while it passes on what is more than a few messages. [Conn.Peek] looks at the
// beginning of a stream without taking it.
//
// [Watcher] tells when the peer of a socket goes away while nobody reads from it. [Buffer] is a
// pooled piece of memory. [Now] is the monotonic clock of all deadlines here.
//
// Datagrams have sockets of their own. A [UDPListener] receives those of all clients into a [UDPBatch],
// as many as there are with one system call, and tells where each came from and went to; a [UDPConn]
// is bound to one backend. What a [UDPOut] has gathered leaves with one call, too. A [UDPPoll] waits for
// any number of UDPConns in one goroutine.
//
// A Conn belongs to one goroutine, except for Shutdown; reading and writing may be split between
// two. Everything else here may be used from any goroutine.
package wire
