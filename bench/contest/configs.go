package contest

import (
	"fmt"
	"path/filepath"
	"strings"
)

// The configurations below say the same in four languages, as far as they can:
//
//   - one thread on one CPU, no access log, metrics where there are any, on an address of their own;
//   - time-outs are weir's defaults: 10 s for a request head, 75 s between requests, 60 s for a
//     client that does not read and for a backend that does not answer, 5 s to connect;
//   - keep-alive to both sides, without a limit of requests, and room for as many idle backend
//     connections as there are clients;
//   - X-Forwarded-For, -Proto and -Host are written afresh, since the client is not trusted;
//   - a health check by HTTP every 5 s, 2 s at most, 2 up, 3 down. nginx has none, so it gets the
//     passive counterpart: out for 10 s after 3 failures;
//   - two more tries after a failed connect.

func prepareWeir(p plan) setup {
	var b strings.Builder
	fmt.Fprintf(&b, `admin:
  socket: %q
  listen: "%s"
listeners:
  web: { protocol: http, address: "%s", pool: app }
pools:
  app:
    protocol: http
    algorithm: weighted_round_robin
    health_check: { protocol: http, path: %s, interval: 5s, timeout: 2s, rise: 2, fall: 3 }
    backends:
`, filepath.Join(p.dir, "admin.sock"), p.metrics, p.listen, healthPath)
	for i, addr := range p.backends {
		fmt.Fprintf(&b, "      b%d: { address: \"%s\" }\n", i+1, addr)
	}
	return setup{
		files:   map[string]string{"weir.yaml": b.String()},
		args:    []string{"run", "-c", filepath.Join(p.dir, "weir.yaml")},
		env:     []string{"GOMAXPROCS=1"},
		metrics: "/metrics",
	}
}

func prepareHaproxy(p plan) setup {
	var b strings.Builder
	fmt.Fprintf(&b, `global
    nbthread 1
    cpu-map auto:1/1 %d
    maxconn %d

defaults
    mode http
    option http-keep-alive
    http-reuse always
    option redispatch
    retries 2
    timeout connect 5s
    timeout client 60s
    timeout http-request 10s
    timeout http-keep-alive 75s
    timeout server 60s
    timeout queue 5s
    timeout check 2s

frontend web
    bind %s
    http-request set-header X-Forwarded-For %%[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %%[req.hdr(host)]
    default_backend app

backend app
    balance roundrobin
    option httpchk GET %s
    default-server check inter 5s rise 2 fall 3
`, p.cpu, 4*p.connections+256, p.listen, healthPath)
	for i, addr := range p.backends {
		fmt.Fprintf(&b, "    server b%d %s\n", i+1, addr)
	}
	s := setup{
		files: map[string]string{"haproxy.cfg": ""},
		args:  []string{"-db", "-f", filepath.Join(p.dir, "haproxy.cfg")},
	}
	if p.promex {
		fmt.Fprintf(&b, `
frontend metrics
    bind %s
    http-request use-service prometheus-exporter if { path /metrics }
`, p.metrics)
		s.metrics = "/metrics"
	}
	s.files["haproxy.cfg"] = b.String()
	return s
}

func prepareNginx(p plan) setup {
	var servers strings.Builder
	for _, addr := range p.backends {
		fmt.Fprintf(&servers, "        server %s max_fails=3 fail_timeout=10s;\n", addr)
	}
	conf := fmt.Sprintf(`daemon off;
worker_processes 1;
worker_cpu_affinity 1%s;
pid %s/nginx.pid;
error_log stderr warn;

events {
    worker_connections %d;
}

http {
    access_log off;
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;

    client_header_timeout 10s;
    client_body_timeout 30s;
    send_timeout 60s;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;

    upstream app {
%[4]s        keepalive %[5]d;
        keepalive_requests 1000000000;
        keepalive_timeout 60s;
    }

    server {
        listen %[6]s;
        location / {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_connect_timeout 5s;
            proxy_send_timeout 60s;
            proxy_read_timeout 60s;
            proxy_next_upstream error timeout;
            proxy_next_upstream_tries 3;
        }
    }

    server {
        listen %[7]s;
        location = /stub_status {
            stub_status;
        }
    }
}
`, strings.Repeat("0", p.cpu), p.dir, 4*p.connections+256, servers.String(), max(p.connections, 64), p.listen, p.metrics)
	return setup{
		files:   map[string]string{"nginx.conf": conf},
		args:    []string{"-p", p.dir, "-c", filepath.Join(p.dir, "nginx.conf"), "-e", "stderr"},
		metrics: "/stub_status",
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
