package resolve

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// addrs parses addresses.
func addrs(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// backend is a backend as config loads it: of an address, or of a name.
func backend(name, host string, port uint16) *config.Backend {
	b := &config.Backend{Name: name, Weight: 3, State: config.Ready, MaxConnections: 9, Backup: true}
	if addr, err := netip.ParseAddr(host); err == nil {
		b.Address = netip.AddrPortFrom(addr, port)
		b.ProbeAddress = b.Address
		return b
	}
	b.Host, b.Port = host, port
	b.ProbeAddress = netip.AddrPortFrom(netip.Addr{}, port)
	return b
}

// poolOf is a configuration of one pool, web, whose names are looked up every 10 s.
func poolOf(backends ...*config.Backend) *config.Config {
	return &config.Config{
		Listeners: map[string]*config.Listener{},
		Pools: map[string]*config.Pool{
			"web": {Name: "web", Protocol: config.HTTP, ResolveInterval: 10 * time.Second, Backends: backends},
		},
	}
}

// names lists the names and addresses of the backends of the pool web.
func backendsOf(c *config.Config) (list []string) {
	for _, b := range c.Pools["web"].Backends {
		list = append(list, b.Name+"="+b.Address.String())
	}
	return list
}

// reply is what a zone says.
type reply struct {
	addrs []netip.Addr
	err   error
	hangs bool // until the question is given up
}

// zone is a Lookup with what the test puts into it.
type zone struct {
	asked chan string // gets every host that is asked for, and is waited on; nil: nobody
	says  func(host string) reply
}

func (z *zone) lookup(ctx context.Context, host string, _ []netip.Addr) ([]netip.Addr, error) {
	if z.asked != nil {
		select {
		case z.asked <- host:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	says := z.says(host)
	if says.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return says.addrs, says.err
}
