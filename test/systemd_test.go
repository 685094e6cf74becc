package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestSystemdUnits has systemd judge the units that are shipped.
func TestSystemdUnits(t *testing.T) {
	analyze := program(t, "systemd-analyze")
	dir := t.TempDir()
	for _, name := range []string{"weir.service", "weir.socket"} {
		text, err := os.ReadFile(filepath.Join("..", "deploy", name))
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("/usr/bin/weir"), []byte(binary))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(analyze, "verify", "--recursive-errors=no", "--man=no", filepath.Join(dir, name))
		if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte(dir)) {
			t.Errorf("systemd-analyze verify %s: %v\n%s", name, err, out)
		}
	}
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", filepath.Join(dir, "weir.service")).CombinedOutput()
	if err != nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("systemd-analyze security tells no level:\n%s", out)
	}
	if level, err := strconv.ParseFloat(string(found[1]), 64); err != nil || level > 2 {
		t.Errorf("exposure: got %s, %v, want at most 2.0\n%s", found[1], err, out)
	}
}

// manager is what a service manager hears.
type manager struct {
	conn *net.UnixConn

	mu    sync.Mutex
	heard []string // messages with the process that has sent each
}

// newManager listens as a service manager does.
func newManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{conn: conn}
	raw, err := conn.SyscallConn()
	if err == nil {
		var failure error
		err = errors.Join(raw.Control(func(fd uintptr) { failure = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1) }), failure)
	}
	if err != nil {
		t.Fatal(err)
	}
	var listening sync.WaitGroup
	listening.Go(m.listen)
	t.Cleanup(func() {
		conn.Close()
		listening.Wait()
	})
	t.Setenv("NOTIFY_SOCKET", path)
	return m
}

func (m *manager) listen() {
	b, oob := make([]byte, 4096), make([]byte, 100)
	for {
		n, oobn, _, _, err := m.conn.ReadMsgUnix(b, oob)
		if err != nil {
			return
		}
		pid := 0
		if messages, err := syscall.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) > 0 {
			if cred, err := syscall.ParseUnixCredentials(&messages[0]); err == nil {
				pid = int(cred.Pid)
			}
		}
		m.mu.Lock()
		m.heard = append(m.heard, fmt.Sprintf("%d %s", pid, strings.ReplaceAll(string(b[:n]), "\n", " ")))
		m.mu.Unlock()
	}
}

// index is where, after from, a process has said something; -1: nowhere.
func (m *manager) index(from, pid int, text string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.IndexFunc(m.heard[from:], func(h string) bool {
		return strings.HasPrefix(h, strconv.Itoa(pid)+" ") && strings.Contains(h, text)
	})
	if at < 0 {
		return -1
	}
	return from + at
}

// hears waits until a process says something, after from, and returns where.
func (m *manager) hears(t *testing.T, from, pid int, text string) (at int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d says %s", pid, text), func() bool {
		at = m.index(from, pid, text)
		return at >= 0
	})
	return at
}

// TestServiceManager hears what the process tells its service manager: ready, reloading, who serves after an
// upgrade, that it lives, stopping; each from the process that is believed at that moment.
func TestServiceManager(t *testing.T) {
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "400000")
	u := startUpgradable(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app }, dns: { protocol: udp, address: "127.0.0.1:0", pool: dns } }
pools:
  app: { backends: %s, health_check: none }
  dns: { protocol: udp, backends: ["127.0.0.1:9"], health_check: none }
`, listed(backends(t, 2)...)))
	first := u.pids[0]
	ready := m.hears(t, 0, first, "READY=1 STATUS=2 listeners, 3/3 backends up")
	m.hears(t, ready, first, "WATCHDOG=1 STATUS=2 listeners, 3/3 backends up")
	u.signal(syscall.SIGHUP)
	reloading := m.hears(t, ready+1, first, "RELOADING=1 MONOTONIC_USEC=")
	reloaded := m.hears(t, reloading, first, "READY=1")

	u.upgrade(t)
	second := u.pids[1]
	moved := m.hears(t, reloaded, first, fmt.Sprintf("MAINPID=%d", second))
	served := m.hears(t, moved, second, "READY=1")
	if early := m.index(0, second, ""); early < moved {
		t.Error("the new process speaks before it is the service")
	}
	m.hears(t, served, second, "WATCHDOG=1")
	if err := syscall.Kill(second, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.hears(t, served, second, "STOPPING=1")
	eventually(t, "weir has ended", func() bool { return !running(second) })
}

// activate runs weir as systemd does that holds sockets for it: web of TCP and dns of UDP.
func activate(t *testing.T, configuration string, names string, files ...*os.File) (*exec.Cmd, *lockedBuffer, <-chan error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" run -c "$1"`, binary, file)
	cmd.Env = append(os.Environ(), fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+names)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, files
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return cmd, log, ended
}

