package contest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/valyala/fasthttp"

	"weir/bench/floor"
)

// smallHead is the longest head that the origin reads, in bytes.
const smallHead = 64 << 10

// smallServer answers small GETs for less than fasthttp's server does: origin and generator share a
// CPU, and if they are at their limit before the proxy is, it waits for them, and its cost of a
// request has that of falling asleep in it. A connection is served within one wait for readiness;
// what it has to say fits a segment.
type smallServer struct {
	origin *origin
	conn   syscall.RawConn
	in     []byte
	end    int // of what has been received
}

var smallReply = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"+
	"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(smallBody), smallBody)

// serveSmall accepts and answers.
func (o *origin) serveSmall(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		o.connections.Add(1)
		go o.answerSmall(c)
	}
}

func (o *origin) answerSmall(c net.Conn) {
	defer c.Close()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return // it was closed before it was served
	}
	s := smallServer{origin: o, conn: raw, in: make([]byte, 4<<10)}
	// An error means that the connection is gone, as does the end of the wait.
	_ = raw.Read(s.ready)
}

// ready serves what has come; true ends the connection.
func (s *smallServer) ready(fd uintptr) bool {
	for {
		if s.end == len(s.in) {
			if s.end >= smallHead {
				return true
			}
			s.in = append(s.in, make([]byte, s.end)...)
		}
		n, err := floor.Receive(int(fd), s.in[s.end:])
		switch {
		case err == syscall.EAGAIN:
			return false
		case err == syscall.EINTR:
			continue
		case err != 0 || n == 0:
			return true
		}
		s.end += n
		short := s.end < len(s.in)
		if !s.serve(int(fd)) {
			return true
		}
		if short {
			return false
		}
	}
}

// serve answers the whole requests that are there, and reports whether the connection goes on.
func (s *smallServer) serve(fd int) bool {
	rest := s.in[:s.end]
	for {
		i := bytes.Index(rest, []byte("\r\n\r\n"))
		if i < 0 {
			s.end = copy(s.in, rest)
			return true
		}
		out, again := s.origin.small(rest[:i+4])
		if !floor.SendAll(fd, out) || !again {
			return false
		}
		rest = rest[i+4:]
	}
}

// small is the answer to a request that has this head, and whether another may follow.
func (o *origin) small(head []byte) (answer []byte, again bool) {
	if bytes.HasPrefix(head, []byte("GET "+smallPath+" ")) && !bytes.Contains(head, []byte("close")) {
		o.exchanges.Add(1)
		return smallReply, true
	}
	var req fasthttp.RequestHeader
	if err := req.Read(bufio.NewReader(bytes.NewReader(head))); err != nil {
		return []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), false
	}
	status, body := 200, []byte(nil)
	switch path := string(req.RequestURI()); {
	case string(req.Method()) != "GET":
		status = fasthttp.StatusMethodNotAllowed
	case path == smallPath:
		o.exchanges.Add(1)
		body = []byte(smallBody)
	case path == healthPath:
		body = []byte("ok")
	case path == echoPath:
		body = fieldsOf(head)
	default:
		status = fasthttp.StatusNotFound
	}
	out := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Length: %d\r\n", status, fasthttp.StatusMessage(status), len(body))
	if req.ConnectionClose() {
		out = append(out, "Connection: close\r\n"...)
	}
	return append(append(out, "\r\n"...), body...), !req.ConnectionClose()
}

// fieldsOf lists the fields of a head as JSON, under their names as they came.
func fieldsOf(head []byte) []byte {
	fields := map[string][]string{}
	for i, line := range strings.Split(string(head), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && i > 0 {
			fields[name] = append(fields[name], strings.TrimSpace(value))
		}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		panic("contest: strings do not become JSON: " + err.Error())
	}
	return b
}
