package telemetry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/config"
)

func TestTCPCounts(t *testing.T) {
	r := New(Options{})
	c := r.TCP("db", "sql")
	if c != r.TCP("db", "sql") || c == r.TCP("db", "") {
		t.Fatal("a name does not stand for one counter")
	}
	for s := range Shard(3) {
		in, out := c.Bytes(s)
		in.Add(10)
		out.Add(100)
	}
	c.Done(0, OutcomeOK)
	c.Done(1, OutcomeRetriedOK)
	c.Done(1, OutcomeRebalanced)
	c.Done(2, Outcome(255))
	if got, want := c.Counts(), (TCPCounts{Ended: 4, Failed: 2, In: 30, Out: 300}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if c.Outcome(OutcomeRebalanced) != 1 || c.Outcome(OutcomeInternalError) != 1 {
		t.Error("not one rebalanced and one outside the set")
	}
}

// TestBytesOfBothProtocols: a listener that had another protocol before the reload has one series.
func TestBytesOfBothProtocols(t *testing.T) {
	r := New(Options{})
	r.HTTP("web", "app").Bytes(0, 1, 2)
	in, out := r.TCP("web", "app").Bytes(0)
	in.Add(10)
	out.Add(20)
	r.TCP("web", "app").Done(0, OutcomeIdle)
	r.Pool("app").Rebalanced(3)
	text := scrapeText(t, r, "/metrics")
	for _, want := range []string{
		`weir_bytes_total{direction="in",listener="web",pool="app"} 11`,
		`weir_bytes_total{direction="out",listener="web",pool="app"} 22`,
		`weir_tcp_connections_total{listener="web",outcome="idle",pool="app"} 1`,
		`weir_rebalanced_flows_total{pool="app"} 3`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(text, `weir_http_outcomes_total{listener="web",outcome="idle"`) {
		t.Error("an outcome of connections is among those of requests")
	}
	r.Retain(&config.Config{})
	if text := scrapeText(t, r, "/metrics"); strings.Contains(text, "weir_tcp_connections_total{") {
		t.Error("it is still shown after its listener has left")
	}
}

func TestAccessLogLineOfAConnection(t *testing.T) {
	e := sampleEntry()
	e.Proto, e.EndedBy, e.SNI, e.Outcome, e.Reason = "TCP", "backend", "db.example", OutcomeBackendReset, "reset"
	path := filepath.Join(t.TempDir(), "access.log")
	a, err := OpenAccessLog(config.AccessLog{Output: path, Sample: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.Write(&e)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	want := `{"level":"warn","ts":"2026-03-04T04:06:07.089Z","listener":"web","client":"192.0.2.7","client_port":51234,` +
		`"proto":"TCP","bytes_in":181,"bytes_out":5432,"duration_ms":2.25,"queue_ms":0,"connect_ms":0.35,` +
		`"ttfb_ms":1.5,"pool":"app","backend":"b1","attempts":1,"outcome":"backend_reset","reason":"reset","ended_by":"backend","sni":"db.example"}` + "\n"
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("got  %swant %s%v", got, want, err)
	}
}

func TestTCPAllocs(t *testing.T) {
	c := New(Options{Now: time.Now}).TCP("db", "sql")
	if n := testing.AllocsPerRun(100, func() {
		in, out := c.Bytes(1)
		in.Add(1)
		out.Add(1)
		c.Done(1, OutcomeOK)
	}); n != 0 {
		t.Errorf("%v allocations a connection", n)
	}
}