// TestSocketActivation serves on sockets that somebody else holds, and keeps them open over a reload without
// their listener, and an upgrade; who connects while nobody serves waits.
func TestSocketActivation(t *testing.T) {
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer web.Close()
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer dns.Close()
	webFile, err := web.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer webFile.Close()
	dnsFile, err := dns.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer dnsFile.Close()
	url := "http://" + web.Addr().String()
	early := drive(t, load{url: url, clients: 1, limit: 1}) // before weir is started

	dir, err := os.MkdirTemp("", "weir-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &daemon{t: t, dir: dir, socket: filepath.Join(dir, "s")}
	d.client = adminClient(d.socket)
	pools := fmt.Sprintf("pools: { app: { backends: %s, health_check: none }, dns: { protocol: udp, backends: { b1: %q }, health_check: none } }\nadmin: { socket: %q }\n",
		listed(backends(t, 1)...), echoUDP(t, "b1"), d.socket)
	with := func(listeners string) string { return "listeners: { " + listeners + " }\n" + pools }
	both := fmt.Sprintf("web: { protocol: http, address: %q, pool: app }, dns: { protocol: udp, address: %q, pool: dns }", web.Addr(), dns.LocalAddr())
	cmd, log, ended := activate(t, with(both), "web:dns", webFile, dnsFile)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of weir:\n%s", log)
		}
	})
	file := cmd.Args[len(cmd.Args)-1]
	wantNoFailure(t, early.wait())
	stop := askEndlessly(t, dns.LocalAddr().String(), 0)
	serves := func() bool {
		calls := drive(t, load{url: url, clients: 1, limit: 1}).wait()
		return !calls[0].failed()
	}
	reload := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, stderr := d.cli("reload"); code != 0 {
			t.Fatalf("reload: %s", stderr)
		}
	}
	reload(with("other: { protocol: http, address: \"127.0.0.1:0\", pool: app }, " + strings.SplitN(both, "}, ", 2)[1]))
	waiting := drive(t, load{url: url, clients: 1, limit: 1}) // nobody serves there, but it is not refused
	reload(with(both))
	wantNoFailure(t, waiting.wait())
	if code, _, stderr := d.cli("upgrade"); code != 0 || !serves() {
		t.Errorf("weir upgrade: %s", stderr)
	}
	reload(with("other: { protocol: http, address: \"127.0.0.1:0\", pool: app }, " + strings.SplitN(both, "}, ", 2)[1]))
	reload(with(both))
	if !serves() {
		t.Error("nobody serves after the reload that follows an upgrade")
	}
	stop()
	pid := d.status().PID
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "weir has ended", func() bool { return !running(pid) })
	if err := <-ended; err != nil {
		t.Errorf("the first process: %v", err)
	}
	if c, err := net.DialTimeout("tcp", web.Addr().String(), time.Second); err != nil {
		t.Errorf("the socket is closed with the process: %v", err)
	} else {
		c.Close()
	}

	tests := []struct{ name, configuration, names, want string }{
		{"no listener of that name", with(both), "shop:dns", `listener "shop"`},
		{"another address", with(strings.Replace(both, web.Addr().String(), "127.0.0.1:1", 1)), "web:dns", "make the two equal"},
		{"no name", with(both), "unknown:dns", "FileDescriptorName"},
		{"of another kind", with(both), "dns:web", "ListenDatagram"},
	}
	for _, tt := range tests {
		_, log, ended := activate(t, tt.configuration, tt.names, webFile, dnsFile)
		if err := <-ended; err == nil || !strings.Contains(log.String(), tt.want) {
			t.Errorf("%s: %v, %s; want %q", tt.name, err, log, tt.want)
		}
	}
}

// adminClient asks an admin socket.
func adminClient(socket string) *http.Client {
	return &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}}}
}
