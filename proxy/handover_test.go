package proxy

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"weir/balancer"
	"weir/config"
	"weir/internal/lbtest"
	"weir/proxy/handover"
)

// prepareNext makes the server of the next process, in this one: with the sockets of r, prepared for c.
func (r *rig) prepareNext(c *config.Config) (next *rig, p *Prepared) {
	r.t.Helper()
	offer, err := r.s.Offer()
	if err != nil {
		r.t.Fatal(err)
	}
	core, logs := observer.New(zap.DebugLevel)
	next = &rig{t: r.t, stats: newStats(), logs: logs, backends: map[*balancer.Backend]string{}, names: map[[2]string]bool{}}
	next.s, err = New(Options{Config: c, Log: zap.New(core), Telemetry: next.stats, Inherited: offer, Held: true})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { next.stop(patience) })
	if p, err = next.s.Prepare(c, true); err != nil {
		r.t.Fatal(err)
	}
	p.DropUnused()
	return next, p
}

// remember is what r knows, as it comes to another process.
func (r *rig) remember() *Memory {
	r.t.Helper()
	memory := &Memory{}
	err := r.s.Remember(func(name string, value any, files []int) error {
		var body bytes.Buffer
		if err := gob.NewEncoder(&body).Encode(value); err != nil {
			return err
		}
		s := handover.Section{Name: name, Body: body.Bytes()}
		for _, fd := range files {
			other, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
			if err != nil {
				return err
			}
			s.Files = append(s.Files, other)
		}
		known, err := memory.Add(s)
		if !known {
			r.t.Errorf("section %s is not known", name)
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return memory
}

// handOver puts a server for c in the place of r.
func (r *rig) handOver(c *config.Config) *rig {
	r.t.Helper()
	next, p := r.prepareNext(c)
	if err := r.s.Freeze(p.Used()); err != nil {
		r.t.Fatal(err)
	}
	p.CommitWith(r.remember())
	next.note()
	next.s.Serve()
	r.s.HandedOver()
	return next
}

// leave lets r come to its end, and looks for what is left of it.
func (r *rig) leave(grace time.Duration) (wait func()) {
	r.stopped = true
	left := make(chan error, 1)
	go func() { left <- r.s.Leave(context.Background(), grace) }()
	return func() {
		r.t.Helper()
		select {
		case err := <-left:
			if n := r.leases(); n != 0 || err != nil {
				r.t.Errorf("the old server has left %d leases, %v", n, err)
			}
		case <-time.After(patience):
			r.t.Fatal("the old server has not ended")
		}
	}
}

const handoverText = `
listeners:
  web: { protocol: http, address: "127.0.0.1:0", pool: web }
  raw: { protocol: tcp, address: "127.0.0.1:0", pool: raw }
  dns: { protocol: udp, address: "127.0.0.1:0", pool: dns }
pools:
  web: { backends: [%q], health_check: { interval: 30m, initial: checking }, session_persistence: { type: http_cookie } }
  raw: { protocol: tcp, backends: [%q, %q], health_check: none, session_persistence: { type: source_ip } }
  dns: { protocol: udp, backends: { b1: { address: %q }, b2: { address: %q } }, health_check: none }
`

// handoverConfig is a configuration with a listener of each kind, and their backends.
func handoverConfig(t *testing.T) string {
	t.Helper()
	web := lbtest.NewHTTP(t, "web")
	raw1, raw2 := lbtest.NewTCP(t, sayAndEcho("raw1\n")), lbtest.NewTCP(t, sayAndEcho("raw2\n"))
	return fmt.Sprintf(handoverText, web.Addr(), raw1.Addr(), raw2.Addr(), udpOrigin(t, "b1"), udpOrigin(t, "b2"))
}

// sayAndEcho greets, and then sends back what comes.
func sayAndEcho(greeting string) lbtest.Serve {
	return func(_ context.Context, c *net.TCPConn) {
		if _, err := io.WriteString(c, greeting); err == nil {
			_, _ = io.Copy(c, c)
		}
	}
}

// TestHandOver puts another server in the place of one that is in use: verdicts, cookies, addresses and
// sessions are known there, open connections stay where they are, and nobody who connects is refused.
func TestHandOver(t *testing.T) {
	text := handoverConfig(t)
	r := start(t, text)
	up := func(r *rig) bool { return r.backend("web", "127.0.0.1:"+port(r, "web")).Health() == balancer.Up }
	lbtest.Eventually(t, patience, func() bool { return up(r) })
	kept := r.dial()
	cookie := issued(kept.askWith(""))
	raw := dial(t, r.addr("raw"))
	greeting := raw.line()
	var clients []net.Conn
	var names []string
	for range 10 {
		clients = append(clients, udpClient(t, r.addr("dns")))
		names = append(names, answered(t, clients[len(clients)-1]))
	}

	next, p := r.prepareNext(load(t, text))
	if got := p.Used(); len(got) != 3 {
		t.Errorf("sockets that are used: %v, want 3", got)
	}
	if err := r.s.Freeze(p.Used()); err != nil {
		t.Fatal(err)
	}
	waiting := dial(t, r.addr("web")) // while nobody accepts
	if _, err := clients[0].Write([]byte("waiting")); err != nil {
		t.Fatal(err)
	}
	p.CommitWith(r.remember())
	next.note()
	if !up(next) {
		t.Error("the backend is checked from the beginning")
	}
	for _, name := range []string{"web", "raw", "dns"} {
		if got, want := next.addr(name), r.addr(name); got != want {
			t.Errorf("address of %s: got %s, want %s", name, got, want)
		}
	}
	next.s.Serve()
	r.s.HandedOver()
	wait := r.leave(time.Minute)

	if a := waiting.askWith(cookie); issued(a) != "" {
		t.Error("the cookie of the server before is not good")
	}
	if a := kept.askWith(cookie); !a.Close {
		t.Error("a connection that stays is not told that it ends")
	}
	raw.send("still here\n")
	if got := raw.line(); got != "still here" {
		t.Errorf("the connection that is open: got %q", got)
	}
	if other := dial(t, next.addr("raw")).line(); other != greeting {
		t.Errorf("the client's backend: got %q, want %q as before", other, greeting)
	}
	if got := answered(t, clients[0]); got != names[0] {
		t.Errorf("what came meanwhile was answered by %s, the session is on %s", got, names[0])
	}
	for i, c := range clients {
		if got := answered(t, c); got != names[i] {
			t.Errorf("UDP client %d is on %s, and was on %s", i, got, names[i])
		}
	}
	if n := next.s.Connections(); n != len(clients)+2 {
		t.Errorf("%d connections and sessions, want %d", n, len(clients)+2)
	}
	raw.Close()
	wait()
	next.stop(time.Millisecond) // which does not wait for the sessions of UDP
}

// port is the port of the only backend of a pool.
func port(r *rig, pool string) string {
	for _, p := range r.s.Pools() {
		if p.Config.Name == pool {
			_, port, _ := strings.Cut(p.Config.Backends[0].Name, ":")
			return port
		}
	}
	return ""
}

// line reads a line.
func (c *client) line() string {
	c.t.Helper()
	text, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("no line: %v", err)
	}
	return strings.TrimSuffix(text, "\n")
}

// TestHandOverTakenBack gives up at each step, and finds everything as it was.
func TestHandOverTakenBack(t *testing.T) {
	steps := []struct {
		name string
		step func(t *testing.T, r, next *rig, p *Prepared)
	}{
		{"prepared", func(_ *testing.T, _, next *rig, p *Prepared) { p.Abandon() }},
		{"frozen", func(t *testing.T, r, next *rig, p *Prepared) {
			if err := r.s.Freeze(p.Used()); err != nil {
				t.Error(err)
			}
			p.Abandon()
		}},
		{"committed", func(t *testing.T, r, next *rig, p *Prepared) {
			if err := r.s.Freeze(p.Used()); err != nil {
				t.Error(err)
			}
			p.CommitWith(r.remember())
			next.note()
			next.stopped = true
			next.s.Discard()
		}},
	}
	for _, tt := range steps {
		t.Run(tt.name, func(t *testing.T) {
			text := handoverConfig(t)
			r := start(t, text)
			lbtest.Eventually(t, patience, func() bool { return r.s.Monitor().Settled() })
			kept := r.dial()
			kept.askWith("")
			udp := udpClient(t, r.addr("dns"))
			name := answered(t, udp)
			next, p := r.prepareNext(load(t, text))
			tt.step(t, r, next, p)
			waiting := dial(t, r.addr("web"))
			if _, err := udp.Write([]byte("waiting")); err != nil {
				t.Fatal(err)
			}
			r.s.TakeBack()
			if a := kept.askWith(""); a.Close {
				t.Error("a connection was told that it ends")
			}
			waiting.askWith("")
			r.dial().askWith("")
			if got := answered(t, udp); got != name {
				t.Errorf("the session is on %s, and was on %s", got, name)
			}
			if n := r.s.Connections(); n != 4 {
				t.Errorf("%d connections and sessions, want 4", n)
			}
			r.apply(load(t, text)) // changes go on
			last := r.handOver(load(t, text))
			last.dial().askWith("")
			r.leave(0)()
			last.stop(time.Millisecond)
		})
	}
}

// TestHandOverToOtherListeners hands over to a configuration that has other listeners: who waits at an
// address that is no more is served, and sockets that are new come into being.
func TestHandOverToOtherListeners(t *testing.T) {
	r := start(t, entries("a 127.0.0.1:0", "b 127.0.0.2:0", "c 127.0.0.3:0"))
	gone := dial(t, r.addr("c"))
	was := r.addr("a")
	next := r.handOver(load(t, entries("renamed 127.0.0.1:0", "b 127.0.0.2:0", "new 127.0.0.4:0")))
	wait := r.leave(0)
	if got, want := next.addr("renamed"), was; got != want {
		t.Errorf("the socket of the listener that was renamed: got %s, want %s", got, want)
	}
	for _, name := range []string{"renamed", "b", "new"} {
		if a := dial(t, next.addr(name)).askWith(""); a.body != name {
			t.Errorf("%s answers for %s", a.body, name)
		}
	}
	if a := gone.askWith(""); a.body != "c" {
		t.Errorf("%s answers for c", a.body)
	}
	if _, err := net.DialTimeout("tcp", gone.RemoteAddr().String(), time.Second); err == nil {
		t.Error("the address that is no more takes connections")
	}
	wait()
}

// closeOffer closes the descriptors of an offer that nobody takes.
func closeOffer(list []handover.Socket) {
	for _, s := range list {
		handover.CloseAll([]int{s.FD})
	}
}
