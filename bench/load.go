package bench

import (
	"context"
	"sync"
	"time"
)

// Load sends requests as the options say and returns what it measured. It opens all connections
// first and fails if one cannot be opened or if the options are wrong; later failures are counted
// in the result. A context that ends before the window does ends the run: then the error is the
// context's and the result covers the time until then; with Duration 0 that is the normal end and
// the error is nil. All goroutines have ended when Load returns.
func Load(ctx context.Context, o LoadOptions) (Result, error) {
	o, err := o.resolved()
	if err != nil {
		return Result{}, err
	}
	r, err := newRun(o)
	if err != nil {
		return Result{}, err
	}
	defer r.close()
	for _, c := range r.conns {
		if err := c.connect(ctx); err != nil {
			return Result{}, err
		}
	}
	if err := r.start(ctx); err != nil {
		return Result{}, err
	}
	err = r.phases(ctx)
	return r.rec.result(o.Rate), err
}

// run is one call of Load.
type run struct {
	options LoadOptions
	conns   []client
	rec     *recorder
	pace    *pacer // nil: closed loop

	workers sync.WaitGroup
	over    chan struct{} // closed: no further exchange begins
}

// client is a connection as the loops see it: conn or messenger. One goroutine uses it; stop may be
// called by any.
type client interface {
	connect(ctx context.Context) error
	exchange(ctx context.Context, now time.Time) (rep reply, resent bool, err error)
	stop()
	close()
}

var (
	_ client = (*conn)(nil)
	_ client = (*messenger)(nil)
)

func newRun(o LoadOptions) (*run, error) {
	t, err := splitURL(o.URL)
	if err != nil {
		return nil, err
	}
	var request []byte
	if t.http {
		if request, err = requestBytes(o, t.url); err != nil {
			return nil, err
		}
	}
	r := &run{options: o, rec: newRecorder(o.Rate > 0), over: make(chan struct{})}
	for range o.Connections {
		if t.http {
			r.conns = append(r.conns, newConn(t.addr, request, o))
		} else {
			r.conns = append(r.conns, newMessenger(t.url.Scheme, t.addr, o))
		}
	}
	return r, nil
}

// start sets the goroutines going: one for each connection, and one that hands out the tickets.
func (r *run) start(ctx context.Context) error {
	if r.options.Rate == 0 {
		for _, c := range r.conns {
			r.workers.Go(func() { r.closedLoop(ctx, c) })
		}
		return nil
	}
	p, err := newPacer(r.options.Rate, r.rec)
	if err != nil {
		return err
	}
	r.pace = p
	r.workers.Go(p.run)
	for _, c := range r.conns {
		r.workers.Go(func() { r.openLoop(ctx, c) })
	}
	return nil
}

// phases opens and closes the window and returns when every goroutine has ended. A context that
// ends cuts the exchanges under way.
func (r *run) phases(ctx context.Context) error {
	cut := context.AfterFunc(ctx, func() {
		for _, c := range r.conns {
			c.stop()
		}
	})
	defer cut()
	err := pause(ctx, r.options.Warmup)
	if err == nil {
		err = r.window(ctx)
	}
	close(r.over)
	if r.pace != nil {
		r.pace.stop()
	}
	r.workers.Wait()
	return err
}

// window is the measured part.
func (r *run) window(ctx context.Context) error {
	if r.options.Begin != nil {
		r.options.Begin()
	}
	r.rec.openWindow(time.Now())
	var err error
	if r.options.Duration == 0 {
		<-ctx.Done()
	} else {
		err = pause(ctx, r.options.Duration)
	}
	r.rec.closeWindow(time.Now())
	if r.options.End != nil {
		r.options.End()
	}
	return err
}

func (r *run) close() {
	for _, c := range r.conns {
		c.close()
	}
	if r.pace != nil {
		r.pace.close()
	}
}

// pause waits for d or for the end of ctx, whose error it returns.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
