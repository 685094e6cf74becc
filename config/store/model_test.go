package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"weir/config"
)

// modelSteps is how many steps the model test makes for one seed.
const modelSteps = 400

// model is the plain copy of what a store was told and has acknowledged.
type model struct {
	pools     map[string]map[string]int // weights of the backends of pools of the API
	overrides Overrides
}

func (m model) clone() model {
	c := model{pools: map[string]map[string]int{}, overrides: Overrides{}}
	for name, backends := range m.pools {
		c.pools[name] = map[string]int{}
		for b, w := range backends {
			c.pools[name][b] = w
		}
	}
	for ref, o := range m.overrides {
		c.overrides[ref] = o
	}
	return c
}

// modelOf reads a revision.
func modelOf(t *testing.T, r *Revision) model {
	t.Helper()
	m := model{pools: map[string]map[string]int{}, overrides: r.Overrides}
	for name := range r.Objects.Pools {
		m.pools[name] = map[string]int{}
		for _, b := range r.Config.Pools[name].Backends {
			m.pools[name][b.Name] = b.Weight
		}
	}
	for name, p := range r.Config.Pools {
		for b, o := range p.Overrides {
			if !o.Equal(r.Overrides[BackendRef{name, b}]) {
				t.Errorf("the configuration has another override of %s/%s than the revision", name, b)
			}
		}
	}
	return m
}

func (m model) equal(other model) bool {
	return reflect.DeepEqual(m.pools, other.pools) && m.overrides.equal(other.overrides)
}

// bench is a store on a disk that fails and forgets.
type machine struct {
	t      *testing.T
	random *rand.Rand
	disk   *disk
	file   string
	store  *Store
	want   model
	failed int // changes that the disk was in the way of
	doubt  *model
}

// start opens the store, and holds it against what was acknowledged.
func (m *machine) start(step string) {
	m.t.Helper()
	m.disk.fail = nil
	s, err := Open(Options{File: m.file, files: func(string) files { return m.disk }})
	if err != nil {
		m.t.Fatalf("%s: %v", step, err)
	}
	m.store = s
	s.keeper.most = 4 << 10
	got := modelOf(m.t, s.Current())
	if m.doubt != nil && got.equal(*m.doubt) {
		m.want = *m.doubt // the crash came between the disk and the answer
	}
	m.doubt = nil
	if !got.equal(m.want) {
		m.t.Logf("the last calls: %q", m.disk.calls[max(0, len(m.disk.calls)-40):])
		m.t.Fatalf("%s: got %+v, want %+v", step, got, m.want)
	}
}

// change makes a random edit, of the draft and of the model.
func (m *machine) change() (edit func(*Draft) error, after model) {
	after = m.want.clone()
	name := fmt.Sprintf("p%d", m.random.IntN(4))
	backend := fmt.Sprintf("b%d", m.random.IntN(3))
	ref := Ref{Kind: Pool, Name: name}
	inside := Ref{Kind: Backend, Name: name, Backend: backend}
	weight := m.random.IntN(200)
	spec := func(w int) json.RawMessage {
		return fmt.Appendf(nil, `{"address":"10.0.0.1%s:80","weight":%d}`, backend[1:], w)
	}
	exists := after.pools[name] != nil
	switch m.random.IntN(6) {
	case 0, 1:
		after.pools[name] = map[string]int{backend: weight}
		return func(d *Draft) error {
			_, err := d.Put(ref, fmt.Appendf(nil, `{"backends":{"%s":%s}}`, backend, spec(weight)))
			return err
		}, after
	case 2:
		if !exists {
			break
		}
		after.pools[name][backend] = weight
		return func(d *Draft) error { _, err := d.Put(inside, spec(weight)); return err }, after
	case 3:
		if !exists {
			break
		}
		delete(after.pools, name)
		for o := range after.overrides {
			if o.Pool == name {
				delete(after.overrides, o)
			}
		}
		return func(d *Draft) error { return d.Delete(ref) }, after
	case 4:
		if _, there := after.pools[name][backend]; !there {
			break
		}
		o := config.Override{Weight: new(weight)}
		after.overrides[BackendRef{name, backend}] = o
		return func(d *Draft) error { return d.SetOverride(BackendRef{name, backend}, o) }, after
	}
	o := config.Override{State: new(config.Drain)}
	after.overrides[BackendRef{"app", "b1"}] = o
	if m.random.IntN(2) == 0 {
		delete(after.overrides, BackendRef{"app", "b1"})
		o = config.Override{}
	}
	return func(d *Draft) error { return d.SetOverride(BackendRef{"app", "b1"}, o) }, after
}

