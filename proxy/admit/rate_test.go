package admit

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const second = int64(time.Second)

func newRate(t testing.TB, o RateOptions) *Rate {
	t.Helper()
	r, err := NewRate(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRate(t *testing.T) {
	r := newRate(t, RateOptions{Rate: 10, Burst: 3})
	a, b := nth(1), nth(2)
	const ms = int64(time.Millisecond)
	steps := []struct {
		name   string
		client netip.Addr
		now    int64
		wait   time.Duration // 0: taken
	}{
		{"burst, first", a, 0, 0},
		{"burst, second", a, 0, 0},
		{"burst, third", a, 0, 0},
		{"over the burst", a, 0, 100 * time.Millisecond},
		{"refusal costs nothing", a, 40 * ms, 60 * time.Millisecond},
		{"another client has its own", b, 40 * ms, 0},
		{"1 ns early", a, 100*ms - 1, 1},
		{"on time", a, 100 * ms, 0},
		{"only one", a, 100 * ms, 100 * time.Millisecond},
		{"an older reading", a, 50 * ms, 150 * time.Millisecond},
		{"saved up two", a, 300 * ms, 0},
		{"and the second", a, 300 * ms, 0},
		{"but no third", a, 300 * ms, 100 * time.Millisecond},
		{"after a long silence, first", a, 3600 * second, 0},
		{"second", a, 3600 * second, 0},
		{"third", a, 3600 * second, 0},
		{"no more than the burst was saved", a, 3600 * second, 100 * time.Millisecond},
	}
	for _, s := range steps {
		ok, wait := r.Allow(s.client, s.now)
		if ok != (s.wait == 0) || wait != s.wait {
			t.Fatalf("%s: Allow(%v, %d) = %v, %v, want wait %v", s.name, s.client, s.now, ok, wait, s.wait)
		}
	}
}

// TestRateOverTime counts what a client gets that asks all the time.
func TestRateOverTime(t *testing.T) {
	tests := []struct {
		rate     float64
		burst    int
		duration time.Duration
		want     int // burst + rate × duration
	}{
		{1, 1, time.Hour, 3601},
		{3, 5, time.Hour, 10_805},
		{0.5, 2, time.Hour, 1802},
		{1000, 100, 10 * time.Second, 10_100},
		{1e6, 1, 50 * time.Millisecond, 50_001},
		{700_000, 10, 50 * time.Millisecond, 35_010},
		{950_000, 10, 50 * time.Millisecond, 47_510},
	}
	for _, tt := range tests {
		r := newRate(t, RateOptions{Rate: tt.rate, Burst: tt.burst})
		got, asked := 0, 0
		for now := int64(0); now <= int64(tt.duration); asked++ {
			ok, wait := r.Allow(nth(1), now)
			if ok {
				got++
			}
			now += int64(wait)
		}
		if d := math.Abs(float64(got-tt.want)) / float64(tt.want); d > 0.0005 {
			t.Errorf("%g a second, burst %d: %d in %v, want %d", tt.rate, tt.burst, got, tt.duration, tt.want)
		}
		if asked > 2*got+1 {
			t.Errorf("%g a second: retryAfter came too early: asked %d times for %d", tt.rate, asked, got)
		}
	}
}

// TestRateIsATokenBucket compares with the bucket that it stands for, in exact numbers. There are
// no more clients than a window has places, so none is forgotten.
func TestRateIsATokenBucket(t *testing.T) {
	type bucket struct{ tokens, at int64 } // a token is one interval, in ns
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{0.1, 1, 8, 100, 1e6, 1e9}).Draw(t, "rate")
		burst := rapid.IntRange(1, 5).Draw(t, "burst")
		r, err := NewRate(RateOptions{Rate: rate, Burst: burst, Entries: 1})
		if err != nil {
			t.Fatal(err)
		}
		interval := int64(1e9 / rate)
		full := interval * int64(burst)
		model := map[int]bucket{}
		now := rapid.Int64Range(0, 1<<60).Draw(t, "start")
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			now += rapid.SampledFrom([]int64{0, 0, 0, 1, interval / 3, interval - 1, interval, interval + 1, full, 2 * full}).Draw(t, "later")
			client := rapid.IntRange(1, window).Draw(t, "client")
			b, known := model[client]
			if !known {
				b = bucket{full, now}
			}
			b = bucket{min(full, b.tokens+now-b.at), now}
			wantWait := max(interval-b.tokens, 0)
			if wantWait == 0 {
				b.tokens -= interval
			}
			model[client] = b
			ok, wait := r.Allow(nth(client), now)
			if ok != (wantWait == 0) || int64(wait) != wantWait {
				t.Fatalf("Allow(%d, %d) = %v, %d, want wait %d", client, now, ok, wait, wantWait)
			}
		}
		inDebt := 0
		for _, b := range model {
			if b.tokens+now-b.at < full {
				inDebt++
			}
		}
		if got := r.Clients(now); got != inDebt {
			t.Fatalf("%d clients are remembered, want %d", got, inDebt)
		}
	})
}

