package test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// call is one request and what became of it.
type call struct {
	number       int
	begun, ended time.Time
	client       netip.Addr // source address, if the load gave one
	backend      string     // X-Backend of the response
	status       int
	err          error
}

// failed reports whether the client did not get what it asked for.
func (c call) failed() bool { return c.err != nil || c.status != http.StatusOK }

func (c call) String() string {
	return fmt.Sprintf("request %d after %v: status %d from %q, error %v", c.number, c.ended.Sub(c.begun), c.status, c.backend, c.err)
}

// load says what traffic is sent.
type load struct {
	url     string
	method  string // "": GET
	body    string
	clients int     // that work at the same time, a connection each
	rate    float64 // requests per second; 0: each client sends the next when it has its answer
	limit   int     // ends by itself after so many; 0: when stopped
	tls     *tls.Config
	fresh   bool // a connection for each request
	// source gives request n its own source address and thereby its own connection.
	source func(n int) netip.Addr
}

// traffic is a load under way.
type traffic struct {
	load   load
	next   chan int // numbers of the requests to come
	quit   chan struct{}
	once   sync.Once
	ending sync.WaitGroup
	closed atomic.Int64 // connections that weir closed

	mu   sync.Mutex
	made []call
}

// drive starts sending; it ends with the test at the latest.
func drive(t testing.TB, l load) *traffic {
	t.Helper()
	// The buffer lets an open-loop load catch up after a stall instead of thinning out.
	tr := &traffic{load: l, next: make(chan int, 1024), quit: make(chan struct{})}
	if l.rate == 0 {
		tr.next = make(chan int)
	}
	tr.ending.Go(tr.pace)
	for range l.clients {
		tr.ending.Go(tr.work)
	}
	t.Cleanup(func() { tr.stop() })
	return tr
}

// stop ends the load, waits for the answers under way and returns all calls.
func (tr *traffic) stop() []call {
	tr.once.Do(func() { close(tr.quit) })
	tr.ending.Wait()
	return tr.calls()
}

// wait returns all calls of a load that ends by itself.
func (tr *traffic) wait() []call {
	tr.ending.Wait()
	return tr.calls()
}

// calls is what has been answered so far, in the order of the answers.
func (tr *traffic) calls() []call {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return append([]call(nil), tr.made...)
}

// count is the number of calls that were answered so far.
func (tr *traffic) count() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.made)
}

// pace numbers the requests as they fall due.
func (tr *traffic) pace() {
	defer close(tr.next)
	var tick <-chan time.Time
	if tr.load.rate > 0 {
		ticker := time.NewTicker(time.Duration(float64(time.Second) / tr.load.rate))
		defer ticker.Stop()
		tick = ticker.C
	}
	began := time.Now()
	for n := 0; tr.load.limit == 0 || n < tr.load.limit; n++ {
		// Ticks that came late are made up for.
		for tr.load.rate > 0 && float64(n) >= time.Since(began).Seconds()*tr.load.rate {
			select {
			case <-tick:
			case <-tr.quit:
				return
			}
		}
		select {
		case tr.next <- n:
		case <-tr.quit:
			return
		}
	}
}

// sourceKey is where the context of a dial has the source address.
type sourceKey struct{}

// work sends requests on a connection of its own.
func (tr *traffic) work() {
	transport := &http.Transport{DialContext: tr.dial, DisableCompression: true,
		TLSClientConfig: tr.load.tls, DisableKeepAlives: tr.load.fresh || tr.load.source != nil}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience, CheckRedirect: noRedirect}
	for n := range tr.next {
		c := tr.send(client, n)
		tr.mu.Lock()
		tr.made = append(tr.made, c)
		tr.mu.Unlock()
	}
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// dial connects from the address in ctx, if there is one.
func (tr *traffic) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: patience}
	if source, ok := ctx.Value(sourceKey{}).(netip.Addr); ok {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &watched{Conn: c, closed: &tr.closed}, nil
}

// watched notes when the other side closes the connection. That the client makes a new one proves
// nothing: its library does so also when it is late itself.
type watched struct {
	net.Conn
	closed *atomic.Int64
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		w.closed.Add(1)
	}
	return n, err
}

func (tr *traffic) send(client *http.Client, n int) call {
	c := call{number: n, begun: time.Now()}
	ctx := context.Background()
	if tr.load.source != nil {
		c.client = tr.load.source(n)
		ctx = context.WithValue(ctx, sourceKey{}, c.client)
	}
	c.status, c.backend, c.err = exchange(ctx, client, tr.load, n)
	c.ended = time.Now()
	return c
}

// exchange sends request n and reads its response to the end.
func exchange(ctx context.Context, client *http.Client, l load, n int) (status int, backend string, err error) {
	method := l.method
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader
	if l.body != "" {
		body = strings.NewReader(l.body)
	}
	request, err := http.NewRequestWithContext(ctx, method, l.url, body)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("X-Number", fmt.Sprint(n))
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header.Get("X-Backend"), err
}

// shares counts calls by backend.
func shares(calls []call) map[string]int {
	counts := map[string]int{}
	for _, c := range calls {
		counts[c.backend]++
	}
	return counts
}

// begunAfter is the calls that began after a moment.
func begunAfter(calls []call, at time.Time) (later []call) {
	for _, c := range calls {
		if c.begun.After(at) {
			later = append(later, c)
		}
	}
	return later
}

// wantNoFailure holds that every call succeeded, and shows some that did not.
func wantNoFailure(t testing.TB, calls []call) {
	t.Helper()
	if len(calls) == 0 {
		t.Error("no request was sent")
	}
	failed := 0
	for _, c := range calls {
		if !c.failed() {
			continue
		}
		if failed++; failed <= 5 {
			t.Error(c)
		}
	}
	if failed > 5 {
		t.Errorf("%d of %d requests failed", failed, len(calls))
	}
}

// loopback is address n of 127.0.0.0/8: a client like no other.
func loopback(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(1 + n>>16), byte(n >> 8), byte(n)})
}
