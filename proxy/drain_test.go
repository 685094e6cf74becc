package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// shutDown begins to stop the server and returns when it accepts no more. The channel tells how the
// stop ended.
func (r *rig) shutDown() <-chan error {
	r.t.Helper()
	addr := r.addr()
	ended := make(chan error, 1)
	r.stopped = true // by this
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- r.s.Shutdown(ctx)
	}()
	lbtest.Eventually(r.t, patience, func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	return ended
}

// Whoever has just connected is served the first request, wherever the drain finds the connection.
func TestDrainServesWhoHasJustConnected(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	o := answering(t, ok200)
	t.Run("plain", func(t *testing.T) {
		r := start(t, site("", "", o.Addr()))
		idle, fresh := r.dial(), r.dial()
		idle.get("/", "ok")
		lbtest.Eventually(t, patience, func() bool { return r.connections() == 2 })
		ended := r.shutDown()
		idle.wantEnd()
		if a := fresh.get("/", "ok"); !a.Close {
			t.Error("the response does not say that the connection ends")
		}
		fresh.wantEnd()
		if err := <-ended; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	t.Run("TLS", func(t *testing.T) {
		r := start(t, secureSite(cert, "", "", o.Addr()))
		shaken, raw := r.dialTLS(trusting(t, cert)), r.dial()
		lbtest.Eventually(t, patience, func() bool { return r.connections() == 2 })
		ended := r.shutDown()
		late := tls.Client(raw.TCPConn, trusting(t, cert))
		if err := late.Handshake(); err != nil {
			t.Fatalf("handshake during the drain: %v", err)
		}
		for _, c := range []*tls.Conn{shaken.Conn, late} {
			if _, err := io.WriteString(c, getShop); err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(c)
			if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") || !strings.Contains(string(b), "Connection: close\r\n") {
				t.Errorf("got %q %v, want a response that ends the connection", b, err)
			}
		}
		if err := <-ended; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// It is not waited for longer than at any other time.
func TestDrainDoesNotWaitForTheSilent(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	o := answering(t, ok200)
	for _, text := range []string{
		site("timeouts: { client_header: 1s }", "", o.Addr()),
		secureSite(cert, "timeouts: { client_tls: 1s }", "", o.Addr()),
	} {
		r := start(t, text)
		silent := r.dial()
		lbtest.Eventually(t, patience, func() bool { return r.connections() == 1 })
		ended := r.shutDown()
		silent.wantEnd()
		if err := <-ended; err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	}
}

const recordAlert = 21 // RFC 5246, section 6.2.1

// An idle connection over TLS ends with the alert that says so (RFC 8446, section 6.1).
func TestIdleTLSEndsWithAnAlert(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	o := answering(t, ok200)
	for _, how := range []string{"drain", "time-out", "time-out before a request"} {
		t.Run(how, func(t *testing.T) {
			listener := map[string]string{"time-out": "timeouts: { client_idle: 200ms }", "time-out before a request": "timeouts: { client_header: 600ms }"}
			r := start(t, secureSite(cert, listener[how], "", o.Addr()))
			old := trusting(t, cert)
			old.MaxVersion = tls.VersionTLS12 // whose records show what they are
			c := r.dialTLS(old)
			if how != "time-out before a request" {
				c.ask(getShop)
				c.want("GET", 200, "ok")
			}
			if how == "drain" {
				r.shutDown()
			}
			// crypto/tls would take the end of the stream for the same: look at the record.
			if b, err := io.ReadAll(c.TCPConn); err != nil || len(b) == 0 || b[0] != recordAlert {
				t.Errorf("got %x %v, want an alert", b, err)
			}
		})
	}
}

// Idle connections that are many end all, whatever they do at that moment.
func TestDrainMeetsBusyConnections(t *testing.T) {
	o := answering(t, ok200)
	for range 20 {
		r := start(t, site("", "", o.Addr()))
		ended := make(chan error, 16)
		for range cap(ended) {
			c := r.dial()
			go func() {
				b := make([]byte, 1<<10)
				for {
					if _, err := io.WriteString(c, getShop); err != nil {
						ended <- nil
						return
					}
					switch n, err := c.Read(b); {
					case isTimeout(err):
						ended <- fmt.Errorf("after %d bytes: %w", n, err)
						return
					case err != nil:
						ended <- nil
						return
					}
				}
			}()
		}
		lbtest.Eventually(t, patience, func() bool { return r.outcomes()["ok"] > 100 })
		if err := <-r.shutDown(); err != nil {
			t.Fatalf("Shutdown: %v", err)
		}
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		}
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// Time-outs below one second act at their time, and not at the next look that comes each second.
func TestShortIdleTimeouts(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	tests := []struct {
		name, timeouts string
		use            func(c *client)
	}{
		{"silent", "client_header: 150ms", func(*client) {}},
		{"after a request", "client_idle: 150ms", func(c *client) {
			c.send(request)
			c.want("GET", 200, "ok")
		}},
		{"after two requests", "client_idle: 150ms", func(c *client) {
			c.send(request + request) // at once: the first silence would be long enough on a busy machine
			c.want("GET", 200, "ok")
			c.want("GET", 200, "ok")
		}},
		{"after an upload", "client_idle: 150ms", func(c *client) {
			c.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
			c.send("0\r\n\r\n")
			c.want("POST", 200, "ok")
		}},
	}
	o := answering(t, ok200)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, site("timeouts: { "+tt.timeouts+" }", "", o.Addr()))
			promptly(t, 900*time.Millisecond, func() time.Duration {
				began := time.Now() // before all that the time-out could be counted from
				c := r.dial()
				tt.use(c)
				c.wantEnd()
				d := time.Since(began)
				if d < 150*time.Millisecond {
					t.Errorf("the end came after %v, want 150 ms", d)
				}
				return d
			})
		})
	}
}

// promptly wants what attempt measures to take less than limit. On a busy machine anything may take long
// once; what waits for something else does so each time.
func promptly(t *testing.T, limit time.Duration, attempt func() time.Duration) {
	t.Helper()
	var d time.Duration
	for range 10 {
		if d = attempt(); d < limit || t.Failed() {
			return
		}
	}
	t.Errorf("it never took less than %v, at last %v", limit, d)
}

// An empty line in two pieces begins no head that could be late.
func TestEmptyLineInTwoPieces(t *testing.T) {
	o := answering(t, ok200)
	r := start(t, site("timeouts: { client_header: 500ms, client_idle: 1500ms }", "", o.Addr()))
	c := r.dial()
	c.get("/", "ok")
	c.send("\r")
	<-time.After(20 * time.Millisecond)
	c.send("\n")
	c.wantEnd() // without a 408, and before the patience of the client ends
	r.wantOutcomes("ok 1")
}
