package test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// upgradable is a weir that is called by a link, which can be made to lead elsewhere.
type upgradable struct {
	*daemon
	link string
	pids []int // of all processes that have served
}

// throughLink runs the program that the link WEIR_TEST_LINK leads to in place of the one that is given.
var throughLink = []string{"/bin/sh", "-c", `exec "$WEIR_TEST_LINK" "$@"`}

// startUpgradable is start for an upgradable. All its processes have ended when the test does.
func startUpgradable(t *testing.T, configuration string) *upgradable {
	t.Helper()
	u := &upgradable{link: filepath.Join(t.TempDir(), "weir")}
	u.lead(t, binary)
	t.Setenv("WEIR_TEST_LINK", u.link)
	u.daemon = start(t, configuration, throughLink...)
	u.pids = []int{u.pid()}
	t.Cleanup(func() { u.end(t) })
	return u
}

// end stops the process that serves, and wants all of them to end.
func (u *upgradable) end(t *testing.T) {
	t.Helper()
	for _, pid := range u.pids {
		_ = syscall.Kill(pid, syscall.SIGTERM) // most have ended
	}
	for _, pid := range u.pids {
		eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return !running(pid) })
	}
	u.stop()
}

// lead makes the link lead to a program.
func (u *upgradable) lead(t *testing.T, to string) {
	t.Helper()
	if err := os.RemoveAll(u.link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(to, u.link); err != nil {
		t.Fatal(err)
	}
}

// pid is the process that answers.
func (u *upgradable) pid() int { return u.status().PID }

// running reports whether a process has not ended.
func running(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := text[strings.LastIndexByte(string(text), ')')+1:]
	return !strings.HasPrefix(string(state), " Z")
}

// upgradedLine is what weir upgrade prints.
var upgradedLine = regexp.MustCompile(`^pid (\d+) → pid (\d+) in \d+ ms, (\d+) connections? draining\n$`)

// upgrade puts another process in the place of the one that serves.
func (u *upgradable) upgrade(t *testing.T) {
	t.Helper()
	before := u.pids[len(u.pids)-1]
	code, stdout, stderr := u.cli("upgrade")
	words := upgradedLine.FindStringSubmatch(stdout)
	if code != 0 || words == nil || words[1] != strconv.Itoa(before) {
		t.Fatalf("weir upgrade: %d, %q, %s\n%s", code, stdout, stderr, tail(u.log.String(), 30))
	}
	after := u.pid()
	u.pids = append(u.pids, after)
	if words[2] != strconv.Itoa(after) || after == before {
		t.Fatalf("weir upgrade says %q, and process %d answers", stdout, after)
	}
}

const upgradeText = `
state_dir: STATE
listeners:
  web: { protocol: http, address: "127.0.0.1:0", pool: app, routes: [{ path: /ws, pool: ws }] }
  safe: { protocol: https, address: "127.0.0.1:0", pool: app, tls: { certificates: [{ cert: CERT, key: KEY }] } }
  db: { protocol: tcp, address: "127.0.0.1:0", pool: db }
  echo: { protocol: udp, address: "127.0.0.1:0", pool: echo }
pools:
  app: { backends: APP, session_persistence: { type: http_cookie }, health_check: { interval: 200ms } }
  ws: { backends: WS, health_check: none }
  db: { protocol: tcp, backends: { b1: { address: "DB1" }, b2: { address: "DB2" } }, session_persistence: { type: source_ip } }
  echo: { protocol: udp, backends: { b1: "UDP1", b2: "UDP2" }, health_check: none }
`

// TestUpgradeUnderLoad replaces the process ten times while clients of every kind are busy: on connections
// that stay and on new ones, plain and over TLS, by WebSocket, TCP and UDP. No request fails, no connection
// is refused or cut, no datagram is lost; nobody is sent to another backend.
func TestUpgradeUnderLoad(t *testing.T) {
	const upgrades, talkers = 10, 10
	a := newAuthority(t)
	shop := identity{file: "shop", name: "shop", hosts: []string{"shop.example"}, key: ecKey(t), notAfter: time.Now().Add(time.Hour)}
	a.issue(shop)
	sockets, rows := backends(t, 2), echoes(t, 2)
	for _, b := range sockets {
		b.SetHandler(&echo{})
	}
	u := startUpgradable(t, strings.NewReplacer("STATE", t.TempDir(), "CERT", a.path("shop.crt"), "KEY", a.path("shop.key"),
		"APP", listed(backends(t, 2)...), "WS", listed(sockets...), "DB1", rows[0].Addr().String(), "DB2", rows[1].Addr().String(),
		"UDP1", echoUDP(t, "b1"), "UDP2", echoUDP(t, "b2")).Replace(upgradeText))
	u.awaitHealth("app", "b1", "up")
	u.awaitHealth("app", "b2", "up")
	web, db := u.address("web"), u.address("db")
	url := "http://" + web

	quit := make(chan struct{})
	var talking sync.WaitGroup
	var said atomic.Int64
	place := storm{web: web}
	for n := range talkers {
		ws, conn := place.dialSocket(t), dialFrom(t, fmt.Sprintf("127.0.2.%d", n+1), db)
		exactly(t, conn, 2)
		talking.Go(func() {
			talk(t, fmt.Sprint("WebSocket ", n), quit, &said, func(text []byte) error {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				return exchangeWS(ctx, ws, websocket.MessageText, text)
			})
		})
		talking.Go(func() {
			talk(t, fmt.Sprint("TCP connection ", n), quit, &said, func(text []byte) error { return echoed(conn, text) })
		})
	}
	stop := sync.OnceFunc(func() { close(quit); talking.Wait() })
	t.Cleanup(stop)
	first := dialFrom(t, "127.0.3.1", db)
	backend := exactly(t, first, 2)
	stopUDP := askEndlessly(t, u.address("echo"), 0)
	trust := &tls.Config{RootCAs: a.pool(), ServerName: "shop.example", ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	loads := map[string]*traffic{
		"kept":   drive(t, load{url: url, clients: 16, rate: 1000}),
		"fresh":  drive(t, load{url: url, clients: 16, rate: 900, fresh: true}),
		"secure": drive(t, load{url: "https://" + u.address("safe"), tls: trust, clients: 4, rate: 100, fresh: true}),
	}
	eventually(t, "a TLS session can be resumed", func() bool { return loads["secure"].count() > 20 })
	for i := range upgrades {
		own := trust.Clone() // with a ticket of the process before
		own.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		wantNoFailure(t, drive(t, load{url: "https://" + u.address("safe"), tls: own, clients: 1, limit: 1}).wait())
		before := map[string]int{}
		for name, l := range loads {
			before[name] = l.count()
		}
		u.upgrade(t)
		for name, l := range loads {
			eventually(t, fmt.Sprintf("after upgrade %d, requests are answered (%s)", i+1, name), func() bool { return l.count() > before[name]+20 })
		}
		if b, ok := u.daemon.backend("app", "b1"); !ok || b.Health != "up" {
			t.Errorf("after upgrade %d, b1 is %s: it is checked from the beginning", i+1, b.Health)
		}
		c := dialFrom(t, "127.0.3.1", db)
		if got := exactly(t, c, 2); got != backend {
			t.Errorf("after upgrade %d, the client is on %s, and was on %s", i+1, got, backend)
		}
		conn, err := tls.Dial("tcp", u.address("safe"), own)
		if err != nil {
			t.Fatal(err)
		}
		if !conn.ConnectionState().DidResume {
			t.Errorf("after upgrade %d, a TLS session is not resumed", i+1)
		}
		conn.Close()
	}
	stop()
	stopUDP()
	for name, l := range loads {
		calls := l.stop()
		wantNoFailure(t, calls)
		t.Logf("%s: %d requests", name, len(calls))
	}
	if said.Load() < 2*talkers*2 {
		t.Errorf("only %d messages were echoed", said.Load())
	}
	if strings.Contains(u.log.String(), "was cut") {
		t.Error("work was cut")
	}
}

// TestUpgradeKeeps looks for what is known after an upgrade: sessions by cookie, without a state directory, and
// overrides.
func TestUpgradeKeeps(t *testing.T) {
	b := backends(t, 3)
	u := startUpgradable(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s, session_persistence: { type: http_cookie } } }
`, listed(b...)))
	u.allUp(3)
	cookie, backend := "", ""
	for cookie == "" || backend == "b3" { // which will be drained
		cookie, backend = u.visit(t, "")
	}
	u.told("PUT", "/v1/pools/app/backends/b3/override", `{"state": "drain"}`)
	for range 3 {
		u.upgrade(t)
		if again, got := u.visit(t, cookie); got != backend || again != "" {
			t.Errorf("the session is on %s, and was on %s; issued again: %q", got, backend, again)
		}
		if got, ok := u.daemon.backend("app", "b3"); !ok || got.State != "drain" {
			t.Errorf("the override of b3 is lost: it is %s", got.State)
		}
	}
}

// TestUpgradeLeaks replaces the process again and again, and finds the last one no larger than the first.
func TestUpgradeLeaks(t *testing.T) {
	u := startUpgradable(t, fmt.Sprintf(`
listeners:
  web: { protocol: http, address: "127.0.0.1:0", pool: app }
  echo: { protocol: udp, address: "127.0.0.1:0", pool: echo }
pools:
  app: { backends: %s, health_check: none }
  echo: { protocol: udp, backends: { b1: %q }, health_check: none }
`, listed(backends(t, 1)...), echoUDP(t, "b1")))
	for range 50 {
		c, err := net.Dial("udp", u.address("echo"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, _, err := askOnce(c, "hello"); err != nil {
			t.Fatal(err)
		}
	}
	u.upgrade(t)
	count := func() (files, goroutines int) {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", u.pids[len(u.pids)-1]))
		if err != nil {
			t.Fatal(err)
		}
		_, text := u.get("/debug/pprof/goroutine?debug=1")
		if _, err := fmt.Sscanf(string(text), "goroutine profile: total %d", &goroutines); err != nil {
			t.Fatal(err)
		}
		return len(entries), goroutines
	}
	files, goroutines := count()
	for range 20 {
		u.upgrade(t)
	}
	// A connection of the admin socket may still be about to be closed.
	eventually(t, fmt.Sprintf("there are no more than %d descriptors and %d goroutines", files+2, goroutines+2), func() bool {
		f, g := count()
		return f <= files+2 && g <= goroutines+2
	})
	for _, pid := range u.pids[:len(u.pids)-1] {
		eventually(t, fmt.Sprintf("process %d has ended", pid), func() bool { return !running(pid) })
	}
}

// visit asks for a page and returns the cookie that is issued, if any, and the backend.
func (u *upgradable) visit(t *testing.T, cookie string) (issued, backend string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.url("web"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if cookie != "" {
		req.Header.Set("Cookie", cookie)
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Name == "WEIR" {
			issued = c.Name + "=" + c.Value
		}
	}
	return issued, res.Header.Get("X-Backend")
}
