package exchange

import (
	"encoding/hex"
	"math/rand/v2"

	"weir/proxy/http1"
	"weir/proxy/message"
)

// maxRequestID bounds an id that a trusted proxy gives: it goes into every log.
const maxRequestID = 128

// requestIDNames are the names that a trailer may not have where requests get an id.
var requestIDNames = []string{"x-request-id"}

// ownNames are the fields that weir answers for besides those that no trailer may have, in both
// directions.
func (s *Site) ownNames() []string {
	if s.requestID {
		return requestIDNames
	}
	return nil
}

// identifyRequest gives the request an id: the one that a trusted proxy gave it, else 128 random bits
// in hex. What others send under that name is dropped.
func (c *client) identifyRequest() {
	w := c.work
	req := &w.req
	given := req.Lookup("x-request-id")
	if len(given) > 0 && len(given) <= maxRequestID && w.x.site.forwarding.trusts(c.src.Addr()) {
		w.requestID = append(w.requestID, given...)
	} else {
		var id [16]byte
		a, b := rand.Uint64(), rand.Uint64()
		for i := range 8 {
			id[i], id[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
		}
		w.requestID = hex.AppendEncode(w.requestID, id[:])
	}
	req.DropFolded("x-request-id")
}

// appendRequestID writes the id of the request, to the backend and back to the client, in place of
// one that the response may have.
func (w *work) appendRequestID(dst []byte) []byte {
	if len(w.requestID) == 0 {
		return dst
	}
	return http1.AppendField(dst, "X-Request-ID", w.requestID)
}

// dropRequestID makes room for ours in a response.
func (w *work) dropRequestID(res *message.Head) {
	if len(w.requestID) != 0 {
		res.DropNamed("x-request-id")
	}
}
