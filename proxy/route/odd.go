package route

import (
	"net/netip"

	"weir/proxy/message"
)

// Refusal is why a request is refused for its path.
type Refusal uint8

const (
	NotRefused    Refusal = iota
	AmbiguousPath         // its plain and its folded form do not lead to the same
	EncodedNUL            // it has %00
)

// splitPath takes the path from a target. plain: it has no byte that could stand for something else,
// so that both of its forms are the path itself. Nearly all are.
func splitPath(target []byte) (path []byte, plain bool) {
	path = pathOf(target)
	for i, c := range path {
		switch c {
		case '%', ';', '\\':
			return path, false
		case '/':
			if i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
				return path, false
			}
		}
	}
	return path, true
}

// matchOdd finds the route of a path that can be read in several ways. All of them must lead to the
// same: a backend may read it otherwise than we do.
func (t *Table[T]) matchOdd(h *message.Head, path []byte, src netip.Addr) Match[T] {
	s := look(path)
	if s.nul {
		return Match[T]{Refused: EncodedNUL}
	}
	if !t.paths && !t.changes {
		m, _ := t.match(h, path, src)
		return m
	}
	scratch, ok := t.scratch.Get().(*[]byte)
	if !ok {
		scratch = new([]byte)
	}
	f := forms{wild: s.wild()}
	f.plain = Normalize((*scratch)[:0], path)
	*scratch = f.plain
	m, i := t.match(h, f.plain, src)
	if s.odd {
		*scratch = fold(f.plain, path)
		f.folded = (*scratch)[len(f.plain):]
		if !t.certain(h, src, &f, m, i) {
			m = Match[T]{Refused: AmbiguousPath}
		}
	}
	t.scratch.Put(scratch)
	return m
}

// forms is a path as it may be read.
type forms struct {
	plain, folded []byte
	wild          bool // and in ways that are neither
}

// certain reports whether m, what the route of number found says of the plain form, is what the table
// says of all others.
//
// Readers between the plain form and the folded one find a route that matches the folded form, and none
// behind one that matches both: those up to there have to say the same. If the path is wild, a route
// that asks for a path may match or not.
func (t *Table[T]) certain(h *message.Head, src netip.Addr, f *forms, m Match[T], found int) bool {
	if f.wild && m.Action.usesPath() {
		return false // it could climb out of where the action puts it
	}
	host := hostOnly(h.Authority)
	for i := range t.routes {
		e := &t.routes[i]
		if !e.mayMatch(h, host, f, src) {
			continue
		}
		if e.found(src) != m {
			return false
		}
		if f.wild && !e.asksPath() || !f.wild && i >= found {
			return true
		}
	}
	return t.fallback == m
}

// mayMatch is matches for the folded form, or for any path if that is wild.
func (e *entry[T]) mayMatch(h *message.Head, host []byte, f *forms, src netip.Addr) bool {
	if e.host != "" && !matchHost(e.host, host) || !e.hasMethod(h.Method) || e.more != nil && !e.more.match(h, src) {
		return false
	}
	return f.wild ||
		(e.folded.path == "" || string(f.folded) == e.folded.path) &&
			(e.folded.prefix == "" || matchPrefix(e.folded.prefix, f.folded)) &&
			(e.more == nil || e.more.matchPath(f.folded))
}

// asksPath reports whether the route does not match every path.
func (e *entry[T]) asksPath() bool {
	return e.path != "" || e.prefix != "" || e.more != nil && e.more.expression != nil
}
