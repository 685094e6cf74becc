// Package api is where a running weir is observed and controlled: an HTTP server on a unix socket and,
// optionally, on a TCP address. It translates and never decides: facts come from snapshots and
// counters of the other packages, wishes go to functions that it was given.
//
// Nouns: Server (the two listeners and their routes), Running (the data plane, as far as this package
// looks at it), Status (the one document that the command line, scripts and pages show), Readiness (the
// answer to "send traffic here?"), Problem (an error as RFC 9457 has it).
//
// Who may do what. The socket is guarded by its file mode, 0660 in a directory of mode 0750, so whoever
// can open it may write. The TCP address serves reads only, and only under a Host field that is an IP
// literal or localhost: a page of another origin, whose name was rebound to this address, is refused.
// Profiles (/debug/pprof) show memory, so they are on the socket only.
//
// The path through it: New takes the options; Bind claims socket.go's listeners and Serve answers; each
// request passes guard.go (Host, method, size) and the table of routes.go; status.go, ready.go and
// probes.go build the documents from immutable snapshots; problem.go writes what went wrong. Close
// stops accepting, waits for answers under way, removes the socket and returns after every goroutine
// of the server has ended.
//
// All methods of Server may be called from any goroutine; Bind and Serve once, by one goroutine,
// Close any number of times after them.
package api