// TestRateShard fills the places that a client may take, wherever they begin, with clients of ever
// more debt. All are remembered, and one too many takes the place of the one with the least.
func TestRateShard(t *testing.T) {
	g, err := newGCRA(1, window+1)
	if err != nil {
		t.Fatal(err)
	}
	for start := range uint64(4 * window) {
		var s rateShard
		s.init(4 * window)
		client := func(i int) address { return address{1, uint64(i)} }
		for i := range window {
			for range i + 1 {
				s.take(client(i), start, g, 0)
			}
		}
		for i := range window {
			if got, want := s.find(client(i), start).state, int64(i+1)*second; got != want {
				t.Fatalf("client %d from place %d owes %d, want %d", i, start, got, want)
			}
		}
		s.take(client(window), start, g, 0)
		if n := s.count(0); n != window {
			t.Fatalf("%d clients in %d places", n, window)
		}
		for i := range window + 1 {
			if found := s.find(client(i), start).key == client(i); found != (i != 0) {
				t.Fatalf("client %d is remembered: %v", i, found)
			}
		}
	}
}

func TestRateForms(t *testing.T) {
	tests := []struct {
		name string
		bits int
		a, b string
		same bool
	}{
		{"IPv4 in IPv6", 0, "10.0.0.1", "::ffff:10.0.0.1", true},
		{"IPv6 addresses", 0, "2001:db8::1", "2001:db8::2", false},
		{"IPv6 networks", 64, "2001:db8::1", "2001:db8::2", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRate(t, RateOptions{Rate: 1, Burst: 1, IPv6Bits: tt.bits})
			r.Allow(netip.MustParseAddr(tt.a), 0)
			if ok, _ := r.Allow(netip.MustParseAddr(tt.b), 0); ok == tt.same {
				t.Errorf("%s after %s: allowed %v", tt.b, tt.a, ok)
			}
		})
	}
}

// TestRateUnknownClients puts those without an address, and the unspecified one, which look like
// free places, under the limit too.
func TestRateUnknownClients(t *testing.T) {
	for _, client := range []netip.Addr{{}, netip.IPv6Unspecified(), netip.IPv4Unspecified()} {
		r := newRate(t, RateOptions{Rate: 1, Burst: 2})
		for i, want := range []bool{true, true, false, false} {
			if got, _ := r.Allow(client, 0); got != want {
				t.Errorf("request %d of %v: %v, want %v", i, client, got, want)
			}
		}
	}
}

func TestRateOptions(t *testing.T) {
	tests := []struct {
		o    RateOptions
		want string
	}{
		{RateOptions{Rate: -1}, "the rate is above 0"},
		{RateOptions{Rate: math.NaN()}, "the rate is above 0"},
		{RateOptions{Rate: math.Inf(1)}, "the rate is above 0"},
		{RateOptions{Rate: 1.1e9}, "the rate is above 0 and at most 1e+09 a second, not 1.1e+09"},
		{RateOptions{Rate: 1, Burst: -1}, "the burst is at least 1, not -1"},
		{RateOptions{Rate: 1, Burst: 400_000_000}, "takes more than ten years"},
		{RateOptions{Rate: 1e-300}, "takes more than ten years"},
		{RateOptions{Rate: 1, Entries: -1}, "a table has 1 to"},
		{RateOptions{Rate: 1, Entries: maxEntries + 1}, "a table has 1 to"},
		{RateOptions{Rate: 1, IPv6Bits: 129}, "an IPv6 client has 1 to 128 bits, not 129"},
	}
	for _, tt := range tests {
		if r, err := NewRate(tt.o); r != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("NewRate(%+v) = %v, want an error with %q", tt.o, err, tt.want)
		}
	}
	bursts := []struct {
		rate float64
		want int
	}{{0.1, 1}, {1, 1}, {1.5, 2}, {100, 100}}
	for _, tt := range bursts {
		r := newRate(t, RateOptions{Rate: tt.rate})
		got := 0
		for ok := true; ok; got++ {
			ok, _ = r.Allow(nth(1), 0)
		}
		if got--; got != tt.want {
			t.Errorf("the burst of %g a second is %d, want %d", tt.rate, got, tt.want)
		}
	}
}

func TestRateSize(t *testing.T) {
	tests := []struct{ entries, want int }{{0, 65_536}, {1, 1024}, {1024, 1024}, {4096, 4096}, {5000, 8192}, {65_537, 131_072}}
	for _, tt := range tests {
		r := newRate(t, RateOptions{Rate: 1, Entries: tt.entries})
		got := 0
		for i := range r.shards {
			got += len(r.shards[i].places)
		}
		if got != tt.want {
			t.Errorf("%d entries: %d places, want %d", tt.entries, got, tt.want)
		}
	}
}

