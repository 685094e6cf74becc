package contest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// What the origin serves over HTTP.
const (
	smallPath  = "/"
	bulkPath   = "/1mib"   // GET: 1 MiB
	uploadPath = "/upload" // POST of 1 MiB: smallBody
	healthPath = "/health"
	echoPath   = "/bench/echo"  // the fields of the request, as JSON
	statsPath  = "/bench/stats" // originStats, as JSON, on an address of its own
)

// originStats counts since the origin was started.
type originStats struct {
	Connections int64 `json:"connections"` // accepted
	Exchanges   int64 `json:"exchanges"`   // of the scenario
}

// originAddrs is what the origin tells when it serves.
type originAddrs struct {
	Stats    string   `json:"stats"`
	Backends []string `json:"backends"`
}

// origin is the server behind all contestants.
type origin struct {
	scenario    Scenario
	bulk        []byte // 1 MiB
	connections atomic.Int64
	exchanges   atomic.Int64
}

// serveOrigin listens on n ports, prints their addresses as one JSON line and serves what the
// scenario asks for until the process is told to end, which is the only way.
func serveOrigin(s Scenario, n int, out io.Writer) error {
	o := origin{scenario: s, bulk: []byte(bulk(1))}
	stats, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("origin: %w", err)
	}
	told := originAddrs{Stats: stats.Addr().String()}
	ended := make(chan error, n+1)
	for range n {
		addr, serve, err := o.listen()
		if err != nil {
			return fmt.Errorf("origin: %w", err)
		}
		told.Backends = append(told.Backends, addr.String())
		go func() { ended <- serve() }()
	}
	statsServer := &fasthttp.Server{Handler: o.handleStats}
	go func() { ended <- statsServer.Serve(stats) }()
	if err := json.NewEncoder(out).Encode(told); err != nil {
		return fmt.Errorf("origin: tell the addresses: %w", err)
	}
	return errors.Join(errors.New("origin stopped serving"), <-ended)
}

// listen opens one port.
func (o *origin) listen() (addr net.Addr, serve func() error, err error) {
	if o.scenario.Protocol == UDP {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, nil, err
		}
		return c.LocalAddr(), func() error { return o.serveUDP(c) }, nil
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	if o.scenario.Protocol == TCP {
		return l.Addr(), func() error { return o.serveTCP(l) }, nil
	}
	if o.scenario.MiB == 0 {
		return l.Addr(), func() error { return o.serveSmall(l) }, nil
	}
	s := &fasthttp.Server{
		Handler:                       o.handle,
		ConnState:                     o.state,
		Name:                          "origin",
		NoDefaultContentType:          true,
		DisableHeaderNamesNormalizing: true,
	}
	return l.Addr(), func() error { return s.Serve(l) }, nil
}

func (o *origin) state(_ net.Conn, s fasthttp.ConnState) {
	if s == fasthttp.StateNew {
		o.connections.Add(1)
	}
}

func (o *origin) handle(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Path()) {
	case bulkPath:
		o.exchanges.Add(1)
		ctx.SetContentType("application/octet-stream")
		ctx.Response.SetBodyRaw(o.bulk)
	case uploadPath:
		if !bytes.Equal(ctx.PostBody(), o.bulk) {
			ctx.Error("the body is not what it should be", fasthttp.StatusBadRequest)
			return
		}
		o.exchanges.Add(1)
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
	default:
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	}
}

func (o *origin) handleStats(ctx *fasthttp.RequestCtx) {
	reply(ctx, originStats{Connections: o.connections.Load(), Exchanges: o.exchanges.Load()})
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

// serveTCP accepts and answers.
func (o *origin) serveTCP(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		o.connections.Add(1)
		go o.answerTCP(c)
	}
}

// answerTCP replies to each message until the peer ends, or closes after one if the scenario has one
// connection for each.
func (o *origin) answerTCP(c net.Conn) {
	defer c.Close()
	in, out := make([]byte, messageSize), []byte(o.scenario.Body)
	for {
		if _, err := io.ReadFull(c, in); err != nil {
			return // the usual end, and that of health checks
		}
		if string(in) != smallBody {
			return
		}
		// Counted first: the reply may be there before the next line is.
		o.exchanges.Add(1)
		if _, err := c.Write(out); err != nil || o.scenario.Fresh {
			return
		}
	}
}

// serveUDP replies to each datagram.
func (o *origin) serveUDP(c *net.UDPConn) error {
	in, out := make([]byte, 64<<10), []byte(o.scenario.Body)
	for {
		n, from, err := c.ReadFromUDPAddrPort(in)
		if err != nil {
			return err
		}
		if string(in[:n]) != smallBody {
			continue
		}
		o.exchanges.Add(1)
		if _, err := c.WriteToUDPAddrPort(out, from); err != nil {
			return err
		}
	}
}
