package balancer

import (
	"reflect"
	"testing"
	"time"

	"weir/config"
)

// A pool goes on in another process where it was: what is up, down, ramping, ejected and wanted.
func TestPoolRemembers(t *testing.T) {
	c := ramping(checked(poolOf(5, config.WeightedRoundRobin), config.InitialChecking), 10*time.Second, true)
	c.Outlier = config.Outlier{ConsecutiveErrors: 1, Eject: time.Minute, MaxEjected: 0.5}
	before := NewPool(c, Options{}, epoch)
	for _, name := range []string{"b0", "b1", "b2", "b3"} {
		before.Report(backend(t, before, name), true, epoch)
	}
	before.Report(backend(t, before, "b1"), false, epoch)
	before.Report(backend(t, before, "b2"), false, epoch)
	before.Report(backend(t, before, "b2"), true, epoch) // b2 ramps
	half := epoch.Add(5 * time.Second)
	before.Ramp(half)
	before.Failed(backend(t, before, "b0"), FaultReset, half)
	if err := before.SetAdmin("b3", Override{State: new(config.Drain), Weight: new(7)}, half); err != nil {
		t.Fatal(err)
	}

	same := *c
	after := NewPool(&same, Options{}, half)
	after.Remember(before.Memory(), half)
	for i, got := range after.Snapshot().Members() {
		want := before.Snapshot().Members()[i]
		if got.Backend == want.Backend {
			t.Fatalf("%s is the same object", got.Backend.Name())
		}
		if got.Backend.Since() != want.Backend.Since() {
			t.Errorf("%s: since %v, want %v", got.Backend.Name(), got.Backend.Since(), want.Backend.Since())
		}
		if got.Backend.Ejection() != want.Backend.Ejection() {
			t.Errorf("%s: ejection %v, want %v", got.Backend.Name(), got.Backend.Ejection(), want.Backend.Ejection())
		}
		got.Backend = want.Backend
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", want.Backend.Name(), got, want)
		}
	}
	if b := backend(t, after, "b4"); b.Health() != Checking {
		t.Errorf("b4 has had no verdict, and is %v", b.Health())
	}
	later := half.Add(time.Second)
	before.Ramp(later)
	after.Ramp(later)
	if got, want := member(t, after, "b2").Ramp, member(t, before, "b2").Ramp; got != want || got <= 0.5 {
		t.Errorf("the ramp a second later: got %v, want %v", got, want)
	}
	if back := after.Readmit(half.Add(time.Minute)); len(back) != 1 || back[0].Name() != "b0" {
		t.Errorf("readmitted when the ejection is over: got %v, want b0", back)
	}
}

// What a backend was says nothing about one that has its name at another address, nor about one that is
// not checked any more; what the operator wants of it does.
func TestPoolRemembersNoOther(t *testing.T) {
	c := checked(poolOf(2, config.WeightedRoundRobin), config.InitialChecking)
	before := NewPool(c, Options{}, epoch)
	for _, m := range before.Snapshot().Members() {
		before.Report(m.Backend, false, epoch)
	}
	if err := before.SetAdmin("b0", Override{Weight: new(3)}, epoch); err != nil {
		t.Fatal(err)
	}
	moved := *c
	other := *c.Backends[0]
	other.Address = backendOf(9, 1).Address
	moved.Backends = []*config.Backend{&other, c.Backends[1]}
	after := NewPool(&moved, Options{}, epoch)
	after.Remember(before.Memory(), epoch)
	if m := member(t, after, "b0"); m.Health != Checking || m.Weight != 3 {
		t.Errorf("b0 at another address: got %v, weight %d, want checking, 3", m.Health, m.Weight)
	}
	if m := member(t, after, "b1"); m.Health != Down {
		t.Errorf("b1: got %v, want down", m.Health)
	}
	unchecked := *c
	unchecked.Health = nil
	after = NewPool(&unchecked, Options{}, epoch)
	after.Remember(before.Memory(), epoch)
	if m := member(t, after, "b1"); m.Health != Up {
		t.Errorf("b1 without checks: got %v, want up", m.Health)
	}
}

// A flow that goes on counts, also on a backend that takes no others.
func TestResume(t *testing.T) {
	p := NewPool(poolOf(1, config.LeastConnections), Options{}, epoch)
	b := backend(t, p, "b0")
	p.Report(b, false, epoch)
	l := p.Resume(b)
	if b.Active() != 1 {
		t.Errorf("active: got %d, want 1", b.Active())
	}
	l.Release()
	if b.Active() != 0 {
		t.Errorf("active after the end: got %d, want 0", b.Active())
	}
}
