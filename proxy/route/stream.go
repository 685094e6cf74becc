package route

import (
	"bytes"
	"net/netip"
	"strings"

	"weir/config"
	"weir/internal/sniff"
)

// Streams maps connections without HTTP to what is done with them. It never changes, and any
// goroutine may use it. The zero value matches nothing.
type Streams[T any] struct {
	routes   []stream[T]
	fallback T
	whole    bool // there is a fallback
	hellos   bool // some route looks at the ClientHello
}

// stream is a route. Of target and arms one is in use.
type stream[T any] struct {
	source []netip.Prefix
	sni    []string // lower case; with a leading dot for a wildcard
	alpn   []string
	arms   []arm[T]
	target T
}

// NewStreams builds a table of routes that have passed validation. target is called for the pool of
// every route and of every arm, and for fallback, the default pool, unless that is empty.
func NewStreams[T any](routes []config.Route, fallback string, target func(pool string) T) *Streams[T] {
	t := &Streams[T]{}
	for i := range routes {
		r := &routes[i]
		s := stream[T]{source: r.Source, alpn: r.ALPN, arms: newArms(r.Split, target)}
		for _, name := range r.SNI {
			s.sni = append(s.sni, strings.TrimPrefix(strings.ToLower(name), "*"))
		}
		if r.Pool != "" {
			s.target = target(r.Pool)
		}
		t.hellos = t.hellos || len(s.sni) > 0 || len(s.alpn) > 0
		t.routes = append(t.routes, s)
	}
	if fallback != "" {
		t.fallback, t.whole = target(fallback), true
	}
	return t
}

// NeedsHello reports whether some route looks at the ClientHello.
func (t *Streams[T]) NeedsHello() bool { return t.hellos }

// Match finds the first route that takes a connection of src. hello is what its client has begun
// TLS with, the zero value if it has not. ok is false if no route matches and there is no default pool.
// Match does not allocate.
func (t *Streams[T]) Match(hello *sniff.Hello, src netip.Addr) (target T, ok bool) {
	for i := range t.routes {
		r := &t.routes[i]
		if !r.matches(hello, src) {
			continue
		}
		if len(r.arms) > 0 {
			return choose(r.arms, src), true
		}
		return r.target, true
	}
	return t.fallback, t.whole
}

func (r *stream[T]) matches(hello *sniff.Hello, src netip.Addr) bool {
	if len(r.source) > 0 && !within(src.Unmap().WithZone(""), r.source) {
		return false
	}
	return r.named(hello) && r.spoken(hello)
}

// named reports whether the client asks for one of the names. A final dot is no part of a name.
func (r *stream[T]) named(hello *sniff.Hello) bool {
	if len(r.sni) == 0 {
		return true
	}
	name := bytes.TrimSuffix(hello.ServerName, dot)
	for _, pattern := range r.sni {
		if len(name) > 0 && matchHost(pattern, name) {
			return true
		}
	}
	return false
}

// spoken reports whether the client offers one of the protocols.
func (r *stream[T]) spoken(hello *sniff.Hello) bool {
	if len(r.alpn) == 0 {
		return true
	}
	for _, name := range r.alpn {
		if hello.ALPN.Has(name) {
			return true
		}
	}
	return false
}
