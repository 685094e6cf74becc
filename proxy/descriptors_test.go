package proxy

import (
	"testing"

	"weir/internal/lbtest"
)

// With few descriptors left, new clients are turned away, told why and counted; those that are there
// are served.
func TestDescriptorBudget(t *testing.T) {
	o := answering(t, ok200)
	r := startOptions(t, Options{Config: load(t, site("", "", o.Addr())), Descriptors: 20}) // 9 for clients
	var clients []*client
	for range 9 {
		clients = append(clients, r.dial())
	}
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 9 })
	late := r.dial()
	late.want("GET", 503, "too many connections")
	late.wantEnd()
	clients[0].get("/", "ok")
	if got := r.stats.Listener("web").Counts().Rejected; got != 1 {
		t.Errorf("%d connections were rejected, want 1", got)
	}
	clients[0].Close() // its connection to the backend stays, and is one of the nine
	clients[1].Close()
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 7 })
	r.dial().get("/", "ok")
	if got := r.logs.FilterMessage("client connections are being turned away").Len(); got != 1 {
		t.Errorf("the log says so %d times, want 1", got)
	}
}
