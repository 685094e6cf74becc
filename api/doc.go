// Package api is where a running weir is observed and controlled: an HTTP server on a unix socket and,
// optionally, on a TCP address. It translates and never decides: facts come from snapshots and
// counters of the other packages, wishes go to package config/store, which checks and carries them out.
//
// Nouns: Server (the two listeners and their routes), Running (the data plane, as far as this package
// looks at it), Control (what is wanted, and the way to change it), Status (the one document that the
// command line, scripts and pages show), Object (a listener, pool or backend as it is wanted), Changed
// (the answer to every change), Readiness (the answer to "send traffic here?"), Problem (an error as
// RFC 9457 has it), Access (who may do what over TCP), Event and the stream of them.
//
// Every operation is a row of the table of routes (routes*.go). The mux, /openapi.json and docs/api.md
// are made from the rows, and from the comments of the types in types*.go.
//
// Who may do what. The socket is guarded by its file mode, 0660 in a directory of mode 0750, so whoever
// can open it may write. Over TCP, Access decides at each request, by the configuration in force: reads
// for everybody while there are no credentials, else for those who show one, writes for admins. The Host
// field must be an IP literal or localhost: a page of another origin, whose name was rebound to this
// address, is refused, and so are writes that a page of another origin sends. Profiles (/debug/pprof)
// show memory, so they are on the socket only.
//
// The path through it: New takes the options; Bind claims socket.go's listeners and Serve answers; each
// request passes guard.go (TCP only: Host, caller, origin) and the mux of route.go; status.go, ready.go,
// probes.go and objects.go build documents from immutable snapshots and revisions; change.go reads bodies
// (body.go: strict JSON), holds conditions (etag.go) and edits a draft; control.go makes problems of what
// the store refuses; events.go follows the journal, each client at its own pace. Close stops accepting,
// ends streams, waits for answers under way, removes the socket and returns after every goroutine of the
// server has ended.
//
// All methods of Server may be called from any goroutine; Bind and Serve once, by one goroutine,
// Close any number of times after them.
package api
