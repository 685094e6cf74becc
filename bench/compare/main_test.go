package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/bench/contest"
)

// TestMain lets the test binary be the processes that a comparison starts.
func TestMain(m *testing.M) {
	if asked, err := contest.Child(os.Args[1:]); asked {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report.json")
	args := strings.Fields("--contestants floor --rounds 1 --duration 300ms --warmup 1ms --connections 2 --json " + file)
	var out, messages bytes.Buffer
	if code := run(t.Context(), args, &out, &messages); code != 0 {
		t.Fatalf("got exit code %d: %s", code, &messages)
	}
	if !strings.Contains(out.String(), "CPU µs/request") || !strings.Contains(messages.String(), "turn 1 of 1") {
		t.Errorf("got\n%s\nand\n%s", &out, &messages)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r []contest.Report
	if err := json.Unmarshal(b, &r); err != nil || len(r) != 1 || len(r[0].Turns) != 1 || r[0].Turns[0].Requests == 0 {
		t.Errorf("got %+v, %v from %s", r, err, b)
	}
}

func TestRunForms(t *testing.T) {
	tests := []struct {
		args     string
		code     int
		out      string
		messages string
	}{
		{"-help", 0, "", "-contestants"},
		{"--nonsense", exitUsage, "", "nonsense"},
		{"now", exitUsage, "", `unexpected argument "now"`},
		{"--scenario x", exitUsage, "", `there is no scenario "x": choose from http1-keepalive`},
		{"--contestants floor --rounds 1 --duration 300ms --scenario tcp-rr,udp-rr,tcp-connect", exitFailed, "tcp-connect, per request", "udp-rr: no contestant takes part"},
		{"--contestants caddy", exitFailed, "", `there is no contestant "caddy"`},
		{"--contestants floor --rounds 1 --duration 300ms --markdown", 0, "|---|", "turn 1"},
		{"--contestants floor --rounds 1 --duration 300ms --json -", 0, `"scenario": "http1-keepalive"`, "turn 1"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			var out, messages bytes.Buffer
			if code := run(t.Context(), strings.Fields(tt.args), &out, &messages); code != tt.code {
				t.Errorf("got exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(out.String(), tt.out) || !strings.Contains(messages.String(), tt.messages) {
				t.Errorf("got\n%s\nand\n%s\nwant %q and %q", &out, &messages, tt.out, tt.messages)
			}
		})
	}
}

func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, messages bytes.Buffer
	if code := run(ctx, []string{"--contestants", "floor"}, &out, &messages); code != exitFailed || !strings.Contains(messages.String(), "compare: ") {
		t.Errorf("got exit code %d and %s", code, &messages)
	}
}

func TestParse(t *testing.T) {
	var messages bytes.Buffer
	s, err := parse(strings.Fields("--contestants weir,,nginx --rate 100 --duration 5s --rounds 7 --weir /w --markdown"), &messages)
	if err != nil {
		t.Fatal(err)
	}
	o := s.options
	if !slices.Equal(o.Contestants, []string{"weir", "nginx"}) || o.Rate != 100 || o.Duration != 5*time.Second || o.Rounds != 7 || o.Weir != "/w" || !s.markdown {
		t.Errorf("got %+v", s)
	}
}
