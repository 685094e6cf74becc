// Package exchange lives the life of one HTTP request, and of the client connection that it came
// on: parse → route → pick → connect → forward → retry → account.
//
// A [Clients] serves the connections of a listener, which come in by an [Entrance] for each of its
// sockets, with one goroutine each; where a proxy says who the client is after its PROXY header
// (proxied.go), on an https listener after a handshake (secure.go). As long as requests are whole when they are looked at, all happens inside
// one wait on the client's socket (client.go, readable): receive, parse ([http1.ParseRequest]),
// admit (admission.go), match ([route.Table.Match]), find the session (sticky.go), write the head
// that the backend gets, with what it is told of the client (forward.go, after the rules of
// forwarding.go; forwardtrusted.go if a trusted proxy has something to say), acquire a lease
// ([balancer.Pool.Acquire]; queue.go if that takes waiting) and take an idle connection of the backend's
// [peer] (pick.go), send and
// receive ([wire.Conn.Exchange]), send the response (response.go), give back lease and connection
// (exchange.go). That is four system calls, and a look at the idle connection. A request whose body
// is still to come leaves the wait and gets a second goroutine that forwards the body while the
// first waits for the response (upload.go); so does one that a backend answers with 101 (tunnel.go).
// What fails before it is answered may go to another backend (retry.go); what weir answers itself is
// in reply.go and answer.go.
//
// What an idle connection does not need it does not hold: buffers, heads and the state of the
// exchange live in a pooled work. A reload replaces a [Site] or the settings of a [Pool] as a whole;
// each request uses the ones that it met first.
//
// Rules that must hold:
//   - Who waits in the queue holds no lease.
//   - A lease is released once, by done, connectFailed, retryAfter or abandon, whichever ends its
//     use; after that the exchange holds no connection of that backend.
//   - A backend's connection is used again only if the response was complete, nothing was left over
//     and the request had been sent whole.
//   - A backend's connection that has begun with the name of a client serves that client's connection
//     alone.
//   - A client's connection is used again only if its request was read whole.
//   - A request is sent twice only if nothing was sent the first time, or if it is idempotent, its
//     body is at hand and nothing of a response has gone to the client (RFC 9110, section 9.2.2).
//   - A response that was cut off is never made to look whole.
//
// Whoever ends a connection from outside (client.stop, the watcher) shuts sockets down and sets
// client.gone; a drain interrupts the waits of idle ones. Pool.Drain, called about once a second, shuts
// down the connections to a backend whose drain_timeout has passed and marks them cut (drain.go). Only
// the owning goroutine closes.
package exchange
