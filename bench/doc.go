// Package bench is the load generator of weir: it sends HTTP/1.1 requests, plain or over TLS, or
// messages over TCP or UDP, and says how fast and how evenly they were answered.
//
// It owns one entry point, Load, and its nouns: a run (one call of Load), a connection (one socket
// with at most one request in flight; with Fresh a new socket for each), an exchange (one request and
// its response, or one message and its reply), a ticket (the instant at which an open-loop request is
// due) and the window (the measured part of a run, after the warm-up).
//
// There are two kinds of load. In a closed loop (Rate 0) every connection sends its next request as
// soon as it has the response: this finds the throughput at saturation, and its latencies say
// nothing about how users fare, since a slow server is asked less often. In an open loop requests
// are due at a fixed rate whatever the server does, and latency counts from the instant at which a
// request was due, not from when it could be sent: a stall of the server is seen by every request
// that fell into it (no coordinated omission). What was due and never answered is in the histogram
// with the time that it had waited at the end.
//
// The path through it: Load dials all connections, starts one goroutine for each (closedLoop or
// openLoop) and, for an open loop, pacer.run; conn.exchange does one request; recorder.add accounts
// for it; Load opens and closes the window and waits for every goroutine. A messenger stands in for
// conn where there is no HTTP; both keep their socket, and TLS over it, in a link.
//
// An exchange costs two system calls: it runs inside one syscall.RawConn.Read, sends first and waits
// before it receives; only TLS goes through crypto/tls. A response whose bytes equal those of the last
// one that was parsed and checked on the connection needs no parsing; any other is parsed by fasthttp.
//
// Load may be called by any number of goroutines at once. Its options and results are plain values.
// The package knows nothing of weir and imports none of its packages; comparing proxies with each
// other is the business of bench/contest.
package bench
