// Package admit decides whether a client may come in: by its address, by how much of the service it
// already has, and by what the process has left.
//
// In the order in which a connection and its requests meet them:
//
//   - [Pace] bounds how fast a listener takes new connections.
//   - [Descriptors] refuses new work before the process runs out of file descriptors.
//   - [Access] holds the allow and deny lists of a listener.
//   - [Connections] bounds how many connections one client has open.
//   - [Rate] bounds how often one client may ask.
//   - [BodyRate] finds clients that send a body too slowly.
//
// A client is its address: IPv4 in IPv6 (::ffff:a.b.c.d) is the IPv4 address, a zone is ignored,
// and Rate and Connections can take an IPv6 network for one client, since a subscriber has a whole
// /64 to choose addresses from. Which address speaks for the client (peer, PROXY header, forwarding
// field) is settled by the caller. What is refused, counted and answered is the caller's too.
//
// Pace and Rate follow the generic cell rate algorithm (GCRA, ITU-T I.371): all that is kept is the
// time at which what was taken is made good. It equals a token bucket that starts full, in one word
// and without refilling, and when that time has passed there is nothing left to remember.
//
// A nil *Pace, *Descriptors, *Access, *Connections or *Rate sets no limit, so that callers need not
// ask whether one is configured. Whatever counts up and down must count down on the same object: a
// connection keeps the one that it entered.
//
// Everything may be called from any goroutine, and nothing on the path of a connection allocates,
// logs or reads a clock, except that the maps of Connections grow with the number of clients. Time
// is passed in, as nanoseconds of one monotonic clock that starts at 0. Readings of several
// goroutines may arrive out of order; an older one is taken as it is, and at worst refuses a little
// early.
package admit
