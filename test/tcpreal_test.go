package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// startRedis runs a Redis without a disk.
func startRedis(t *testing.T) (address string) {
	t.Helper()
	path := program(t, "redis-server")
	address = fixedPort(t)
	_, port, _ := cutLast(address, ":")
	var log lockedBuffer
	cmd := exec.Command(path, "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // there is nothing to be saved
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("redis: %s", log.String())
		}
	})
	eventually(t, "redis listens", func() bool {
		c, err := net.Dial("tcp", address)
		return err == nil && c.Close() == nil
	})
	return address
}

// redis is a session.
type redis struct {
	t *testing.T
	*net.TCPConn
	r *bufio.Reader
}

func (d *daemon) redis(t *testing.T, listener string) *redis {
	t.Helper()
	c := dialFrom(t, "", d.address(listener))
	return &redis{t, c, bufio.NewReader(c)}
}

// send sends commands, one in a line.
func (r *redis) send(commands string) {
	r.t.Helper()
	if _, err := r.Write([]byte(commands + "\r\n")); err != nil {
		r.t.Fatal(err)
	}
}

// want reads lines of the protocol.
func (r *redis) want(lines ...string) {
	r.t.Helper()
	for _, want := range lines {
		got, err := r.r.ReadString('\n')
		if err != nil || strings.TrimSpace(got) != want {
			r.t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
}

// TestRedis keeps sessions of Redis over reloads and longer than connections may be idle: one that
// subscribes, one that waits, one that publishes; and lets Redis's own load through.
func TestRedis(t *testing.T) {
	t.Parallel()
	address := startRedis(t)
	config := func(keys string) string {
		return fmt.Sprintf(`
listeners: { cache: { protocol: tcp, address: "127.0.0.1:0", pool: redis, timeouts: { tcp_idle: 2s } } }
pools:
  redis:
    protocol: tcp
    health_check: { send: "PING\r\n", expect: "^\\+PONG", interval: 100ms, timeout: 1s }
    %s
    backends: { b1: { address: %q } }
`, keys, address)
	}
	d := start(t, config(""))
	d.awaitHealth("redis", "b1", "up")
	hears, waits, tells := d.redis(t, "cache"), d.redis(t, "cache"), d.redis(t, "cache")
	hears.send("SUBSCRIBE news")
	hears.want("*3", "$9", "subscribe", "$4", "news", ":1")
	waits.send("BLPOP queue 30")
	began := time.Now()
	const n = 300
	rhythm := time.NewTicker(10 * time.Millisecond) // 3 s, while nobody else speaks
	defer rhythm.Stop()
	for i := range n {
		<-rhythm.C
		tells.send(fmt.Sprintf("PUBLISH news %04d", i))
		tells.want(":1")
		hears.want("*3", "$7", "message", "$4", "news", "$4", fmt.Sprintf("%04d", i))
		if i%15 == 0 { // everybody has something to say far more often than the idle time
			tells.send("RPUSH queue x")
			tells.want(":1")
			waits.want("*2", "$5", "queue", "$1", "x")
			waits.send("BLPOP queue 30")
		}
		if i == n/2 {
			d.reload(config("algorithm: least_connections"))
		}
	}
	if took := time.Since(began); took < 2500*time.Millisecond {
		t.Errorf("the sessions have lasted %v, want longer than the idle time", took)
	}
	if got := d.status().Listeners[0].ConnectionsTotal; got != 3 {
		t.Errorf("%d connections, want 3", got)
	}
	load := exec.Command(program(t, "redis-benchmark"), "-h", "127.0.0.1", "-p", portOnly(d.address("cache")), "-n", "5000", "-c", "40", "-q", "-t", "set,get,lpush,lrange_100,mset", "-d", "3000")
	if out, err := load.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("MSET")) || bytes.Contains(out, []byte("rror")) {
		t.Errorf("redis-benchmark: %v: %s", err, out)
	}
	for _, c := range []*redis{hears, waits, tells} {
		_ = c.Close()
	}
	eventually(t, "no lease is left", func() bool { b, _ := d.backend("redis", "b1"); return b.Active == 0 })
}

func portOnly(address string) string {
	_, port, _ := cutLast(address, ":")
	return port
}

// TestIperfTCP runs iperf3 through weir: up, down and both at once, over two streams each.
func TestIperfTCP(t *testing.T) {
	path := program(t, "iperf3")
	back := fixedPort(t)
	server := exec.Command(path, "-s", "-B", "127.0.0.1", "-p", portOnly(back))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	eventually(t, "iperf3 listens", func() bool {
		c, err := net.Dial("tcp", back)
		return err == nil && c.Close() == nil
	})
	d := start(t, fmt.Sprintf(`
listeners: { bulk: { protocol: tcp, address: "127.0.0.1:0", pool: iperf } }
pools: { iperf: { protocol: tcp, health_check: none, backends: { b1: { address: %q } } } }
`, back))
	for _, direction := range []string{"-P2", "-R", "--bidir"} {
		var out []byte
		var err error
		eventually(t, "iperf3 is free for the next", func() bool { // it serves one at a time
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			out, err = exec.CommandContext(ctx, path, "-c", "127.0.0.1", "-p", portOnly(d.address("bulk")), "-t", "1", "-P", "2", "-J", direction).Output()
			return err == nil || !bytes.Contains(out, []byte("busy"))
		})
		var report struct {
			End struct {
				Sent     struct{ Bytes float64 } `json:"sum_sent"`
				Received struct{ Bytes float64 } `json:"sum_received"`
				Back     struct{ Bytes float64 } `json:"sum_received_bidir_reverse"`
			} `json:"end"`
		}
		if err != nil || json.Unmarshal(out, &report) != nil {
			t.Fatalf("iperf3 %s: %v\n%s", direction, err, out)
		}
		e := report.End
		t.Logf("iperf3 %s: %.1f and back %.1f Gbit/s", direction, e.Received.Bytes*8/1e9, e.Back.Bytes*8/1e9)
		if e.Sent.Bytes < 10*mib || e.Received.Bytes < 10*mib || direction == "--bidir" && e.Back.Bytes < 10*mib {
			t.Errorf("iperf3 %s: %+v", direction, e)
		}
	}
	in, out := d.metric("weir_bytes_total", "direction", "in"), d.metric("weir_bytes_total", "direction", "out")
	if in < 20*mib || out < 20*mib {
		t.Errorf("%v bytes in and %v out are counted", in, out)
	}
	eventually(t, "no lease is left", func() bool { b, _ := d.backend("iperf", "b1"); return b.Active == 0 })
}

// TestDNSOverTCP asks name servers over TCP, each question on a connection of its own.
func TestDNSOverTCP(t *testing.T) {
	t.Parallel()
	one, two := startDNS(t, "192.0.2.1"), startDNS(t, "192.0.2.2")
	d := start(t, fmt.Sprintf(`
listeners: { dns: { protocol: tcp, address: "127.0.0.1:0", pool: names } }
pools: { names: { protocol: tcp, backends: { b1: { address: %q }, b2: { address: %q } } } }
`, one.address, two.address))
	d.awaitHealth("names", "b1", "up")
	d.awaitHealth("names", "b2", "up")
	got := map[string]int{}
	for range 10 {
		got[dig(t, d.address("dns"), "+tcp")]++
	}
	if got["192.0.2.1"] != 5 || got["192.0.2.2"] != 5 {
		t.Errorf("got %v, want 5 of each", got)
	}
}
