package resolve

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDnsmasq follows names of a real server that changes, stops and comes back.
func TestDnsmasq(t *testing.T) {
	path, err := exec.LookPath("dnsmasq")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/dnsmasq"); err != nil {
			t.Skip("no dnsmasq here")
		}
	}
	l, udp := listenBoth(t)
	address := l.Addr().String()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = l.Close(), udp.Close()
	hosts := filepath.Join(t.TempDir(), "hosts")
	var server *exec.Cmd
	start := func(lines ...string) {
		t.Helper()
		if err := os.WriteFile(hosts, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		server = exec.Command(path, "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file",
			"--listen-address=127.0.0.1", "--bind-interfaces", "--port="+port, "--addn-hosts="+hosts, "--local=/example/", "--log-facility=-")
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		process := server.Process
		t.Cleanup(func() { _ = process.Kill() }) // of a test that has failed; others have stopped it
	}
	stop := func() {
		t.Helper()
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := server.Wait(); err != nil {
			t.Fatalf("dnsmasq: %v", err)
		}
	}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	r := New(Options{Lookup: system(dial)})
	defer r.Close()
	c := poolOf(backend("app", "app.example.", 80))
	c.Pools["web"].ResolveInterval = 100 * time.Millisecond
	await := func(want string) {
		t.Helper()
		got := ""
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if got = fmt.Sprint(r.Status()[0].State, " ", backendsOf(r.Expand(c))); got == want {
				return
			}
		}
		t.Fatalf("got %s, want %s", got, want)
	}
	r.Follow(c)
	await("unresolved []") // nobody is there
	start("10.0.0.1 app.example", "10.0.0.2 app.example", "2001:db8::1 app.example")
	await("resolved [app/10.0.0.1=10.0.0.1:80 app/10.0.0.2=10.0.0.2:80 app/2001:db8::1=[2001:db8::1]:80]")
	if err := os.WriteFile(hosts, []byte("10.0.0.3 app.example\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := server.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await("resolved [app/10.0.0.3=10.0.0.3:80]")
	stop()
	await("stale [app/10.0.0.3=10.0.0.3:80]")
	start("10.0.0.4 other.example") // it is back, and knows no such name
	for deadline := time.Now().Add(20 * time.Second); !strings.HasPrefix(r.Status()[0].Reason, "no such name"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v", r.Status())
		}
	}
	await("stale [app/10.0.0.3=10.0.0.3:80]")
	stop()
	start("10.0.0.4 app.example", "0.0.0.0 app.example")
	await("resolved [app/10.0.0.4=10.0.0.4:80]")
	stop()
}
