package test

import (
	"errors"
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

	"golang.org/x/sys/unix"

	"weir/internal/lbtest"
	"weir/proxy/handover"
)

// takerName makes the test binary a process that takes over as far as the variable says; see takerMain.
const takerName = "WEIR_TEST_TAKER"

// takerMain is a new process that goes wrong: it takes over up to a step, and then dies, hangs, refuses, or
// speaks otherwise.
func takerMain(how string) int {
	step, end, _ := strings.Cut(how, " ")
	finish := func() int {
		switch end {
		case "dies":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		case "hangs":
			time.Sleep(time.Hour)
		}
		return 1
	}
	conn, err := handover.Inherit(3)
	if err != nil || step == "start" {
		return finish()
	}
	taking, err := handover.Take(conn, handover.Hello{PID: os.Getpid(), Version: "test"})
	if err != nil || step == "offer" {
		return finish()
	}
	if end == "refuses" {
		_ = taking.Refuse("no, because of this")
		return 1
	}
	var used []int
	for _, s := range taking.Offer().Sockets {
		used = append(used, s.ID)
	}
	if taking.Prepared(used) != nil || step == "prepared" {
		return finish()
	}
	if taking.Sections(func(s handover.Section) error { handover.CloseAll(s.Files); return nil }) != nil || step == "sections" {
		return finish()
	}
	if taking.Ready() != nil || step == "go" {
		return finish()
	}
	return finish()
}

