package resolve

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"weir/config"
)

// knowing makes a resolver that knows answers of the backends of the pool web, without asking anybody.
func knowing(t *testing.T, c *config.Config, answers map[string][]netip.Addr) *Resolver {
	t.Helper()
	r := New(Options{Local: func() ([]netip.Addr, error) { return addrs("127.0.0.1", "192.0.2.9"), nil }})
	t.Cleanup(r.Close)
	for _, b := range c.Pools["web"].Backends {
		if list, ok := answers[b.Name]; ok {
			n := &name{status: Status{Key: Key{"web", b.Name}, Host: b.Host}}
			n.file(list, nil, n.status.Since)
			r.names[n.status.Key] = n
		}
	}
	return r
}

func TestExpand(t *testing.T) {
	listener := func(protocol config.Protocol, address string) *config.Listener {
		return &config.Listener{Name: "front", Protocol: protocol, Addresses: []string{address}, Pool: "web"}
	}
	var many []netip.Addr
	for i := range MaxAddresses {
		many = append(many, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
	}
	tests := []struct {
		name      string
		backends  []*config.Backend
		listener  *config.Listener
		answers   map[string][]netip.Addr
		want      string
		resolving int
		reason    string // of app
	}{
		{"in its place, in order",
			[]*config.Backend{backend("a", "10.0.0.9", 80), backend("app", "app.example", 8080), backend("b", "10.0.0.8", 80)}, nil,
			map[string][]netip.Addr{"app": addrs("2001:db8::1", "10.0.0.2", "10.0.0.1")},
			"a=10.0.0.9:80 app/10.0.0.1=10.0.0.1:8080 app/10.0.0.2=10.0.0.2:8080 app/2001:db8::1=[2001:db8::1]:8080 b=10.0.0.8:80", 0, ""},
		{"not answered", []*config.Backend{backend("app", "app.example", 80), backend("db", "db.example", 80)}, nil,
			map[string][]netip.Addr{"db": addrs("10.0.0.1")}, "db/10.0.0.1=10.0.0.1:80", 1, ""},
		{"answered without addresses", []*config.Backend{backend("app", "app.example", 80)}, nil,
			map[string][]netip.Addr{"app": nil}, "", 0, "the answer has no usable address: it is empty"},
		{"an address that is written elsewhere", []*config.Backend{backend("app", "app.example", 80), backend("b", "10.0.0.1", 80)}, nil,
			map[string][]netip.Addr{"app": addrs("10.0.0.1", "10.0.0.2")}, "app/10.0.0.2=10.0.0.2:80 b=10.0.0.1:80", 0, "10.0.0.1 is not used: backend b has it"},
		{"the same at another port", []*config.Backend{backend("app", "app.example", 80), backend("b", "10.0.0.1", 81)}, nil,
			map[string][]netip.Addr{"app": addrs("10.0.0.1")}, "app/10.0.0.1=10.0.0.1:80 b=10.0.0.1:81", 0, ""},
		{"two names of one address", []*config.Backend{backend("x", "x.example", 80), backend("app", "app.example", 80)}, nil,
			map[string][]netip.Addr{"app": addrs("10.0.0.1"), "x": addrs("10.0.0.1")}, "x/10.0.0.1=10.0.0.1:80", 0, "10.0.0.1 is not used: backend x has it"},
		{"its own listener, all addresses", []*config.Backend{backend("app", "app.example", 80)}, listener(config.HTTP, ":80"),
			map[string][]netip.Addr{"app": addrs("192.0.2.9", "192.0.2.10")}, "app/192.0.2.10=192.0.2.10:80", 0,
			"192.0.2.9 is not used: it is listener front, which serves this pool"},
		{"its own listener, one address", []*config.Backend{backend("app", "app.example", 80)}, listener(config.HTTP, "192.0.2.10:80"),
			map[string][]netip.Addr{"app": addrs("192.0.2.9", "192.0.2.10")}, "app/192.0.2.9=192.0.2.9:80", 0,
			"192.0.2.10 is not used: it is listener front, which serves this pool"},
		{"its own listener, another port", []*config.Backend{backend("app", "app.example", 8080)}, listener(config.HTTP, ":80"),
			map[string][]netip.Addr{"app": addrs("192.0.2.9")}, "app/192.0.2.9=192.0.2.9:8080", 0, ""},
		{"its own listener, another transport", []*config.Backend{backend("app", "app.example", 80)}, listener(config.UDP, ":80"),
			map[string][]netip.Addr{"app": addrs("192.0.2.9")}, "app/192.0.2.9=192.0.2.9:80", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := poolOf(tt.backends...)
			if tt.listener != nil {
				c.Listeners["front"] = tt.listener
			}
			before := fmt.Sprint(backendsOf(c))
			r := knowing(t, c, tt.answers)
			e := r.Expand(c)
			if got := strings.Join(backendsOf(e), " "); got != tt.want || e.Pools["web"].Resolving != tt.resolving {
				t.Errorf("got %s, %d resolving\nwant %s, %d", got, e.Pools["web"].Resolving, tt.want, tt.resolving)
			}
			if after := fmt.Sprint(backendsOf(c)); after != before || c.Pools["web"].Named != nil {
				t.Errorf("the original was changed: %s", after)
			}
			if reason := r.Status()[0].Reason; reason != tt.reason {
				t.Errorf("reason: got %q, want %q", reason, tt.reason)
			}
		})
	}
	t.Run("more than a pool holds", func(t *testing.T) {
		var backends []*config.Backend
		answers := map[string][]netip.Addr{}
		for i := range 20 {
			b := backend(fmt.Sprintf("n%02d", i), fmt.Sprintf("n%d.example", i), uint16(1000+i))
			backends, answers[b.Name] = append(backends, b), many
		}
		c := poolOf(backends...)
		r := knowing(t, c, answers)
		if got := len(r.Expand(c).Pools["web"].Backends); got != maxBackends {
			t.Errorf("got %d backends, want %d", got, maxBackends)
		}
		all := r.Status()
		if last := all[len(all)-1]; !strings.Contains(last.Reason, "10.1.0.0 is not used: the pool has 4096 backends") || !strings.HasSuffix(last.Reason, "and 252 more are not used") {
			t.Errorf("got the reason %s", last.Reason)
		}
	})
}

