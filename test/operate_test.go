package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"weir/api"
)

// TestExplainForetells: what weir explain says of a request is where the request goes, in turn, by key and
// by load.
func TestExplainForetells(t *testing.T) {
	list := listed(backends(t, 3)...)
	d := start(t, `
listeners:
  web:
    protocol: http
    address: 127.0.0.1:0
    pool: turns
    routes: [{ path_prefix: /keys, pool: keys }, { path_prefix: /loads, pool: loads }]
    forwarded: { trust: [127.0.0.0/8] }
pools:
  turns: { health_check: none, backends: `+list+` }
  keys: { health_check: none, algorithm: source_ip, backends: `+list+` }
  loads: { health_check: none, algorithm: least_connections, backends: `+list+` }
`)
	address := d.status().Listeners[0].Addresses[0]
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	seen := map[string]int{}
	for i := range 36 {
		path := []string{"/turns", "/keys/x?y", "/loads"}[i%3]
		from := fmt.Sprintf("203.0.113.%d", i)
		code, stdout, stderr := weir(t, "explain", "-o", "json", "--socket", d.socket, "-H", "X-Forwarded-For: "+from, "http://"+address+path)
		var e api.Explanation
		if err := json.Unmarshal([]byte(stdout), &e); err != nil || code != 0 {
			t.Fatalf("weir explain: exit code %d, %v, %s", code, err, stderr)
		}
		request, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Forwarded-For", from)
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if string(body) != e.Pick.Backend || e.Outcome != "backend" || e.Flow.Client != from {
			t.Errorf("%s of %s went to %s; explained: %s", path, from, body, e.Result)
		}
		seen[e.Pool+" "+e.Pick.Backend]++
	}
	if len(seen) < 7 {
		t.Errorf("seen: %v", seen)
	}
}

// TestDrainWaits: weir drain --wait returns when the last connection has gone, and not before.
func TestDrainWaits(t *testing.T) {
	list := echoes(t, 2)
	d := start(t, `
listeners: { pg: { protocol: tcp, address: "127.0.0.1:0", pool: db } }
pools: { db: { protocol: tcp, health_check: none, backends: { b1: "`+list[0].Addr().String()+`", b2: { address: "`+list[1].Addr().String()+`", backup: true } } } }
`)
	c, err := net.Dial("tcp", d.status().Listeners[0].Addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, len("b1"))); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := weir(t, "drain", "db/b1", "--wait", "--timeout", "300ms", "--socket", d.socket)
	if code != 1 || !strings.Contains(stdout, "1 flow on it") || !strings.Contains(stdout, "db/b1: 1 left") ||
		!strings.Contains(stderr, "db/b1 still has 1 flow after 300ms; it goes on draining") {
		t.Errorf("while it is in use: exit code %d, %q, %q", code, stdout, stderr)
	}
	var out lockedBuffer
	cmd := exec.Command(binary, "drain", "db/b1", "--wait", "--socket", d.socket)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "weir drain waits", func() bool { return strings.Contains(out.String(), "db/b1: 1 left") })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.HasPrefix(out.String(), "db/b1 drains already\n") || !strings.Contains(out.String(), "db/b1 is drained after") {
		t.Errorf("after the end of the connection: got %v, %q", err, out.String())
	}
}
