package main

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/api"
	"weir/balancer"
	"weir/config"
	"weir/config/store"
	"weir/internal/lbtest"
	"weir/telemetry"
)

// told lists the events of a journal as KIND OBJECT.
func (r *running) told() (list []string) {
	for _, e := range r.journal.Since(0).Events {
		object := e.Listener
		if e.Pool != "" {
			object = e.Pool + "/" + e.Backend
		}
		list = append(list, strings.TrimSpace(e.Kind+" "+object))
	}
	return list
}

// TestJournalOfDaemon: what a process does is told, and is in the state directory afterwards.
func TestJournalOfDaemon(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	r := startRunning(t, "state_dir: "+dir+"\n")
	control := control{r.options.store, r.daemon}
	change := func(edit func(*store.Draft) error) error {
		_, err := control.Update(context.Background(), store.Change{Actor: "somebody", Edit: edit})
		return err
	}
	backend := store.BackendRef{Pool: "app", Backend: "10.0.0.1:80"}
	drain := config.Drain
	for _, edit := range []func(*store.Draft) error{
		func(d *store.Draft) error { return d.SetOverride(backend, config.Override{State: &drain}) },
		func(d *store.Draft) error { return d.ClearOverride(backend) },
		func(*store.Draft) error { return nil },
		func(d *store.Draft) error {
			_, err := d.Put(store.Ref{Kind: store.Pool, Name: "more"}, []byte(`{"backends": ["10.0.0.2:80"]}`))
			return err
		},
		func(d *store.Draft) error {
			_, err := d.Put(store.Ref{Kind: store.Listener, Name: "more"}, []byte(`{"protocol": "http", "address": ":8081", "pool": "more"}`))
			return err
		},
	} {
		if err := change(edit); err != nil {
			t.Fatal(err)
		}
	}
	refusal := errors.New("not now")
	if err := change(func(*store.Draft) error { return refusal }); err != refusal {
		t.Errorf("got %v, want %v", err, refusal)
	}
	if _, err := control.Reload(context.Background()); err != nil {
		t.Fatal(err)
	}
	r.write(t, "listeners: 1\npools: 2\n")
	if _, err := control.Reload(context.Background()); err == nil {
		t.Fatal("a broken file is in force")
	}
	close(r.plane.release)
	r.signals <- syscall.SIGTERM
	if err := <-r.ended; err != nil {
		t.Fatal(err)
	}
	want := []string{"start", "override app/10.0.0.1:80", "override_cleared app/10.0.0.1:80", "revision", "revision", "listener_up more", "reload", "reload_failed", "stop"}
	if got := r.told(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	events := r.journal.Since(0).Events
	if e := events[1]; e.Fields["actor"] != "somebody" || !strings.Contains(e.Message, "state drain") {
		t.Errorf("got %+v", e)
	}
	if e := events[7]; strings.Contains(e.Message, "\n") || !strings.Contains(e.Message, "weir.yaml:1:") {
		t.Errorf("got %+v", e)
	}
	kept, err := telemetry.OpenJournal(telemetry.JournalOptions{File: filepath.Join(dir, journalName)})
	if err != nil {
		t.Fatal(err)
	}
	if got := len(kept.Since(0).Events); got != len(want) {
		t.Errorf("%d events are in the file, want %d", got, len(want))
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}
}

// TestJournalCannotBeKept: a journal that cannot be written is no reason not to serve.
func TestJournalCannotBeKept(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, journalName), 0o700); err != nil {
		t.Fatal(err)
	}
	r := startRunning(t, "state_dir: "+dir+"\n")
	if got := r.told(); !slices.Equal(got, []string{"start"}) {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(r.log.String(), "events are held in memory alone") {
		t.Errorf("the log does not say so: %s", r.log)
	}
}

func TestDrainWatch(t *testing.T) {
	now := time.Now()
	c := &config.Pool{Name: "app", Algorithm: config.WeightedRoundRobin, Backends: []*config.Backend{
		{Name: "b1", Address: netip.MustParseAddrPort("10.0.0.1:80"), Weight: 1, State: config.Ready},
		{Name: "b2", Address: netip.MustParseAddrPort("10.0.0.2:80"), Weight: 1, State: config.Ready},
	}}
	p := balancer.NewPool(c, balancer.Options{}, now)
	pools := []api.Pool{{Pool: p}}
	set := func(backend int, state config.State) {
		next, b := *c, *c.Backends[backend]
		b.State = state
		next.Backends = slices.Clone(c.Backends)
		next.Backends[backend] = &b
		c = &next
		p.Apply(c, now)
	}
	w := drainWatch{}
	wants := func(step string, want ...string) {
		t.Helper()
		var got []string
		for _, e := range w.look(pools) {
			got = append(got, e.Kind+" "+e.Backend)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", step, got, want)
		}
	}
	wants("nothing drains")
	lease, err := p.AcquireBackend(p.Snapshot().Members()[0].Backend, nil)
	if err != nil {
		t.Fatal(err)
	}
	set(0, config.Drain)
	wants("a busy one", "drain_begun b1")
	wants("still busy")
	set(1, config.Drain)
	wants("an idle one", "drain_begun b2", "drain_ended b2")
	lease.Release()
	wants("the first is done", "drain_ended b1")
	if lease, err = p.AcquireBackend(p.Snapshot().Members()[0].Backend, nil); err != nil {
		t.Fatal(err)
	}
	wants("a session comes back")
	lease.Release()
	wants("and ends")
	set(0, config.Ready)
	wants("back in service")
	set(0, config.Drain)
	wants("once more", "drain_begun b1", "drain_ended b1")
}

// TestDrainsAreTold: somebody looks.
func TestDrainsAreTold(t *testing.T) {
	r := startRunning(t, "")
	c := *r.options.store.Current().Config.Pools["app"]
	b := *c.Backends[0]
	b.Name, b.State = "b1", config.Drain
	c.Backends = []*config.Backend{&b}
	r.plane.pool.Apply(&c, time.Now())
	lbtest.Eventually(t, 10*time.Second, func() bool { return slices.Contains(r.told(), "drain_ended app/b1") })
}
