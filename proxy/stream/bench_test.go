package stream

import "testing"

// BenchmarkRebalance is one look at a backend with many sessions, of which few may be moved.
func BenchmarkRebalance(b *testing.B) {
	p := &peer{sessions: map[*session]struct{}{}}
	for range 50_000 {
		p.sessions[&session{}] = struct{}{}
	}
	b.ReportAllocs()
	for b.Loop() {
		list, others := p.choose(50)
		if len(list) != 50 || others != 49_950 {
			b.Fatalf("%d and %d", len(list), others)
		}
	}
}
