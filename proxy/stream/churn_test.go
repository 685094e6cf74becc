package stream

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"weir/config"
)

// TestChurn: many connections of random lifetimes, ended in every way, while backends come and go. What
// must be gone then is looked for by the rig.
func TestChurn(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 500
	}
	r := newRig(t, func(l *config.Listener, p *config.Pool) {
		p.Algorithm = config.LeastConnections
		p.Rebalance.Move = true
		p.DrainTimeout = time.Millisecond
		p.Health = &config.HealthCheck{Initial: config.InitialUp}
		l.Limits.PerClient = 100
	}, named(t, "a").Addr(), named(t, "b").Addr(), named(t, "c").Addr())
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	stop := make(chan struct{})
	var meddling sync.WaitGroup
	meddling.Go(func() { meddle(r, rand.New(rand.NewPCG(seed, 0)), stop) })
	next := make(chan int)
	var wg sync.WaitGroup
	for i := range 64 {
		random := rand.New(rand.NewPCG(seed, uint64(i+1)))
		wg.Go(func() {
			for range next {
				live(t, r.addr, random)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	close(stop)
	meddling.Wait()
	r.stop()
	counts := r.engine.Telemetry.TCP("db", "sql").Counts()
	opened := r.engine.Telemetry.Listener("db").Counts().Opened
	if counts.Ended != opened || opened == 0 {
		t.Errorf("%d connections have ended, %d began", counts.Ended, opened)
	}
	t.Logf("%+v", counts)
}

// live is a client: it talks for a while and leaves in one way or another. Resets are part of its life.
func live(t *testing.T, addr string, random *rand.Rand) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	c := conn.(*net.TCPConn)
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Error(err)
	}
	b := make([]byte, 1+random.IntN(200<<10))
	for range random.IntN(4) {
		p := b[:1+random.IntN(len(b))]
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = c.Write(p)
		}()
		_, err := io.CopyN(io.Discard, c, int64(len(p)))
		<-done
		if err != nil {
			break
		}
	}
	switch random.IntN(3) {
	case 0:
		_ = c.SetLinger(0)
	case 1:
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}
}

// meddle lets backends go down and up, drain and leave.
func meddle(r *rig, random *rand.Rand, stop <-chan struct{}) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	all := r.config.Backends
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		var list []*config.Backend
		for _, b := range all {
			if random.IntN(10) == 0 {
				continue
			}
			copied := *b
			if random.IntN(10) == 0 {
				copied.State = config.Drain
			}
			list = append(list, &copied)
		}
		r.apply(func(p *config.Pool) { p.Backends = list })
		for _, m := range r.pool.Balancer.Snapshot().Members() {
			r.pool.Balancer.Report(m.Backend, random.IntN(8) != 0, time.Now())
		}
		r.sweep(0)
	}
}
