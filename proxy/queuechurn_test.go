package proxy

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/internal/lbtest"
)

// TestQueueChurn has clients that wait, leave at any moment, run out of time and keep sessions, while backends
// come, go, drain and get other limits. Everybody gets an answer that there is, and nothing is left.
func TestQueueChurn(t *testing.T) {
	const clients, rounds = 48, 30
	var addrs []fmt.Stringer
	for range 3 {
		addrs = append(addrs, newOrigin(t, each(func(string, string) string {
			<-time.After(time.Millisecond)
			return ok200
		})).Addr())
	}
	text := site("", ownKeys, addrs...)
	r := start(t, text, capacity(2, 30, 50*time.Millisecond))
	addr, pool := r.addr(), r.pool()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			draw, cookie := rand.New(rand.NewPCG(1, uint64(i))), ""
			for range rounds {
				cookie = churn(t, addr, draw, cookie)
			}
		})
	}
	ended := make(chan struct{})
	go func() { all.Wait(); close(ended) }()
	draw := rand.New(rand.NewPCG(2, 0))
	for i := 0; ; i++ {
		select {
		case <-ended:
			lbtest.Eventually(t, patience, func() bool { return pool.Queued() == 0 && r.leases() == 0 })
			return
		case <-time.After(5 * time.Millisecond):
		}
		states := []config.State{config.Ready, config.Drain, config.Maintenance}
		state := states[draw.IntN(len(states))]
		if err := pool.SetAdmin("b1", balancer.Override{State: &state}, time.Now()); err != nil {
			t.Error(err)
		}
		if err := r.reload(text, capacity(1+draw.IntN(3), draw.IntN(40), 50*time.Millisecond), drainTimeout(time.Duration(1+draw.IntN(20))*time.Millisecond)); err != nil {
			t.Error(err)
		}
	}
}

// churn is one visit: a request whose answer is 200 or 503, or whose client leaves before it.
func churn(t *testing.T, addr string, draw *rand.Rand, cookie string) string {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Error(err)
	}
	line := ""
	if cookie != "" {
		line = "Cookie: " + cookie + "\r\n"
	}
	for range 1 + draw.IntN(4) {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.example\r\n"+line+"\r\n"); err != nil {
			t.Error(err)
			return cookie
		}
		if draw.IntN(4) == 0 {
			<-time.After(time.Duration(draw.IntN(5)) * time.Millisecond)
			return cookie
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Error(err)
			return cookie
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("got %s %q %v", res.Status, body, err)
			return cookie
		}
		for _, c := range res.Cookies() {
			cookie = c.Name + "=" + c.Value
		}
	}
	return cookie
}
