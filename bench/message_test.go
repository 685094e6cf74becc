package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/lbtest"
)

var question = bytes.Repeat([]byte("?"), 200)

// answering is a TCP server that sends the reply for each message; once: it closes after one.
func answering(t *testing.T, reply []byte, once bool) (url string, messages *atomic.Int64) {
	t.Helper()
	messages = &atomic.Int64{}
	s := lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		message := make([]byte, len(question))
		for {
			if _, err := io.ReadFull(c, message); err != nil {
				return
			}
			messages.Add(1)
			if _, err := c.Write(reply); err != nil || once {
				return
			}
		}
	})
	return "tcp://" + s.Addr().String(), messages
}

func messageLoad(url string, reply []byte) LoadOptions {
	return LoadOptions{URL: url, Body: question, Reply: reply, Connections: 2, Duration: 200 * time.Millisecond, Timeout: 5 * time.Second}
}

func TestLoadTCP(t *testing.T) {
	bulk := bytes.Repeat([]byte("0123456789"), 100_000)
	for _, tt := range []struct {
		name  string
		reply []byte
		once  bool
		rate  float64
	}{
		{"small", []byte("yes"), false, 0},
		{"bulk", bulk, false, 0},
		{"new connections", []byte("yes"), true, 0},
		{"open loop", []byte("yes"), false, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, messages := answering(t, tt.reply, tt.once)
			o := messageLoad(url, tt.reply)
			o.Fresh, o.Rate = tt.once, tt.rate
			r, err := Load(t.Context(), o)
			if err != nil || r.Failed() != 0 || r.Requests == 0 || uint64(messages.Load()) != r.Total {
				t.Fatalf("got %d replies to %d messages, errors %v, first %v, error %v", r.Total, messages.Load(), r.Errors, r.FirstError, err)
			}
			if r.Received != r.Requests*uint64(len(tt.reply)) {
				t.Errorf("got %d bytes in %d replies of %d", r.Received, r.Requests, len(tt.reply))
			}
		})
	}
}

func TestLoadTCPFailures(t *testing.T) {
	tests := []struct {
		name   string
		reply  string // sent; "yes" is wanted
		once   bool
		fresh  bool
		kind   Failure
		inside string
	}{
		{"wrong reply", "no!", false, false, FailedCheck, "differs"},
		{"long reply", "yes!", false, false, FailedCheck, "differs"},
		{"cut short", "ye", true, false, FailedClosed, "EOF"},
		{"bytes after the reply", "yesyes", true, true, FailedCheck, "differs"},
		{"not closed", "yes", false, true, FailedTimeout, "timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url, _ := answering(t, []byte(tt.reply), tt.once)
			o := messageLoad(url, []byte("yes"))
			o.Fresh, o.Timeout = tt.fresh, 50*time.Millisecond
			r, err := Load(t.Context(), o)
			if err != nil || r.Errors[tt.kind] == 0 || len(r.Errors) != 1 || !strings.Contains(r.FirstError.Error(), tt.inside) {
				t.Errorf("got errors %v, first %v, error %v", r.Errors, r.FirstError, err)
			}
		})
	}
}

// datagrams answers each with the reply; every is how many it takes to get one.
func datagrams(t *testing.T, reply []byte, every int) (url string) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		b := make([]byte, 1<<16)
		for i := 1; ; i++ {
			_, from, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil && i%every == 0 {
				_, _ = c.WriteTo(reply, from) // a client that has gone does not matter
			}
		}
	})
	t.Cleanup(func() {
		_ = c.Close()
		serving.Wait()
	})
	return "udp://" + c.LocalAddr().String()
}

func TestLoadUDP(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		o := messageLoad(datagrams(t, []byte("yes"), 1), []byte("yes"))
		o.Fresh = fresh
		r, err := Load(t.Context(), o)
		if err != nil || r.Failed() != 0 || r.Requests == 0 {
			t.Errorf("fresh %v: got %d replies, errors %v, first %v, error %v", fresh, r.Total, r.Errors, r.FirstError, err)
		}
	}
}

func TestLoadUDPFailures(t *testing.T) {
	tests := []struct {
		name  string
		reply string
		every int
		kind  Failure
	}{
		{"wrong reply", "no!", 1, FailedCheck},
		{"short datagram", "ye", 1, FailedCheck},
		{"empty datagram", "", 1, FailedCheck},
		{"lost", "yes", 1 << 30, FailedTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := messageLoad(datagrams(t, []byte(tt.reply), tt.every), []byte("yes"))
			o.Timeout = 50 * time.Millisecond
			r, err := Load(t.Context(), o)
			if err != nil || r.Errors[tt.kind] == 0 || len(r.Errors) != 1 {
				t.Errorf("got errors %v, first %v, error %v", r.Errors, r.FirstError, err)
			}
		})
	}
}
