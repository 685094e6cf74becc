package test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/api"
	"weir/internal/lbtest"
)

// zone is a dnsmasq of which weir, started through its command, is told by resolv.conf. It answers from a
// file of hosts.
type zone struct {
	t       *testing.T
	hosts   string // file
	address string // on port 53
	through []string
	cmd     *exec.Cmd
}

func newZone(t *testing.T) *zone {
	t.Helper()
	dir := t.TempDir()
	z := &zone{t: t, hosts: filepath.Join(dir, "hosts"), address: fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(250), rand.IntN(250), 1+rand.IntN(250))}
	resolv := filepath.Join(dir, "resolv.conf")
	text := "nameserver " + z.address + "\nsearch test\noptions timeout:1 attempts:1\n"
	if err := os.WriteFile(resolv, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	unshare := program(t, "unshare")
	if out, err := exec.Command(unshare, "--mount", "mount", "--bind", resolv, "/etc/resolv.conf").CombinedOutput(); err != nil {
		t.Skipf("no mount namespaces here: %v: %s", err, out)
	}
	z.through = []string{unshare, "--mount", "sh", "-c", `mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`, "sh", resolv}
	t.Cleanup(z.stop)
	return z
}

// say writes the addresses of web.test.
func (z *zone) say(addresses ...string) {
	z.t.Helper()
	text := ""
	for _, a := range addresses {
		text += a + " web.test\n"
	}
	if err := os.WriteFile(z.hosts, []byte(text), 0o644); err != nil {
		z.t.Fatal(err)
	}
	if z.cmd != nil {
		z.signal(syscall.SIGHUP)
	}
}

func (z *zone) signal(s syscall.Signal) {
	z.t.Helper()
	if err := z.cmd.Process.Signal(s); err != nil {
		z.t.Fatal(err)
	}
}

func (z *zone) start() {
	z.t.Helper()
	z.cmd = exec.Command(program(z.t, "dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
		"--listen-address="+z.address, "--bind-interfaces", "--port=53", "--addn-hosts="+z.hosts, "--local=/test/", "--user=", "--group=", "--pid-file", "--log-facility=-")
	if err := z.cmd.Start(); err != nil {
		z.t.Fatal(err)
	}
}

func (z *zone) stop() {
	if z.cmd == nil {
		return
	}
	_ = z.cmd.Process.Kill()
	_ = z.cmd.Wait() // killed, it says
	z.cmd = nil
}

// samePort listens on one port of several addresses of this machine, and serves their names there.
func samePort(t *testing.T, secure *tls.Config, addresses ...string) (port int) {
	t.Helper()
	for range 100 {
		var all []net.Listener
		for _, a := range addresses {
			l, err := net.Listen("tcp", net.JoinHostPort(a, fmt.Sprint(port)))
			if err != nil {
				break
			}
			t.Cleanup(func() { _ = l.Close() })
			port = l.Addr().(*net.TCPAddr).Port
			all = append(all, l)
		}
		if len(all) < len(addresses) {
			port = 0
			continue
		}
		for i, l := range all {
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.Header().Set("X-Backend", addresses[i])
				w.Header().Set("X-Host", r.Host)
			})}
			if secure != nil {
				l = tls.NewListener(l, secure)
			}
			go func() { _ = s.Serve(l) }()
			t.Cleanup(func() { _ = s.Close() })
		}
		return port
	}
	t.Fatal("no port is free on all addresses")
	return 0
}

// name is what the status says of the name in a pool.
func (d *daemon) name(pool string) api.NameStatus {
	d.t.Helper()
	for _, p := range d.status().Pools {
		if p.Name == pool && len(p.Names) == 1 {
			return p.Names[0]
		}
	}
	d.t.Fatalf("no name in the status of %s", pool)
	return api.NameStatus{}
}

// awaitName waits for the state and the addresses of a name, and for these to be the backends in service.
func (d *daemon) awaitName(state string, addresses ...string) api.NameStatus {
	d.t.Helper()
	var n api.NameStatus
	eventually(d.t, fmt.Sprintf("web.test is %s with %v", state, addresses), func() bool {
		n = d.name("app")
		if n.State != state || !slices.Equal(n.Addresses, addresses) {
			return false
		}
		for _, a := range addresses {
			if b, ok := d.backend("app", "web/"+a); !ok || b.Health != "up" {
				return false
			}
		}
		return true
	})
	return n
}

