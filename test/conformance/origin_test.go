package conformance

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait of the kit.
const patience = 15 * time.Second

// origin is the backend of one message behind one proxy.
type origin struct {
	m  *message
	ln *net.TCPListener
	wg sync.WaitGroup

	head      chan struct{} // closed when a head of the message is there
	onHead    sync.Once
	over      chan struct{} // closed when a connection has been closed
	onOver    sync.Once
	late      chan struct{} // closed when the late bytes may be sent
	lateSent  chan struct{} // closed when they have been
	onLate    sync.Once
	mu        sync.Mutex
	arrivals  []arrival // in the order of their ends
	tunnelled string    // what came after a 101
}

func newOrigin(t *testing.T, m *message) *origin {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	o := &origin{m: m, ln: ln, head: make(chan struct{}), over: make(chan struct{}), late: make(chan struct{}), lateSent: make(chan struct{})}
	o.wg.Go(o.accept)
	return o
}

func (o *origin) addr() string { return o.ln.Addr().String() }

// stop waits until all that the proxy sent has been read. The proxy has ended, or has closed its
// connections at least.
func (o *origin) stop(t *testing.T) {
	t.Helper()
	if err := o.ln.Close(); err != nil {
		t.Error(err)
	}
	o.wg.Wait()
}

func (o *origin) accept() {
	for conn := int64(1); ; conn++ {
		c, err := o.ln.AcceptTCP()
		if err != nil {
			return // closed by stop
		}
		o.wg.Go(func() {
			defer o.onOver.Do(func() { close(o.over) })
			defer c.Close()
			o.serve(c, conn)
		})
	}
}

// serve answers the requests of a connection until that ends.
func (o *origin) serve(c *net.TCPConn, conn int64) {
	if c.SetDeadline(time.Now().Add(2*patience)) != nil {
		return
	}
	buf, p, replied := "", make([]byte, 128<<10), false
	for {
		a, head, done := readArrival(buf)
		scripted := head && o.m.scripted(a.target)
		if head && a.target != "/behind" && a.target != "/follow" {
			o.onHead.Do(func() { close(o.head) })
			if o.m.interim != "" && !replied && len(a.values("expect")) > 0 && !o.say(c, o.m.interim) {
				return
			}
			if scripted && o.m.early && !replied {
				if !o.answer(c, &a, true) {
					return
				}
			}
			replied = true
		}
		if !done {
			n, err := c.Read(p)
			if buf += string(p[:n]); err != nil {
				o.record(arrival{raw: buf, conn: conn})
				return
			}
			continue
		}
		a.whole, a.conn, replied = true, conn, false
		o.record(a)
		buf = buf[len(a.raw):]
		if scripted && o.m.early {
			continue
		}
		if !o.answer(c, &a, scripted) {
			return
		}
		if scripted && strings.HasPrefix(o.m.reply, "HTTP/1.1 101") {
			o.tunnel(c, buf)
			return
		}
	}
}

// answer sends the reply to a request. It returns false if the connection is over.
func (o *origin) answer(c *net.TCPConn, a *arrival, scripted bool) bool {
	if a.fault != "" {
		o.say(c, "HTTP/1.1 400 Ill-formed\r\nX-Origin: ill-formed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return false
	}
	if !scripted {
		return o.say(c, echo(a))
	}
	if !o.say(c, o.m.reply) {
		return false
	}
	if o.m.late != "" {
		select {
		case <-o.late:
		case <-time.After(patience):
			return false
		}
		sent := o.say(c, o.m.late)
		o.onLate.Do(func() { close(o.lateSent) })
		return sent
	}
	if o.m.finish == reset {
		_ = c.SetLinger(0) // it fails only on a connection that is gone
	}
	return o.m.finish == keep
}

// echo answers a request by naming it.
func echo(a *arrival) string {
	reply := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Origin: %s\r\n\r\n", a.name())
	if a.method == "HEAD" {
		return reply
	}
	return reply + "ok"
}

// name is what an echo says of a request.
func (a *arrival) name() string {
	return fmt.Sprintf("%s %s %d", a.method, quoted(a.target), len(a.body))
}

// say sends a text, at once or byte by byte.
func (o *origin) say(c *net.TCPConn, text string) bool {
	if o.m.dripping {
		for i := range len(text) {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				return false
			}
		}
		return true
	}
	_, err := io.WriteString(c, text)
	return err == nil
}

// tunnel reads what comes after a 101 and says it back; first has come already.
func (o *origin) tunnel(c *net.TCPConn, first string) {
	rest, _ := io.ReadAll(c) // what has come counts, whatever ended it
	o.mu.Lock()
	o.tunnelled = first + string(rest)
	o.mu.Unlock()
}

// record keeps a request, or what there is of one.
func (o *origin) record(a arrival) {
	if a.raw == "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.arrivals = append(o.arrivals, a)
}
