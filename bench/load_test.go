package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The test server's: these end some seconds after it, or never.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// serve runs a fasthttp server until the test ends and returns its URL.
func serve(t *testing.T, h fasthttp.RequestHandler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{Handler: h, MaxRequestBodySize: 64 << 20}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(), <-done); err != nil {
			t.Errorf("shut down: %v", err)
		}
	})
	return "http://" + l.Addr().String() + "/"
}

func TestLoadClosedLoop(t *testing.T) {
	var served, begun, ended atomic.Int64
	url := serve(t, func(ctx *fasthttp.RequestCtx) {
		served.Add(1)
		if string(ctx.Request.Header.Peek("X-Test")) != "yes" {
			ctx.SetStatusCode(fasthttp.StatusBadRequest)
		}
		ctx.SetBodyString("hello")
	})
	r, err := Load(t.Context(), LoadOptions{
		URL:         url,
		Fields:      []Field{{"X-Test", "yes"}},
		Connections: 4,
		Warmup:      100 * time.Millisecond,
		Duration:    300 * time.Millisecond,
		Check:       wantBody("hello"),
		Begin:       func() { begun.Add(1) },
		End:         func() { ended.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed() != 0 || r.Reconnects != 0 {
		t.Errorf("got %d failures and %d reconnects, first %v, want none", r.Failed(), r.Reconnects, r.FirstError)
	}
	if got := served.Load(); uint64(got) != r.Total {
		t.Errorf("the server answered %d requests, the run counted %d", got, r.Total)
	}
	if r.Requests == 0 || r.Requests >= r.Total {
		t.Errorf("got %d requests in the window of %d in all, want some and fewer", r.Requests, r.Total)
	}
	if r.Statuses[200] != r.Requests || r.Latency.Count() != r.Requests {
		t.Errorf("got statuses %v and %d latencies for %d requests", r.Statuses, r.Latency.Count(), r.Requests)
	}
	if r.Received < r.Requests*uint64(len("hello")) {
		t.Errorf("got %d bytes for %d requests", r.Received, r.Requests)
	}
	if begun.Load() != 1 || ended.Load() != 1 {
		t.Errorf("Begin and End ran %d and %d times, want once each", begun.Load(), ended.Load())
	}
}

func wantBody(want string) func(int, []byte) error {
	return func(status int, body []byte) error {
		if status != 200 || string(body) != want {
			return fmt.Errorf("got %d %q, want 200 %q", status, body, want)
		}
		return nil
	}
}

// TestLoadOpenLoopSeesStall stalls the server once: every request that was due during the stall
// has waited, although only one was sent.
func TestLoadOpenLoopSeesStall(t *testing.T) {
	const rate, stall = 500, 400 * time.Millisecond
	var n atomic.Int64
	release := make(chan struct{})
	url := serve(t, func(ctx *fasthttp.RequestCtx) {
		if n.Add(1) == 20 {
			timer := time.NewTimer(stall)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-release:
			}
		}
	})
	defer close(release)
	r, err := Load(t.Context(), LoadOptions{URL: url, Connections: 1, Rate: rate, Duration: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Failed() != 0 {
		t.Fatalf("got %d failures, first %v", r.Failed(), r.FirstError)
	}
	// Everything due in the window is in the histogram, however fast this machine is.
	if got, want := float64(r.Latency.Count()), rate*r.Elapsed.Seconds(); math.Abs(got-want) > 2 {
		t.Errorf("got %v latencies, want %.1f, the rate times the window", got, want)
	}
	if r.Latency.Max() < stall-stall/100 {
		t.Errorf("got a maximum of %v, want the stall of %v", r.Latency.Max(), stall)
	}
	// 200 of 500 requests fell into the stall, 150 of them in its first 300 ms: these waited at
	// least 100 ms. A closed loop would show one slow request.
	if got := r.Latency.Quantile(0.71); got < 100*time.Millisecond {
		t.Errorf("got a 71st percentile of %v, want at least 100ms", got)
	}
}

func TestLoadOpenLoopUnfinished(t *testing.T) {
	stuck := make(chan struct{})
	url := serve(t, func(*fasthttp.RequestCtx) { <-stuck })
	time.AfterFunc(250*time.Millisecond, func() { close(stuck) })
	r, err := Load(t.Context(), LoadOptions{URL: url, Connections: 2, Rate: 200, Duration: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	due := 200 * r.Elapsed.Seconds()
	if got := float64(r.Unfinished); got < 10 || got > due {
		t.Errorf("got %v unfinished of %.1f due, want most of them", got, due)
	}
	if got := float64(r.Latency.Count()); math.Abs(got-due) > 2 {
		t.Errorf("got %v latencies, want %.1f: unfinished ones count with their wait", got, due)
	}
}

func TestLoadUntilContextEnds(t *testing.T) {
	url := serve(t, func(*fasthttp.RequestCtx) {})
	for _, rate := range []float64{0, 200} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		r, err := Load(ctx, LoadOptions{URL: url, Connections: 2, Rate: rate})
		if err != nil || r.Requests == 0 || r.Failed() != 0 {
			t.Errorf("rate %v: got %d requests, %d failures, error %v, want some, 0, nil", rate, r.Requests, r.Failed(), err)
		}
	}
}

func TestLoadCut(t *testing.T) {
	stuck := make(chan struct{})
	defer close(stuck)
	url := serve(t, func(*fasthttp.RequestCtx) { <-stuck })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	r, err := Load(ctx, LoadOptions{URL: url, Connections: 2, Duration: time.Minute})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want the context's", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	if r.Failed() != 0 || r.Requests != 0 {
		t.Errorf("got %d failures, %d requests, want 0: the cut is the run's own doing", r.Failed(), r.Requests)
	}
}

func TestLoadFailures(t *testing.T) {
	url := serve(t, func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("other") })
	r, err := Load(t.Context(), LoadOptions{URL: url, Connections: 1, Duration: 200 * time.Millisecond, Check: wantBody("hello")})
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors[FailedCheck] == 0 || r.Failed() != r.Errors[FailedCheck] || r.Requests != 0 {
		t.Errorf("got errors %v and %d requests, want only failures of the check", r.Errors, r.Requests)
	}
	if r.FirstError == nil || !strings.Contains(r.FirstError.Error(), `got 200 "other"`) {
		t.Errorf("got first error %v, want what the check said", r.FirstError)
	}
	if r.Errors[FailedCheck] > 6 {
		t.Errorf("got %d tries in 200 ms, want them spaced out", r.Errors[FailedCheck])
	}
}

func TestLoadRefusesToConnect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context(), LoadOptions{URL: url, Duration: time.Second}); err == nil || !strings.HasPrefix(err.Error(), "connect: ") {
		t.Errorf("got %v, want the connect error", err)
	}
}

func TestOptions(t *testing.T) {
	tests := []struct {
		name string
		o    LoadOptions
		want string
	}{
		{"no URL", LoadOptions{}, `scheme "": want http, https, tcp or udp`},
		{"scheme", LoadOptions{URL: "ftp://a/"}, `scheme "ftp": want http, https, tcp or udp`},
		{"no port", LoadOptions{URL: "tcp://a"}, "has no port"},
		{"TLS for http", LoadOptions{URL: "http://a/", Resume: true}, "TLS is spoken with https only"},
		{"no message", LoadOptions{URL: "tcp://a:1", Reply: []byte("x")}, "message of 0 bytes"},
		{"no reply", LoadOptions{URL: "tcp://a:1", Body: []byte("x")}, "reply of 0"},
		{"long message", LoadOptions{URL: "tcp://a:1", Body: make([]byte, maxMessage+1), Reply: []byte("x")}, "message of 16385 bytes"},
		{"long datagram", LoadOptions{URL: "udp://a:1", Body: []byte("x"), Reply: make([]byte, maxMessage+1)}, "in a datagram"},
		{"no host", LoadOptions{URL: "http:///x"}, "has no host"},
		{"not a URL", LoadOptions{URL: "http://a b/"}, "invalid character"},
		{"connections", LoadOptions{URL: "http://a/", Connections: -1}, "connections -1: want 1 to 65535"},
		{"rate", LoadOptions{URL: "http://a/", Rate: math.NaN()}, "rate NaN: want 0"},
		{"slow", LoadOptions{URL: "http://a/", Rate: 1e-9}, "rate 1e-09: want 0"},
		{"duration", LoadOptions{URL: "http://a/", Duration: -1}, "must not be negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.o.resolved(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	o, err := LoadOptions{URL: "http://a/"}.resolved()
	if err != nil || o.Method != "GET" || o.Connections != 64 || o.Timeout != 10*time.Second {
		t.Errorf("got %+v, %v, want the defaults", o, err)
	}
}

func TestRequestBytes(t *testing.T) {
	o, err := LoadOptions{
		URL:    "http://127.0.0.1:81/a%20b?q=1",
		Method: "POST",
		Fields: []Field{{"Host", "shop.example"}, {"x-lower", "1"}, {"User-Agent", "me"}, {"Content-Type", "text/plain"}},
		Body:   []byte("body"),
	}.resolved()
	if err != nil {
		t.Fatal(err)
	}
	to, err := splitURL(o.URL)
	if err != nil || to.addr != "127.0.0.1:81" {
		t.Fatalf("got address %q, %v", to.addr, err)
	}
	got, err := requestBytes(o, to.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"POST /a%20b?q=1 HTTP/1.1\r\n", "\r\nHost: shop.example\r\n", "\r\nx-lower: 1\r\n", "\r\nUser-Agent: me\r\n",
		"\r\nContent-Length: 4\r\n", "\r\nContent-Type: text/plain\r\n", "\r\n\r\nbody",
	} {
		if strings.Count(string(got), want) != 1 {
			t.Errorf("%q is not in the request once:\n%s", want, got)
		}
	}
	if strings.Contains(string(got), "weir-bench") || strings.Contains(string(got), "127.0.0.1") {
		t.Errorf("a replaced field is still there:\n%s", got)
	}
}

func TestLargeBodies(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<16)
	url := serve(t, func(ctx *fasthttp.RequestCtx) { ctx.SetBody(ctx.PostBody()) })
	r, err := Load(t.Context(), LoadOptions{
		URL: url, Method: "POST", Body: []byte(large), Connections: 2, Duration: 300 * time.Millisecond, Check: wantBody(large),
	})
	if err != nil || r.Failed() != 0 || r.Total == 0 {
		t.Fatalf("got %d responses, errors %v, first %v, error %v", r.Total, r.Errors, r.FirstError, err)
	}
}

func ExampleLoad() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("hello") }}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()

	r, err := Load(context.Background(), LoadOptions{
		URL:         "http://" + l.Addr().String() + "/",
		Connections: 2,
		Rate:        100,
		Duration:    300 * time.Millisecond,
	})
	fmt.Println(err, r.Statuses[200] > 0, r.Failed(), r.Latency.Quantile(0.99) > 0)
	fmt.Println(errors.Join(s.Shutdown(), <-done))
	// Output:
	// <nil> true 0 true
	// <nil>
}
