package test

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// standing is how many connections TestTCPStalled has.
var standing = flag.Int("standing", 300, "connections of tcp that stand still")

// Every pair of TestTCPStalled carries so much one way, and a little less the other.
const stalledBytes = 128 << 10

// smallSegments lets a connection offer small segments, so that the kernel gives it small buffers.
func smallSegments(_, _ string, raw syscall.RawConn) error {
	var err error
	cerr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 600)
	})
	return errors.Join(err, cerr)
}

// cpu is the time that a process has used.
func (d *daemon) cpu() time.Duration {
	d.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		d.t.Fatal(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, uerr := strconv.Atoi(fields[11]) // utime, the 14th of proc_pid_stat(5)
	system, serr := strconv.Atoi(fields[12])
	if err := errors.Join(uerr, serr); err != nil {
		d.t.Fatal(err)
	}
	return time.Duration(user+system) * (time.Second / 100)
}

// TestTCPStalled: connections stand still with full buffers, some of them ended by one side. They cost no
// CPU time; and when their sides go on, after a reload, every byte arrives. On as many CPUs as there are, and
// on one.
func TestTCPStalled(t *testing.T) {
	for _, tt := range []struct {
		name    string
		through []string
	}{{"all CPUs", nil}, {"one CPU", []string{"taskset", "-c", "0"}}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // it waits for most of its time
			stalled(t, *standing, tt.through)
		})
	}
}

func stalled(t *testing.T, pairs int, through []string) {
	a := newAuthority(t)
	cert, key := a.issue(identity{file: "db", name: "db", hosts: []string{"db.example"}, serial: 2})
	gate := make(chan struct{})
	goOn := sync.OnceFunc(func() { close(gate) })
	got := make(chan string, 2*pairs)
	address := stalling(t, gate, got)
	configuration := func(more string) string {
		return fmt.Sprintf(`
listeners:
  plain: { protocol: tcp, address: "127.0.0.1:0", pool: a }
  named: { protocol: tcp, address: "127.0.0.1:0", pool: b }
  safe: { protocol: tls, address: "127.0.0.1:0", pool: a, tls: { %s } }
pools:
  a: { protocol: tcp, health_check: none, timeouts: { half_close: 5m }, backends: { b1: { address: %q %s } } }
  b: { protocol: tcp, health_check: none, timeouts: { half_close: 5m }, send_proxy_protocol: v2, backends: { b1: { address: %q %s } } }
`, certificates(cert, key), address, more, address, more)
	}
	d := start(t, configuration(""), through...)
	t.Cleanup(goOn)
	goroutines, descriptors := d.metric("go_goroutines"), d.descriptors()
	want := map[string]int{}
	var sides sync.WaitGroup
	dialer := net.Dialer{Timeout: patience, Control: smallSegments}
	for i := range pairs {
		listener := []string{"plain", "plain", "plain", "named"}[i%4]
		if i%50 == 0 {
			listener = "safe"
		}
		c, err := dialer.DialContext(t.Context(), "tcp", d.address(listener))
		if err != nil {
			t.Fatal(err)
		}
		raw := c.(*net.TCPConn)
		defer raw.Close()
		if err := errors.Join(raw.SetDeadline(time.Now().Add(12*patience)), raw.SetReadBuffer(8<<10), raw.SetWriteBuffer(8<<10)); err != nil {
			t.Fatal(err)
		}
		var over ends = raw
		if listener == "safe" {
			over = tls.Client(raw, &tls.Config{ServerName: "db.example", RootCAs: a.pool()})
		}
		size := int64(stalledBytes)
		if i%2 == 0 {
			size = 100 // and then it ends its side at once
		}
		seed := uint64(i%200 + 20) // not the first byte of a PROXY header
		want[digest(size, seed)]++
		want[digest(stalledBytes-1, seed+1)]++
		sides.Go(func() {
			_, _ = over.Write([]byte{byte(seed)})
			pump(over, size, seed)
			if size == stalledBytes {
				<-gate
			}
			_ = over.CloseWrite()
		})
		sides.Go(func() {
			<-gate
			got <- swallow(over, seed)
		})
	}
	open := func() float64 {
		return d.metric("weir_backend_connections_open", "pool", "a") + d.metric("weir_backend_connections_open", "pool", "b")
	}
	eventually(t, "all have a backend", func() bool { return open() == float64(pairs) })
	within(t, 3*patience, "all stand still", func() bool {
		before := d.cpu()
		<-time.After(300 * time.Millisecond)
		return d.cpu()-before <= 10*time.Millisecond
	})
	before := d.cpu()
	<-time.After(3 * time.Second) // over which it is measured
	used := d.cpu() - before
	t.Logf("%v of CPU time in 3 s, %v goroutines", used, d.metric("go_goroutines"))
	if used > 90*time.Millisecond {
		t.Errorf("%v of CPU time in 3 s for connections that stand still", used)
	}
	d.reload(configuration(", state: drain"))
	d.reload(configuration(", weight: 7"))
	goOn()
	for range 2 * pairs {
		want[<-got]--
	}
	sides.Wait()
	for sum, n := range want {
		if n != 0 {
			t.Errorf("%s: %d too few", sum, n)
		}
	}
	eventually(t, "nothing is left", func() bool {
		return open() == 0 && d.metric("go_goroutines") <= goroutines+70 && d.descriptors() <= descriptors+4
	})
	for _, p := range d.status().Pools {
		if n := p.Backends[0].Active; n != 0 {
			t.Errorf("%d leases are left in pool %s", n, p.Name)
		}
	}
}

// ends is a connection that can be ended one way.
type ends interface {
	net.Conn
	CloseWrite() error
}

// stalling starts a backend that reads nothing until the gate opens, and sends what is not read until then.
func stalling(t *testing.T, gate <-chan struct{}, got chan<- string) string {
	l, err := (&net.ListenConfig{Control: smallSegments}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c := conn.(*net.TCPConn)
			all.Go(func() {
				defer c.Close()
				if err := errors.Join(c.SetDeadline(time.Now().Add(12*patience)), c.SetReadBuffer(8<<10), c.SetWriteBuffer(8<<10)); err != nil {
					t.Error(err)
				}
				seed := make([]byte, 1)
				if _, err := io.ReadFull(c, seed); err != nil {
					return
				}
				if seed[0] == '\r' { // a PROXY header of version 2 for IPv4 is 28 bytes long
					if err := whole(c, 27); err != nil {
						return
					}
					if _, err := io.ReadFull(c, seed); err != nil {
						return
					}
				}
				var both sync.WaitGroup
				both.Go(func() {
					<-gate
					got <- swallow(c, uint64(seed[0]))
				})
				pump(c, stalledBytes-1, uint64(seed[0])+1)
				<-gate
				_ = c.CloseWrite()
				both.Wait()
			})
		}
	})
	return l.Addr().String()
}
