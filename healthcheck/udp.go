package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// maxDatagram is the largest payload of UDP over IPv4, in bytes.
const maxDatagram = 65507

// udpProber sends a datagram, an empty one if the check has none, and waits for what comes back. An
// ICMP message that nobody listens fails the probe at once. With an expectation some reply has to
// meet it; without, any reply will do, and so will silence for as long as the probe may take: a
// server need not answer what it does not understand.
type udpProber struct {
	recipe
	addr netip.AddrPort
	sent string // for people: send "PING" to 10.0.0.12:53
}

func newUDPProber(r recipe, addr netip.AddrPort) *udpProber {
	p := &udpProber{recipe: r, addr: addr, sent: fmt.Sprintf("send %q to %s", r.excerpt(r.check.Send), addr)}
	if len(r.check.Send) == 0 {
		p.sent = "send an empty datagram to " + addr.String()
	}
	return p
}

// dialUDP binds a port that receives from addr alone.
func dialUDP(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "udp", addr.String())
}

func (p *udpProber) probe(ctx context.Context, o opener) Probe {
	start := time.Now()
	o.dial = o.dialUDP
	l, phase, err := o.open(ctx, p.addr, nil)
	if err != nil {
		return failure(ctx, Probe{Phase: phase}, p.sent, openFailure(phase, err, p.check.Timeout), err)
	}
	defer l.close()
	if _, err := l.Write(p.check.Send); err != nil {
		return failure(ctx, Probe{Phase: PhaseSend}, p.sent, sendFailure(err, p.check.Timeout), err)
	}
	out, came, err := p.receive(ctx, l)
	if !out.OK {
		return failure(ctx, out, p.sent, came, err)
	}
	out.Reason = fmt.Sprintf("%s → %s in %s", p.sent, came, brief(time.Since(start)))
	return out
}

// receive reads datagrams until one meets the expectation, or the time is up.
func (p *udpProber) receive(ctx context.Context, l *link) (out Probe, came string, err error) {
	out.Phase = PhaseReceive
	deadline, _ := ctx.Deadline()
	received := "nothing"
	b := make([]byte, maxDatagram)
	for {
		n, err := readBefore(ctx, l, deadline, b)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			return out, "port unreachable", err
		case err != nil && p.wantsReply():
			return out, p.missed(received, err), err
		case isTimeout(err) && !errors.Is(ctx.Err(), context.Canceled):
			out.OK = true
			return out, "no objection", nil
		case err != nil:
			return out, describe(err), err
		}
		out.Excerpt = p.excerpt(b[:n])
		received = fmt.Sprintf("%q", out.Excerpt)
		ok, err := p.met(b[:min(n, p.check.MaxBody)])
		if ok || err != nil {
			out.OK = ok
			return out, received, err
		}
	}
}

func (p *udpProber) missed(received string, err error) string {
	want := " (want " + p.wanted() + ")"
	if isTimeout(err) {
		return received + " within " + brief(p.check.Timeout) + want
	}
	return received + ", then " + describe(err) + want
}

var _ prober = (*udpProber)(nil)
