package proxy

import (
	"weir/config"
	"weir/proxy/certs"
	"weir/proxy/exchange"
	"weir/telemetry"
)

// listener is one configured listener in service. Its fields are guarded by the server's mu, but for
// fault; clients never changes.
type listener struct {
	name     string
	config   *config.Listener
	identity *certs.Identity // of an https listener
	fault    string          // why its files could not be read again; the steward's
	sockets  []*socket       // that it owns
	clients  *exchange.Clients
	stats    *telemetry.Listener
}

// addresses are those that were bound.
func (l *listener) addresses() []string {
	var list []string
	for _, socket := range l.sockets {
		list = append(list, socket.Addr().String())
	}
	return list
}
