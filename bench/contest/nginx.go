package contest

import (
	"fmt"
	"path/filepath"
	"strings"
)

func prepareNginx(p plan) setup {
	var b strings.Builder
	if p.stream != "" && p.scenario.Protocol != HTTP {
		fmt.Fprintf(&b, "load_module %s;\n", p.stream)
	}
	fmt.Fprintf(&b, `daemon off;
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
`, strings.Repeat("0", p.cpu), p.dir, 4*p.connections+256)
	if p.scenario.Protocol == HTTP {
		nginxHTTP(&b, p)
	}
	fmt.Fprintf(&b, `
    server {
        listen %s;
        location = /stub_status {
            stub_status;
        }
    }
}
`, p.metrics)
	if p.scenario.Protocol != HTTP {
		nginxStream(&b, p)
	}
	return setup{
		files:   map[string]string{"nginx.conf": b.String()},
		args:    []string{"-p", p.dir, "-c", filepath.Join(p.dir, "nginx.conf"), "-e", "stderr"},
		metrics: "/stub_status",
	}
}

// nginxServers lists the backends.
func nginxServers(p plan) string {
	var b strings.Builder
	for _, addr := range p.backends {
		fmt.Fprintf(&b, "        server %s max_fails=3 fail_timeout=10s;\n", addr)
	}
	return b.String()
}

// nginxHTTP writes what proxies, inside the http block.
func nginxHTTP(b *strings.Builder, p plan) {
	listen, upload := p.listen.String()+";\n", ""
	if p.scenario.TLS {
		tickets := "ssl_session_tickets on;"
		if !p.scenario.Resume {
			tickets = "ssl_session_tickets off;\n        ssl_conf_command NumTickets 0;"
		}
		listen = fmt.Sprintf(`%s ssl;
        ssl_certificate %s;
        ssl_certificate_key %s;
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_session_cache none;
        %s
`, p.listen, filepath.Join(p.certificates, certFile), filepath.Join(p.certificates, keyFile), tickets)
	}
	if p.scenario.Upload != "" {
		upload = "            client_max_body_size 0;\n            proxy_request_buffering off;\n"
	}
	fmt.Fprintf(b, `
    client_header_timeout 10s;
    client_body_timeout 30s;
    send_timeout 60s;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;

    upstream app {
%s        keepalive %d;
        keepalive_requests 1000000000;
        keepalive_timeout 60s;
    }

    server {
        listen %s        location / {
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
%s        }
    }
`, nginxServers(p), max(p.connections, 64), listen, upload)
}

// nginxStream writes the stream block.
func nginxStream(b *strings.Builder, p plan) {
	listen, idle := p.listen.String(), "350s"
	if p.scenario.Protocol == UDP {
		listen, idle = listen+" udp", "60s"
	}
	fmt.Fprintf(b, `
stream {
    upstream app {
%s    }

    server {
        listen %s;
        proxy_pass app;
        proxy_connect_timeout 5s;
        proxy_timeout %s;
        proxy_next_upstream_tries 3;
    }
}
`, nginxServers(p), listen, idle)
}
