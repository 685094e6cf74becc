package exchange

import (
	"errors"
	"net/http"
	"strconv"
	"syscall"

	"weir/proxy/http1"
	"weir/proxy/route"
	"weir/proxy/wire"
	"weir/telemetry"
)

// failure is a response of our own.
type failure struct {
	status  int
	outcome telemetry.Outcome
	reason  string
	close   bool // the client's bytes that follow cannot be told apart from a request
	retry   bool // worth trying again soon
}

var (
	errHeadTimeout    = &http1.Error{Status: 408, Reason: "the request head took too long"}
	errBodyTimeout    = &failure{408, telemetry.OutcomeClientTimeout, "the request body stalled", true, false}
	errBodyMalformed  = &failure{400, telemetry.OutcomeBadRequest, "malformed request body", true, false}
	errBodyTooLarge   = &failure{413, telemetry.OutcomeTooLarge, "the request body is larger than max_body", true, false}
	errNoRoute        = &failure{421, telemetry.OutcomeNoRoute, "no route matches and the listener has no default pool", false, false}
	errNoBackendUp    = &failure{503, telemetry.OutcomeNoBackendUp, "no backend is up", false, true}
	errNoCapacity     = &failure{503, telemetry.OutcomeNoCapacity, "the backends that are up take no new requests", false, true}
	errQueueTimeout   = &failure{503, telemetry.OutcomeQueueTimeout, "no backend had been checked in time", false, true}
	errConnectRefused = &failure{503, telemetry.OutcomeBackendConnect, "the backend could not be connected to", false, true}
	errConnectTimeout = &failure{504, telemetry.OutcomeBackendConnect, "connecting to the backend took too long", false, true}
	errNoLocation     = &failure{400, telemetry.OutcomeBadRequest, "the redirection needs a Host that is a plain name", false, false}
	errDenied         = &failure{403, telemetry.OutcomeDenied, "this client may not use the service", false, false}
	errRateLimited    = &failure{429, telemetry.OutcomeRateLimited, "too many requests from this client", false, true}
	errBodySlow       = &failure{408, telemetry.OutcomeClientTimeout, "the request body came too slowly", true, false}
	errSessionLost    = &failure{503, telemetry.OutcomeNoBackendUp, "the backend of this session cannot be used", false, true}
	errMemory         = &failure{503, telemetry.OutcomeOverload, "memory is short", false, true}
	errOverload       = &failure{503, telemetry.OutcomeOverload, "too many connections are open", false, true}
	errHandshake      = &failure{502, telemetry.OutcomeBackendTLS, "the TLS handshake with the backend failed", false, false}
	errHandshakeSlow  = &failure{504, telemetry.OutcomeBackendTLS, "the TLS handshake with the backend took too long", false, true}
	errBackendReset   = &failure{502, telemetry.OutcomeBackendReset, "the backend closed the connection before it answered", false, false}
	errBackendTimeout = &failure{504, telemetry.OutcomeBackendTimeout, "the backend took too long to answer", false, false}
	errBadResponse    = &failure{502, telemetry.OutcomeBackendBadResponse, "the backend sent a malformed response", false, false}
)

// pathFailures are the answers to paths that are not routed.
var pathFailures = [...]*failure{
	route.AmbiguousPath: {400, telemetry.OutcomeBadRequest, "the path does not lead to the same in its plain and its folded form", false, false},
	route.EncodedNUL:    {400, telemetry.OutcomeBadRequest, "the path has an encoded NUL", false, false},
}

// How a response ends that cannot be delivered, or not to its end. There is no answer then.
var (
	lostClient        = &failure{outcome: telemetry.OutcomeClientClosed, reason: "the client closed the connection"}
	lostToStop        = &failure{outcome: telemetry.OutcomeDraining, reason: "cut off: the time to finish had passed"}
	lostClientSlow    = &failure{outcome: telemetry.OutcomeClientTimeout, reason: "the client took nothing of the response for too long"}
	lostTunnelIdle    = &failure{outcome: telemetry.OutcomeTunnelIdle, reason: "the tunnel was idle for too long"}
	lostBackendSlow   = &failure{outcome: telemetry.OutcomeBackendTimeout, reason: "the response stalled"}
	lostBackendClosed = &failure{outcome: telemetry.OutcomeBackendReset, reason: "the backend closed before the end of its response"}
)

// connectError is the answer to a failed connect.
func connectError(err error) *failure {
	slow := errors.Is(err, wire.ErrTimeout)
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return errOverload
	case errors.Is(err, errTLS) && slow:
		return errHandshakeSlow
	case errors.Is(err, errTLS):
		return errHandshake
	case slow:
		return errConnectTimeout
	}
	return errConnectRefused
}

