package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/balancer"
	"weir/internal/lbtest"
)

// TestTerm: not ready first, then the data plane stops, the socket answers until the end.
func TestTerm(t *testing.T) {
	r := startRunning(t, "")
	if code, stdout, stderr := weir("health", "--socket", r.socket); code != 0 || stdout != "ready\n" {
		t.Fatalf("before: got %d %q %q", code, stdout, stderr)
	}
	r.signals <- syscall.SIGTERM
	<-r.plane.stopping
	code, stdout, _ := weir("health", "--socket", r.socket)
	if code != 2 || stdout != "draining\n  serving: the process is stopping\n" {
		t.Errorf("while stopping: got %d %q", code, stdout)
	}
	if code, _, stderr := weir("reload", "--socket", r.socket); code != exitRefused || !strings.Contains(stderr, "stopping") {
		t.Errorf("reload while stopping: got %d %q", code, stderr)
	}
	close(r.plane.release)
	if err := <-r.ended; err != nil {
		t.Errorf("got %v, want a clean end", err)
	}
	if code, _, stderr := weir("health", "--socket", r.socket); code != exitUnreachable || !strings.Contains(stderr, "no such file") {
		t.Errorf("after: got %d %q", code, stderr)
	}
}

// TestSecondTerm: work that never ends is cut at once by a second signal, and the exit is clean.
func TestSecondTerm(t *testing.T) {
	r := startRunning(t, "defaults: { timeouts: { grace: 10m } }\n")
	lease, err := r.plane.pool.Acquire(balancer.Flow{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	r.signals <- syscall.SIGTERM
	<-r.plane.stopping
	r.signals <- syscall.SIGHUP
	r.signals <- syscall.SIGINT
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("got %v, want a clean end", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the second signal did not end it")
	}
	log := r.log.String()
	cut, stopped := strings.Index(log, `"msg":"work in flight was cut","connections":4,"requests":1`), strings.Index(log, `"msg":"stopped"`)
	if cut < 0 || stopped < cut {
		t.Errorf("the log does not say that work was cut, before it says stopped: %s", log)
	}
	if !strings.Contains(log, `"msg":"stopping","connections":4,"requests":1,"listeners":["web: 3"],"signal":"terminated"`) {
		t.Errorf("the log does not say what is in flight: %s", log)
	}
}

// TestNothingIsCut: when the patience ends early and all that was open was idle, nothing is said to be cut.
func TestNothingIsCut(t *testing.T) {
	r := startRunning(t, "defaults: { timeouts: { pre_stop: 10m } }\n")
	r.signals <- syscall.SIGTERM
	r.signals <- syscall.SIGTERM
	<-r.plane.stopping
	close(r.plane.release)
	if err := <-r.ended; err != nil {
		t.Errorf("got %v, want a clean end", err)
	}
	if log := r.log.String(); strings.Contains(log, "cut") || !strings.Contains(log, `"msg":"stopped"`) {
		t.Errorf("got %s", log)
	}
}

// TestPreStop: a second signal ends the wait before the data plane stops, too.
func TestPreStop(t *testing.T) {
	r := startRunning(t, "defaults: { timeouts: { pre_stop: 10m } }\n")
	r.signals <- syscall.SIGQUIT
	lbtest.Eventually(t, 10*time.Second, r.draining.Load)
	r.plane.mu.Lock()
	stopped := r.plane.stopped
	r.plane.mu.Unlock()
	if stopped {
		t.Error("the data plane was stopped before pre_stop was over")
	}
	if code, _, _ := weir("health", "--socket", r.socket); code != 2 {
		t.Errorf("health during pre_stop: got %d, want 2", code)
	}
	r.signals <- syscall.SIGTERM
	if err := <-r.ended; err != nil {
		t.Errorf("got %v, want a clean end", err)
	}
}
