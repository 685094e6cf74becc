package api

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"weir/telemetry"
)

const (
	// refusalEvery is how often the log has a line about requests of one address that were refused.
	refusalEvery = time.Minute
	// maxRefused bounds the addresses that are remembered. While there are more within a minute, those
	// that come on top are counted and not logged.
	maxRefused = 1024
)

// refusals counts requests that are refused for who sent them, and logs them, seldom.
type refusals struct {
	log   *zap.Logger
	count func(telemetry.AdminRefusal) // nil: nobody does

	mu   sync.Mutex // guards what follows
	seen map[netip.Addr]*refusal
}

// refusal is what one address was refused since the last line about it.
type refusal struct {
	logged time.Time
	silent int // requests without a line since then
}

// add notes one refused request.
func (f *refusals) add(r *http.Request, reason telemetry.AdminRefusal, why string) {
	if f.count != nil {
		f.count(reason)
	}
	address := addressOf(r)
	silent, ok := f.due(address, time.Now())
	if !ok {
		return
	}
	f.log.Warn("admin request refused", zap.Stringer("client", address), zap.String("method", quote(r.Method)),
		zap.String("path", quote(r.URL.Path)), zap.String("reason", why), zap.Int("refused_before_without_a_line", silent))
}

// due reports whether it is time for a line about an address, and how many requests it stands for
// besides this one.
func (f *refusals) due(address netip.Addr, now time.Time) (silent int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.seen[address]
	if known == nil && !f.makeRoom(now) {
		return 0, false
	}
	if known == nil {
		f.seen[address] = &refusal{logged: now}
		return 0, true
	}
	if now.Sub(known.logged) < refusalEvery {
		known.silent++
		return 0, false
	}
	silent = known.silent
	known.logged, known.silent = now, 0
	return silent, true
}

// makeRoom forgets addresses about which there was no line for long, if there is no room for another one.
// mu must be held.
func (f *refusals) makeRoom(now time.Time) bool {
	if f.seen == nil {
		f.seen = make(map[netip.Addr]*refusal)
	}
	if len(f.seen) < maxRefused {
		return true
	}
	for address, r := range f.seen {
		if now.Sub(r.logged) >= refusalEvery {
			delete(f.seen, address)
		}
	}
	return len(f.seen) < maxRefused
}

// addressOf is the address of a client; the zero Addr on the socket.
func addressOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap()
}
