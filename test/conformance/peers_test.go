package conformance

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// peer is a proxy that the same messages go through.
type peer struct {
	name      string // of the program and its Debian package
	configure func(p *peerRun) (files map[string]string, args []string)
	env       func(p *peerRun) []string
}

var peers = []peer{
	{"haproxy", haproxyConfig, func(*peerRun) []string { return nil }},
	{"nginx", nginxConfig, nginxSockets},
}

// peerRun is a running peer. It gets listening sockets from us, so that no port is somebody else's.
type peerRun struct {
	*process
	dir       string
	list      []*message
	origins   map[*message]*origin
	listeners []*net.TCPListener // of the messages, in their order, and one that answers 200 by itself
}

// find returns the path of the program, and its version as Debian numbers it, or the program
// itself where there is no Debian.
func (p *peer) find() (path, version string, found bool) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		path = filepath.Join(dir, p.name)
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		if out, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", p.name).Output(); err == nil {
			return path, string(out), true
		}
		out, err := exec.Command(path, "-v").CombinedOutput()
		first, _, _ := strings.Cut(string(out), "\n")
		return path, strings.ReplaceAll(first, " ", "-"), err == nil
	}
	return "", "", false
}

// start runs the peer with a listener for each message.
func (p *peer) start(t *testing.T, list []*message, origins map[*message]*origin) proxy {
	t.Helper()
	path, _, _ := p.find()
	r := &peerRun{dir: t.TempDir(), list: list, origins: origins}
	var files []*os.File
	for range len(list) + 1 {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		r.listeners, files = append(r.listeners, l), append(files, f)
	}
	configs, args := p.configure(r)
	for name, text := range configs {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), p.env(r)...)
	r.process = launch(t, p.name, cmd, files...)
	for i, f := range files {
		// The mode is of the socket, which is the child's too: handing it over made it blocking.
		if err := syscall.SetNonblock(int(f.Fd()), true); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := r.listeners[i].Close(); err != nil {
			t.Fatal(err)
		}
	}
	ready := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r.await("it answers", func() bool {
		response, err := ready.Get("http://" + r.listeners[len(list)].Addr().String())
		return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
	})
	return r
}

func (r *peerRun) addr(m *message) string {
	for i := range r.list {
		if r.list[i] == m {
			return r.listeners[i].Addr().String()
		}
	}
	return ""
}

func (r *peerRun) stop() { r.terminate() }

// haproxyConfig is haproxy with its defaults, keep-alive to both sides and no second tries.
func haproxyConfig(r *peerRun) (files map[string]string, args []string) {
	var b strings.Builder
	b.WriteString(`global
    maxconn 2000
    nbthread 1

defaults
    mode http
    option http-keep-alive
    http-reuse always
    retries 0
    timeout connect 5s
    timeout client 3s
    timeout http-request 3s
    timeout http-keep-alive 3s
    timeout server 3s
    timeout tunnel 3s

`)
	for i, m := range r.list {
		name := laneName(i)
		fmt.Fprintf(&b, "frontend %s\n    bind fd@%d\n    default_backend %[1]s\n", name, 3+i)
		if m.slow {
			b.WriteString("    timeout client 1s\n    timeout http-request 1s\n")
		}
		fmt.Fprintf(&b, "backend %s\n    server b %s\n", name, r.origins[m].addr())
		if m.slow {
			b.WriteString("    timeout server 1s\n")
		}
	}
	fmt.Fprintf(&b, "frontend ready\n    bind fd@%d\n    http-request return status 200\n", 3+len(r.list))
	file := filepath.Join(r.dir, "haproxy.cfg")
	return map[string]string{"haproxy.cfg": b.String()}, []string{"-db", "-f", file}
}

// nginxConfig is nginx with its defaults, but keep-alive to backends, Host and Upgrade forwarded as
// they came, no limit of bodies and no second tries.
func nginxConfig(r *peerRun) (files map[string]string, args []string) {
	var b strings.Builder
	fmt.Fprintf(&b, `daemon off;
worker_processes 1;
user root;
pid %[1]s/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
    access_log off;
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
    client_max_body_size 0;
    client_header_timeout 3s;
    client_body_timeout 3s;
    send_timeout 3s;
    keepalive_timeout 3s;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_connect_timeout 5s;
    proxy_send_timeout 3s;
    proxy_read_timeout 3s;
    proxy_next_upstream off;
    map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
`, r.dir)
	for i, m := range r.list {
		name := laneName(i)
		fmt.Fprintf(&b, "    upstream %s { server %s max_fails=0; keepalive 8; }\n", name, r.origins[m].addr())
		fmt.Fprintf(&b, "    server { listen %s; ", r.listeners[i].Addr())
		if m.slow {
			b.WriteString("client_header_timeout 1s; client_body_timeout 1s; proxy_read_timeout 1s; ")
		}
		if m.maxBody > 0 {
			fmt.Fprintf(&b, "client_max_body_size %d; ", m.maxBody)
		}
		fmt.Fprintf(&b, "location / { proxy_pass http://%s; } }\n", name)
	}
	fmt.Fprintf(&b, "    server { listen %s; location / { return 200; } }\n}\n", r.listeners[len(r.list)].Addr())
	file := filepath.Join(r.dir, "nginx.conf")
	return map[string]string{"nginx.conf": b.String()}, []string{"-p", r.dir, "-c", file, "-e", "stderr"}
}

// nginxSockets tells nginx which sockets it inherits, as it tells itself when its binary is replaced.
func nginxSockets(r *peerRun) []string {
	var b strings.Builder
	b.WriteString("NGINX=")
	for i := range r.listeners {
		fmt.Fprintf(&b, "%d;", 3+i)
	}
	return []string{b.String()}
}
