package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// The flaky backend fails its health check for failing out of every cycle.
const (
	flakyCycle   = 20 * time.Second
	flakyFailing = 8 * time.Second
)

// demoBackend is an HTTP server that takes its time.
type demoBackend struct {
	name    string
	delay   time.Duration
	flaky   bool
	started time.Time
	address string
	server  *http.Server
}

// demoBackends is the three servers and the goroutines that run them.
type demoBackends struct {
	all    []*demoBackend
	served sync.WaitGroup
}

// startDemoBackends runs the three on free ports. On an error none is left running.
func startDemoBackends() (*demoBackends, error) {
	started := time.Now()
	d := &demoBackends{all: []*demoBackend{
		{name: "fast", delay: time.Millisecond, started: started},
		{name: "slow", delay: 40 * time.Millisecond, started: started},
		{name: "flaky", delay: 5 * time.Millisecond, flaky: true, started: started},
	}}
	for _, b := range d.all {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(err, d.close())
		}
		b.address = l.Addr().String()
		b.server = &http.Server{Handler: b, ReadHeaderTimeout: 5 * time.Second}
		d.served.Go(func() {
			// Serve ends when close is called; there is no other error that matters to a demo.
			_ = b.server.Serve(l)
		})
	}
	return d, nil
}

// close ends the servers and waits for them.
func (d *demoBackends) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var err error
	for _, b := range d.all {
		if b.server != nil && b.server.Shutdown(ctx) != nil {
			err = errors.Join(err, b.server.Close())
		}
	}
	d.served.Wait()
	return err
}

// ServeHTTP answers the health check at /healthz and everything else with a greeting, after the delay.
func (b *demoBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Errors of writing mean that the client has gone.
	if r.URL.Path == "/healthz" {
		if b.failing(time.Now()) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintln(w, "db pool exhausted")
			return
		}
		_, _ = fmt.Fprintln(w, "ok")
		return
	}
	select {
	case <-time.After(b.delay):
	case <-r.Context().Done():
		return
	}
	w.Header().Set("X-Backend", b.name)
	_, _ = fmt.Fprintf(w, "hello from %s\n", b.name)
}

// failing reports whether the health check fails at a moment: at the end of each cycle, if flaky.
func (b *demoBackend) failing(now time.Time) bool {
	return b.flaky && now.Sub(b.started)%flakyCycle >= flakyCycle-flakyFailing
}
