// Package test holds the black-box scenarios: what weir promises, asked of the built binary.
//
// Nothing in here links to the code of the product, but for the types of the status document.
// TestMain (main_test.go) builds cmd/weir once, or takes the binary that WEIR_BIN names. A scenario
// writes a configuration whose listeners have port 0, starts `weir run` on it (start, in
// kit_test.go), drives traffic through it (traffic_test.go), and watches by what an operator has:
// the admin socket, metrics, log, exit code. Backends are real: web servers in the test process, a
// process of their own where one has to die, nginx, bare sockets.
//
// Every daemon that a scenario starts must end by TERM with exit code 0 and without a line of level
// error in its log; the kit checks that when the scenario has ended. Lines that a scenario provokes
// are named with daemon.expect.
//
// Nothing sleeps: what takes time is polled for with a deadline (eventually). Shares are judged by
// exact counts where the policy is exact, and otherwise by a bound whose place is reasoned beside
// it. Scenarios that measure nothing run in parallel, after the others.
//
// Some scenarios use programs of Debian (nginx, curl, ab, openssl, promtool, strace, dig, dnsmasq, iperf3,
// redis-server, ip) and are skipped, saying so, where they are missing; continuous integration installs them.
// Those of whole networks (netns_test.go) want root, for network namespaces of their own.
package test
