// Package floor is the bare relay that proxies are measured against: what forwarding a request and
// its response costs when nothing else is done.
//
// For each request it makes the four system calls that no proxy can avoid (receive from the client,
// send to the backend, receive from the backend, send to the client), and epoll_wait for each batch
// of ready sockets. It looks at no byte: there is no parsing, no choice of a backend per request, no
// check, no count. Client connections are paired with backend connections that were opened before.
//
// Its noun is the pair: a client socket and a backend socket, of which each one's bytes go to the
// other, and which end together. A Relay is one epoll set and one locked thread; Run is its loop, in
// which accept makes pairs and forward moves bytes. The system calls of that path are raw, so that
// the Go scheduler has no part in them.
//
// It is a yardstick, not a proxy: a send that would block waits for that socket and holds up all
// others, and there are no time-outs. Listen opens everything and Close frees it, before and after
// Run; Stop may be called by any goroutine.
package floor
