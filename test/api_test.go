package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/api"
)

// adminSocket is the socket in the examples of the reference.
const adminSocket = "/run/weir/admin.sock"

// shell runs curl with the shell's quoting and returns what it printed.
func shell(t *testing.T, command string) string {
	t.Helper()
	program(t, "curl")
	cmd := exec.Command("sh", "-c", command)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, errs.String())
	}
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}

// awaitSocket waits until weir answers, ready or not.
func (d *daemon) awaitSocket() {
	d.t.Helper()
	eventually(d.t, "weir answers", func() bool {
		if d.over() {
			d.t.Fatalf("weir has ended: %v", d.cmd.ProcessState)
		}
		status, _, err := d.ask(http.MethodGet, "/livez")
		return err == nil && status == http.StatusOK
	})
}

// TestAPIReference sends every example of docs/api.md as it stands there, by curl, and wants the status that
// the page shows.
func TestAPIReference(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "\n## Examples\n")
	_, file, _ := strings.Cut(rest, "```yaml\n")
	file, _, _ = strings.Cut(file, "```")
	file = strings.Replace(file, "127.0.0.1:8080", "127.0.0.1:0", 1)
	d := launch(t, file)
	d.awaitSocket()
	examples := regexp.MustCompile("(?m)^\\$ (curl .*)\n(HTTP/1.1 .*)$").FindAllStringSubmatch(rest, -1)
	if len(examples) < 15 {
		t.Fatalf("found %d examples", len(examples))
	}
	for _, e := range examples {
		if strings.Contains(e[1], "/v1/diff") {
			d.write(strings.Replace(file, "weight: 3", "weight: 4", 1))
		}
		out := shell(t, strings.ReplaceAll(e[1], adminSocket, d.socket))
		if got, _, _ := strings.Cut(out, "\n"); got != e[2] {
			t.Errorf("%s: got %s, want %s\n%s", e[1], got, e[2], out)
		}
	}
	if got := d.status().Generation; got < 7 {
		t.Errorf("generation %d after all examples", got)
	}
}

