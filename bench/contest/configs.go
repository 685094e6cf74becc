package contest

import (
	"fmt"
	"path/filepath"
	"strings"
)

// The configurations of this package say the same in four languages, as far as they can:
//
//   - one thread on one CPU, no access log, metrics where there are any, on an address of their own;
//   - time-outs are weir's defaults: 10 s for a request head, 75 s between requests, 60 s for a
//     client that does not read and for a backend that does not answer, 5 s to connect; 350 s
//     without bytes over TCP, 30 s half closed, 60 s without datagrams over UDP;
//   - keep-alive to both sides, without a limit of requests, and room for as many idle backend
//     connections as there are clients;
//   - X-Forwarded-For, -Proto and -Host are written afresh, since the client is not trusted;
//   - a health check every 5 s, 2 s at most, 2 up, 3 down: by HTTP, over TCP by connecting, over UDP
//     none. nginx has none, so it gets the passive counterpart: out for 10 s after 3 failures;
//   - two more tries after a failed connect;
//   - TLS 1.3 with TLS_AES_128_GCM_SHA256, no table of sessions, and tickets where sessions are
//     resumed. Elsewhere the client asks for none; weir then sends none, OpenSSL would send two;
//   - bulk: haproxy splices in both directions. Its option splice-auto is not used: over TCP it hardly
//     ever spliced, and took 640–710 µs per MiB where this takes 355. nginx buffers responses as it
//     does by default; it passes bodies of requests on as they come, as the others do, not by way of
//     a file.

func prepareWeir(p plan) setup {
	var b strings.Builder
	s := p.scenario
	fmt.Fprintf(&b, `admin:
  socket: %q
  listen: "%s"
listeners:
`, filepath.Join(p.dir, "admin.sock"), p.metrics)
	if s.TLS {
		fmt.Fprintf(&b, `  web:
    protocol: https
    address: "%s"
    pool: app
    tls: { min_version: "1.3", certificates: [{ cert: %q, key: %q }] }
`, p.listen, filepath.Join(p.certificates, certFile), filepath.Join(p.certificates, keyFile))
	} else {
		fmt.Fprintf(&b, "  web: { protocol: %s, address: \"%s\", pool: app }\n", s.Protocol, p.listen)
	}
	fmt.Fprintf(&b, `pools:
  app:
    protocol: %s
    algorithm: weighted_round_robin
`, s.Protocol)
	switch s.Protocol {
	case HTTP:
		fmt.Fprintf(&b, "    health_check: { protocol: http, path: %s, interval: 5s, timeout: 2s, rise: 2, fall: 3 }\n", healthPath)
	case TCP:
		b.WriteString("    health_check: { protocol: tcp, interval: 5s, timeout: 2s, rise: 2, fall: 3 }\n")
	}
	b.WriteString("    backends:\n")
	for i, addr := range p.backends {
		fmt.Fprintf(&b, "      b%d: { address: \"%s\" }\n", i+1, addr)
	}
	file := filepath.Join(p.dir, "weir.yaml")
	return setup{
		files:   map[string]string{"weir.yaml": b.String()},
		args:    []string{"run", "-c", file},
		check:   []string{"check", file},
		env:     []string{"GOMAXPROCS=1"},
		metrics: "/metrics",
	}
}

func prepareFloor(p plan) setup {
	args := []string{floorVerb, p.listen.String(), fmt.Sprint(p.connections)}
	for _, addr := range p.backends {
		args = append(args, addr.String())
	}
	// One thread for Go code, no garbage collector and no signals that ask a goroutine to yield: the
	// relay needs none of them.
	return setup{args: args, env: []string{"GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1"}}
}
