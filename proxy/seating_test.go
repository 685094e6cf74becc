package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
)

// entries is a configuration of listeners that answer with their own name. They are given as "name address…".
func entries(listeners ...string) string {
	var b strings.Builder
	b.WriteString("listeners:\n")
	for _, l := range listeners {
		words := strings.Fields(l)
		fmt.Fprintf(&b, "  %s:\n    protocol: http\n    addresses: [%q]\n    pool: app\n", words[0], strings.Join(words[1:], `","`))
		fmt.Fprintf(&b, "    routes: [{ path_prefix: /, respond: { status: 200, body: %s } }]\n", words[0])
	}
	b.WriteString("pools:\n  app: { health_check: none, backends: [\"127.0.0.1:9\"] }\n")
	return strings.ReplaceAll(b.String(), `\",\"`, `", "`)
}

// at is where a listener is bound.
func (r *rig) at(name string, i int) string {
	r.t.Helper()
	for _, l := range r.s.Listeners() {
		if l.Config.Name == name {
			return l.Addresses[i]
		}
	}
	r.t.Fatalf("no listener %q", name)
	return ""
}

func (r *rig) change(want string, listeners ...string) {
	r.t.Helper()
	if got := r.apply(load(r.t, entries(listeners...))).String(); got != want {
		r.t.Errorf("changed: %s, want %s", got, want)
	}
}

func TestListenerIsRenamed(t *testing.T) {
	r := start(t, entries("web 127.0.0.1:0"))
	addr := r.at("web", 0)
	c := dial(t, addr)
	c.get("/", "web")
	r.change("1 listener renamed", "shop 127.0.0.1:0")
	if got := r.at("shop", 0); got != addr {
		t.Errorf("the listener is at %s, want %s", got, addr)
	}
	if a := c.get("/", "shop"); a.Close {
		t.Error("the connection ends")
	}
	dial(t, addr).get("/", "shop")
	r.metric(`weir_listener_connections_total{listener="shop"} 1`)
}

func TestListenerGainsAndLosesAnAddress(t *testing.T) {
	r := start(t, entries("web 127.0.0.1:0"))
	first := dial(t, r.at("web", 0))
	first.get("/", "web")
	r.change("1 listener moved", "web 127.0.0.2:0 127.0.0.1:0")
	gained := r.at("web", 0)
	idle, busy, fresh := dial(t, gained), dial(t, gained), dial(t, gained)
	idle.get("/", "web")
	busy.get("/", "web")
	busy.send("GET / HTTP/1.1\r\n") // has begun the next request
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 4 })
	<-time.After(20 * time.Millisecond)
	r.change("1 listener moved", "web 127.0.0.1:0")
	idle.getLast("/", "web")
	busy.send("Host: h\r\n\r\n")
	for _, a := range []answer{busy.want("GET", 200, "web"), fresh.get("/", "web")} {
		if !a.Close {
			t.Error("a connection by the lost address goes on")
		}
	}
	if a := first.get("/", "web"); a.Close {
		t.Error("a connection by the address that stays ends")
	}
	if conn, err := net.DialTimeout("tcp", gained, time.Second); err == nil {
		conn.Close()
		t.Error("the lost address accepts")
	}
}

func TestAddressGoesToAnotherListener(t *testing.T) {
	r := start(t, entries("web 127.0.0.1:0 127.0.0.2:0", "shop 127.0.0.3:0"))
	passed := r.at("web", 1)
	stays, leaves := dial(t, r.at("web", 0)), dial(t, passed)
	stays.get("/", "web")
	leaves.get("/", "web")
	r.change("2 listeners moved", "web 127.0.0.1:0", "shop 127.0.0.3:0 127.0.0.2:0")
	if got := r.at("shop", 1); got != passed {
		t.Errorf("the socket is at %s, want %s", got, passed)
	}
	leaves.getLast("/", "web")
	dial(t, passed).get("/", "shop")
	if a := stays.get("/", "web"); a.Close {
		t.Error("a connection by the address that stays ends")
	}
	// Two listeners exchange their addresses.
	r.change("2 listeners moved", "web 127.0.0.3:0", "shop 127.0.0.1:0 127.0.0.2:0")
	stays.getLast("/", "web")
	dial(t, passed).get("/", "shop")
	dial(t, r.at("web", 0)).get("/", "web")
}