// TestAPIOverTCP: curl with tokens, from programs and as from pages.
func TestAPIOverTCP(t *testing.T) {
	b := backends(t, 1)
	address := fixedPort(t)
	const admin, read = "0123456789-administrator", "0123456789-reader"
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(admin+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	configuration := func(reader string) string {
		return fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s } }
admin:
  socket: SOCKET
  listen: %s
  credentials:
    - { name: ops, token: "${file:%s}" }
    - { name: scraper, token: %s, role: read }
`, listed(b...), address, token, reader)
	}
	d := start(t, configuration(read))
	status := func(arguments string) string {
		t.Helper()
		return strings.TrimSpace(shell(t, "curl -s -o /dev/null -w '%{http_code}' "+strings.ReplaceAll(arguments, "URL", "http://"+address)))
	}
	const change = ` -X PUT -H 'Content-Type: application/json' -d '{"weight": 2}' URL/v1/pools/app/backends/b1/override`
	for _, tt := range []struct{ arguments, want string }{
		{"URL/livez", "200"}, {"URL/readyz", "200"}, {"URL/metrics", "200"},
		{"URL/v1/status", "401"}, {"URL/debug/pprof/", "401"}, {"URL/", "401"},
		{"-H 'X-Auth-Token: " + read + "' URL/v1/status", "200"},
		{"-H 'X-Auth-Token: " + read + "' URL/debug/pprof/", "403"},
		{"-H 'Authorization: Bearer " + read + "'" + change, "403"},
		{"-H 'Authorization: Bearer " + read + "x'" + change, "401"},
		{"-u ops:" + admin + change, "401"},
		{change, "401"},
		{"-H 'Authorization: Bearer " + admin + "' -H 'Sec-Fetch-Site: cross-site'" + change, "403"},
		{"-H 'Authorization: Bearer " + admin + "' -H 'Host: weir.example'" + change, "403"},
		{"-H 'Authorization: Bearer " + admin + "'" + change, "200"},
		{"-H 'Authorization: Bearer " + admin + "' -X POST URL/v1/reload", "200"},
	} {
		if got := status(tt.arguments); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.arguments, got, tt.want)
		}
	}
	if b, _ := d.backend("app", "b1"); b.Weight != 2 || !b.Overridden {
		t.Errorf("got %+v, want weight 2 by override", b)
	}
	d.reload(configuration("another-0123456789"))
	if got := status("-H 'X-Auth-Token: " + read + "' URL/v1/status"); got != "401" {
		t.Errorf("a token that was taken away: got %s", got)
	}
	metrics := shell(t, "curl -s http://"+address+"/metrics")
	for _, reason := range []string{"credential", "role", "host", "origin"} {
		if !regexp.MustCompile(`weir_admin_refused_total\{reason="` + reason + `"\} [1-9]`).MatchString(metrics) {
			t.Errorf("refusals for %s are not counted", reason)
		}
	}
	if strings.Contains(d.log.String(), admin) || strings.Contains(d.log.String(), read) {
		t.Error("the log has a token")
	}
}

// change sends a change over the socket and returns the answer.
func (d *daemon) change(method, path, body string, want int) (done api.Changed) {
	d.t.Helper()
	request, err := http.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		d.t.Fatal(err)
	}
	if response.StatusCode != want {
		d.t.Fatalf("%s %s: got %d, want %d: %s", method, path, response.StatusCode, want, text.String())
	}
	if want >= 400 {
		return done
	}
	if err := json.Unmarshal(text.Bytes(), &done); err != nil {
		d.t.Fatal(err)
	}
	return done
}

// events asks for all events that are held.
func (d *daemon) events() api.EventList {
	d.t.Helper()
	_, body := d.get("/v1/events?follow=false")
	var list api.EventList
	if err := json.Unmarshal(body, &list); err != nil {
		d.t.Fatal(err)
	}
	return list
}

// tells wants an event of a kind whose message contains text.
func (d *daemon) tells(kind, text string) {
	d.t.Helper()
	eventually(d.t, fmt.Sprintf("there is an event %s with %q", kind, text), func() bool {
		for _, e := range d.events().Items {
			if e.Kind == kind && strings.Contains(e.Message, text) {
				return true
			}
		}
		return false
	})
}

// TestAPIAtRunTime makes, changes and removes what serves, while a stream tells of it; and all of it is there
// after kill -9 and a restart.
func TestAPIAtRunTime(t *testing.T) {
	b := backends(t, 3)
	dir := filepath.Join(t.TempDir(), "state")
	text := fmt.Sprintf(`
state_dir: %q
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { health_check: { interval: 100ms, rise: 1, fall: 1 }, backends: %s } }
`, dir, listed(b[:2]...))
	d := start(t, text)
	stream := exec.Command("curl", "-sN", "--unix-socket", d.socket, "http://localhost/v1/events?since=0")
	program(t, "curl")
	out, err := stream.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Start(); err != nil {
		t.Fatal(err)
	}
	streamed := make(chan string, 1000)
	go func() {
		defer close(streamed)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			streamed <- lines.Text()
		}
		_ = stream.Wait() // it is killed in the end
	}()

	d.change("PUT", "/v1/pools/more", fmt.Sprintf(`{"health_check": {"interval": "100ms", "rise": 1}, "backends": {"b3": {"address": %q}}}`, b[2].Addr()), 201)
	address := fixedPort(t)
	d.change("PUT", "/v1/listeners/more", fmt.Sprintf(`{"protocol": "http", "address": %q, "pool": "more"}`, address), 201)
	d.awaitHealth("more", "b3", "up")
	if backend, _ := visit(t, "http://"+address, ""); backend != "b3" {
		t.Errorf("served by %s, want b3", backend)
	}
	d.change("PUT", "/v1/listeners/more", fmt.Sprintf(`{"protocol": "http", "address": %q, "pool": "more"}`, d.address("web")), 409)
	d.change("PUT", "/v1/pools/app/backends/b1/override", `{"state": "drain"}`, 200)
	for range 6 {
		if backend, _ := visit(t, d.url("web"), ""); backend != "b2" {
			t.Errorf("served by %s while b1 drains", backend)
		}
	}
	d.tells("drain_ended", "app/b1")
	b[1].Stop()
	d.tells("health", "app/b2")
	before := d.events()

	if err := d.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-d.ended
	d.stopped = true
	var lines []string
	for line := range streamed {
		lines = append(lines, line)
	}
	told := strings.Join(lines, "\n")
	for _, want := range []string{`"kind":"start"`, "1 pool added", "more takes clients", "app/b1 has an override: state drain", "app/b1 has drained", "app/b2"} {
		if !strings.Contains(told, want) {
			t.Errorf("the stream has not told %q:\n%s", want, told)
		}
	}

	again := start(t, text)
	if backend, _ := visit(t, "http://"+address, ""); backend != "b3" {
		t.Errorf("after the restart, served by %s, want b3", backend)
	}
	if one, _ := again.backend("app", "b1"); one.State != "drain" || !one.Overridden {
		t.Errorf("after the restart: %+v", one)
	}
	after := again.events()
	if len(after.Items) < 3 || after.Items[0].ID != before.Items[0].ID || after.Last <= before.Items[0].ID {
		t.Errorf("the journal has %d events from %d on, want those from %d on", len(after.Items), after.Items[0].ID, before.Items[0].ID)
	}
	again.change("DELETE", "/v1/pools/app/backends/b1/override", "", 200)
	again.change("DELETE", "/v1/pools/more", "", 409)
	again.change("DELETE", "/v1/listeners/more", "", 200)
	again.change("DELETE", "/v1/pools/more", "", 200)
	if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
		t.Errorf("somebody still listens on %s: %v", address, c.Close())
	}
	again.tells("listener_down", "more")
	again.tells("override_cleared", "app/b1")
}
