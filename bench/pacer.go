package bench

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pacer hands out the tickets of an open loop: ticket i is due at start + i/rate, however late it
// is taken. It waits on a timerfd, since the runtime's timers fire up to a millisecond late when
// nothing else happens, which would be counted as latency of the server.
type pacer struct {
	rate    float64
	rec     *recorder
	tickets chan time.Time // unbuffered: a ticket waits here until a connection is free

	over  chan struct{}
	timer *os.File
	fd    int // of timer, which keeps it open
}

func newPacer(rate float64, rec *recorder) (*pacer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	return &pacer{
		rate:    rate,
		rec:     rec,
		tickets: make(chan time.Time),
		over:    make(chan struct{}),
		timer:   os.NewFile(uintptr(fd), "pacer"),
		fd:      fd,
	}, nil
}

// run hands out tickets until stop, and accounts for those that were due then and not taken.
func (p *pacer) run() {
	defer close(p.tickets)
	start := time.Now()
	for i := 0; ; i++ {
		due := start.Add(time.Duration(float64(i) / p.rate * float64(time.Second)))
		if !p.wait(due) {
			return
		}
		select {
		case p.tickets <- due:
		case <-p.over:
			p.abandon(start, i)
			return
		}
	}
}

// wait returns at the given instant; false: the run is over.
func (p *pacer) wait(due time.Time) bool {
	d := time.Until(due)
	if d <= 0 {
		return true
	}
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
	if err := unix.TimerfdSettime(p.fd, 0, &at, nil); err != nil {
		panic("bench: set timer: " + err.Error())
	}
	var fired [8]byte
	_, err := p.timer.Read(fired[:])
	return err == nil
}

// abandon accounts for the tickets from the first that nobody took to the last that was due.
func (p *pacer) abandon(start time.Time, first int) {
	now := time.Now()
	for i := first; ; i++ {
		due := start.Add(time.Duration(float64(i) / p.rate * float64(time.Second)))
		if due.After(now) {
			return
		}
		p.rec.abandon(due, now)
	}
}

// stop ends run.
func (p *pacer) stop() {
	close(p.over)
	// Fails only on a closed timer, and close comes after run has ended.
	_ = p.timer.SetReadDeadline(time.Unix(1, 0))
}

// close frees the timer, once run has ended.
func (p *pacer) close() {
	// Nothing was written to it that could be lost.
	_ = p.timer.Close()
}
