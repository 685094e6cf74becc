package telemetry

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output is an io.WriteCloser that does what a test says.
type output struct {
	write func(p []byte) (int, error)

	mu     sync.Mutex // guards all below
	text   strings.Builder
	closed bool
}

func (o *output) Write(p []byte) (int, error) {
	n, err := len(p), error(nil)
	if o.write != nil {
		n, err = o.write(p)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(p[:n])
	return n, err
}

func (o *output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	return nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestLinesAreWrittenWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(output)
		a := newAsyncWriter(out, nil)
		a.add([]byte("one\n"))
		synctest.Wait()
		if got := out.String(); got != "" {
			t.Errorf("wrote %q at once", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := out.String(); got != "one\n" {
			t.Errorf("after a second: %q", got)
		}
		if err := a.close(); err != nil || !out.closed {
			t.Errorf("close: %v, closed %v", err, out.closed)
		}
	})
}

func TestHalfABufferIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(output)
		a := newAsyncWriter(out, func(n uint64) { t.Errorf("%d lines lost", n) })
		line := []byte(strings.Repeat("x", 1023) + "\n")
		began := time.Now()
		for round := range 3 {
			for range maxPending / 2 / len(line) {
				a.add(line)
			}
			synctest.Wait()
			if got, want := len(out.String()), (round+1)*maxPending/2; got != want {
				t.Errorf("round %d: %d bytes written, want %d", round, got, want)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("took %v", waited)
		}
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
}

// An output that takes nothing stops nobody: what does not fit is dropped and counted, and close
// gives up in time.
func TestStuckOutputBlocksNoWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		out := &output{write: func(p []byte) (int, error) { <-release; return len(p), nil }}
		var lost atomic.Uint64
		a := newAsyncWriter(out, func(n uint64) { lost.Add(n) })
		line := []byte(strings.Repeat("x", 1023) + "\n")
		a.add(line)
		time.Sleep(flushEvery)
		synctest.Wait() // the goroutine is in Write

		began := time.Now()
		const fit = maxPending / 1024
		for range fit + 50 {
			a.add(line)
		}
		if got := time.Since(began); got != 0 {
			t.Errorf("add waited %v", got)
		}
		if got := lost.Load(); got != 50 {
			t.Errorf("%d lines lost, want 50", got)
		}
		if err := a.close(); !errors.Is(err, errStuck) || time.Since(began) != closeWait {
			t.Errorf("close: %v after %v", err, time.Since(began))
		}
		close(release)
		synctest.Wait()
		if got := strings.Count(out.String(), "\n"); got != fit+1 {
			t.Errorf("%d lines written after the release, want %d", got, fit+1)
		}
	})
}

// A failed write costs the lines that it did not write; the next line does not join the torn one.
func TestFailedWriteIsCountedAndHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := errors.New("disk full")
		failing := true
		out := &output{write: func(p []byte) (int, error) {
			if failing {
				return 6, full
			}
			return len(p), nil
		}}
		var lost atomic.Uint64
		a := newAsyncWriter(out, func(n uint64) { lost.Add(n) })
		a.add([]byte("one\n"))
		a.add([]byte("two\n"))
		a.add([]byte("three\n"))
		time.Sleep(flushEvery)
		synctest.Wait()
		if lost.Load() != 2 || !errors.Is(a.err(), full) {
			t.Errorf("lost %d, error %v; want 2 and disk full", lost.Load(), a.err())
		}
		failing = false
		a.add([]byte("four\n"))
		if err := a.close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if got, want := out.String(), "one\ntw\nfour\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestBuffersShrinkAfterABurst(t *testing.T) {
	out := new(output)
	a := &asyncWriter{lost: func(uint64) {}, wake: make(chan struct{}, 1)}
	w := &lineWriter{w: out}
	line := []byte(strings.Repeat("x", 1023) + "\n")
	for range 1000 {
		a.add(line)
	}
	spare := a.flush(w, nil)
	if cap(spare) < 1000*1024 {
		t.Fatalf("buffer of %d bytes after a burst", cap(spare))
	}
	a.add(line)
	spare = a.flush(w, spare) // now pending is the large one
	a.add(line)
	if spare = a.flush(w, spare); spare != nil {
		t.Errorf("a buffer of %d bytes is kept for a line", cap(spare))
	}
}
