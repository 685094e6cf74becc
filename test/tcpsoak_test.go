package test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/lbtest"
)

// bulk is how much TestTCPBulk carries each way.
var bulk = flag.Int64("bulk", 48*mib, "bytes that the bulk scenario of tcp carries each way")

// descriptors counts those of a process.
func (d *daemon) descriptors() int {
	d.t.Helper()
	entries, err := os.ReadDir(filepath.Join("/proc", fmt.Sprint(d.cmd.Process.Pid), "fd"))
	if err != nil {
		d.t.Fatal(err)
	}
	return len(entries)
}

// TestTCPChurn has 5,000 connections at the same time, each of which lives for as long as chance has it
// and ends in one of the ways there are: nothing is left of any of them.
func TestTCPChurn(t *testing.T) {
	connections := 5000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := int(limit.Max)*2/5 - 500; most < connections { // both ends of each are in this process
		t.Logf("%d connections: more do not fit into the limit of descriptors", most)
		connections = most
	}
	var list []*lbtest.TCP
	for i := range 4 {
		random := rand.New(rand.NewPCG(uint64(i), 1))
		var mu sync.Mutex
		list = append(list, lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
			if _, err := fmt.Fprintf(c, "b%d", i+1); err != nil {
				return
			}
			mu.Lock()
			most, reset := random.Int64N(64<<10), random.IntN(8) == 0
			mu.Unlock()
			if reset { // it ends by itself, at some time
				_, _ = io.CopyN(struct{ io.Writer }{c}, c, most)
				_ = c.SetLinger(0)
				return
			}
			_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
		}))
	}
	s := startTCP(t, "", "algorithm: least_connections, health_check: none, "+inFlow(list))
	s.picked(8, nil)
	eventually(t, "nothing goes on", func() bool { return s.status().Listeners[0].ConnectionsActive == 0 })
	goroutines, descriptors := s.metric("go_goroutines"), s.descriptors()

	address := s.address("db")
	var all, open sync.WaitGroup
	begin := make(chan struct{})
	var failed atomic.Int64
	for i := range connections {
		if i%100 == 99 { // the queue of the listener is finite
			open.Wait()
		}
		open.Add(1)
		all.Go(func() {
			if err := churn(address, rand.New(rand.NewPCG(uint64(i), 2)), open.Done, begin); err != nil {
				failed.Add(1)
				t.Logf("connection %d: %v", i, err)
			}
		})
	}
	open.Wait()
	active := s.metric("weir_listener_connections_active", "listener", "db")
	if least := float64(connections) * 0.8; active < least { // a few have been reset by their backends
		t.Errorf("%v connections are open, want %d", active, connections)
	}
	if got := s.metric("go_goroutines"); got > goroutines+2.2*active {
		t.Errorf("%v goroutines for %v connections", got, active)
	}
	close(begin)
	all.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of %d connections have failed", n, connections)
	}
	eventually(t, "no connection is left", func() bool {
		for _, b := range s.status().Pools[0].Backends {
			if b.Active != 0 {
				return false
			}
		}
		return s.status().Listeners[0].ConnectionsActive == 0 && s.metric("weir_backend_connections_open", "pool", "sql") == 0
	})
	eventually(t, "no goroutine and no descriptor is left", func() bool {
		return s.metric("go_goroutines") <= goroutines+4 && s.descriptors() <= descriptors+4
	})
	if got := s.metric("weir_tcp_connections_total", "listener", "db"); got != float64(connections+8) {
		t.Errorf("%v connections are counted, want %d", got, connections+8)
	}
}

// churn lives one connection: greeted, it waits to begin, speaks for as long as chance has it, and ends. A
// reset by the other side is no failure.
func churn(address string, random *rand.Rand, opened func(), begin <-chan struct{}) error {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		opened()
		return err
	}
	c := conn.(*net.TCPConn)
	defer c.Close()
	err = errors.Join(c.SetDeadline(time.Now().Add(4*patience)), whole(c, 2))
	opened()
	if err != nil {
		return err
	}
	<-begin
	for range random.IntN(20) {
		n := 1 + random.IntN(16<<10)
		if _, err := c.Write(noise(n)); err != nil {
			return unlessReset(err)
		}
		if err := whole(c, n); err != nil {
			return unlessReset(err)
		}
		<-time.After(time.Duration(random.IntN(20)) * time.Millisecond) // the lifetime that is to be random
	}
	switch random.IntN(3) {
	case 0:
		return c.SetLinger(0)
	case 1:
		if err := c.CloseWrite(); err != nil {
			return unlessReset(err)
		}
		_, err := io.Copy(io.Discard, c)
		return unlessReset(err)
	}
	return nil
}

// whole reads n bytes.
func whole(c io.Reader, n int) error {
	_, err := io.CopyN(io.Discard, c, int64(n))
	return err
}

