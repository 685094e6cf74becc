package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"weir/config"
	"weir/telemetry"
)

// readdressed is a fake plane that notes the configurations it gets for new addresses.
type readdressed struct{ *fakePlane }

func (r readdressed) Repopulate(c *config.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.applied = append(r.applied, c)
}

// addressesOf lists the backends of the pool app in the configuration that came into force last.
func (r readdressed) addressesOf() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.applied) == 0 {
		return "nothing"
	}
	p := r.applied[len(r.applied)-1].Pools["app"]
	var list []string
	for _, b := range p.Backends {
		list = append(list, b.Name)
	}
	return fmt.Sprintf("%s (%d resolving)", strings.Join(list, " "), p.Resolving)
}

// namesOf is a configuration of one pool of names.
func namesOf(hosts ...string) *config.Config {
	p := &config.Pool{Name: "app", Protocol: config.HTTP, ResolveInterval: 10 * time.Second}
	for _, host := range hosts {
		p.Backends = append(p.Backends, &config.Backend{Name: host, Host: host, Port: 80, Weight: 1, State: config.Ready})
	}
	return &config.Config{Listeners: map[string]*config.Listener{}, Pools: map[string]*config.Pool{"app": p}}
}

// TestNamedPlane takes a data plane through starting, answers, changes that are refused, given up and made, and
// the end.
func TestNamedPlane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		zone := map[string][]netip.Addr{"a": {netip.MustParseAddr("10.0.0.1")}, "b": {netip.MustParseAddr("10.0.0.2")}}
		set := func(host string, addrs ...netip.Addr) {
			mu.Lock()
			defer mu.Unlock()
			zone[host] = addrs
		}
		lookup := func(_ context.Context, host string, _ []netip.Addr) ([]netip.Addr, error) {
			mu.Lock()
			defer mu.Unlock()
			if len(zone[host]) == 0 {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			return zone[host], nil
		}
		core, logs := observer.New(zap.InfoLevel)
		fake := readdressed{newFakePlane()}
		close(fake.release)
		var first *config.Config
		p, err := withNames(planeOptions{config: namesOf("a"), log: zap.New(core), telemetry: telemetry.New(telemetry.Options{})}, lookup,
			func(o planeOptions) (addressable, error) { first = o.config; return fake, nil })
		if err != nil {
			t.Fatal(err)
		}
		want := func(step, addresses string) {
			t.Helper()
			time.Sleep(time.Second)
			synctest.Wait()
			if got := fake.addressesOf(); got != addresses {
				t.Errorf("%s: got %s, want %s", step, got, addresses)
			}
		}
		if first.Pools["app"].Resolving != 1 || len(first.Pools["app"].Backends) != 0 {
			t.Errorf("the data plane was made for %+v", first.Pools["app"])
		}
		want("before the start", "nothing")
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("started", "a/10.0.0.1 (0 resolving)")

		fake.applyErr = errors.New("no")
		if _, err := p.Prepare(namesOf("b"), true); err == nil {
			t.Error("a refusal of the data plane was lost")
		}
		fake.applyErr = nil
		given, err := p.Prepare(namesOf("b"), true)
		if err != nil {
			t.Fatal(err)
		}
		given.Abandon()
		set("a", netip.MustParseAddr("10.0.0.3"))
		time.Sleep(11 * time.Second)
		want("given up, another address", "a/10.0.0.3 (0 resolving)")

		made, err := p.Prepare(namesOf("a", "b"), true)
		if err != nil {
			t.Fatal(err)
		}
		set("a", netip.MustParseAddr("10.0.0.4"))
		time.Sleep(11 * time.Second)
		want("between prepare and commit", "a/10.0.0.3 (0 resolving)")
		made.Commit()
		want("committed", "a/10.0.0.4 b/10.0.0.2 (0 resolving)")
		pools := p.Pools()
		if len(pools) != 1 || len(pools[0].Names) != 2 || pools[0].Names[0].Host != "a" || pools[0].Names[0].State != "resolved" {
			t.Errorf("shown: %+v", pools)
		}

		set("a")
		set("b", netip.MustParseAddr("0.0.0.0"))
		time.Sleep(11 * time.Second)
		want("no answers", "a/10.0.0.4 b/10.0.0.2 (0 resolving)")
		set("a", netip.MustParseAddr("10.0.0.4"))
		time.Sleep(11 * time.Second)
		if err := p.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, e := range logs.All() {
			told = append(told, fmt.Sprint(e.Level, " ", e.ContextMap()["name"], ": ", e.Message))
		}
		for _, line := range []string{
			"info a: addresses of a name changed",
			"warn a: name not resolved, the addresses of the last answer stay in use",
			"warn b: name not resolved, the addresses of the last answer stay in use",
			"info a: name resolved again",
		} {
			if !strings.Contains(strings.Join(told, "\n"), line) {
				t.Errorf("the log lacks %q:\n%s", line, strings.Join(told, "\n"))
			}
		}
		if n := len(told); n != 7 { // three changes of a, one of b, and what is above
			t.Errorf("got %d lines in the log, want 7:\n%s", n, strings.Join(told, "\n"))
		}
	})
}

// TestNamedPlaneThatFails wants nothing to go on when the data plane cannot be made or started.
func TestNamedPlaneThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lookup := func(context.Context, string, []netip.Addr) ([]netip.Addr, error) { return nil, errors.New("x") }
		o := planeOptions{config: namesOf("a"), log: zap.NewNop(), telemetry: telemetry.New(telemetry.Options{})}
		refused := errors.New("no descriptors")
		if _, err := withNames(o, lookup, func(planeOptions) (addressable, error) { return nil, refused }); !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
		fake := readdressed{newFakePlane()}
		fake.startErr = errors.New("address in use")
		p, err := withNames(o, lookup, func(planeOptions) (addressable, error) { return fake, nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); !errors.Is(err, fake.startErr) {
			t.Errorf("got %v", err)
		}
	})
}
