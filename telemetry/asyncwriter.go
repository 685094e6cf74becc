package telemetry

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// maxPending bounds the lines that wait for the output, in bytes; as much again may be on its
	// way out. It holds more than 5,000 usual lines.
	maxPending = 2 << 20
	// flushEvery is how long a line waits at most before it is written.
	flushEvery = 250 * time.Millisecond
	// closeWait is how long close waits for an output that takes nothing, such as a pipe that
	// nobody reads.
	closeWait = 5 * time.Second
	// keepBuffer is the largest buffer that is kept after a burst.
	keepBuffer = 256 << 10
)

var errStuck = errors.New("the output takes no more lines; what is pending is lost")

// asyncWriter writes lines from a goroutine of its own. There are two buffers: writers append to
// pending, under a mutex that is never held during output, while the goroutine writes the other
// one.
type asyncWriter struct {
	lost    func(n uint64)
	wake    chan struct{}      // capacity 1: pending is half full
	swaps   chan swap          // requests of replace
	settles chan chan struct{} // requests of settle
	stop    chan struct{}      // closed by close
	done    chan struct{}      // closed when the goroutine has ended
	closing sync.Once

	mu      sync.Mutex // guards all below
	pending []byte
	lines   uint64 // in pending
	closed  bool
	lastErr error
}

// swap asks the goroutine to go on with another output.
type swap struct {
	to   io.WriteCloser
	done chan error
}

// newAsyncWriter takes w over and closes it in the end.
func newAsyncWriter(w io.WriteCloser, lost func(n uint64)) *asyncWriter {
	if lost == nil {
		lost = func(uint64) {}
	}
	a := &asyncWriter{
		lost:    lost,
		wake:    make(chan struct{}, 1),
		swaps:   make(chan swap),
		settles: make(chan chan struct{}),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	go a.run(&lineWriter{w: w})
	return a
}

// add appends one line or drops it. It does no output.
func (a *asyncWriter) add(line []byte) {
	a.mu.Lock()
	if a.closed || len(a.pending)+len(line) > maxPending {
		a.mu.Unlock()
		a.lost(1)
		return
	}
	before := len(a.pending)
	a.pending = append(a.pending, line...)
	a.lines++
	halfFull := before < maxPending/2 && len(a.pending) >= maxPending/2
	a.mu.Unlock()
	if halfFull {
		select {
		case a.wake <- struct{}{}:
		default: // it is on its way
		}
	}
}

// replace writes what was added before to the present output, closes it and goes on with w. It owns
// w and closes it if it cannot.
func (a *asyncWriter) replace(w io.WriteCloser) error {
	s := swap{to: w, done: make(chan error, 1)}
	select {
	case a.swaps <- s:
		return <-s.done
	case <-a.stop:
		return errors.Join(os.ErrClosed, w.Close())
	}
}

// settle writes what was added before, which takes no longer than patience: else it goes on by itself.
func (a *asyncWriter) settle(patience time.Duration) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	done := make(chan struct{})
	select {
	case a.settles <- done:
	case <-a.stop:
		return os.ErrClosed
	case <-late.C:
		return errStuck
	}
	select {
	case <-done:
		return a.err()
	case <-late.C:
		return errStuck
	}
}

// err is the error of the last write.
func (a *asyncWriter) err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lastErr
}

// close flushes and waits for the goroutine to end.
func (a *asyncWriter) close() error {
	a.closing.Do(func() {
		a.mu.Lock()
		a.closed = true
		a.mu.Unlock()
		close(a.stop)
	})
	patience := time.NewTimer(closeWait)
	defer patience.Stop()
	select {
	case <-a.done:
		return a.err()
	case <-patience.C:
		return errStuck
	}
}

// run is the goroutine: it owns out and the spare buffer.
func (a *asyncWriter) run(out *lineWriter) {
	defer close(a.done)
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	var spare []byte
	for {
		select {
		case <-ticker.C:
			spare = a.flush(out, spare)
		case <-a.wake:
			spare = a.flush(out, spare)
		case done := <-a.settles:
			spare = a.flush(out, spare)
			close(done)
		case s := <-a.swaps:
			spare = a.flush(out, spare)
			err := out.w.Close()
			out = &lineWriter{w: s.to}
			s.done <- err
		case <-a.stop:
			a.flush(out, spare)
			a.record(out.w.Close())
			return
		}
	}
}

// flush writes what is pending and returns the buffer that is free afterwards.
func (a *asyncWriter) flush(out *lineWriter, spare []byte) []byte {
	a.mu.Lock()
	full, lines := a.pending, a.lines
	if lines == 0 {
		a.mu.Unlock()
		return spare
	}
	a.pending, a.lines = spare[:0], 0
	a.mu.Unlock()

	written, err := out.write(full)
	if err != nil {
		a.lost(lines - written)
	}
	a.mu.Lock()
	a.lastErr = err
	a.mu.Unlock()
	if cap(full) > keepBuffer && len(full) < cap(full)/8 {
		return nil
	}
	return full
}

// record keeps an error of closing.
func (a *asyncWriter) record(err error) {
	if err == nil {
		return
	}
	a.mu.Lock()
	a.lastErr = errors.Join(a.lastErr, err)
	a.mu.Unlock()
}

// lineWriter writes whole lines to w, as far as that is in its power.
type lineWriter struct {
	w    io.WriteCloser
	torn bool // the last write ended within a line
}

// write writes lines and returns how many of them went out whole.
func (l *lineWriter) write(lines []byte) (written uint64, err error) {
	if l.torn {
		// A line break of its own keeps the next line apart from the torn one.
		if _, err := l.w.Write([]byte{'\n'}); err != nil {
			return 0, err
		}
		l.torn = false
	}
	n, err := l.w.Write(lines)
	if err == nil && n < len(lines) {
		err = io.ErrShortWrite
	}
	if n > 0 {
		l.torn = lines[n-1] != '\n'
	}
	return uint64(bytes.Count(lines[:n], []byte{'\n'})), err
}