// TestExpandKeepsTheRest wants each address to have what was said of its name.
func TestExpandKeepsTheRest(t *testing.T) {
	b := backend("app", "app.example", 8080)
	b.Origin = config.Origin{File: "weir.yaml", Line: 7}
	c := poolOf(b)
	e := knowing(t, c, map[string][]netip.Addr{"app": addrs("10.0.0.1")}).Expand(c)
	want := *b
	want.Name, want.Group = "app/10.0.0.1", "app"
	want.Address = netip.MustParseAddrPort("10.0.0.1:8080")
	want.ProbeAddress = want.Address
	if got := e.Pools["web"].Backends[0]; !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	if got := e.Pools["web"].Named; !slices.Equal(got, c.Pools["web"].Backends) {
		t.Errorf("named: got %v", got)
	}
	b.ProbeAddress = netip.MustParseAddrPort("192.0.2.5:9000") // health_check: { address, port }
	e = knowing(t, c, map[string][]netip.Addr{"app": addrs("10.0.0.1")}).Expand(c)
	if got := e.Pools["web"].Backends[0].ProbeAddress; got != b.ProbeAddress {
		t.Errorf("probes go to %s, want %s", got, b.ProbeAddress)
	}
	plain := poolOf(backend("a", "10.0.0.1", 80))
	if knowing(t, plain, nil).Expand(plain) != plain {
		t.Error("a configuration without names is copied")
	}
}
