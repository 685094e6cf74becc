package proxy

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
	"weir/proxy/wire"
)

// TestConnectionsOutliveWildcard: a listener that goes between a wildcard and an address loses no client of
// that address; those of others come to their end with their next response.
func TestConnectionsOutliveWildcard(t *testing.T) {
	r := start(t, entries("web 127.0.0.1:0"))
	_, port, err := net.SplitHostPort(r.at("web", 0))
	if err != nil {
		t.Fatal(err)
	}
	for _, wildcard := range []string{"", "0.0.0.0", "[::]"} {
		c := dial(t, "127.0.0.1:"+port)
		c.get("/", "web")
		if got := r.apply(load(t, entries("web "+wildcard+":"+port))); got.ConnectionsClosed != 0 {
			t.Errorf("to the wildcard %q: %d connections closed, want 0", wildcard, got.ConnectionsClosed)
		}
		if a := c.get("/", "web"); a.Close {
			t.Errorf("to the wildcard %q: the connection ends", wildcard)
		}
		other := dial(t, "127.0.0.2:"+port)
		other.get("/", "web")
		if got := r.apply(load(t, entries("web 127.0.0.1:"+port))); got.ConnectionsClosed != 1 {
			t.Errorf("from the wildcard %q: %d connections closed, want 1", wildcard, got.ConnectionsClosed)
		}
		if a := c.get("/", "web"); a.Close {
			t.Errorf("from the wildcard %q: the connection ends", wildcard)
		}
		other.getLast("/", "web")
		c.Close()
		lbtest.Eventually(t, patience, func() bool { return r.connections() == 0 })
	}
}

// TestIdleConnectionsLeaveAfterGrace: whoever has lost its address and says nothing is closed in the end.
func TestIdleConnectionsLeaveAfterGrace(t *testing.T) {
	hasty := func(c *config.Config) { c.Process.Grace = 50 * time.Millisecond }
	r := start(t, entries("web 127.0.0.1:0", "shop 127.0.0.2:0"), hasty)
	c := dial(t, r.at("shop", 0))
	c.get("/", "shop")
	next := load(t, entries("web 127.0.0.1:0"))
	hasty(next)
	r.apply(next)
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) != 0 {
		t.Errorf("got %q %v, want the end of the connection", rest, err)
	}
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 0 })
}

func TestSocketServes(t *testing.T) {
	tests := []struct {
		address, to string
		want        bool
	}{
		{"127.0.0.1:0", "127.0.0.1", true},
		{"127.0.0.1:0", "::ffff:127.0.0.1", true},
		{"127.0.0.1:0", "127.0.0.2", false},
		{"0.0.0.0:0", "127.0.0.2", true},
		{"0.0.0.0:0", "::1", false},
		{"[::]:0", "127.0.0.2", true},
		{"[::]:0", "::1", true},
	}
	for _, tt := range tests {
		t.Run(tt.address+" "+tt.to, func(t *testing.T) {
			l, err := wire.Listen(tt.address)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			s := &socket{Listener: l}
			to := netip.MustParseAddr(tt.to)
			if got := s.serves(netip.AddrPortFrom(to, l.Addr().Port())); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if s.serves(netip.AddrPortFrom(to, l.Addr().Port()^1)) {
				t.Error("serves another port")
			}
		})
	}
	if s := (&socket{Listener: &wire.Listener{}}); s.serves(netip.AddrPort{}) {
		t.Error("serves a connection that has ended")
	}
}
