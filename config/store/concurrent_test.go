package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/config"
)

// strict is a plane that wants its calls one after the other.
type strict struct {
	t     *testing.T
	mu    sync.Mutex
	under bool // a revision is prepared
	last  uint64
	fail  error
	seen  []*Revision
}

func (p *strict) Prepare(_ context.Context, r *Revision, _ bool) (Prepared, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.under {
		p.t.Error("a revision is prepared while another one is")
	}
	if p.fail != nil {
		return nil, p.fail
	}
	p.under = true
	return &strictPrepared{p, r}, nil
}

type strictPrepared struct {
	plane    *strict
	revision *Revision
}

func (p *strictPrepared) Commit() Effect {
	p.plane.mu.Lock()
	defer p.plane.mu.Unlock()
	p.plane.under = false
	if p.revision.Generation != p.plane.last+1 {
		p.plane.t.Errorf("generation %d follows on %d", p.revision.Generation, p.plane.last)
	}
	p.plane.last = p.revision.Generation
	p.plane.seen = append(p.plane.seen, p.revision)
	return Effect{Closed: 2, Warnings: []string{"later"}}
}

func (p *strictPrepared) Abandon() {
	p.plane.mu.Lock()
	defer p.plane.mu.Unlock()
	p.plane.under = false
}