// TestNames takes a backend that is a name through all that can happen to names: no server at the start, one that comes,
// changes, hangs, lies and dies. Nothing that is not asked of the name notices any of it, and once it has had an
// answer no request fails. A look-up a second is the least interval, so the test takes a while.
func TestNames(t *testing.T) {
	z := newZone(t)
	port := samePort(t, nil, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	cert := lbtest.NewCertificate(t, "web.test")
	pair, err := tls.LoadX509KeyPair(cert.CertFile, cert.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	securePort := samePort(t, &tls.Config{Certificates: []tls.Certificate{pair}}, "127.0.0.2", "127.0.0.3", "127.0.0.4")
	other := lbtest.NewHTTP(t, "other")
	configuration := fmt.Sprintf(`
listeners:
  web: { protocol: http, address: "127.0.0.1:0", pool: app }
  secure: { protocol: http, address: "127.0.0.1:0", pool: secure }
  other: { protocol: http, address: "127.0.0.1:0", pool: other }
pools:
  app:
    required: false
    resolve: { interval: 1s }
    health_check: { interval: 100ms, protocol: http }
    backends: { web: web.test:%d }
  secure:
    required: false
    protocol: https
    tls: { ca: %s }
    resolve: { interval: 1s }
    health_check: { interval: 100ms, protocol: http }
    backends: ["web.test.:%d"]
  other: { backends: %s }
`, port, cert.CertFile, securePort, listed(other))
	began := time.Now()
	d := start(t, configuration, z.through...)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("without a server of names weir started in %v", took)
	}
	get := func(listener string) (int, http.Header) {
		t.Helper()
		r, err := http.Get(d.url(listener) + "/")
		if err != nil {
			t.Fatal(err)
		}
		_, copied := io.Copy(io.Discard, r.Body)
		if err := errors.Join(copied, r.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, r.Header
	}
	if status, _ := get("other"); status != http.StatusOK {
		t.Errorf("a pool without names, without a server of names: got %d", status)
	}
	if n := d.awaitName("unresolved"); !strings.Contains(n.Reason, z.address) {
		t.Errorf("the reason %q does not say who was asked", n.Reason)
	}
	if status, header := get("web"); status != http.StatusServiceUnavailable || header.Get("X-Backend") != "" {
		t.Errorf("a name without addresses: got %d", status)
	}
	if code, stdout, _ := d.cli("status"); code != 0 || !strings.Contains(stdout, "app/web") || !strings.Contains(stdout, "unresolved") {
		t.Errorf("weir status does not show the name:\n%s", stdout)
	}

	z.say("127.0.0.2")
	z.start()
	d.awaitName("resolved", "127.0.0.2")
	if status, header := get("web"); status != http.StatusOK || header.Get("X-Backend") != "127.0.0.2" {
		t.Errorf("got %d from %s", status, header.Get("X-Backend"))
	}
	eventually(t, "the certificate is verified by the name", func() bool { status, _ := get("secure"); return status == http.StatusOK })

	traffic := drive(t, load{url: d.url("web"), clients: 8, rate: 300})
	z.say("127.0.0.2", "127.0.0.3")
	d.awaitName("resolved", "127.0.0.2", "127.0.0.3")
	z.say("127.0.0.4") // all of them others
	d.awaitName("resolved", "127.0.0.4")

	z.signal(syscall.SIGSTOP) // it hangs
	n := d.awaitName("stale", "127.0.0.4")
	if !strings.Contains(n.Reason, "no answer in time") || d.metric("weir_resolutions_total", "pool", "app", "backend", "web", "result", "timeout") == 0 {
		t.Errorf("a server that hangs: %+v", n)
	}
	began = time.Now()
	d.reload(configuration + "# another one\n")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("with a server that hangs a reload took %v", took)
	}
	if n := d.name("app"); !slices.Equal(n.Addresses, []string{"127.0.0.4"}) {
		t.Errorf("after a reload: %+v", n)
	}
	z.say("0.0.0.0", "224.0.0.1") // it lies
	z.signal(syscall.SIGCONT)
	eventually(t, "the lie is noticed", func() bool { return strings.Contains(d.name("app").Reason, "0.0.0.0") })
	d.awaitName("stale", "127.0.0.4")
	z.stop()
	eventually(t, "its death is noticed", func() bool { return strings.Contains(d.name("app").Reason, "refused") })
	z.say("127.0.0.2", "127.0.0.4")
	z.start()
	d.awaitName("resolved", "127.0.0.2", "127.0.0.4")
	calls := traffic.stop()
	for _, c := range calls {
		if c.failed() {
			t.Errorf("%s", c)
		}
	}
	t.Logf("%d requests, none failed: %v", len(calls), !t.Failed())

	if got := d.metric("weir_resolved_addresses", "pool", "app", "backend", "web"); got != 2 {
		t.Errorf("weir_resolved_addresses: got %v, want 2", got)
	}
	for _, line := range d.lines() {
		if line.Level == "error" {
			t.Errorf("log: %s", line.text)
		}
	}
	d.wantOverride(t)
}

// wantOverride sets an override of a name, which is one of all its addresses, and of one address, which goes before it.
func (d *daemon) wantOverride(t *testing.T) {
	t.Helper()
	put := func(backend, body string) {
		t.Helper()
		r, err := http.NewRequest(http.MethodPut, "http://localhost/v1/pools/app/backends/"+backend+"/override", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := d.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("override of %s: %d %s %v", backend, answer.StatusCode, text, err)
		}
	}
	put("web", `{"state":"drain"}`)
	put("web%2F127.0.0.4", `{"state":"ready","weight":7}`)
	for address, want := range map[string]string{"127.0.0.2": "drain 1", "127.0.0.4": "ready 7"} {
		b, _ := d.backend("app", "web/"+address)
		if got := fmt.Sprint(b.State, " ", b.Weight); got != want {
			t.Errorf("web/%s: got %s, want %s", address, got, want)
		}
	}
}
