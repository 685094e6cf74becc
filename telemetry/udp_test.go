package telemetry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/config"
)

func TestUDPCounts(t *testing.T) {
	r := New(Options{})
	c := r.UDP("dns", "resolvers")
	if c != r.UDP("dns", "resolvers") || c == r.UDP("dns", "") {
		t.Fatal("a name does not stand for one counter")
	}
	for s := range Shard(3) {
		c.Received(s, 2, 100)
		c.Sent(s, 3, 1000)
	}
	c.Done(0, OutcomeOK)
	c.Done(1, OutcomeEvicted)
	c.Done(2, Outcome(255))
	c.Dropped(DropPorts, 4)
	c.Dropped(DropReason(255), 1)
	want := UDPCounts{Ended: 3, Received: 6, Sent: 9, BytesIn: 300, BytesOut: 3000, Dropped: 5}
	if got := c.Counts(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if c.Outcome(OutcomeEvicted) != 1 || c.Outcome(OutcomeInternalError) != 1 || c.Drops(DropPorts) != 4 {
		t.Error("a counter by word is wrong")
	}
	text := scrapeText(t, r, "/metrics")
	for _, line := range []string{
		`weir_udp_sessions_total{listener="dns",outcome="evicted",pool="resolvers"} 1`,
		`weir_udp_datagrams_total{direction="in",listener="dns",pool="resolvers"} 6`,
		`weir_udp_datagrams_dropped_total{listener="dns",pool="resolvers",reason="ports"} 4`,
		`weir_bytes_total{direction="out",listener="dns",pool="resolvers"} 3000`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	r.Retain(&config.Config{})
	if text := scrapeText(t, r, "/metrics"); strings.Contains(text, "weir_udp_sessions_total{") {
		t.Error("what is not configured is still scraped")
	}
}

func TestEveryDropHasAWord(t *testing.T) {
	seen := map[string]bool{}
	for d := range dropCount {
		if word := d.String(); word == "" || seen[word] {
			t.Errorf("reason %d: word %q is empty or used twice", d, word)
		}
		seen[d.String()] = true
	}
}

func TestUDPLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	log, err := OpenAccessLog(config.AccessLog{Output: file, Format: "json", Sample: 1}, func(uint64) {})
	if err != nil {
		t.Fatal(err)
	}
	log.Write(&Entry{Time: time.Now(), Proto: "UDP", EndedBy: "idle", Outcome: OutcomeExpired, Received: 3, Sent: 2, In: 30, Out: 20})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	line, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"level":"info"`, `"proto":"UDP"`, `"bytes_in":30,"bytes_out":20`, `"outcome":"expired"`, `"ended_by":"idle"`,
		`"datagrams_in":3,"datagrams_out":2`,
	} {
		if !strings.Contains(string(line), want) {
			t.Errorf("no %s in %s", want, line)
		}
	}
	if strings.Contains(string(line), `"status"`) {
		t.Errorf("a field of HTTP in %s", line)
	}
}

func TestUDPAllocs(t *testing.T) {
	c := New(Options{Now: time.Now}).UDP("dns", "resolvers")
	allocs := testing.AllocsPerRun(1000, func() {
		c.Received(1, 1, 50)
		c.Sent(1, 1, 50)
		c.Done(1, OutcomeExpired)
		c.Dropped(DropClient, 1)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
