package proxy

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// inUse is the memory that the process has in use, garbage not counted.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // the second one empties the pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// Clients that take nothing of large responses cost buffers, not responses, and are ended by
// client_write_idle.
func TestStalledReadersCostLittle(t *testing.T) {
	t.Parallel() // it lasts as long as its time-out
	for idle := 10 * time.Second; ; idle *= 2 {
		each, all := stalledReaders(t, idle)
		if !all && idle < time.Minute {
			continue // on a busy machine the first have been ended before the last were stalled
		}
		t.Logf("%d KiB each", each>>10)
		if !all || each > 160<<10 {
			t.Errorf("a stalled reader costs %d KiB; all were there at once: %v", each>>10, all)
		}
		return
	}
}

// stalledReaders returns what each of 200 readers costs, who are ended when idle has passed, and
// whether all were there when that was measured.
func stalledReaders(t *testing.T, idle time.Duration) (each int64, all bool) {
	const readers, size = 200, 10 << 20
	piece := make([]byte, 64<<10)
	var flowing atomic.Int64
	o := newOrigin(t, func(s *side) {
		if _, ok := s.head(); !ok || !s.send("HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n") {
			return
		}
		for i := range size / len(piece) {
			if _, err := s.Write(piece); err != nil {
				return
			}
			if i == 0 {
				flowing.Add(1)
			}
		}
		io.Copy(io.Discard, s)
	})
	r := start(t, site(fmt.Sprintf("timeouts: { client_write_idle: %v }", idle), "", o.Addr()))
	clients := make([]*client, readers)
	for i := range clients {
		clients[i] = r.dial()
		if err := clients[i].SetReadBuffer(16 << 10); err != nil {
			t.Fatal(err)
		}
	}
	lbtest.Eventually(t, patience, func() bool { return r.connections() == readers })
	before := inUse()
	for _, c := range clients {
		c.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	}
	lbtest.Eventually(t, 6*patience, func() bool { return flowing.Load() == readers })
	// Two buffers of 16 KiB at first, of which one has become a large one; stacks, and the test's own.
	each = (inUse() - before) / readers
	all = r.leases() == readers
	lbtest.Eventually(t, idle+6*patience, func() bool { return r.connections() == 0 && r.leases() == 0 && o.Open() == 0 })
	r.wantOutcomes("client_timeout 200")
	return each, all
}

// metric waits until a scrape has that line.
func (r *rig) metric(line string) {
	r.t.Helper()
	var body string
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if body = r.metrics(); strings.Contains(body, "\n"+line+"\n") {
			return
		}
		<-time.After(time.Millisecond)
	}
	name, _, _ := strings.Cut(line, "{")
	r.t.Errorf("no %s among\n%s", line, strings.Join(regexp.MustCompile("(?m)^"+name+".*$").FindAllString(body, -1), "\n"))
}

// Connections that are turned away have a word each.
func TestConnectionsAreTurnedAwayWithAReason(t *testing.T) {
	tests := []struct {
		reason, listener string
		descriptors      uint64
		served           int
	}{
		{"max_connections", "limits: { max_connections: 2 }", 0, 2},
		{"per_client", "limits: { per_client_connections: 2 }", 0, 2},
		{"rate", "limits: { new_connections_per_second: 1 }", 0, 1},
		{"denied", "deny: [127.0.0.1]", 0, 0},
		{"denied", "allow: [192.0.2.1]", 0, 0},
		{"descriptors", "", 20, 9},
	}
	o := answering(t, ok200)
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			r := startOptions(t, Options{Config: load(t, site(tt.listener, "", o.Addr())), Descriptors: tt.descriptors})
			for range tt.served {
				r.dial()
			}
			lbtest.Eventually(t, patience, func() bool { return r.connections() == tt.served })
			one := r.dial()
			if tt.reason == "denied" {
				one.wantEnd()
			} else if a := one.want("GET", 503, "too many connections"); !a.Close || a.Header.Get("Retry-After") == "" {
				t.Errorf("got %v, want an answer that says when to come again", a.Header)
			}
			r.metric(`weir_listener_connections_rejected_total{listener="web",reason="` + tt.reason + `"} 1`)
		})
	}
}

// A handshake that takes too long is counted as one that failed.
func TestSlowHandshakeIsCounted(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	r := start(t, secureSite(cert, "timeouts: { client_tls: 150ms }", "", answering(t, ok200).Addr()))
	r.dial().wantEnd()
	r.metric(`weir_tls_handshakes_total{listener="web",result="error",version="unknown"} 1`)
}

// The limits of a request are those that were configured, on both sides of them.
func TestConfiguredLimitsOfRequests(t *testing.T) {
	const line = "POST /%s HTTP/1.1\r\nHost: h\r\n"
	fields := func(n int) string { return strings.Repeat("A: b\r\n", n) }
	chunked := func(n int) string {
		return "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
			fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", n, strings.Repeat("x", n))
	}
	declared := func(n int) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("x", n))
	}
	head := func(n int) string {
		begin := "GET / HTTP/1.1\r\nHost: h\r\nA: "
		return begin + strings.Repeat("x", n-len(begin)-4) + "\r\n\r\n"
	}
	tests := []struct {
		limit, fits, exceeds string
		status               int
	}{
		{"max_header: 2KiB", head(2 << 10), head(2<<10 + 1), 431},
		{"max_header_count: 5", fmt.Sprintf(line, "") + fields(3) + "Content-Length: 0\r\n\r\n", fmt.Sprintf(line, "") + fields(4) + "Content-Length: 0\r\n\r\n", 431},
		{"max_target: 256", "GET /" + strings.Repeat("x", 255) + " HTTP/1.1\r\nHost: h\r\n\r\n", "GET /" + strings.Repeat("x", 256) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
		{"max_body: 1000", declared(1000), declared(1001), 413},
		{"max_body: 1001", chunked(1001), chunked(1002), 413},
	}
	for _, tt := range tests {
		t.Run(tt.limit, func(t *testing.T) {
			o := answering(t, ok200)
			r := start(t, site("limits: { "+tt.limit+" }", "", o.Addr()))
			c := r.dial()
			c.send(tt.fits)
			c.want("GET", 200, "ok")
			c.send(tt.exceeds)
			c.want("GET", tt.status, "")
			r.wantOutcomes("ok 1 too_large 1")
		})
	}
}
