package telemetry

import (
	"testing"
	"time"
)

var benchExchange = Exchange{
	Method:   MethodGet,
	Status:   200,
	Duration: 1234567 * time.Nanosecond,
	In:       180,
	Out:      1200,
	Outcome:  OutcomeOK,
}

func BenchmarkHTTPDone(b *testing.B) {
	r := New(Options{})
	h, s := r.HTTP("web", "app"), r.NextShard()
	b.ReportAllocs()
	for b.Loop() {
		h.Done(s, benchExchange)
	}
}

func BenchmarkHTTPDoneParallel(b *testing.B) {
	r := New(Options{})
	h := r.HTTP("web", "app")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := r.NextShard()
		for pb.Next() {
			h.Done(s, benchExchange)
		}
	})
}

func BenchmarkBackendRequest(b *testing.B) {
	r := New(Options{})
	backend, s := r.Backend("app", "b1"), r.NextShard()
	b.ReportAllocs()
	for b.Loop() {
		backend.Request(s, 200, OutcomeOK)
		backend.Reused(s)
	}
}

func BenchmarkPoolSession(b *testing.B) {
	r := New(Options{})
	p := r.Pool("app")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		s := r.NextShard()
		for pb.Next() {
			p.Session(s, SessionHit)
		}
	})
}

func BenchmarkSlot(b *testing.B) {
	d := 100 * time.Microsecond
	for b.Loop() {
		d = d*3/2&(1<<33-1) + 50000
		scale.slot(d)
	}
}

func BenchmarkParseMethod(b *testing.B) {
	post := []byte("POST")
	for b.Loop() {
		ParseMethod(post)
	}
}
