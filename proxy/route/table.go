package route

import (
	"bytes"
	"net/netip"
	"strings"
	"sync"

	"weir/config"
	"weir/proxy/message"
)

// Table maps requests to what is done with them. It never changes, and any goroutine may use it; it
// must not be copied. The zero value matches nothing.
type Table[T comparable] struct {
	routes   []entry[T]
	paths    bool // some route looks at the path
	changes  bool // some action does
	fallback Match[T]
	scratch  sync.Pool // *[]byte, for forms of paths: on a stack they cannot be, expressions keep hold of them
}

// Match is what a table says about a request.
type Match[T comparable] struct {
	Target    T       // of the pool, or of the arm of a split
	Action    *Action // nil if the request and the response pass as they are
	HasTarget bool    // false if Action answers
	Found     bool    // false: no route matches, and there is no default pool, or Refused says why
	Refused   Refusal
}

// entry is a route. Of target and arms one is in use, unless action answers.
type entry[T comparable] struct {
	host     string // lower case; with a leading dot for a wildcard
	path     string // in plain form, as prefix
	prefix   string
	folded   struct{ path, prefix string }
	methods  []string
	more     *conditions // nil: none
	arms     []arm[T]
	answered bool // by action
	target   T
	action   *Action // nil: none
}

// New builds a table. target is called for the pool of every route and of every arm, and for
// fallback, the default pool, unless that is empty. The routes must have passed validation: New
// panics if it cannot compile one.
func New[T comparable](routes []config.Route, fallback string, target func(pool string) T) *Table[T] {
	t := &Table[T]{}
	for i := range routes {
		r := &routes[i]
		e := newEntry[T](r)
		if r.Pool != "" {
			e.target = target(r.Pool)
		}
		e.arms = newArms(r.Split, target)
		t.paths = t.paths || r.Path != "" || r.PathPrefix != "" || r.PathRegex != ""
		t.changes = t.changes || e.action.usesPath()
		t.routes = append(t.routes, e)
	}
	if fallback != "" {
		t.fallback = Match[T]{Target: target(fallback), HasTarget: true, Found: true}
	}
	return t
}

func newEntry[T comparable](r *config.Route) entry[T] {
	e := entry[T]{
		host:     strings.TrimPrefix(strings.ToLower(r.Host), "*"),
		path:     string(Normalize(nil, []byte(r.Path))),
		prefix:   string(Normalize(nil, []byte(r.PathPrefix))),
		methods:  r.Methods,
		more:     newConditions(r),
		answered: r.Redirect != nil || r.Respond != nil,
		action:   newAction(r),
	}
	e.folded.path, e.folded.prefix = folded(r.Path), folded(r.PathPrefix)
	return e
}

// Match finds the first route that takes a request. src is the address of the client, whoever
// passed the request on. Match does not allocate, and nothing in what it returns points into h.
func (t *Table[T]) Match(h *message.Head, src netip.Addr) Match[T] {
	path, plain := splitPath(h.Target)
	if !plain {
		return t.matchOdd(h, path, src)
	}
	if len(t.routes) == 0 {
		return t.fallback
	}
	m, _ := t.match(h, path, src)
	return m
}

// match takes the path in plain form. It also says which route matches; behind the last one is the
// default pool.
func (t *Table[T]) match(h *message.Head, path []byte, src netip.Addr) (Match[T], int) {
	host := hostOnly(h.Authority)
	for i := range t.routes {
		e := &t.routes[i]
		if e.matches(h.Method, host, path) && (e.more == nil || e.more.match(h, src) && e.more.matchPath(path)) {
			return e.found(src), i
		}
	}
	return t.fallback, len(t.routes)
}

func (e *entry[T]) found(src netip.Addr) Match[T] {
	m := Match[T]{Target: e.target, Action: e.action, HasTarget: !e.answered, Found: true}
	if len(e.arms) > 0 {
		m.Target = choose(e.arms, src)
	}
	return m
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
	return e.hasMethod(method)
}

func (e *entry[T]) hasMethod(method []byte) bool {
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
