package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"weir/api"
)

// TestNoAnswer: a process that is stopped by a debugger or the kernel accepts, but does not answer.
func TestNoAnswer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, verb := range []string{"health", "status", "reload"} {
		code, stdout, stderr := weir(verb, "--socket", socket, "--timeout", "50ms")
		if want := "weir at " + socket + " does not answer within 50ms"; code != exitUnreachable || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: got %d %q %q, want %d and %q", verb, code, stdout, stderr, exitUnreachable, want)
		}
	}
}

// TestHealthWaits: with --wait, what is not there or not ready yet is asked again.
func TestHealthWaits(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	if code, _, stderr := weir("health", "--socket", socket, "--wait", "250ms"); code != exitUnreachable || !strings.Contains(stderr, "no such file") {
		t.Errorf("nobody there: got %d %q", code, stderr)
	}
	asked := 0
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(api.Readiness{Ready: asked >= 3})
	})}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	if code, stdout, stderr := weir("health", "--socket", socket); code != exitInvalid || stdout != "not ready\n" {
		t.Errorf("once: got %d %q %q", code, stdout, stderr)
	}
	if code, stdout, stderr := weir("health", "--socket", socket, "--wait", "10s"); code != 0 || stdout != "ready\n" || asked != 3 {
		t.Errorf("got %d %q %q after %d questions", code, stdout, stderr, asked)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-served
}

// TestHealthOfAnother: an answer that is no readiness does not say that weir is not ready.
func TestHealthOfAnother(t *testing.T) {
	if err := printReadiness(failingWriter{}, api.Readiness{Ready: true}); err == nil || err.(*failure).code != 0 {
		t.Errorf("ready, but not printed: got %v, want exit code 0", err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	if code, stdout, stderr := weir("health", "--socket", socket); code != exitUnreachable || stdout != "" || !strings.Contains(stderr, "is it a weir") {
		t.Errorf("got %d %q %q", code, stdout, stderr)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	<-served
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("full") }
