package test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sourceOf is the address of client i, of up to 250.
func sourceOf(i int) string { return fmt.Sprintf("127.0.1.%d", 1+i%250) }

// TestTCPAlgorithms spreads connections by every algorithm that they may be spread by.
func TestTCPAlgorithms(t *testing.T) {
	t.Parallel()
	t.Run("weighted_round_robin", func(t *testing.T) {
		s := startTCP(t, "", inFlow(echoes(t, 3), "weight: 3", "weight: 1", "weight: 0"))
		s.awaitHealth("sql", "b2", "up")
		s.awaitHealth("sql", "b1", "up")
		if got, want := s.picked(40, nil), map[string]int{"b1": 30, "b2": 10}; !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
	t.Run("least_connections", func(t *testing.T) {
		s := startTCP(t, "", "algorithm: least_connections, health_check: none, "+inFlow(echoes(t, 3), "weight: 2"))
		got, held := map[string]int{}, map[string]*net.TCPConn{}
		for range 40 {
			c := s.dial()
			name := exactly(t, c, 2)
			got[name]++
			held[name] = c
		}
		if want := map[string]int{"b1": 20, "b2": 10, "b3": 10}; !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		_ = held["b3"].Close() // there is room now
		eventually(t, "the connection has ended", func() bool { b, _ := s.backend("sql", "b3"); return b.Active == 9 })
		if next := exactly(t, s.dial(), 2); next != "b3" {
			t.Errorf("got %s, want b3, which has the fewest", next)
		}
	})
	for _, algorithm := range []string{"source_ip", "2_tuple_hash", "3_tuple_hash", "5_tuple_hash"} {
		t.Run(algorithm, func(t *testing.T) {
			s := startTCP(t, "", "algorithm: "+algorithm+", health_check: none, "+inFlow(echoes(t, 3)))
			first := map[string]string{}
			all, moved := map[string]int{}, 0
			for i := range 180 {
				c := dialFrom(t, sourceOf(i%60), s.address("db"))
				name := exactly(t, c, 2)
				_ = c.Close()
				all[name]++
				if before := first[sourceOf(i%60)]; before != "" && before != name {
					moved++
				}
				first[sourceOf(i%60)] = name
			}
			if len(all) != 3 {
				t.Errorf("got %v of three backends", all)
			}
			// Of 120 connections about 80 find another backend if the port counts: fewer than 40 would be
			// a chance of 1 in 10^15.
			if byPort := algorithm == "5_tuple_hash"; byPort && moved < 40 || !byPort && moved > 0 {
				t.Errorf("%d connections went elsewhere than the first of their client", moved)
			}
		})
	}
}

// TestTCPPersistence keeps clients where they were first, also when that takes no new ones, and not when
// it is down.
func TestTCPPersistence(t *testing.T) {
	t.Parallel()
	b := echoes(t, 3)
	pool := func(keys ...string) string {
		return "session_persistence: source_ip, health_check: none, " + inFlow(b, keys...)
	}
	s := startTCP(t, "", pool())
	home := map[string]string{}
	for i := range 30 {
		c := dialFrom(t, sourceOf(i), s.address("db"))
		home[sourceOf(i)] = exactly(t, c, 2)
	}
	stays := func(what string) (moved int) {
		t.Helper()
		for source, name := range home {
			c := dialFrom(t, source, s.address("db"))
			if got := exactly(t, c, 2); got != name {
				moved++
			}
			_ = c.Close()
		}
		return moved
	}
	if n := stays("again"); n != 0 {
		t.Errorf("%d of 30 clients were moved", n)
	}
	s.reload(s.config("", pool("weight: 0", "state: drain")))
	if n := stays("drained"); n != 0 {
		t.Errorf("%d of 30 clients were moved off backends that take no new ones", n)
	}
	if got := s.picked(12, func(i int) string { return sourceOf(100 + i) }); got["b3"] != 12 {
		t.Errorf("new clients came to %v, want b3", got)
	}
	s.reload(s.config("", pool("", "state: maintenance")))
	if n := stays("gone"); n != 10 {
		t.Errorf("%d of 30 clients were moved, want the 10 of b2", n)
	}
	if got := s.metric("weir_sessions_total", "pool", "sql", "result", "lost"); got != 10 {
		t.Errorf("%v sessions were lost, want 10", got)
	}
}

// TestTCPEligible sends new connections to backups and then to draining backends, when nobody else is
// there, and to nobody in maintenance.
func TestTCPEligible(t *testing.T) {
	t.Parallel()
	b := echoes(t, 3)
	pool := func(keys ...string) string { return "health_check: none, " + inFlow(b, keys...) }
	s := startTCP(t, "", pool("", "backup: true", "state: maintenance"))
	tests := []struct {
		keys []string
		want string
	}{
		{[]string{"", "backup: true", "state: maintenance"}, "b1"},
		{[]string{"state: drain", "backup: true", "state: maintenance"}, "b2"},
		{[]string{"state: drain", "state: maintenance", "state: maintenance"}, "b1"},
	}
	for _, tt := range tests {
		s.reload(s.config("", pool(tt.keys...)))
		if got := s.picked(4, nil); got[tt.want] != 4 {
			t.Errorf("%q: got %v, want %s", tt.keys, got, tt.want)
		}
	}
	s.reload(s.config("", pool("state: maintenance", "state: maintenance", "state: maintenance")))
	refused(t, "127.0.0.1", s.address("db"))
	s.last(13, "no_backend_up", "weir")
	s.reload(s.config("", pool("weight: 0", "weight: 0", "weight: 0")))
	refused(t, "127.0.0.1", s.address("db"))
	s.last(14, "no_capacity", "weir")
}

// TestTCPSlowStart gives a backend that joins a small share at first.
func TestTCPSlowStart(t *testing.T) {
	t.Parallel()
	b := echoes(t, 2)
	s := startTCP(t, "", "health_check: none, slow_start: { duration: 1h }, "+inFlow(b[:1]))
	s.picked(2, nil)
	s.reload(s.config("", "health_check: none, slow_start: { duration: 1h }, "+inFlow(b)))
	// A tenth of the weight for the first minutes: one of eleven.
	if got := s.picked(110, nil); got["b2"] < 9 || got["b2"] > 11 {
		t.Errorf("got %v, want 10 of 110 for b2", got)
	}
	if got := s.metric("weir_slow_start_ratio", "pool", "sql", "backend", "b2"); got < 0.1 || got > 0.15 {
		t.Errorf("the metric says %v", got)
	}
}

// TestTCPCapacity bounds the connections of each backend, makes those that come too many wait for a
// place, and refuses those that find none.
func TestTCPCapacity(t *testing.T) {
	t.Parallel()
	s := startTCP(t, "", "health_check: none, max_connections: 2, queue: { max: 2 }, timeouts: { queue: 20s }, "+inFlow(echoes(t, 2), "", "max_connections: 1"))
	var held []*net.TCPConn
	got := map[string]int{}
	for range 3 {
		c := s.dial()
		got[exactly(t, c, 2)]++
		held = append(held, c)
	}
	if want := map[string]int{"b1": 2, "b2": 1}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	waiting := []*net.TCPConn{s.dial(), s.dial()}
	eventually(t, "two wait", func() bool { return s.metric("weir_pool_queue_length", "pool", "sql") == 2 })
	refused(t, "127.0.0.1", s.address("db"))
	s.last(1, "no_capacity", "weir")
	for _, c := range held[:2] {
		_ = c.Close()
	}
	for _, c := range waiting {
		exactly(t, c, 2)
		says(t, c, "after all")
	}
	s.reload(s.config("", "health_check: none, max_connections: 1, timeouts: { queue: 50ms }, "+inFlow(echoes(t, 1))))
	c := s.dial()
	exactly(t, c, 2)
	late := s.dial()
	wantReset(t, late)
	list := s.logged(4)
	if l := list[3]; l.Outcome != "queue_timeout" || l.Queue < 50 {
		t.Errorf("logged as %+v", l)
	}
	for _, c := range append(waiting, held...) {
		_ = c.Close()
	}
	if l := s.logged(7); l[5].Queue+l[6].Queue+l[4].Queue < 1 {
		t.Errorf("no queue time is logged: %+v", l)
	}
}

// TestTCPAdmission turns connections away, by a reset, and says why.
func TestTCPAdmission(t *testing.T) {
	t.Parallel()
	tests := []struct {
		reason, keys string
		good         int // connections that are served
	}{
		{"max_connections", "limits: { max_connections: 3 },", 3},
		{"rate", "limits: { new_connections_per_second: 2 },", 2},
		{"per_client", "limits: { per_client_connections: 1 },", 1},
		{"denied", "deny: [127.0.0.1],", 0},
		{"denied", "allow: [127.0.0.2/32],", 0},
	}
	b := echoes(t, 1)
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			s := startTCP(t, tt.keys, "health_check: none, "+inFlow(b))
			for range tt.good {
				says(t, s.greeted(), "x")
			}
			refused(t, "127.0.0.1", s.address("db"))
			if got := s.metric("weir_listener_connections_rejected_total", "listener", "db", "reason", tt.reason); got != 1 {
				t.Errorf("%v are counted", got)
			}
			if tt.reason == "per_client" || tt.reason == "denied" {
				exactly(t, dialFrom(t, "127.0.0.2", s.address("db")), 2)
			}
		})
	}
}