// fail ends the exchange with a response of our own. The connection to the backend, if there still
// is one, is closed.
func (c *client) fail(f *failure) { c.failWith(f, f.reason) }

func (c *client) failWith(f *failure, reason string) {
	x := &c.work.x
	c.dropBackend()
	if c.gone.Load() {
		c.lost(c.whoLeft())
		return
	}
	x.outcome, x.reason, x.status = f.outcome, reason, f.status
	if x.cause != nil && f == x.failed {
		x.reason += ": " + x.cause.Error() // not for the client: it may name things of the inside
	}
	if f.close || (x.upload != nil && !x.upload.complete) {
		x.close = true
		c.ending = endLinger
	}
	c.sendReply(f.status, reason, x.close, f.retry, x.headReq, c.work.req.Minor == 0)
	c.done()
}

// refuse answers a request whose head cannot be accepted, and of which work.req has what was understood
// of it. Where the next request would begin is not known, so the connection ends.
func (c *client) refuse(e *http1.Error) {
	x := &c.work.x
	c.work.requestID = c.work.requestID[:0]
	*x = exchange{
		site: c.set.site.Load(), started: wire.Now(), close: true, status: e.Status, reason: e.Reason,
		method: telemetry.ParseMethod(c.work.req.Method), headReq: string(c.work.req.Method) == "HEAD",
		outcome: telemetry.OutcomeBadRequest,
		in:      int64(c.work.end - c.work.start),
	}
	if c.headSince != 0 {
		x.started = c.headSince
	}
	switch e.Status {
	case 414, 431:
		x.outcome = telemetry.OutcomeTooLarge
	case 408:
		x.outcome = telemetry.OutcomeClientTimeout
	}
	if x.site.requestID {
		c.identifyRequest()
	}
	c.ending = endLinger
	c.sendReply(e.Status, e.Reason, true, false, x.headReq, false)
	c.done()
}

// reply is a response of our own.
type reply struct {
	status int
	kind   string // media type of the body
	body   []byte
	fields []byte        // further field lines
	action *route.Action // whose answer it is; nil: none
	close  bool
	head   bool // to a HEAD: without the body
	old    bool // to an HTTP/1.0 client
}

// sendReply writes the answer to a failure: the error page of its status, or a line for people to
// read.
func (c *client) sendReply(status int, reason string, closing, retry, head, old bool) {
	w := c.work
	page, kind := w.x.site.page(status)
	if page == nil {
		page, kind = w.plainPage(status, reason), "text/plain; charset=utf-8"
	}
	w.target = append(w.target[:0], "Cache-Control: no-store\r\n"...) // the request is over: its target is free
	if status == 405 {
		w.target = append(w.target, "Allow: OPTIONS\r\n"...) // which is what weir answers itself
	}
	if retry {
		w.target = appendRetryAfter(w.target, w.x.retryIn)
	}
	c.send(reply{status: status, kind: kind, body: page, fields: w.target, close: closing, head: head, old: old})
}

// send writes a response of our own. Its failure is of no consequence: the client is gone, which the
// next read shows.
func (c *client) send(r reply) {
	w := c.work
	out := append(w.out[:0], "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(r.status), 10)
	out = append(out, ' ')
	out = append(out, http.StatusText(r.status)...)
	out = append(out, "\r\n"...)
	if !r.action.ClaimsResponse("date") {
		out = c.set.engine.date.append(out)
	}
	if len(r.body) > 0 && r.kind != "" {
		out = http1.AppendField(out, "Content-Type", []byte(r.kind))
	}
	out = append(out, r.fields...)
	if !r.action.ClaimsResponse("x-request-id") {
		out = w.appendRequestID(out)
	}
	switch {
	case r.close:
		out = append(out, "Connection: close\r\n"...)
	case r.old:
		out = append(out, "Connection: keep-alive\r\n"...)
	}
	if !http1.NoBody(r.status, false) {
		out = append(out, "Content-Length: "...)
		out = strconv.AppendInt(out, int64(len(r.body)), 10)
		out = append(out, "\r\n"...)
	}
	out = append(out, "\r\n"...)
	if !r.head && !http1.NoBody(r.status, false) {
		out = append(out, r.body...)
	}
	w.out = out
	w.x.out += int64(len(out))
	_ = c.stream.write(out, w.x.site.timeouts.WriteIdle)
}

// plainPage is the body of a reply without an error page: what and why, for people to read.
func (w *work) plainPage(status int, reason string) []byte {
	w.cookies = append(w.cookies[:0], http.StatusText(status)...) // the request is over: its lines are free
	w.cookies = append(w.cookies, ": "...)
	w.cookies = append(w.cookies, reason...)
	w.cookies = append(w.cookies, '\n')
	return w.cookies
}
