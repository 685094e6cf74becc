package healthcheck

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"weir/config"
	"weir/internal/lbtest"
)

func tcpCheck(send, pattern string) *config.HealthCheck {
	return httpCheck(func(c *config.HealthCheck) {
		c.Protocol, c.Timeout, c.MaxBody = config.TCP, 10*time.Second, 4096
		c.Send, c.Expect.Pattern = []byte(send), pattern
	})
}

func TestTCPProbe(t *testing.T) {
	tests := []struct {
		name   string
		serve  lbtest.Serve
		check  *config.HealthCheck
		ok     bool
		phase  string
		reason string
	}{
		{"connect", lbtest.Hang(), tcpCheck("", ""), true, PhaseConnect, "connect ADDR → connected in ⋯"},
		{"send only", lbtest.Hang(), tcpCheck("hi\n", ""), true, PhaseSend, `send "hi" to ADDR → sent in ⋯`},
		{"send and expect", lbtest.Script(6, "+PONG\r\n"), tcpCheck("PING\r\n", `^\+PONG`), true, PhaseReceive,
			`send "PING" to ADDR → "+PONG" in ⋯`},
		{"banner", lbtest.Say("220 mail ready\r\n"), tcpCheck("", `^220 `), true, PhaseReceive,
			`read from ADDR → "220 mail ready" in ⋯`},
		{"met at the end", lbtest.Drip("", "x", time.Millisecond), tcpCheck("", `x{20}`), true, PhaseReceive,
			`read from ADDR → "xxxxxxxxxxxxxxxxxxxx⋯`},
		{"wrong and closed", lbtest.Say("500 no\r\n"), tcpCheck("", `^220 `), false, PhaseReceive,
			`read from ADDR → "500 no", then closed (want a reply that matches "^220 ")`},
		{"closed", lbtest.Say(""), tcpCheck("", `^220 `), false, PhaseReceive,
			`read from ADDR → nothing, then closed (want a reply that matches "^220 ")`},
		{"reset", lbtest.Reset(), tcpCheck("x", `y`), false, PhaseReceive,
			`send "x" to ADDR → nothing, then connection reset by peer (want a reply that matches "y")`},
		{"too much", lbtest.Say(strings.Repeat("x", 8192)), tcpCheck("", `y`), false, PhaseReceive,
			`read from ADDR → "` + strings.Repeat("x", 128) + `" in the first 4KiB (want a reply that matches "y")`},
		{"look-around", lbtest.Say("status: up\n"), tcpCheck("", `(?<=status: )up`), true, PhaseReceive,
			`read from ADDR → "status: up" in ⋯`},
		{"catastrophe", lbtest.Say(strings.Repeat("x", 1000)), tcpCheck("", `^(?=x)(x+x+)+y$`), false, PhaseReceive,
			`read from ADDR → "` + strings.Repeat("x", 128) + `" (expect "^(?=x)(x+x+)+y$": expression took longer than 100ms)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := lbtest.NewTCP(t, tt.serve)
			want(t, once(t, tt.check, b.Addr()), b.Addr(), tt.ok, tt.phase, 0, tt.reason)
		})
	}
	addr := lbtest.Refusing(t)
	want(t, once(t, tcpCheck("", ""), addr), addr, false, PhaseConnect, 0, "connect ADDR → connection refused")
}

func TestTCPProbeExpectsLiteralBytes(t *testing.T) {
	c := tcpCheck("", "")
	c.Expect.Literal = []byte{0x00, 0xff, 0x01}
	good := lbtest.NewTCP(t, lbtest.Say("ab\x00\xff\x01"))
	want(t, once(t, c, good.Addr()), good.Addr(), true, PhaseReceive, 0, "read from ADDR → \"ab\u0020\ufffd\" in ⋯")
	bad := lbtest.NewTCP(t, lbtest.Say("ab\x00\xff\x02"))
	want(t, once(t, c, bad.Addr()), bad.Addr(), false, PhaseReceive, 0,
		"read from ADDR → \"ab \ufffd\", then closed (want \"\\x00\\xff\\x01\")")
}

// After a look at the reply that took long the next one waits; what comes in the meantime must still
// be seen, whether silence or the end follows.
func TestReplyIsSeenThatComesBetweenLooks(t *testing.T) {
	const look = 10 * time.Millisecond
	tests := []struct {
		name  string
		after func(net.Conn)
		took  time.Duration // two looks, and in silence the pause between them
	}{
		{"silence", hang, look + 4*look + look},
		{"end", func(net.Conn) {}, look + look},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				v := newVirtual()
				v.set(address(1), func(c net.Conn) {
					for _, s := range []string{"a", "y"} {
						if _, err := io.WriteString(c, s); err != nil {
							return
						}
					}
					tt.after(c)
				})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				l, _, err := opener{dial: v.dial}.open(ctx, address(1), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer l.close()
				start, looks := time.Now(), 0
				reply, err := readUntil(ctx, l, 100, func(b []byte) (bool, error) {
					looks++
					time.Sleep(look)
					return strings.HasSuffix(string(b), "y"), nil
				})
				if string(reply) != "ay" || err != nil || looks != 2 || time.Since(start) != tt.took {
					t.Errorf("got %q %v after %d looks in %v, want the reply after 2 in %v",
						reply, err, looks, time.Since(start), tt.took)
				}
			})
		})
	}
}

// A peer that drips must not cost a look per byte.
func TestLooksAtADrippedReplyArePaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		v.set(address(1), func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l, _, err := opener{dial: v.dial}.open(ctx, address(1), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer l.abort()
		looks := 0
		_, err = readUntil(ctx, l, 4096, func([]byte) (bool, error) {
			looks++
			time.Sleep(10 * time.Millisecond)
			return false, nil
		})
		if !isTimeout(err) || looks < 15 || looks > 21 {
			t.Errorf("%d looks of 10 ms within a second (%v), want a fifth of the time", looks, err)
		}
	})
}

// A probe that only connects must leave nothing in TIME_WAIT, so it ends with RST.
func TestConnectProbeEndsWithReset(t *testing.T) {
	ended := make(chan error, 1)
	b := lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	})
	if p := once(t, tcpCheck("", ""), b.Addr()); !p.OK {
		t.Fatal(p.Reason)
	}
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the backend saw %v, want a reset", err)
	}
}

func TestTCPProbeDeadlineHoldsAgainstDrips(t *testing.T) {
	bubble(t, func(t *testing.T) {
		v := newVirtual()
		m, results := newTestMonitor(t, v, 0)
		v.set(address(1), func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(99 * time.Millisecond)
			}
		})
		c := tcpCheck("", "y")
		c.Timeout = 2 * time.Second
		m.Apply([]Target{target(1, c)})
		pass(4 * time.Second)
		synctest.Wait()
		got := results.take()
		if len(got) != 1 {
			t.Fatalf("%d results, want 1", len(got))
		}
		p := got[0].Probe
		if p.OK || p.Duration != 2*time.Second || p.Phase != PhaseReceive ||
			!strings.HasSuffix(p.Reason, `" within 2s (want a reply that matches "y")`) {
			t.Errorf("got %+v", p)
		}
	})
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1234 * time.Nanosecond: "1µs", 3400 * time.Microsecond: "3ms", 2 * time.Second: "2s",
		2540 * time.Millisecond: "2.5s", 59 * time.Second: "59s", time.Minute: "1m", 90 * time.Second: "1m30s",
		10 * time.Minute: "10m", time.Hour: "1h", 2*time.Hour + time.Second: "2h0m1s", 26*time.Hour + 30*time.Minute: "26h30m",
	} {
		if got := brief(d); got != want {
			t.Errorf("brief(%v) = %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 bytes", 1: "1 byte", 1000: "1000 bytes", 1 << 18: "256KiB", 1 << 21: "2MiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}
