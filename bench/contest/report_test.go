package contest

import (
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// sampleReport has all that a report can have.
func sampleReport() Report {
	figures := map[string][3]float64{Weir: {10, 10.5, 11}, Haproxy: {13, 13.2, 13.1}, Floor: {9, 9.1, 9.2}}
	var turns []Turn
	for round := 1; round <= 3; round++ {
		for _, name := range []string{Weir, Haproxy, Floor} {
			cpu := figures[name][round-1]
			turns = append(turns, Turn{
				Round: round, Contestant: name, Requests: 90_000, Seconds: 3, Rate: 30_000, CPUMicros: cpu, UserShare: 0.2,
				P50Micros: 100 * cpu, P90Micros: 150 * cpu, P99Micros: 200 * cpu, P999Micros: 300 * cpu, MaxMicros: 1000 * cpu,
				RSS: 16 << 20, ProxyLoad: 0.97, LoadLoad: 0.99, OthersLoad: 0.01, BackendConns: 64, Processes: 1,
			})
		}
	}
	r := Report{
		Scenario: "http1-keepalive", Summary: "small things", Unit: "request", PerExchange: 1,
		Machine: Machine{CPU: "Fast CPU", CPUs: 2, Virtual: true, Kernel: "Linux 6.1", Governor: "performance", MemoryMiB: 4096, Go: "go1.26", Commit: "abc", ProxyCPUs: "1", LoadCPUs: "0"},
		Rounds:  3, Warmup: "500ms", Duration: "3s", Connections: 64, Backends: 4,
		Absent: []Absence{{Nginx, "not found; install it with: make bench-deps"}},
		Turns:  turns,
	}
	for _, name := range []string{Weir, Haproxy, Floor} {
		r.Standings = append(r.Standings, standing(entrant{contestant: contestant{name: name}, version: "1.0"}, turns))
	}
	r.Ratios = ratios(turns, []Measure{CPU, P99})
	promise(r.Ratios, []Target{{To: []string{Haproxy}, Must: 0.9, Aim: 0.85}, {To: []string{Floor}, Must: 1.1}})
	r.Notes = notes(r)
	return r
}

func TestWrite(t *testing.T) {
	var text, markdown strings.Builder
	r := sampleReport()
	r.Notes = append(r.Notes, "this is a note")
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteMarkdown(&markdown); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", text.String())
	golden(t, "report.md", markdown.String())
}

func TestWriteSummary(t *testing.T) {
	bulk := sampleReport()
	bulk.Scenario, bulk.Unit, bulk.Ratios = "bulk", "MiB", nil
	for name, markdown := range map[string]bool{"summary.txt": false, "summary.md": true} {
		var b strings.Builder
		if err := WriteSummary(&b, []Report{sampleReport(), bulk}, markdown); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
	}
}

func TestNotes(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Report)
		want   string // in the only note; empty: there is none
	}{
		{"nothing to say", func(*Report) {}, ""},
		{"one CPU", func(r *Report) { r.Machine.SharedCore = true; r.Turns[0].OthersLoad = 0.5 }, "there is one CPU for everything"},
		{"generator at its limit", func(r *Report) { r.Standings[2].ProxyLoad.Median = 0.8 }, "generator and origin were at their limit, not the proxy (load of the proxy CPU: floor 80 %)"},
		{"all at rest", func(r *Report) {
			r.Standings[0].ProxyLoad.Median, r.Standings[0].LoadLoad.Median = 0.4, 0.4
		}, "the CPUs were shared with others, so neither generator nor proxy was at its limit (load of the proxy CPU: weir 40 %)"},
		{"open loop need not saturate", func(r *Report) { r.Rate, r.Standings[0].ProxyLoad.Median = 1000, 0.4 }, ""},
		{"noise", func(r *Report) { r.Turns[1].OthersLoad, r.Turns[2].OthersLoad = 0.06, 0.5 }, "others took 6 to 50 % of the proxy CPU in 2 of 9 turns"},
		{"too slow for the rate", func(r *Report) { r.Turns[1].Offered = 40_000 }, "round 1, haproxy: 40000 requests/s were offered and 30000 answered"},
		{"fast enough", func(r *Report) { r.Turns[1].Offered = 30_100 }, ""},
		{"backends not kept alive", func(r *Report) { r.Turns[0].BackendConns = 5000 }, "round 1, weir: 5000 backend connections for 90000 requests: they were not kept alive"},
		{"backends not to be kept alive", func(r *Report) { r.Reconnects, r.Turns[0].BackendConns = true, 5000 }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := sampleReport()
			tt.change(&r)
			got := notes(r)
			if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
				t.Errorf("got %q, want one with %q", got, tt.want)
			}
		})
	}
}

func TestReadCPUInfo(t *testing.T) {
	const text = "processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\nflags\t\t: fpu hypervisor sse\n\nprocessor\t: 1\nmodel name\t: Fast CPU @ 3 GHz\nflags\t\t: fpu\n"
	if model, cpus, virtual := readCPUInfo(text); model != "Fast CPU @ 3 GHz" || cpus != 2 || !virtual {
		t.Errorf("got %q, %d, %v", model, cpus, virtual)
	}
	if model, cpus, virtual := readCPUInfo("processor: 0\nflags: nohypervisor\n"); model != "" || cpus != 1 || virtual {
		t.Errorf("got %q, %d, %v", model, cpus, virtual)
	}
}

func TestDescribe(t *testing.T) {
	m := describe(1, []int{0})
	if m.CPUs < 1 || m.Kernel == "" || m.MemoryMiB < 1 || m.Go == "" || m.ProxyCPUs != "1" || m.LoadCPUs != "0" || m.SharedCore {
		t.Errorf("got %+v", m)
	}
	if !describe(0, []int{0}).SharedCore {
		t.Error("one CPU for both is not told")
	}
}

func TestCommit(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	modified := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	got := []string{commit(nil), commit([]debug.BuildSetting{revision}), commit([]debug.BuildSetting{modified, revision})}
	if want := []string{"", "0123456789ab", "0123456789ab+changes"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
