package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/api"
)

// TestStatusTable renders the document that package api pins, plus what it lacks.
func TestStatusTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "status.json"))
	if err != nil {
		t.Fatal(err)
	}
	var status api.Status
	if err := json.Unmarshal(text, &status); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := writeStatus(&out, status, status.Started.Add(200*time.Second)); err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "status.golden"), out.Bytes())
}

func TestStatusForms(t *testing.T) {
	r := startRunning(t, "")
	tests := []struct {
		form string
		want []string
	}{
		{"table", []string{"generation 1, ready", "web       http", "app/b1   10.0.0.1:80", "no health check"}},
		{"json", []string{`"generation": 1`, `"connections_active": 3`}},
		{"yaml", []string{"generation: 1\n", "connections_active: 3\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.form, func(t *testing.T) {
			code, stdout, stderr := weir("status", "-o", tt.form, "-c", r.file)
			if code != 0 || stderr != "" {
				t.Fatalf("got %d %q", code, stderr)
			}
			for _, w := range tt.want {
				if !strings.Contains(stdout, w) {
					t.Errorf("got %s\nwant it to contain %q", stdout, w)
				}
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead.sock")
	r := startRunning(t, "")
	if err := os.Link(r.socket, dead); err != nil {
		t.Fatal(err)
	}
	close(r.plane.release)
	r.signals <- os.Interrupt
	if err := <-r.ended; err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, socket, want string }{
		{"never started", filepath.Join(dir, "none.sock"), "no such file — start it"},
		{"has ended", dead, "nobody listens on it — the process that made the socket has ended"},
	}
	for _, tt := range tests {
		for _, verb := range []string{"status", "health", "reload"} {
			t.Run(tt.name+"/"+verb, func(t *testing.T) {
				code, stdout, stderr := weir(verb, "--socket", tt.socket)
				if code != exitUnreachable || stdout != "" {
					t.Errorf("got %d %q, want %d", code, stdout, exitUnreachable)
				}
				if want := "weir: cannot reach weir at " + tt.socket + ": " + tt.want; !strings.HasPrefix(stderr, want) {
					t.Errorf("got %q, want it to begin with %q", stderr, want)
				}
			})
		}
	}
}

func TestAge(t *testing.T) {
	tests := map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 850 * time.Millisecond: "850ms", 59 * time.Second: "59s", 200 * time.Second: "3m20s",
		3*time.Hour + 5*time.Minute: "3h5m", 292 * time.Hour: "12d4h",
	}
	for d, want := range tests {
		if got := age(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

// TestTableIsTame: text from a backend cannot break rows or forge them.
func TestTableIsTame(t *testing.T) {
	var out bytes.Buffer
	if err := writeTable(&out, []string{"A", "B"}, [][]string{{"x\ny", "a\tb"}, {"", "z"}}); err != nil {
		t.Fatal(err)
	}
	if want := "A    B\nx y  a b\n-    z\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
