package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/config"
)

func TestDemoConfig(t *testing.T) {
	backends := &demoBackends{all: []*demoBackend{{name: "fast", address: "127.0.0.1:1001"}, {name: "slow", address: "127.0.0.1:1002"}}}
	c, report := config.LoadBytes("demo.yaml", []byte(demoConfig("127.0.0.1:8080", "127.0.0.1:9091", "/run/demo.sock", backends)))
	if len(report.Diagnostics) > 0 {
		t.Fatalf("got %+v, want no remark", report.Diagnostics)
	}
	if got := len(c.Pools["app"].Backends); got != 2 {
		t.Errorf("got %d backends, want 2", got)
	}
	if c.Admin.Socket != "/run/demo.sock" || c.Admin.Listen != "127.0.0.1:9091" {
		t.Errorf("got %+v", c.Admin)
	}
}

func TestFlaky(t *testing.T) {
	start := time.Now()
	steady, flaky := &demoBackend{started: start}, &demoBackend{started: start, flaky: true}
	tests := map[time.Duration]bool{0: false, 11 * time.Second: false, 12 * time.Second: true, 19 * time.Second: true,
		20 * time.Second: false, 33 * time.Second: true}
	for at, want := range tests {
		if got := flaky.failing(start.Add(at)); got != want {
			t.Errorf("flaky at %v: got %v, want %v", at, got, want)
		}
		if steady.failing(start.Add(at)) {
			t.Errorf("the steady backend fails at %v", at)
		}
	}
}

func TestShares(t *testing.T) {
	before := []tally{{"app/a", "up", 100, 1}, {"app/gone", "up", 50, 1}, {"app/new", "up", 900, 1}}
	after := []tally{{"app/a", "up", 175, 1}, {"app/new", "up", 25, 0.5}}
	want := "  20 req/s   app/a up 75 %   app/new up 25 % (slow start 50 %)"
	if got := shares(before, after, 5*time.Second); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := shares(after, after, time.Second); !strings.HasPrefix(got, "   0 req/s   app/a up  0 %") {
		t.Errorf("without traffic: got %q", got)
	}
}

func TestPick(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	preferred := taken.Addr().String()
	if got := pick("192.0.2.1:80", preferred); got != "192.0.2.1:80" {
		t.Errorf("asked: got %s", got)
	}
	if got := pick("", preferred); got == preferred || !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("taken: got %s", got)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	if got := pick("", preferred); got != preferred {
		t.Errorf("free: got %s, want %s", got, preferred)
	}
}

// TestDemo runs the whole thing for a moment: traffic flows without a failure, and nothing is left behind.
func TestDemo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	code, stdout, stderr := weir("demo", "--duration", "3s", "--rate", "100")
	if code != 0 {
		t.Fatalf("got %d: %s%s", code, stdout, stderr)
	}
	if !regexp.MustCompile(`app +http://127\.0\.0\.1:\d+`).MatchString(stdout) || !regexp.MustCompile(`admin +http://127\.0\.0\.1:\d+`).MatchString(stdout) {
		t.Errorf("the addresses are not printed: %s", stdout)
	}
	found := regexp.MustCompile(`(\d+) requests in .* (\d+) failed`).FindStringSubmatch(stdout)
	if found == nil {
		t.Fatalf("no result: %s%s", stdout, stderr)
	}
	if n, err := strconv.Atoi(found[1]); err != nil || n < 50 || found[2] != "0" {
		t.Errorf("got %q, want at least 50 requests and no failure: %s", found[0], stderr)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "weir-demo-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
