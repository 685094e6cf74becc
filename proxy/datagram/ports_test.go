package datagram

import (
	"errors"
	"net"
	"testing"
	"time"

	"weir/config"
	"weir/telemetry"
)

// TestNoPort: while there is no port, it is not looked for again, and once there is one it is found.
func TestNoPort(t *testing.T) {
	p := &ports{}
	now := int64(time.Hour)
	r := portRange{first: 40000, last: 40003}
	for range 4 {
		p.claim(r, now)
	}
	for i, until := range []time.Duration{3 * time.Minute, time.Minute, 2 * time.Minute} {
		p.vacate(40000+uint16(i), now+int64(until))
	}
	if port := p.claim(r, now); port != 0 || p.none != ticks(now+int64(time.Minute)) {
		t.Fatalf("claimed %d, and looks again at %d", port, p.none)
	}
	p.pages[40000>>8][40000&255] = 0 // free, as a search would see
	if port := p.claim(r, now+int64(59*time.Second)); port != 0 {
		t.Errorf("it has looked for a port before there can be one: %d", port)
	}
	p.pages[40000>>8][40000&255] = inUse
	if port := p.claim(r, now+int64(61*time.Second)); port != 40001 {
		t.Errorf("claimed %d", port)
	}
	// One that is given back early is found.
	p.claim(r, now+int64(61*time.Second))
	p.vacate(40003, now)
	if port := p.claim(r, now+int64(61*time.Second)); port != 40003 {
		t.Errorf("claimed %d", port)
	}
}

func BenchmarkNoPort(b *testing.B) {
	p := &ports{}
	now := int64(time.Hour)
	for p.claim(usualPorts, now) != 0 {
	}
	for b.Loop() {
		if p.claim(usualPorts, now) != 0 {
			b.Fatal("there is a port")
		}
	}
}

// TestReservedPorts: what the operator keeps for others is left to them.
func TestReservedPorts(t *testing.T) {
	tests := []struct {
		text string
		want []uint16
		not  []uint16
	}{
		{"\n", nil, []uint16{0, 1, 8080}},
		{"8080,9000-9002,65535\n", []uint16{8080, 9000, 9001, 9002, 65535}, []uint16{0, 8079, 8999, 9003, 65534}},
		{"x,70000,5-y,7", []uint16{7}, []uint16{0, 5}},
	}
	for _, tt := range tests {
		set := parseReserved(tt.text)
		for _, port := range tt.want {
			if !set.has(port) {
				t.Errorf("%q: %d is not in it", tt.text, port)
			}
		}
		for _, port := range tt.not {
			if set.has(port) {
				t.Errorf("%q: %d is in it", tt.text, port)
			}
		}
	}
	p := &ports{}
	r := portRange{first: 40000, last: 40003, reserved: parseReserved("40000,40002-40003")}
	if first, second := p.claim(r, 0), p.claim(r, 0); first != 40001 || second != 0 {
		t.Errorf("claimed %d and %d", first, second)
	}
}

func TestPortRange(t *testing.T) {
	for text, want := range map[string]portRange{
		"1024\t65535\n": {first: 1024, last: 65535}, "": usualPorts, "5": usualPorts, "0 5": usualPorts, "9 8": usualPorts, "a b": usualPorts,
	} {
		if got := parseRange(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// TestListenerGetsItsPort: a session that has the port of a new listener on this side makes way for it.
func TestListenerGetsItsPort(t *testing.T) {
	o := newOrigin(t, "", echo)
	r := newRig(t, rigOptions{ports: portRange{first: 25200, last: 25203}}, o.addr)
	var list []*client
	for range 4 {
		c := newClient(t, "", r.addr())
		c.ask("x")
		list = append(list, c)
	}
	k, err := r.engine.Open("127.0.0.1:25202", nil)
	must(t, err)
	defer k.Close()
	if n := r.clients.Count(); n != 3 {
		t.Errorf("%d sessions, want one less", n)
	}
	if n := r.stats().Outcome(telemetry.OutcomeEvicted); n != 1 {
		t.Errorf("%d have made room", n)
	}
	answered := 0
	for _, c := range list {
		c.send("again")
	}
	eventually(t, "three have a port", func() bool {
		answered = o.received() - 4
		return answered == 3 && r.stats().Drops(telemetry.DropPorts) == 1
	})
	if _, err := r.engine.Open("127.0.0.1:25202", nil); err == nil {
		t.Error("an address is bound twice")
	}
	var taken *net.OpError
	if _, err := r.engine.Open(o.addr.String(), nil); !errors.As(err, &taken) {
		t.Errorf("somebody else's port: %v", err)
	}
}

// TestPortsElsewhere: where no port is left towards one backend, another one serves.
func TestPortsElsewhere(t *testing.T) {
	b1, b2 := newOrigin(t, "", named("b1")), newOrigin(t, "", named("b2"))
	r := newRig(t, rigOptions{
		ports: portRange{first: 25100, last: 25103}, pool: func(p *config.Pool) { p.Backends[0].Weight = 3 },
	}, b1.addr, b2.addr)
	got := map[string]int{}
	for range 8 {
		got[newClient(t, "", r.addr()).ask("x")]++
	}
	if got["b1 x"] != 4 || got["b2 x"] != 4 {
		t.Errorf("served by %v", got)
	}
	newClient(t, "", r.addr()).send("x")
	eventually(t, "the datagram is dropped", func() bool { return r.stats().Drops(telemetry.DropPorts) == 1 })
}