func unlessReset(err error) error {
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}

// TestTCPBulk carries much, both ways at once, between sides that stall now and then, and ends each way by
// itself: every byte arrives, in its place. Plain, by splicing, and through TLS.
func TestTCPBulk(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue(identity{file: "db", name: "db", hosts: []string{"db.example"}, serial: 2})
	const streams = 4
	each := *bulk / (2 * streams)
	sums := make(chan string, 2*streams) // what the backends got
	b := lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		seed := make([]byte, 1)
		if _, err := io.ReadFull(c, seed); err != nil {
			return
		}
		var all sync.WaitGroup
		all.Go(func() { sums <- swallow(c, uint64(seed[0])) })
		pump(c, each, uint64(seed[0])+100)
		_ = c.CloseWrite()
		all.Wait()
	})
	d := start(t, fmt.Sprintf(`
listeners:
  plain: { protocol: tcp, address: "127.0.0.1:0", pool: bulk }
  safe: { protocol: tls, address: "127.0.0.1:0", pool: bulk, tls: { %s } }
pools: { bulk: { protocol: tcp, health_check: none, backends: { b1: { address: %q } } } }
`, certificates(cert, key), b.Addr()))
	type sides interface {
		net.Conn
		CloseWrite() error
	}
	got := make(chan string, 2*streams) // what the clients got
	want := map[string]int{}
	began := time.Now()
	for i := range 2 * streams {
		var c sides
		if i < streams {
			c = dialFrom(t, "", d.address("plain"))
		} else {
			c = tls.Client(dialFrom(t, "", d.address("safe")), &tls.Config{ServerName: "db.example", RootCAs: a.pool()})
		}
		if err := c.SetDeadline(time.Now().Add(patience + time.Duration(*bulk/(4*mib))*time.Second)); err != nil {
			t.Fatal(err)
		}
		want[digest(each, uint64(i))]++
		want[digest(each, uint64(i)+100)]++
		go func() { got <- swallow(c, uint64(i)) }()
		go func() {
			_, _ = c.Write([]byte{byte(i)})
			pump(c, each, uint64(i))
			_ = c.CloseWrite()
		}()
	}
	for range 2 * streams {
		want[<-got]--
		want[<-sums]--
	}
	for sum, n := range want {
		if n != 0 {
			t.Errorf("%s: %d too few", sum, n)
		}
	}
	t.Logf("%d MiB each way in %v", each*2*streams/mib, time.Since(began).Round(time.Millisecond))
	for _, listener := range []string{"plain", "safe"} {
		eventually(t, "all have ended in order", func() bool {
			return d.metric("weir_tcp_connections_total", "listener", listener, "outcome", "ok") == streams
		})
		in, out := d.metric("weir_bytes_total", "listener", listener, "direction", "in"), d.metric("weir_bytes_total", "listener", listener, "direction", "out")
		if wantIn := float64(streams * (each + 1)); in != wantIn || out != wantIn-streams {
			t.Errorf("%s: %v bytes in and %v out are counted, want %v and %v", listener, in, out, wantIn, wantIn-streams)
		}
	}
}

// source is a stream of bytes that a seed determines.
func source(n int64, seed uint64) io.Reader {
	var key [32]byte
	key[0] = byte(seed)
	return io.LimitReader(rand.NewChaCha8(key), n)
}

func describe(n int64, sum hash.Hash, err error) string {
	return fmt.Sprintf("%d bytes %x %v", n, sum.Sum(nil)[:8], err)
}

// digest is what swallow says of a stream that came whole.
func digest(n int64, seed uint64) string {
	sum := sha256.New()
	_, err := io.Copy(sum, source(n, seed))
	return describe(n, sum, err)
}

// stall waits a moment now and then.
func stall(random *rand.Rand) {
	if random.IntN(200) == 0 {
		<-time.After(time.Duration(random.IntN(40)) * time.Millisecond)
	}
}

// pump sends a stream in pieces of all sizes.
func pump(c io.Writer, n int64, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 3))
	from := source(n, seed)
	for b := make([]byte, 256<<10); ; {
		got, err := io.ReadFull(from, b[:1+random.IntN(len(b))])
		if _, fault := c.Write(b[:got]); fault != nil || err != nil {
			return // the other side sees what is missing
		}
		stall(random)
	}
}

// swallow takes a stream in pieces of all sizes and says what it was.
func swallow(c io.Reader, seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 4))
	sum, total := sha256.New(), int64(0)
	for b := make([]byte, 256<<10); ; {
		n, err := c.Read(b[:1+random.IntN(len(b))])
		sum.Write(b[:n])
		total += int64(n)
		if err == io.EOF {
			return describe(total, sum, nil)
		}
		if err != nil {
			return describe(total, sum, err)
		}
		stall(random)
	}
}
