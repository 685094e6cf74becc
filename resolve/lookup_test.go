package resolve

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSystem asks a server that answers in all the ways that there are.
func TestSystem(t *testing.T) {
	s := newDNS(t)
	both := []string{"A", "AAAA"}
	var many []netip.Addr
	for i := range 300 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}))
	}
	s.say("two.example.", record{addrs: addrs("10.0.0.1", "2001:db8::1")}, both...)
	s.say("v4.example.", record{addrs: addrs("10.0.0.1")}, both...)
	s.say("alias.example.", record{alias: "v4.example.", addrs: addrs("10.0.0.1")}, both...)
	s.say("none.example.", record{}, both...)
	s.say("servfail.example.", record{code: codeServfail}, both...)
	s.say("refused.example.", record{code: codeRefused}, both...)
	s.say("cut.example.", record{addrs: many, cut: true}, "A")
	s.say("cut.example.", record{}, "AAAA")
	s.say("garbage.example.", record{lie: func([]byte) []byte { return []byte("no DNS at all") }}, both...)
	s.say("id.example.", record{addrs: addrs("10.6.6.6"), lie: func(b []byte) []byte { b[0] ^= 0xff; return b }}, both...)
	s.say("another.example.", record{addrs: addrs("10.6.6.6"), lie: func(b []byte) []byte {
		return bytes.Replace(b, []byte("another"), []byte("nothing"), 1)
	}}, both...)
	s.say("sink.example.", record{addrs: addrs("0.0.0.0", "::")}, both...)
	tests := []struct {
		host    string
		want    []netip.Addr
		outcome Outcome
	}{
		{"two.example.", addrs("10.0.0.1", "2001:db8::1"), OK},
		{"TWO.Example.", addrs("10.0.0.1", "2001:db8::1"), OK},
		{"v4.example.", addrs("10.0.0.1"), OK},
		{"alias.example.", addrs("10.0.0.1"), OK},
		{"none.example.", nil, NotFound},
		{"nowhere.example.", nil, NotFound},
		{"servfail.example.", nil, Failed},
		{"refused.example.", nil, Failed},
		{"cut.example.", many[:MaxAddresses], OK},
		{"garbage.example.", nil, Timeout},
		{"id.example.", nil, Timeout},
		{"another.example.", nil, Timeout},
		{"sink.example.", nil, Unusable},
	}
	lookup := system(s.dial)
	for _, tt := range tests {
		t.Run(tt.host, func(t *testing.T) {
			t.Parallel()
			patience := time.Minute
			if tt.outcome == Timeout {
				patience = 300 * time.Millisecond // the resolver goes on hoping for a better reply
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			reply, err := lookup(ctx, tt.host, nil)
			n := &name{status: Status{Host: tt.host}}
			r := n.file(reply, err, time.Now())
			if r.Outcome != tt.outcome || !slices.Equal(r.Addresses, tt.want) {
				t.Errorf("got %s %v (%v), want %s %v", r.Outcome, r.Addresses, err, tt.outcome, tt.want)
			}
			if strings.HasPrefix(tt.host, "cut") && (s.count("cut.example./A/tcp") == 0 || r.Reason != "300 addresses, of which the first 256 are used") {
				t.Errorf("%d questions over TCP; reason %q", s.count("cut.example./A/tcp"), r.Reason)
			}
			if r.Outcome != OK && r.Reason == "" {
				t.Error("a failure without a reason")
			}
		})
	}
}

// TestSystemKeepsAFamilyInDoubt wants the addresses of one family to stay while the question about them has no
// reply, and to go when there are none.
func TestSystemKeepsAFamilyInDoubt(t *testing.T) {
	s := newDNS(t)
	lookup := system(s.dial)
	ask := func(held ...string) string {
		t.Helper()
		got, err := lookup(t.Context(), "app.example.", addrs(held...))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(sift(got).addresses)
	}
	s.say("app.example.", record{addrs: addrs("10.0.0.2")}, "A")
	s.say("app.example.", record{code: codeServfail}, "AAAA")
	if got := ask("10.0.0.1", "2001:db8::1"); got != "[10.0.0.2 2001:db8::1]" {
		t.Errorf("IPv6 in doubt: got %s", got)
	}
	if got := ask("10.0.0.1"); got != "[10.0.0.2]" {
		t.Errorf("IPv6 in doubt that nobody has known: got %s", got)
	}
	s.say("app.example.", record{}, "AAAA")
	if got := ask("10.0.0.1", "2001:db8::1"); got != "[10.0.0.2]" {
		t.Errorf("no IPv6 any more: got %s", got)
	}
	s.say("app.example.", record{code: codeServfail}, "A")
	s.say("app.example.", record{addrs: addrs("2001:db8::2")}, "AAAA")
	if got := ask("10.0.0.1", "2001:db8::1"); got != "[10.0.0.1 2001:db8::2]" {
		t.Errorf("IPv4 in doubt: got %s", got)
	}
}

// TestExplain wants reasons without what differs from one time to the next.
func TestExplain(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String() // nobody has the UDP port of it, most likely
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	lookup := system(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	})
	_, err = lookup(t.Context(), "app.example.", nil)
	outcome, reason := explain(err)
	if outcome != Failed || !strings.HasPrefix(reason, "connection refused") || strings.Contains(reason, address[strings.LastIndex(address, ":"):]) {
		t.Errorf("got %s: %s (%v)", outcome, reason, err)
	}
	if outcome, reason := explain(fmt.Errorf("look up: %w", context.DeadlineExceeded)); outcome != Timeout || reason != "no answer within 30s" {
		t.Errorf("got %s: %s", outcome, reason)
	}
	if outcome, reason := explain(net.InvalidAddrError("odd")); outcome != Failed || reason != "odd" {
		t.Errorf("got %s: %s", outcome, reason)
	}
}

// TestSystemEndsWithItsContext wants a look-up that nobody answers to end when it is told to.
func TestSystemEndsWithItsContext(t *testing.T) {
	s := newDNS(t)
	s.say("mute.example.", record{mute: true}, "A", "AAAA")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := system(s.dial)(ctx, "mute.example.", nil)
		ended <- err
	}()
	for deadline := time.Now().Add(5 * time.Second); s.count("mute.example./A") == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server was not asked")
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("an answer came from nowhere")
		}
	case <-time.After(3 * time.Second):
		t.Error("it goes on")
	}
}
