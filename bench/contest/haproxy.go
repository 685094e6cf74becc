package contest

import (
	"fmt"
	"path/filepath"
	"strings"
)

func prepareHaproxy(p plan) setup { return haproxy(p, p.scenario.MiB > 0) }

// prepareHaproxyCopy is haproxy without splicing.
func prepareHaproxyCopy(p plan) setup { return haproxy(p, false) }

func haproxy(p plan, splice bool) setup {
	var b strings.Builder
	fmt.Fprintf(&b, `global
    nbthread 1
    cpu-map auto:1/1 %d
    maxconn %d
`, p.cpu, 4*p.connections+256)
	if p.scenario.TLS {
		b.WriteString("    tune.ssl.cachesize 0\n")
	}
	if p.scenario.Protocol == HTTP {
		haproxyHTTP(&b, p, splice)
	} else {
		haproxyTCP(&b, p, splice)
	}
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
    mode http
    timeout client 60s
    bind %s
    http-request use-service prometheus-exporter if { path /metrics }
`, p.metrics)
		s.metrics = "/metrics"
	}
	s.files["haproxy.cfg"] = b.String()
	return s
}

// haproxyHTTP writes all up to the list of backends.
func haproxyHTTP(b *strings.Builder, p plan, splice bool) {
	b.WriteString(`
defaults
    mode http
    option http-keep-alive
    http-reuse always
    option redispatch
`)
	if splice && !p.scenario.TLS {
		b.WriteString("    option splice-request\n    option splice-response\n")
	}
	proto, bind := "http", p.listen.String()
	if p.scenario.TLS {
		proto = "https"
		bind += " ssl crt " + filepath.Join(p.certificates, bothFile) +
			" alpn http/1.1 ssl-min-ver TLSv1.3 ciphersuites TLS_AES_128_GCM_SHA256"
		if !p.scenario.Resume {
			bind += " no-tls-tickets"
		}
	}
	fmt.Fprintf(b, `    retries 2
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
    http-request set-header X-Forwarded-Proto %s
    http-request set-header X-Forwarded-Host %%[req.hdr(host)]
    default_backend app

backend app
    balance roundrobin
    option httpchk GET %s
    default-server check inter 5s rise 2 fall 3
`, bind, proto, healthPath)
}

// haproxyTCP writes all up to the list of backends.
func haproxyTCP(b *strings.Builder, p plan, splice bool) {
	b.WriteString(`
defaults
    mode tcp
    option redispatch
`)
	if splice {
		b.WriteString("    option splice-request\n    option splice-response\n")
	}
	fmt.Fprintf(b, `    retries 2
    timeout connect 5s
    timeout client 350s
    timeout server 350s
    timeout client-fin 30s
    timeout server-fin 30s
    timeout queue 5s
    timeout check 2s

frontend web
    bind %s
    default_backend app

backend app
    balance roundrobin
    default-server check inter 5s rise 2 fall 3
`, p.listen)
}