// greeted connects and takes the greeting.
func (s *streams) greeted() *net.TCPConn {
	s.t.Helper()
	c := s.dial()
	exactly(s.t, c, 2)
	return c
}

// options reads an option of every TCP socket of a process that is connected to or from an address.
func options(t *testing.T, pid int, address netip.AddrPort, level, name int) (list []int) {
	t.Helper()
	process, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Skipf("pidfd_open: %v", err)
	}
	defer unix.Close(process)
	for fd := range 200 {
		copied, err := unix.PidfdGetfd(process, fd, 0)
		if err == unix.EPERM || err == unix.ENOSYS {
			t.Skipf("pidfd_getfd: %v", err)
		}
		if err != nil {
			continue
		}
		local, _ := unix.Getsockname(copied)
		remote, _ := unix.Getpeername(copied)
		if v, err := unix.GetsockoptInt(copied, level, name); err == nil && remote != nil && slices.ContainsFunc([]unix.Sockaddr{local, remote}, func(a unix.Sockaddr) bool {
			in, ok := a.(*unix.SockaddrInet4)
			return ok && in.Port == int(address.Port())
		}) {
			list = append(list, v)
		}
		_ = unix.Close(copied)
	}
	return list
}

// TestTCPSockets has keep-alive probes and the user time-out on both sides of a connection.
func TestTCPSockets(t *testing.T) {
	t.Parallel()
	b := echoes(t, 1)
	for _, tt := range []struct {
		keys                        string
		probes, idle, interval, ack int
	}{
		{"", 1, 15, 15, 0},
		{"tcp: { keepalive: 7s, user_timeout: 90s },", 1, 7, 7, 90_000},
		{"tcp: { keepalive: 0s },", 0, -1, -1, 0},
	} {
		s := startTCP(t, tt.keys, "health_check: none, "+inFlow(b))
		s.greeted()
		pid := s.cmd.Process.Pid
		for _, side := range []netip.AddrPort{netip.MustParseAddrPort(s.address("db")), b[0].Addr()} {
			for _, o := range []struct{ level, name, want int }{
				{unix.SOL_SOCKET, unix.SO_KEEPALIVE, tt.probes},
				{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, tt.idle},
				{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, tt.interval},
				{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, tt.ack},
			} {
				if o.want < 0 {
					continue
				}
				// Those of probes are set when a connection turns out to last.
				eventually(t, fmt.Sprintf("%q, %v: option %d is %d", tt.keys, side, o.name, o.want), func() bool {
					return slices.Equal(options(t, pid, side, o.level, o.name), []int{o.want})
				})
			}
		}
	}
}

// TestTCPDescriptors refuses connections when descriptors run short, keeps those that are there, and
// serves again when there is room.
func TestTCPDescriptors(t *testing.T) {
	t.Parallel()
	const limit = 256
	d := &streams{lines: filepath.Join(t.TempDir(), "access.log")}
	d.daemon = start(t, d.config("", "health_check: none, "+inFlow(echoes(t, 1))), "sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, limit))
	var held []*net.TCPConn
	turned := 0
	for range limit {
		c, err := net.DialTimeout("tcp", d.address("db"), patience)
		if err != nil {
			turned++
			continue
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
			turned++
			continue
		}
		held = append(held, c.(*net.TCPConn))
	}
	if turned == 0 || len(held) < limit/8 {
		t.Fatalf("%d connections are served and %d turned away", len(held), turned)
	}
	if got := d.metric("weir_listener_connections_rejected_total", "listener", "db", "reason", "descriptors"); got != float64(turned) {
		t.Errorf("%v are counted, %d were turned away", got, turned)
	}
	for _, c := range held {
		says(t, c, "still here")
		_ = c.Close()
	}
	eventually(t, "there is room again", func() bool {
		b, _ := d.backend("sql", "b1")
		return b.Active == 0
	})
	d.greeted()
}
