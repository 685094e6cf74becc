package healthcheck

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/valyala/fasthttp"

	"weir/config"
)

const userAgent = "weir/health"

// requestBytes is the request head: the configured fields as they are written, and of our own only
// Host, User-Agent, Accept-Encoding (a compressed body would match no expression) and Connection.
// A configured field replaces ours; authority is our Host.
func requestBytes(c *config.HealthCheck, authority string) []byte {
	var req fasthttp.Request
	h := &req.Header
	h.DisableNormalizing()
	h.SetMethod(c.Method)
	h.SetRequestURI(c.Path)
	h.SetHost(authority)
	h.SetUserAgent(userAgent)
	encoding := "identity"
	for _, f := range c.Headers {
		switch strings.ToLower(f.Name) {
		case "host":
			h.SetHost(f.Value)
		case "user-agent":
			h.SetUserAgent(f.Value)
		case "accept-encoding":
			encoding = f.Value
		case "connection", "content-length", "transfer-encoding":
			// They describe a connection and a body that the probe does not have.
		default:
			h.Add(f.Name, f.Value)
		}
	}
	if c.Host != "" {
		h.SetHost(c.Host)
	}
	h.Add("Accept-Encoding", encoding)
	h.SetConnectionClose()
	var out bytes.Buffer
	if _, err := req.WriteTo(&out); err != nil {
		panic(fmt.Sprintf("healthcheck: write a request without body: %v", err))
	}
	return out.Bytes()
}