// visitors make connections of one request each until the test ends them.
type visitors struct {
	done, failed atomic.Int64
	first        atomic.Value
	stop         chan struct{}
	wg           sync.WaitGroup
}

func visit(addr string, n int) *visitors {
	v := &visitors{stop: make(chan struct{})}
	one := func() error {
		conn, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
			return err
		}
		b, err := io.ReadAll(conn)
		if err == nil && !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
			err = fmt.Errorf("got %q", b)
		}
		return err
	}
	for range n {
		v.wg.Go(func() {
			for {
				select {
				case <-v.stop:
					return
				default:
				}
				if err := one(); err != nil {
					v.failed.Add(1)
					v.first.CompareAndSwap(nil, err.Error())
				}
				v.done.Add(1)
			}
		})
	}
	return v
}

func (v *visitors) end(t *testing.T) {
	t.Helper()
	close(v.stop)
	v.wg.Wait()
	if v.failed.Load() != 0 {
		t.Errorf("%d of %d visitors failed, one with %v", v.failed.Load(), v.done.Load(), v.first.Load())
	}
}

// Whoever connects while listeners change hands, or move between a wildcard and an address, is served.
func TestListenersChangeUnderVisitors(t *testing.T) {
	r := start(t, entries("web 127.0.0.1:0"))
	addr := r.at("web", 0)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	v := visit(addr, 4)
	for range 3 {
		for _, listeners := range [][]string{
			{"web 127.0.0.1:" + port}, {"shop 127.0.0.1:" + port}, {"web :" + port}, {"web 127.0.0.1:" + port}, {"shop 0.0.0.0:" + port},
			{"shop 0.0.0.0:" + port, "web 127.0.0.2:0"}, {"web 0.0.0.0:" + port + " 127.0.0.2:0"}, {"web 127.0.0.2:" + port + " 127.0.0.1:" + port},
		} {
			at := v.done.Load()
			r.apply(load(t, entries(listeners...)))
			lbtest.Eventually(t, patience, func() bool { return v.done.Load() > at+20 })
		}
	}
	v.end(t)
}

// A configuration that cannot be bound leaves every socket where it was, and alone.
func TestFailedSeatingChangesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := start(t, entries("web 127.0.0.1:0", "shop 127.0.0.2:0"))
	web, shop := r.at("web", 0), r.at("shop", 0)
	_, port, err := net.SplitHostPort(web)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, web)
	c.get("/", "web")
	before := sockets()
	for _, listeners := range [][]string{
		{"web :" + port, "shop 127.0.0.2:0", "extra " + taken.Addr().String()},
		{"shop 127.0.0.1:0", "extra " + taken.Addr().String()},
		{"extra 127.0.0.1:0 127.0.0.2:0 " + taken.Addr().String()},
		{"web 127.0.0.1:0", "shop 127.0.0.2:0", "extra :" + port}, // beside a socket that stays
	} {
		_, err := r.s.Apply(load(t, entries(listeners...)))
		if place, ok := errors.AsType[*config.ObjectError](err); !ok || place.Path != "listeners.extra" || place.Origin.Line == 0 {
			t.Fatalf("Apply: %v, want an error about the address, with the line of the listener", err)
		}
		if r.at("web", 0) != web || r.at("shop", 0) != shop || len(r.s.Listeners()) != 2 {
			t.Fatalf("the listeners are %v", r.s.Listeners())
		}
		c.get("/", "web")
		fresh := dial(t, shop)
		fresh.get("/", "shop")
		fresh.Close()
		if l, err := net.Listen("tcp", web); err == nil {
			l.Close()
			t.Error("somebody else can have the address")
		}
		lbtest.Eventually(t, patience, func() bool { return sockets() <= before })
	}
}

// Connections of a listener that was removed are there until they have ended.
func TestConnectionsOfRemovedListenersCount(t *testing.T) {
	r := start(t, entries("web 127.0.0.1:0", "shop 127.0.0.2:0"))
	c := dial(t, r.at("shop", 0))
	c.send("GET / HTTP/1.1\r\n")
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 1 })
	r.change("1 listener removed", "web 127.0.0.1:0")
	if got := r.s.Connections(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
	c.send("Host: h\r\n\r\n")
	c.want("GET", http.StatusOK, "shop")
	c.wantEnd()
	lbtest.Eventually(t, patience, func() bool { return r.s.Connections() == 0 })
}
