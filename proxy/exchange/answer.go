package exchange

import (
	"weir/proxy/http1"
	"weir/telemetry"
)

// answer ends the exchange with what its route says: a redirection or a fixed response.
func (c *client) answer() {
	w := c.work
	x := &w.x
	if x.upload != nil && !x.upload.complete {
		x.close = true // the body will not be read
		c.ending = endLinger
	}
	a := x.action
	r := reply{action: a, close: x.close, head: x.headReq, old: w.req.Minor == 0}
	w.target = w.target[:0]
	if a.Redirect != nil {
		w.cookies = a.Location(w.cookies[:0], &w.req)
		if len(w.cookies) == 0 {
			c.fail(errNoLocation)
			return
		}
		r.status = a.Redirect.Status
		w.target = http1.AppendField(w.target, "Location", w.cookies)
	} else {
		r.status, r.body, r.kind = a.Respond.Status, []byte(a.Respond.Body), a.Respond.ContentType
	}
	if a.ClaimsResponse("content-type") {
		r.kind = ""
	}
	r.fields = a.ResponseHeaders.Append(w.target)
	x.status, x.outcome = r.status, telemetry.OutcomeOK
	c.send(r)
	c.done()
}
