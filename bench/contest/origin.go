package contest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// What the origin serves.
const (
	smallPath  = "/"
	healthPath = "/health"
	echoPath   = "/bench/echo"  // the fields of the request, as JSON
	statsPath  = "/bench/stats" // originStats, as JSON
)

// originStats counts since the origin was started.
type originStats struct {
	Connections int64 `json:"connections"` // accepted
	Requests    int64 `json:"requests"`    // for smallPath
}

// origin is the web server behind all contestants.
type origin struct {
	connections atomic.Int64
	requests    atomic.Int64
}

// serveOrigin listens on n ports, prints their addresses as one JSON line and serves until the
// process is told to end, which is the only way.
func serveOrigin(n int, out io.Writer) error {
	var listeners []net.Listener
	var addrs []string
	for range n {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("origin: %w", err)
		}
		listeners = append(listeners, l)
		addrs = append(addrs, l.Addr().String())
	}
	if err := json.NewEncoder(out).Encode(addrs); err != nil {
		return fmt.Errorf("origin: tell the addresses: %w", err)
	}
	var o origin
	s := &fasthttp.Server{
		Handler:                       o.handle,
		ConnState:                     o.state,
		Name:                          "origin",
		NoDefaultContentType:          true,
		DisableHeaderNamesNormalizing: true,
	}
	ended := make(chan error, n)
	for _, l := range listeners {
		go func() { ended <- s.Serve(l) }()
	}
	return errors.Join(errors.New("origin stopped serving"), <-ended)
}

func (o *origin) state(_ net.Conn, s fasthttp.ConnState) {
	if s == fasthttp.StateNew {
		o.connections.Add(1)
	}
}

func (o *origin) handle(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Path()) {
	case smallPath:
		o.requests.Add(1)
		ctx.SetContentType("text/plain")
		ctx.SetBodyString(smallBody)
	case healthPath:
		ctx.SetBodyString("ok")
	case echoPath:
		fields := map[string][]string{}
		for name, value := range ctx.Request.Header.All() {
			fields[string(name)] = append(fields[string(name)], string(value))
		}
		reply(ctx, fields)
	case statsPath:
		reply(ctx, originStats{Connections: o.connections.Load(), Requests: o.requests.Load()})
	default:
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	}
}

func reply(ctx *fasthttp.RequestCtx, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		ctx.Error(err.Error(), fasthttp.StatusInternalServerError)
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(b)
}
