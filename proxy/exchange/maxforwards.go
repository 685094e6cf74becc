package exchange

import (
	"strconv"

	"weir/proxy/message"
	"weir/telemetry"
)

// maxForwards is the most hops that a request is sent on with: a count may have any number of digits.
const maxForwards = 1<<31 - 1

var (
	errTrace    = &failure{405, telemetry.OutcomeBadRequest, "TRACE ends here, as Max-Forwards says, and is not answered", false, false}
	errForwards = &failure{400, telemetry.OutcomeBadRequest, "malformed Max-Forwards", false, false}
)

// countForwards applies Max-Forwards, which counts in TRACE and OPTIONS alone (RFC 9110, section
// 7.6.2): it is lessened, and at 0 the request goes no further. Then OPTIONS is answered with what
// weir knows of the resource, nothing; TRACE, which would repeat what weir has received, is refused.
// It returns false if the exchange is over.
func (c *client) countForwards() bool {
	req, x := &c.work.req, &c.work.x
	if x.method != telemetry.MethodTrace && x.method != telemetry.MethodOptions {
		return true
	}
	n, given, ok := readForwards(req)
	switch {
	case !ok:
		c.fail(errForwards)
	case !given:
		return true
	case n > 0:
		req.DropNamed("max-forwards")
		x.forwards = n
		return true
	case x.method == telemetry.MethodTrace:
		c.fail(errTrace)
	default:
		c.answerOptions()
	}
	return false
}

// answerOptions ends the exchange with an empty 200.
func (c *client) answerOptions() {
	w := c.work
	x := &w.x
	if x.upload != nil && !x.upload.complete {
		x.close = true // the body will not be read
		c.ending = endLinger
	}
	x.status, x.outcome = 200, telemetry.OutcomeOK
	c.send(reply{status: 200, close: x.close, old: w.req.Minor == 0})
	c.done()
}

// readForwards reads Max-Forwards, which is a number and stands there once.
func readForwards(req *message.Head) (n int64, given, ok bool) {
	for i := range req.Fields {
		f := &req.Fields[i]
		if !message.Equal(req.NameBytes(f), "max-forwards") {
			continue
		}
		v := req.Value(f)
		if given || len(v) == 0 {
			return 0, given, false
		}
		for _, ch := range v {
			if ch < '0' || ch > '9' {
				return 0, given, false
			}
			n = min(10*n+int64(ch-'0'), maxForwards)
		}
		given = true
	}
	return n, given, true
}

// appendForwards writes the hops that the request has left.
func (x *exchange) appendForwards(dst []byte) []byte {
	if x.forwards == 0 || x.claims("max-forwards") {
		return dst
	}
	dst = append(dst, "Max-Forwards: "...)
	return append(strconv.AppendInt(dst, x.forwards-1, 10), "\r\n"...)
}
