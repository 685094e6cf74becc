package main

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/lbtest"
)

func TestReload(t *testing.T) {
	r := startRunning(t, "")
	r.write(t, validConfig(r.socket, "log: { level: debug, format: console }\n"))
	code, stdout, stderr := weir("reload", "--socket", r.socket)
	if code != 0 || !strings.HasPrefix(stdout, "reloaded generation 2 in ") || !strings.HasSuffix(stdout, ": 1 setting changed, 5 connections closed\n") {
		t.Errorf("got %d %q %q", code, stdout, stderr)
	}
	if log := r.log.String(); stderr != "" || !strings.Contains(log, "  info  reloaded  {") {
		t.Errorf("the log is not for people: %s%s", stderr, log)
	}
	if got := r.Process(); got.Generation != 2 || got.Digest != r.plane.applied[0].Digest || got.Digest == "" {
		t.Errorf("got %+v after a reload", got)
	}
	if s := r.registry.ReloadStatus(); !s.LastOK || s.Succeeded != 2 || s.Generation != 2 {
		t.Errorf("telemetry says %+v", s)
	}
	if got := r.logging.Level().String(); got != "debug" {
		t.Errorf("log level: got %s, want debug", got)
	}
}

// TestReloadComparesWithTheProcess: what needs a restart is said at every reload until the file says again
// what runs, and no setting is said to differ for the form of its path.
func TestReloadComparesWithTheProcess(t *testing.T) {
	r := startRunning(t, "")
	relative := strings.Replace(validConfig("admin.sock", ""), "admin.sock }", `admin.sock, listen: "" }`, 1)
	steps := []struct {
		text string
		want []string
	}{
		{relative, nil},
		{validConfig(r.socket, "state_dir: state\n"), []string{"state_dir"}},
		{validConfig(r.socket, "state_dir: state\n"), []string{"state_dir"}},
		{validConfig("other.sock", ""), []string{"admin.socket"}},
		{validConfig(r.socket, ""), nil},
	}
	for i, step := range steps {
		r.write(t, step.text)
		done, err := r.Reload(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(done.Warnings) != len(step.want) {
			t.Fatalf("step %d: got %q, want %q", i, done.Warnings, step.want)
		}
		for n, want := range step.want {
			if !strings.HasPrefix(done.Warnings[n], want+" is ") {
				t.Errorf("step %d: got %q, want it about %s", i, done.Warnings[n], want)
			}
		}
	}
}

// TestRefusalNamesOnce: a file that cannot be read is named once in a line.
func TestRefusalNamesOnce(t *testing.T) {
	r := startRunning(t, "")
	if err := os.Remove(r.file); err != nil {
		t.Fatal(err)
	}
	_, _, stderr := weir("reload", "--socket", r.socket)
	if want := "refused: " + r.file + " cannot be read: no such file or directory; "; !strings.Contains(stderr, want) {
		t.Errorf("got %q, want %q", stderr, want)
	}
}

func TestReloadRefused(t *testing.T) {
	tests := []struct {
		name  string
		text  func(r *running) string
		apply error
		want  string
	}{
		{"not valid", func(*running) string { return "listeners: 5\n" }, nil, "weir.yaml:1:"},
		{"cannot be applied", func(r *running) string { return validConfig(r.socket, "") }, syscall.EADDRINUSE, "another process ('ss -ltnp' shows which) has the address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := startRunning(t, "")
			before := r.Process()
			r.write(t, tt.text(r))
			r.plane.applyErr = tt.apply
			code, stdout, stderr := weir("reload", "--socket", r.socket)
			if code != exitRefused || stdout != "" || !strings.Contains(stderr, tt.want) || !strings.Contains(stderr, "unchanged") {
				t.Errorf("got %d %q %q, want %d and %q", code, stdout, stderr, exitRefused, tt.want)
			}
			if got := r.Process(); got.Generation != before.Generation || got.Digest != before.Digest {
				t.Errorf("got %+v, want it unchanged from %+v", got, before)
			}
			if s := r.registry.ReloadStatus(); s.LastOK || s.Failed != 1 || s.Generation != before.Generation {
				t.Errorf("telemetry says %+v", s)
			}
			if log := r.log.String(); !strings.Contains(log, "reload refused") || !strings.Contains(log, tt.want) {
				t.Errorf("the log does not say it and why: %s", log)
			}
		})
	}
}

// TestReloadOfBadFile: the daemon judges, counts and logs, whatever the file by which it is found says.
func TestReloadOfBadFile(t *testing.T) {
	r := startRunning(t, "")
	r.write(t, strings.Replace(validConfig(r.socket, ""), "http", "htp", 1))
	if code, _, stderr := weir("reload", "-c", r.file); code != exitRefused || !strings.Contains(stderr, "unchanged") {
		t.Errorf("got %d %q, want %d", code, stderr, exitRefused)
	}
	if s := r.registry.ReloadStatus(); s.Failed != 1 {
		t.Errorf("telemetry says %+v, want one failure", s)
	}
	if code, stdout, stderr := weir("health", "-c", r.file); code != 0 {
		t.Errorf("health: got %d %q %q", code, stdout, stderr)
	}
}

// TestHangup: a bad file must not end the process.
func TestHangup(t *testing.T) {
	r := startRunning(t, "")
	r.write(t, "nonsense: true\n")
	r.signals <- syscall.SIGHUP
	lbtest.Eventually(t, 10*time.Second, func() bool { return strings.Contains(r.log.String(), "reload refused") })
	r.write(t, validConfig(r.socket, "version: 1\n"))
	r.signals <- syscall.SIGHUP
	// The next signal is taken when the reload is done.
	r.signals <- syscall.SIGUSR2
	if got := r.Process().Generation; got != 2 {
		t.Errorf("generation: got %d, want 2", got)
	}
}