// done notes a change that was acknowledged. One that changed nothing has not touched the disk.
func (m *machine) done(after model) {
	m.want = after
	if !m.store.keeper.stale {
		m.doubt = nil
	}
}

// update makes a change on a disk that may be failing.
func (m *machine) update(step string) {
	m.t.Helper()
	edit, after := m.change()
	before := m.store.Current()
	_, err := m.store.Update(context.Background(), Change{Edit: edit})
	switch {
	case err == nil:
		m.done(after)
	case errors.Is(err, ErrState):
		m.failed++
		if m.store.keeper.stale && m.doubt == nil { // the disk has refused to undo it
			m.doubt = &after
		}
		if m.store.Current() != before {
			m.t.Fatalf("%s: a change that could not be kept is in force", step)
		}
	default:
		m.t.Fatalf("%s: %v", step, err)
	}
	if got := modelOf(m.t, m.store.Current()); !got.equal(m.want) {
		m.t.Fatalf("%s: got %+v, want %+v", step, got, m.want)
	}
}

// TestModel edits at random, on a disk that fails at random, with restarts, crashes and compactions. What was
// acknowledged is there, and nothing else, at every moment.
func TestModel(t *testing.T) {
	for seed := range uint64(12 / slower) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runModel(t, seed) })
	}
}

func runModel(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 7))
	dir := t.TempDir()
	m := &machine{t: t, random: random, disk: newDisk(random), file: filepath.Join(dir, "weir.yaml"),
		want: model{pools: map[string]map[string]int{}, overrides: Overrides{}}}
	if err := os.WriteFile(m.file, []byte(plainFile+"state_dir: "+dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start("first start")
	for i := range modelSteps {
		step := fmt.Sprintf("seed %d, step %d", seed, i)
		m.disk.fail = m.faults()
		switch m.random.IntN(12) {
		case 0:
			m.restart(step)
		case 1:
			m.compact()
		case 2:
			m.crashInChange(step)
		default:
			m.update(step)
		}
	}
	if m.failed == 0 {
		t.Error("no change has failed: the disk was too good")
	}
	m.restart("end")
	if err := m.store.Close(); err != nil {
		t.Error(err)
	}
}

// faults is what fails during the next change.
func (m *machine) faults() func(string) error {
	switch m.random.IntN(8) {
	case 0: // the disk is full
		return func(string) error { return errFull }
	case 1: // one call fails
		n := m.random.IntN(6)
		return func(string) error {
			if n--; n == -1 {
				return errFull
			}
			return nil
		}
	case 2: // each call may fail
		return func(string) error {
			if m.random.IntN(3) == 0 {
				return errFull
			}
			return nil
		}
	}
	return nil
}

// restart ends the process in order, and now and then with the machine.
func (m *machine) restart(step string) {
	if err := m.store.Close(); err != nil {
		m.t.Fatal(err)
	}
	if m.random.IntN(2) == 0 {
		m.disk.crash()
	}
	m.start(step + ", restart")
}

// compact brings the log into state.json, or tries to.
func (m *machine) compact() {
	if m.store.keeper.compact() == nil {
		m.doubt = nil
	}
}

// errCrash ends a change in the middle.
var errCrash = errors.New("the machine has crashed")

// crashInChange lets the machine crash during a change. Every call fails from then on; whether the change is
// there afterwards, nobody has promised.
func (m *machine) crashInChange(step string) {
	calls := m.random.IntN(4)
	m.disk.fail = func(string) error {
		if calls--; calls < 0 {
			return errCrash
		}
		return nil
	}
	edit, after := m.change()
	_, err := m.store.Update(context.Background(), Change{Edit: edit})
	if err == nil {
		m.done(after)
	} else if m.doubt == nil {
		m.doubt = &after
	}
	if err := m.store.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.disk.crash()
	m.start(step + ", crash")
}