// TestConcurrent: changes that are made for one revision win once, all others are told; readers see whole
// revisions, in order.
func TestConcurrent(t *testing.T) {
	o := open(t, plainFile)
	plane := &strict{t: t, last: 1}
	o.Carry(plane)
	const writers, each = 8, 15
	stop := make(chan struct{})
	var readers, all sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for last := uint64(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				r := o.Current()
				if r.Generation < last {
					t.Errorf("generation %d after %d", r.Generation, last)
				}
				last = r.Generation
				if got := r.Config.Pools["app"].Overrides["b1"]; !got.Equal(r.Overrides[BackendRef{"app", "b1"}]) {
					t.Error("a revision is not whole")
				}
			}
		})
	}
	for w := range writers {
		all.Go(func() {
			for i := range each {
				if w == 0 {
					if _, err := o.Reload(context.Background()); err != nil {
						t.Error(err)
					}
					continue
				}
				for {
					seen := o.Current()
					_, err := o.Update(context.Background(), Change{IfMatch: seen.Tag(), Edit: func(d *Draft) error {
						if d.Base().Tag() != seen.Tag() {
							t.Error("the draft is of another revision than was asked for")
						}
						ref := BackendRef{"app", fmt.Sprintf("b%d", 1+i%2)}
						before := 0
						if o := d.Base().Overrides[ref]; o.Weight != nil {
							before = *o.Weight
						}
						return d.SetOverride(ref, config.Override{Weight: new(before + 1)})
					}})
					if err == nil {
						break
					}
					if !errors.Is(err, ErrPrecondition) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	close(stop)
	readers.Wait()
	sum := 0
	for _, override := range o.Current().Overrides {
		sum += *override.Weight
	}
	if want := (writers - 1) * each; sum != want {
		t.Errorf("%d changes are there, want %d", sum, want)
	}
}

// TestPlaneRefuses: what the plane cannot prepare changes nothing, also not on the disk.
func TestPlaneRefuses(t *testing.T) {
	k := openKept(t, plainFile)
	plane := &strict{t: t, last: 1, fail: errors.New("the port is taken")}
	k.Carry(plane)
	before := k.Current()
	_, err := k.Update(context.Background(), Change{Edit: put(Ref{Kind: Pool, Name: "own"}, `{"backends": ["10.0.3.1:80"]}`)})
	if !errors.Is(err, ErrRefused) || err.Error() != "the port is taken" || k.Current() != before {
		t.Errorf("got %v", err)
	}
	plane.fail = nil
	r, err := k.Reload(context.Background())
	if err != nil || r.Summary != "nothing changed, 2 connections closed" || r.Warnings[len(r.Warnings)-1] != "later" {
		t.Errorf("got %+v, %v", r, err)
	}
	k.restart()
	if len(k.Current().Objects.Pools) != 0 {
		t.Error("it was kept")
	}
}

// TestDiskRefuses: what cannot be kept is given up by the plane.
func TestDiskRefuses(t *testing.T) {
	d := newDisk(nil)
	d.fail = func(string) error { return errFull }
	o := &opened{t: t, file: t.TempDir() + "/weir.yaml"}
	o.write(plainFile + "state_dir: " + t.TempDir() + "\n")
	s, err := Open(Options{File: o.file, files: func(string) files { return d }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	plane := &strict{t: t, last: 1}
	s.Carry(plane)
	_, err = s.Update(context.Background(), Change{Edit: func(d *Draft) error {
		return d.SetOverride(BackendRef{"app", "b1"}, config.Override{Weight: new(1)})
	}})
	if want := "state_dir: no space left on device; nothing has changed"; !errors.Is(err, ErrState) || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
	if plane.under || len(plane.seen) != 0 {
		t.Error("the plane was not told to give it up")
	}
	if _, err := s.Reload(context.Background()); err != nil {
		t.Errorf("a full disk is in the way of a reload: %v", err)
	}
}

// TestWatch: a file is reloaded when it has changed and come to rest, and one that is not valid is tried
// once.
func TestWatch(t *testing.T) {
	o := open(t, plainFile)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := Open(Options{File: o.file})
		if err != nil {
			t.Fatal(err)
		}
		const round = 2 * time.Second
		var reloads atomic.Int64
		var wanted atomic.Bool
		wanted.Store(true)
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Watch(ctx, round, wanted.Load, func() {
				reloads.Add(1)
				_, _ = s.Reload(ctx)
			})
		}()
		const quarter = round / settled
		steps := []struct {
			what  string
			write string
			wait  time.Duration
			want  int
		}{
			{"nothing", "", 4*round + 2*quarter, 0}, // from here on between two looks
			{"changed, not at rest", plainFile + "# a", 2*quarter + quarter/2, 0},
			{"changed again", plainFile + "# ab", quarter, 0},
			{"at rest", "", quarter, 1},
			{"no more", "", 5 * round, 1},
			{"half written", plainFile[:60], 2 * round, 2},
			{"told once", "", 5 * round, 2},
			{"whole again", plainFile + "# abc", 2 * round, 3},
			{"gone", "-", 2 * round, 4},
			{"back", plainFile + "# abc", 2 * round, 5},
		}
		for _, step := range steps {
			switch step.write {
			case "":
			case "-":
				if err := os.Remove(o.file); err != nil {
					t.Fatal(err)
				}
			default:
				o.write(step.write)
			}
			time.Sleep(step.wait)
			synctest.Wait()
			if got := int(reloads.Load()); got != step.want {
				t.Errorf("%s: %d reloads, want %d", step.what, got, step.want)
			}
		}
		wanted.Store(false)
		o.write(plainFile)
		time.Sleep(5 * round)
		synctest.Wait()
		if reloads.Load() != 5 {
			t.Error("it reloads although that is not wanted")
		}
		cancel()
		<-done
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestDryRun tells what a change would do, and does nothing.
func TestDryRun(t *testing.T) {
	o := open(t, plainFile)
	plane := &strict{t: t, last: 1, fail: errors.New("nothing is to be prepared")}
	o.Carry(plane)
	before := o.Current()
	edit := put(Ref{Kind: Pool, Name: "own"}, `{"backends": ["10.0.3.1:80"]}`)
	r, err := o.DryRun(context.Background(), Change{Edit: edit})
	if err != nil || r.Summary != "1 pool added" || len(r.Diff) != 1 || o.Current() != before {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := o.DryRun(context.Background(), Change{IfMatch: "other", Edit: edit}); !errors.Is(err, ErrPrecondition) {
		t.Errorf("got %v, want %v", err, ErrPrecondition)
	}
	plane.fail = nil
	if done := o.edit(edit); done.Revision.Tag() != r.Revision.Tag() {
		t.Errorf("the change led to revision %s, the dry run to %s", done.Revision.Tag(), r.Revision.Tag())
	}
	o.write(plainFile + "  more: { backends: [\"10.0.4.1:80\"] }\n")
	diff, report, err := o.Diff(context.Background())
	if err != nil || diff.Summary() != "1 pool added" || report.Warnings() != 1 || len(o.Current().Config.Pools) != 2 {
		t.Errorf("got %+v, %v, %v", diff, report, err)
	}
	o.write("listeners: 5\n")
	if _, report, err := o.Diff(context.Background()); !errors.Is(err, ErrInvalid) || report.Errors() != 1 {
		t.Errorf("got %v, %v", report, err)
	}
	if report := o.Validate([]byte(plainFile + "  own: { backends: [] }\n")); report.Errors() != 1 {
		t.Errorf("a name that the API has: %v", report.Diagnostics)
	}
}
