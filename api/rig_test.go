package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/config"
	"weir/config/store"
	"weir/telemetry"
)

// ofFile is what the file of these tests says.
const ofFile = `listeners:
  web: { protocol: http, address: "127.0.0.1:8080", pool: web }
pools:
  web:
    backends:
      b1: { address: 10.0.0.11:8080 }
      b2: { address: 10.0.0.12:8080, weight: 3 }
`

// The tokens of these tests.
const (
	adminToken = "admin-0123456789"
	readToken  = "read-0123456789ab"
)

// rig is a server with a store behind it, and no data plane.
type rig struct {
	t       *testing.T
	server  *Server
	store   *store.Store
	file    string
	journal *telemetry.Journal
	refused map[telemetry.AdminRefusal]int
}

// newRig starts one. change may be nil.
func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	g := &rig{t: t, file: filepath.Join(t.TempDir(), "weir.yaml"), refused: map[telemetry.AdminRefusal]int{}}
	g.write(ofFile)
	var err error
	if g.store, err = store.Open(store.Options{File: g.file}); err != nil {
		t.Fatal(err)
	}
	if g.journal, err = telemetry.OpenJournal(telemetry.JournalOptions{}); err != nil {
		t.Fatal(err)
	}
	g.server = start(t, func(o *Options) {
		o.Control, o.Journal = g.store, g.journal
		o.Refused = func(reason telemetry.AdminRefusal) { g.refused[reason]++ }
		if change != nil {
			change(o)
		}
	})
	t.Cleanup(func() {
		if err := g.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// newStore keeps what is wanted of a file of its own.
func newStore(t *testing.T) *store.Store {
	t.Helper()
	file := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(file, []byte(ofFile), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// write replaces the file.
func (g *rig) write(text string) {
	g.t.Helper()
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem reads the document of an error.
func (a answer) problem(t *testing.T) Problem {
	t.Helper()
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("content type: got %q", got)
	}
	return decode[Problem](t, a.body)
}

// do sends a request over the socket. Fields are NAME: VALUE; a body without a Content-Type among them is
// JSON; a NAME alone leaves the field out.
func (g *rig) do(method, path, body string, fields ...string) answer {
	g.t.Helper()
	return g.send(overSocket(g.server.options.Socket), "http://localhost", method, path, body, fields...)
}

// tcp is do over TCP.
func (g *rig) tcp(method, path, body string, fields ...string) answer {
	g.t.Helper()
	return g.send(overTCP(), "http://"+g.server.Addr(), method, path, body, fields...)
}

func (g *rig) send(client *http.Client, base, method, path, body string, fields ...string) answer {
	g.t.Helper()
	request, err := http.NewRequestWithContext(context.Background(), method, base+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", mediaJSON)
	}
	for _, f := range fields {
		name, value, given := strings.Cut(f, ": ")
		if name == "Host" {
			request.Host = value
		}
		request.Header.Del(name)
		if given {
			request.Header.Set(name, value)
		}
	}
	response, err := client.Do(request)
	if err != nil {
		g.t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		g.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, bytes.TrimSpace(text)}
}

// must wants a status and returns the answer.
func (a answer) must(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("got %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// credentials are those of both roles.
func credentials() []config.Credential {
	return []config.Credential{
		{Name: "ops", Token: adminToken, Role: config.RoleAdmin},
		{Name: "scraper", Token: readToken, Role: config.RoleRead},
	}
}

// addr is the address number i.
func addr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// uid is the user that runs the tests.
func uid() int { return os.Getuid() }