// TestRateRemembers fills a part of the table with clients that have used their burst, of whom all
// but a few must be held back. The bounds are twice what was measured and more; see window.
func TestRateRemembers(t *testing.T) {
	tests := []struct {
		name      string
		clients   int
		forgotten int
	}{
		{"half", defaultEntries / 2, defaultEntries / 500},
		{"three quarters", defaultEntries * 3 / 4, defaultEntries / 40},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRate(t, RateOptions{Rate: 1, Burst: 1})
			for i := range tt.clients {
				if ok, _ := r.Allow(nth(i), 0); !ok {
					t.Fatalf("the first request of client %d is refused", i)
				}
			}
			if n := tt.clients - r.Clients(0); n < 0 || n > tt.forgotten {
				t.Errorf("%d of %d clients are forgotten, want at most %d", n, tt.clients, tt.forgotten)
			}
			again := 0 // one who was forgotten may take the place of the next
			for i := range tt.clients {
				if ok, _ := r.Allow(nth(i), second-1); ok {
					again++
				}
			}
			if again > 3*tt.forgotten {
				t.Errorf("%d of %d clients are let in early", again, tt.clients)
			}
		})
	}
}

// TestRateExpires sees that entries make room by themselves.
func TestRateExpires(t *testing.T) {
	r := newRate(t, RateOptions{Rate: 1, Burst: 2})
	const clients = defaultEntries / 4
	for round := range 8 {
		now := int64(round) * second
		for i := range clients {
			if ok, _ := r.Allow(nth(round*clients+i), now); !ok {
				t.Fatalf("client %d of round %d is refused", i, round)
			}
		}
		if n := r.Clients(now); n < clients*999/1000 || n > clients {
			t.Fatalf("%d clients are remembered in round %d, want %d", n, round, clients)
		}
		if n := r.Clients(now + second); n != 0 {
			t.Fatalf("%d clients are remembered after their time", n)
		}
	}
}

// TestRateFlood sends many more clients than there is room for, twice over, beside one that asks
// too much. The table stays within its bound, and the one stays refused.
func TestRateFlood(t *testing.T) {
	r := newRate(t, RateOptions{Rate: 1, Burst: 10, Entries: 1024})
	abuser := netip.MustParseAddr("192.0.2.1")
	for range 10 {
		r.Allow(abuser, 0)
	}
	for i := range 50_000 {
		if ok, _ := r.Allow(nth(i%25_000), 0); !ok {
			t.Fatalf("client %d is refused, who has asked %d times", i, 1+i/25_000)
		}
	}
	if ok, _ := r.Allow(abuser, 0); ok {
		t.Error("the one who asks too much has been forgotten before those who ask little")
	}
	if n := r.Clients(0); n > 1024 {
		t.Errorf("%d clients are remembered", n)
	}
}

// TestRateConcurrent lets goroutines compete for the bursts of a few clients at one moment.
func TestRateConcurrent(t *testing.T) {
	const clients, burst, each = 8, 100, 400
	r := newRate(t, RateOptions{Rate: 1, Burst: burst, Entries: 1})
	var taken [clients]atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range each {
				if ok, _ := r.Allow(nth(i%clients), 5); ok {
					taken[i%clients].Add(1)
				}
				r.Clients(5)
			}
		})
	}
	wg.Wait()
	for i := range taken {
		if n := taken[i].Load(); n != burst {
			t.Errorf("client %d has taken %d, want %d", i, n, burst)
		}
	}
}

func TestRateAllocs(t *testing.T) {
	r := newRate(t, RateOptions{Rate: 1, Burst: 1, Entries: 4096})
	six := netip.MustParseAddr("fe80::1%eth0")
	i := 0
	noAllocs(t, "Allow", func() {
		i++
		r.Allow(nth(1), 0) // known, and refused
		r.Allow(nth(i), 0) // new
		r.Allow(six, int64(i)*second)
	})
}

func BenchmarkRate(b *testing.B) {
	b.Run("known", func(b *testing.B) {
		r := newRate(b, RateOptions{Rate: 1e6})
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			r.Allow(nth(i&1023), int64(i)*1000)
		}
	})
	b.Run("flood", func(b *testing.B) {
		r := newRate(b, RateOptions{Rate: 1})
		random := rand.New(rand.NewPCG(1, 2))
		b.ReportAllocs()
		for b.Loop() {
			r.Allow(nth(int(random.Uint32())), 0)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		r := newRate(b, RateOptions{Rate: 1e6})
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				r.Allow(nth(i&1023), int64(i)*1000)
			}
		})
	})
}
