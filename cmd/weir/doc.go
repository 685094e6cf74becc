// Command weir is a layer-4/7 load balancer: `weir run -c FILE` is the daemon, the other verbs prepare
// a configuration, ask a running daemon, or try things without one.
//
// Nouns: verb (a cobra command; a file each), failure (an error with the exit code that it deserves),
// locator (the flags by which a verb finds a daemon), excerpt (what leads to its socket in a configuration that
// need not be valid), admin (the client of the admin socket), daemon (everything that `weir run` starts, in
// one value that `weir demo` starts as well), fixed (the settings that a daemon keeps until its end).
//
// This package is the only one that knows all the others. It wires and prints; it decides nothing. What
// the admin server needs of the running proxy it declares itself, and run.go adapts one to the other.
//
// The path through it: main calls execute, which builds the tree of verbs (root.go), runs one and turns
// its error into one line on standard error and an exit code (exit.go): 0 fine, 1 invalid or
// not ready, 2 usage, 3 daemon unreachable, 4 refused by the daemon. Results go to standard output, in the
// form that -o asks for (output.go); everything else goes to standard error.
//
// docs/cli.md is made from the tree of verbs by a test; `make docs` rewrites it.
package main
