package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// abortBelow is the interval under which even good probes end with RST. A FIN of ours leaves the
// local port in TIME_WAIT for a minute: 600 ports per backend at this interval, more than the
// kernel has at 2 ms; then connecting fails here and nothing is checked any more.
const abortBelow = 100 * time.Millisecond

// tcpProber connects; it may send something and may want something in reply. A probe that only
// connects ends with RST, as HAProxy's do: there is nothing to deliver, and no TIME_WAIT is left
// on either side.
type tcpProber struct {
	recipe
	addr netip.AddrPort
	sent string // for people: connect 10.0.0.12:5432
}

func newTCPProber(r recipe, addr netip.AddrPort) *tcpProber {
	p := &tcpProber{recipe: r, addr: addr}
	switch {
	case len(r.check.Send) > 0:
		p.sent = fmt.Sprintf("send %q to %s", r.excerpt(r.check.Send), addr)
	case p.wantsReply():
		p.sent = "read from " + addr.String()
	default:
		p.sent = "connect " + addr.String()
	}
	return p
}

func (p *tcpProber) probe(ctx context.Context, o opener) Probe {
	start := time.Now()
	o.header = p.header
	l, phase, err := o.open(ctx, p.addr, nil)
	if err != nil {
		return failure(ctx, Probe{Phase: phase}, p.sent, openFailure(phase, err, p.check.Timeout), err)
	}
	out := Probe{Phase: PhaseConnect, OK: true}
	came := "connected"
	if len(p.check.Send) > 0 {
		out.Phase = PhaseSend
		if _, err := l.Write(p.check.Send); err != nil {
			l.abort()
			out.OK = false
			return failure(ctx, out, p.sent, sendFailure(err, p.check.Timeout), err)
		}
		came = "sent"
	}
	if p.wantsReply() {
		out, came, err = p.receive(ctx, l)
	}
	if said := out.Phase != PhaseConnect || len(p.header) > 0; out.OK && said && p.check.Interval >= abortBelow {
		l.close()
	} else {
		l.abort()
	}
	if !out.OK {
		return failure(ctx, out, p.sent, came, err)
	}
	out.Reason = fmt.Sprintf("%s → %s in %s", p.sent, came, brief(time.Since(start)))
	return out
}

// receive reads until the expectation is met, the peer ends, MaxBody bytes are there or the probe's
// time is up; err is what kept the expectation from being met.
func (p *tcpProber) receive(ctx context.Context, l *link) (out Probe, came string, err error) {
	out.Phase = PhaseReceive
	reply, err := readUntil(ctx, l, p.check.MaxBody, p.met)
	out.Excerpt = p.excerpt(reply)
	received := "nothing"
	if len(reply) > 0 {
		received = `"` + out.Excerpt + `"`
	}
	want := " (want " + p.wanted() + ")"
	switch {
	case err == nil:
		out.OK = true
		return out, received, nil
	case errors.Is(err, errBacktrack):
		return out, fmt.Sprintf("%s (expect %q: %v)", received, p.expect.text, err), err
	case errors.Is(err, errReplyTooLong):
		return out, fmt.Sprintf("%s in the first %s%s", received, size(p.check.MaxBody), want), err
	case errors.Is(err, io.EOF):
		return out, received + ", then closed" + want, err
	case isTimeout(err):
		return out, received + " within " + brief(p.check.Timeout) + want, err
	}
	return out, received + ", then " + describe(err) + want, err
}
