package main

import (
	"cmp"
	"fmt"
	"net"
	"strings"

	"weir/config"
)

// demoConfig is the configuration of the demo.
func demoConfig(listen, admin, socket string, backends *demoBackends) string {
	var text strings.Builder
	fmt.Fprintf(&text, `# The configuration of weir demo. Edit it, then: weir reload -c THIS-FILE
listeners:
  app: { protocol: http, address: %q, pool: app }
pools:
  app:
    algorithm: least_connections      # try weighted_round_robin
    slow_start: { duration: 10s }
    health_check: { protocol: http, path: /healthz, body: ^ok, interval: 1s, timeout: 500ms, rise: 2, fall: 2 }
    backends:
`, listen)
	for _, b := range backends.all {
		fmt.Fprintf(&text, "      %s: { address: %q }\n", b.name, b.address)
	}
	fmt.Fprintf(&text, `admin: { socket: %q, listen: %q }
log: { format: console }
defaults: { timeouts: { grace: 5s } }
`, socket, admin)
	return text.String()
}

// checkDemoAddresses refuses addresses that the configuration of the demo could not have.
func checkDemoAddresses(listen, admin string) error {
	backends := &demoBackends{all: []*demoBackend{{name: "b", address: "127.0.0.1:1"}}}
	_, report := config.LoadBytes("demo", []byte(demoConfig(cmp.Or(listen, demoListen), cmp.Or(admin, demoAdmin), "/demo.sock", backends)))
	flags := map[string]string{"listeners.app.address": "--listen " + listen, "admin.listen": "--admin " + admin}
	for _, d := range report.Diagnostics {
		if flag := flags[d.Path]; flag != "" && d.Severity == config.Error {
			return usage("%s: %s; %s", flag, strings.TrimPrefix(d.Message, d.Path+" "), d.Hint)
		}
	}
	return report.Err()
}

// pick is the address that was asked for, else the preferred one, else a free port of the same IP
// address. Between looking and binding somebody else may take a free port; then the demo says so.
func pick(asked, preferred string) string {
	if asked != "" {
		return asked
	}
	host, _, err := net.SplitHostPort(preferred)
	if err != nil {
		panic("demo address " + preferred)
	}
	for _, address := range []string{preferred, net.JoinHostPort(host, "0")} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		address = l.Addr().String()
		if l.Close() == nil {
			return address
		}
	}
	return preferred
}
