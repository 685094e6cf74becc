package healthcheck

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// maxHead bounds the head of a response, in bytes.
	maxHead = 64 << 10
	// excerptPatience is how long a probe that has failed by its status waits for the first bytes
	// of the body, which often say why.
	excerptPatience = 100 * time.Millisecond
)

// headReaders holds buffers of maxHead bytes; at most one for each probe that runs is in use.
var headReaders = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, maxHead) }}

// httpProber asks for one URL. Redirects are answers like any other: they are not followed.
type httpProber struct {
	recipe
	addr    netip.AddrPort
	tls     *tls.Config
	request []byte // as it goes over the wire
	sent    string // for people: GET http://10.0.0.12:8080/healthz
}

func newHTTPProber(r recipe, addr netip.AddrPort, host string) *httpProber {
	p := &httpProber{recipe: r, addr: addr, tls: r.tls}
	scheme := "http"
	if p.tls != nil {
		scheme = "https"
		if p.tls.ServerName == "" {
			p.tls = p.tls.Clone()
			p.tls.ServerName = serverName(addr, host)
		}
	}
	authority := addr.String()
	if host != "" {
		authority = net.JoinHostPort(host, strconv.Itoa(int(addr.Port())))
	}
	p.request = requestBytes(r.check, authority)
	p.sent = fmt.Sprintf("%s %s://%s%s", r.check.Method, scheme, addr, r.hide(r.check.Path))
	switch {
	case r.check.Host != "":
		p.sent += " (host " + r.hide(r.check.Host) + ")"
	case host != "":
		p.sent += " (host " + authority + ")"
	}
	return p
}

func (p *httpProber) probe(ctx context.Context, o opener) Probe {
	start := time.Now()
	o.header = p.header
	l, phase, err := o.open(ctx, p.addr, p.tls)
	if err != nil {
		return failure(ctx, Probe{Phase: phase}, p.sent, openFailure(phase, err, p.check.Timeout), err)
	}
	out := p.exchange(ctx, l, start)
	if out.OK && p.check.Interval >= abortBelow {
		l.close()
	} else {
		l.abort()
	}
	return out
}

// exchange sends the request and judges the response.
func (p *httpProber) exchange(ctx context.Context, l *link, start time.Time) Probe {
	out := Probe{Phase: PhaseSend}
	if _, err := l.Write(p.request); err != nil {
		return failure(ctx, out, p.sent, sendFailure(err, p.check.Timeout), err)
	}
	out.Phase = PhaseReceive
	tap := &tap{from: l}
	br := headReaders.Get().(*bufio.Reader)
	br.Reset(tap)
	defer func() { br.Reset(nil); headReaders.Put(br) }()
	resp := fasthttp.Response{StreamBody: true, SkipBody: p.check.Method == fasthttp.MethodHead}
	if err := resp.ReadLimitBody(br, 0); err != nil {
		out.Excerpt = p.excerpt(tap.first)
		return failure(ctx, out, p.sent, p.headFailure(err, tap), tap.err)
	}
	out.Phase, out.Status = PhaseStatus, resp.StatusCode()
	if !p.check.Status.Contains(out.Status) {
		out.Excerpt = p.lastWords(ctx, l, resp.BodyStream())
		return failure(ctx, out, p.sent, p.answer(out)+" (want "+p.check.Status.Text+")", nil)
	}
	out.Phase = PhaseBody
	body, cut, err := readBody(resp.BodyStream(), p.check.MaxBody)
	out.Excerpt = p.excerpt(body)
	if err != nil {
		return failure(ctx, out, p.sent, p.answer(out)+", "+p.bodyFailure(err, tap, len(body)), tap.err)
	}
	if complaint := p.judge(body); complaint != "" {
		return failure(ctx, out, p.sent, p.answer(out)+" ("+complaint+p.cutNote(cut)+")", nil)
	}
	out.OK = true
	out.Reason = fmt.Sprintf("%s → %d in %s%s", p.sent, out.Status, brief(time.Since(start)), p.cutNote(cut))
	return out
}

// judge applies the rules for bodies and says which one body breaks; empty: none.
func (p *httpProber) judge(body []byte) string {
	if p.body != nil {
		found, err := p.body.match(body)
		switch {
		case err != nil:
			return fmt.Sprintf("body %q: %v", p.body.text, err)
		case !found:
			return fmt.Sprintf("want a body that matches %q", p.body.text)
		}
	}
	if p.bodyNot != nil {
		found, err := p.bodyNot.match(body)
		switch {
		case err != nil:
			return fmt.Sprintf("body_not %q: %v", p.bodyNot.text, err)
		case found:
			return fmt.Sprintf("want a body that does not match %q", p.bodyNot.text)
		}
	}
	return ""
}

// answer is what came back: 503 "db pool exhausted".
func (p *httpProber) answer(out Probe) string {
	if out.Excerpt == "" {
		return strconv.Itoa(out.Status)
	}
	return strconv.Itoa(out.Status) + ` "` + out.Excerpt + `"`
}

// cutNote tells of a body that was not read to its end.
func (p *httpProber) cutNote(cut bool) string {
	if !cut {
		return ""
	}
	return ", read only the first " + size(p.check.MaxBody) + " of the body"
}

// lastWords reads the beginning of the body of a response that is refused already.
func (p *httpProber) lastWords(ctx context.Context, l *link, body io.Reader) string {
	if body == nil {
		return ""
	}
	patience := time.Now().Add(excerptPatience)
	if deadline, ok := ctx.Deadline(); !ok || patience.Before(deadline) {
		if l.raw.SetDeadline(patience) != nil {
			return ""
		}
	}
	if ctx.Err() != nil {
		return "" // the deadline that stops the probe may have been overwritten
	}
	// What has arrived is all that there is to say, whatever ended it.
	first, _ := io.ReadAll(io.LimitReader(body, min(ExcerptSize+1, int64(p.check.MaxBody))))
	return p.excerpt(first)
}

// readBody reads at most limit bytes and reports whether there were more. body may be nil.
func readBody(body io.Reader, limit int) (b []byte, cut bool, err error) {
	if body == nil {
		return nil, false, nil
	}
	b, err = io.ReadAll(io.LimitReader(body, int64(limit)+1))
	if len(b) > limit {
		return b[:limit], true, nil
	}
	return b, false, err
}
