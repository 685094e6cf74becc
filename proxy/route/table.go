package route

import (
	"bytes"
	"strings"

	"weir/config"
	"weir/proxy/message"
)

// Table maps requests to targets. The zero value matches nothing.
type Table[T any] struct {
	routes   []entry[T]
	paths    bool // some route looks at the path
	fallback T
	complete bool // there is a fallback
}

type entry[T any] struct {
	host    string // lower case; with a leading dot for a wildcard
	path    string
	prefix  string
	methods []string
	target  T
}

// New builds a table. target is called for the pool of every route, and for fallback, the default
// pool, unless that is empty.
func New[T any](routes []config.Route, fallback string, target func(pool string) T) *Table[T] {
	t := &Table[T]{}
	for _, r := range routes {
		e := entry[T]{
			host: strings.TrimPrefix(strings.ToLower(r.Host), "*"),
			path: string(Normalize(nil, []byte(r.Path))), prefix: string(Normalize(nil, []byte(r.PathPrefix))),
			methods: r.Methods, target: target(r.Pool),
		}
		t.paths = t.paths || r.Path != "" || r.PathPrefix != ""
		t.routes = append(t.routes, e)
	}
	if fallback != "" {
		t.fallback, t.complete = target(fallback), true
	}
	return t
}

// Match returns the target of a request and whether there is one.
func (t *Table[T]) Match(h *message.Head) (T, bool) {
	if len(t.routes) == 0 {
		return t.fallback, t.complete
	}
	path := pathOf(h.Target)
	if t.paths && !normal(path) {
		return t.matchNormalized(h, path)
	}
	return t.match(h, path)
}

// scratchSize is how long a path may be for its normal form to need no allocation.
const scratchSize = 1 << 10

// matchNormalized is apart from Match so that only paths that need it pay for the memory.
//
//go:noinline
func (t *Table[T]) matchNormalized(h *message.Head, path []byte) (T, bool) {
	var scratch [scratchSize]byte
	return t.match(h, Normalize(scratch[:0], path))
}

func (t *Table[T]) match(h *message.Head, path []byte) (T, bool) {
	host := hostOnly(h.Authority)
	for i := range t.routes {
		if e := &t.routes[i]; e.matches(h.Method, host, path) {
			return e.target, true
		}
	}
	return t.fallback, t.complete
}

func (e *entry[T]) matches(method, host, path []byte) bool {
	if e.host != "" && !matchHost(e.host, host) {
		return false
	}
	if e.path != "" && string(path) != e.path {
		return false
	}
	if e.prefix != "" && !matchPrefix(e.prefix, path) {
		return false
	}
	if len(e.methods) == 0 {
		return true
	}
	for _, m := range e.methods {
		if string(method) == m {
			return true
		}
	}
	return false
}

func matchHost(pattern string, host []byte) bool {
	if pattern[0] != '.' {
		return message.Equal(host, pattern)
	}
	return len(host) > len(pattern) && message.Equal(host[len(host)-len(pattern):], pattern)
}

func matchPrefix(prefix string, path []byte) bool {
	if len(path) < len(prefix) || string(path[:len(prefix)]) != prefix {
		return false
	}
	return len(path) == len(prefix) || prefix[len(prefix)-1] == '/' || path[len(prefix)] == '/'
}

// hostOnly takes the port off an authority that has been checked, and a final dot off a name.
func hostOnly(authority []byte) []byte {
	if i := bytes.LastIndexByte(authority, ':'); i >= 0 && bytes.IndexByte(authority[i:], ']') < 0 {
		authority = authority[:i]
	}
	return bytes.TrimSuffix(authority, dot)
}

var dot = []byte(".")

func pathOf(target []byte) []byte {
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		return target[:i]
	}
	return target
}