// TestUpgradeFails starts new processes that go wrong in every way: the old one serves as if nothing had
// happened, and says what it was. Then a good one takes over.
func TestUpgradeFails(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := func(lines string) string {
		path := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	taker := func(how string) string { return script(fmt.Sprintf("%s=%q exec %s", takerName, how, self)) }
	good := fmt.Sprintf(`
listeners:
  web: { protocol: http, address: "127.0.0.1:0", pool: app }
  echo: { protocol: udp, address: "127.0.0.1:0", pool: echo }
pools:
  app: { backends: %s, health_check: none }
  echo: { protocol: udp, backends: { b1: %q, b2: %q }, health_check: none }
`, listed(backends(t, 2)...), echoUDP(t, "b1"), echoUDP(t, "b2"))
	u := startUpgradable(t, good+"state_dir: "+t.TempDir()+"\n")
	u.expect("not upgraded")
	stop := askEndlessly(t, u.address("echo"), 0)
	kept := drive(t, load{url: u.url("web"), clients: 4, rate: 200})
	fresh := drive(t, load{url: u.url("web"), clients: 4, rate: 200, fresh: true})
	eventually(t, "requests are answered", func() bool { return kept.count() > 20 && fresh.count() > 20 })

	bad := strings.Replace(good, "pool: app", "pol: app", 1)
	taken := lbtest.NewTCP(t, lbtest.Hang())
	blocked := strings.Replace(good, "pools:", fmt.Sprintf("  more: { protocol: http, address: %q, pool: app }\npools:", taken.Addr()), 1)
	tests := []struct {
		name, program, configuration string
		within                       string
		want                         string
	}{
		{"a configuration that is not valid", binary, bad, "20s", `"pol"`},
		{"a port that somebody else has", binary, blocked, "20s", taken.Addr().String()},
		{"a program that is not there", "/nowhere/weir", good, "20s", "no such file"},
		{"a program that is none", script("exit 1") + ".not", good, "20s", "no such file"},
		{"it exits", script("exit 1"), good, "20s", "exit status 1"},
		{"it is killed", taker("start dies"), good, "20s", "killed"},
		{"it hangs at once", taker("start hangs"), good, "300ms", "not ready within 300ms"},
		{"it dies with the sockets", taker("offer dies"), good, "20s", "killed"},
		{"it hangs with the sockets", taker("offer hangs"), good, "300ms", "not ready within 300ms"},
		{"it refuses", taker("never refuses"), good, "20s", "no, because of this"},
		{"it dies when it is prepared", taker("prepared dies"), good, "20s", "killed"},
		{"it dies with the state", taker("sections dies"), good, "20s", "killed"},
		{"it dies when it is to serve", taker("go dies"), good, "20s", "killed"},
	}
	for _, tt := range tests {
		u.lead(t, tt.program)
		u.write(tt.configuration)
		began := time.Now()
		code, stdout, stderr := u.cli("upgrade", "--timeout", tt.within)
		if code != 4 || !strings.Contains(stderr, tt.want) || stdout != "" {
			t.Errorf("%s: got exit code %d, %q, %q; want 4 and %q", tt.name, code, stdout, stderr, tt.want)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v", tt.name, took)
		}
		if got := u.pid(); got != u.pids[0] {
			t.Fatalf("%s: process %d answers, want %d", tt.name, got, u.pids[0])
		}
		if status, _, err := u.ask(http.MethodGet, "/readyz"); err != nil || status != http.StatusOK {
			t.Errorf("%s: /readyz: %d, %v", tt.name, status, err)
		}
	}
	u.write(good)
	if code, _, stderr := u.cli("reload"); code != 0 { // changes go on
		t.Errorf("a reload after all that: %s", stderr)
	}
	u.lead(t, binary)
	u.upgrade(t)
	stop()
	wantNoFailure(t, kept.stop())
	wantNoFailure(t, fresh.stop())
}

// TestUpgradeTwice wants the second of two upgrades at once refused, and a stop in the middle obeyed.
func TestUpgradeTwice(t *testing.T) {
	u := startUpgradable(t, `
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: ["127.0.0.1:9"], health_check: none } }
`)
	u.expect("not upgraded")
	path := filepath.Join(t.TempDir(), "hangs")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho '{\"level\":\"info\",\"msg\":\"begun\"}' >&2; exec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	u.lead(t, path)
	ended := make(chan string, 1)
	go func() {
		code, stdout, stderr := weir(t, "upgrade", "--socket", u.socket)
		ended <- fmt.Sprint(code, stdout, stderr)
	}()
	eventually(t, "an upgrade is under way", func() bool { return strings.Contains(u.log.String(), "begun") })
	if code, _, stderr := u.cli("upgrade"); code != 4 || !strings.Contains(stderr, "under way") {
		t.Errorf("a second upgrade: exit code %d, %s", code, stderr)
	}
	began := time.Now()
	u.signal(syscall.SIGTERM)
	if got := <-ended; !strings.HasPrefix(got, "4") || !strings.Contains(got, "stopping") {
		t.Errorf("the upgrade that a stop has ended: %s", got)
	}
	eventually(t, "weir has ended", func() bool { return !running(u.pids[0]) })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

// TestUpgradeBySignal upgrades by USR2, and looks what becomes of signals to the process that was replaced.
func TestUpgradeBySignal(t *testing.T) {
	b := backends(t, 1)
	g := &gate{open: make(chan struct{}), asked: map[int]bool{}}
	b[0].SetHandler(g)
	u := startUpgradable(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s, health_check: none } }
defaults: { timeouts: { grace: 200ms } }
`, listed(b...)))
	held := drive(t, load{url: u.url("web") + "/held", clients: 2, limit: 2})
	eventually(t, "two requests are in flight", func() bool { return g.holds() == 2 })
	u.signal(syscall.SIGUSR2)
	eventually(t, "another process answers", func() bool {
		status, _, err := u.ask(http.MethodGet, "/livez")
		return err == nil && status == http.StatusOK && u.pid() != u.pids[0]
	})
	u.pids = append(u.pids, u.pid())
	u.signal(syscall.SIGHUP)
	eventually(t, "the old process says that it only drains", func() bool { return strings.Contains(u.log.String(), "this one only drains") })
	if !running(u.pids[0]) {
		t.Fatal("the old process has ended with requests in flight")
	}
	close(g.open)
	wantNoFailure(t, held.wait())
	eventually(t, "the old process has ended", func() bool { return !running(u.pids[0]) })

	g.open = make(chan struct{})
	t.Cleanup(func() { close(g.open) })
	cut := drive(t, load{url: u.url("web") + "/held", clients: 1, limit: 1})
	eventually(t, "a request is in flight", func() bool { return g.holds() == 3 })
	u.upgrade(t)
	if err := syscall.Kill(u.pids[1], syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old process has ended, after grace", func() bool { return !running(u.pids[1]) })
	if calls := cut.wait(); !calls[0].failed() {
		t.Errorf("the request that was cut: got %v", calls[0])
	}
	if got := u.pid(); got != u.pids[2] {
		t.Errorf("process %d answers, want %d", got, u.pids[2])
	}
}

// TestTakeOver starts a process that takes over from one that somebody else has started.
func TestTakeOver(t *testing.T) {
	u := startUpgradable(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s, health_check: none } }
`, listed(backends(t, 1)...)))
	traffic := drive(t, load{url: u.url("web"), clients: 4, rate: 400, fresh: true})
	eventually(t, "requests are answered", func() bool { return traffic.count() > 20 })
	next := exec.Command(binary, "run", "--take-over", "-c", u.file)
	next.Stdout, next.Stderr = u.log, u.log
	if err := next.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = next.Wait()
	}()
	t.Cleanup(func() {
		_ = next.Process.Signal(syscall.SIGTERM)
		<-ended
	})
	eventually(t, "the old process has ended", func() bool { return !running(u.pids[0]) })
	if got := u.pid(); got != next.Process.Pid {
		t.Errorf("process %d answers, want %d", got, next.Process.Pid)
	}
	n := traffic.count()
	eventually(t, "requests are answered", func() bool { return traffic.count() > n+20 })
	wantNoFailure(t, traffic.stop())

	if code, _, stderr := weir(t, "run", "--take-over", "-c", filepath.Join(t.TempDir(), "none.yaml")); code != 3 {
		t.Errorf("taking over from nobody: exit code %d, %s; want 3", code, stderr)
	}
}

