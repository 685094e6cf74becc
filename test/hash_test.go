package test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// hashClients is the number of client addresses.
const hashClients = 2000

// TestHashAcrossProcesses asks processes of the same and of slightly different configurations where
// each of 2,000 clients goes.
func TestHashAcrossProcesses(t *testing.T) {
	b := backends(t, 10)
	ask := func(backends string) map[netip.Addr]string {
		t.Helper()
		d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { algorithm: source_ip, hash: { seed: 7 }, backends: %s } }
`, backends))
		eventually(t, "all are up", func() bool {
			p := d.status().Pools[0]
			return p.Up == len(p.Backends)
		})
		calls := drive(t, load{url: d.url("web"), clients: 8, limit: hashClients, source: loopback}).wait()
		d.stop()
		wantNoFailure(t, calls)
		where := map[netip.Addr]string{}
		for _, c := range calls {
			where[c.client] = c.backend
		}
		if len(where) != hashClients {
			t.Fatalf("got %d clients, want %d", len(where), hashClients)
		}
		return where
	}
	first := ask(listed(b...))
	counts := map[string]int{}
	for _, name := range first {
		counts[name]++
	}
	for _, backend := range b {
		// Five standard deviations of 2,000 draws with a chance of a tenth.
		if n := counts[backend.Name()]; n < 133 || n > 267 {
			t.Errorf("%s has %d clients, want about 200", backend.Name(), n)
		}
	}
	if n := moved(first, ask(listed(b...))); n != 0 {
		t.Errorf("a second process sends %d clients elsewhere", n)
	}
	reversed := slices.Clone(b)
	slices.Reverse(reversed)
	if n := moved(first, ask(listed(reversed...))); n != 0 {
		t.Errorf("another order of the file sends %d clients elsewhere", n)
	}
	without := ask(listed(append(slices.Clone(b[:4]), b[5:]...)...)) // b5
	others := 0
	for client, name := range first {
		if name != "b5" && without[client] != name {
			others++
		}
	}
	// Of 10 backends, one may cost a tenth of the clients, which are its own, and 2 % of others.
	if n := moved(first, without); n < counts["b5"] || n > hashClients*12/100 || others > hashClients*2/100 {
		t.Errorf("without b5, which had %d clients, %d moved, %d of them from others", counts["b5"], n, others)
	}
	t.Logf("without b5, which had %d clients, %d others moved", counts["b5"], others)
}

// moved counts the clients that are elsewhere.
func moved(before, after map[netip.Addr]string) (n int) {
	for client, name := range before {
		if after[client] != name {
			n++
		}
	}
	return n
}