// TestGiverDies kills the process that hands over, at the moments in which that matters: the new one has the
// sockets, and serves who waits in their queues.
func TestGiverDies(t *testing.T) {
	dead := exec.Command("true") // whose number stands for the process before
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"when the other is prepared", "when it has all", "alive"} {
		t.Run(when, func(t *testing.T) {
			waiting, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := waiting.Addr().String()
			file, err := waiting.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs, err := handover.Pair()
			if err != nil {
				t.Fatal(err)
			}
			config := filepath.Join(t.TempDir(), "weir.yaml")
			text := fmt.Sprintf("listeners: { web: { protocol: http, address: %q, pool: app } }\npools: { app: { backends: %s, health_check: none } }\nadmin: { socket: %q }\n",
				address, listed(backends(t, 1)...), filepath.Join(filepath.Dir(config), "s"))
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			log := &lockedBuffer{}
			cmd := exec.Command(binary, "run", "-c", config)
			cmd.Stderr, cmd.ExtraFiles, cmd.Env = log, []*os.File{theirs}, append(os.Environ(), "WEIR_HANDOVER=3")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatalf("%v\n%s", err, log)
				}
			}
			must(theirs.Close())
			giving, err := handover.Give(ours)
			must(err)
			pid := dead.Process.Pid
			if when == "alive" {
				pid = os.Getpid()
			}
			fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
			must(err)
			must(unix.SetNonblock(fd, true))
			used, err := giving.Offer(handover.Offer{PID: pid, Sockets: []handover.Socket{
				{ID: 7, Network: handover.TCP, Listener: "web", Address: address, FD: fd},
			}})
			must(err)
			if len(used) != 1 || used[0] != 7 {
				t.Errorf("sockets that are used: %v, want 7", used)
			}
			client := drive(t, load{url: "http://" + address, clients: 1, limit: 1}) // nobody accepts
			must(errors.Join(unix.Close(fd), file.Close(), waiting.Close()))
			if when == "when it has all" {
				must(giving.Ready())
			}
			must(ours.Close()) // as the kernel does at the end of a process
			if when == "alive" {
				if err := <-ended; err == nil || !strings.Contains(log.String(), "gone") {
					t.Errorf("the process before lives, and this one: %v\n%s", err, log)
				}
				return
			}
			wantNoFailure(t, client.wait())
			if !strings.Contains(log.String(), "goes on with what it has") {
				t.Errorf("the log does not tell:\n%s", log)
			}
			must(cmd.Process.Signal(syscall.SIGTERM))
			must(<-ended)
		})
	}
}

// TestUpgradeWhileStopping: a process that stops says so, and not that it is busy with another upgrade.
func TestUpgradeWhileStopping(t *testing.T) {
	u := startUpgradable(t, `
defaults: { timeouts: { pre_stop: 20s } }
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: ["127.0.0.1:9"], health_check: none } }
`)
	u.expect("not upgraded")
	u.signal(syscall.SIGTERM)
	eventually(t, "weir stops", func() bool { code, _, _ := u.cli("health"); return code == 2 })
	code, _, stderr := u.cli("upgrade")
	if code != 4 || !strings.Contains(stderr, "the process is stopping") || strings.Contains(stderr, "another upgrade") {
		t.Errorf("got exit code %d, %s", code, stderr)
	}
	u.signal(syscall.SIGTERM)
}
