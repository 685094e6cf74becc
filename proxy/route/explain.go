package route

import (
	"fmt"
	"net/netip"
	"strings"

	"weir/config"
	"weir/internal/sniff"
	"weir/proxy/message"
)

// Explanation is what the routes of a listener do with a flow, and why.
type Explanation struct {
	Verdicts []Verdict     // on each route, in their order; the last is that on the default pool
	Route    *config.Route // that takes the flow; nil: the default does, or Refused says why none
	Pool     string        // where that leads; empty: nowhere
	Refused  Refusal
}

// Verdict is whether a route takes a flow.
type Verdict struct {
	Origin  config.Origin // of the route, or, for the default, of the listener
	Default bool
	Does    string // what it asks for and what it does
	Taken   bool
	Why     string
}

// Explain says what a listener does with a request, as its Table does it. src is the address of the client.
func Explain(l *config.Listener, h *message.Head, src netip.Addr) Explanation {
	t := New(l.Routes, l.Pool, func(pool string) string { return pool })
	m := t.Match(h, src)
	path := Normalize(nil, pathOf(h.Target))
	_, taken := t.match(h, path, src)
	e := Explanation{Pool: m.Target, Refused: m.Refused}
	e.judge(l, taken, func(i int) []string { return t.routes[i].misses(&l.Routes[i], h, path, src) })
	if m.Refused != NotRefused {
		e.Route, e.Pool = nil, ""
		for i := range e.Verdicts {
			e.Verdicts[i].Taken = false
			e.Verdicts[i].Why = refusedWords(m.Refused)
		}
	}
	return e
}

// ExplainStream says what a listener does with a connection, as its Streams do it.
func ExplainStream(l *config.Listener, hello *sniff.Hello, src netip.Addr) Explanation {
	t := NewStreams(l.Routes, l.Pool, func(pool string) string { return pool })
	e := Explanation{}
	e.Pool, _ = t.Match(hello, src)
	taken := len(t.routes)
	for i := len(t.routes) - 1; i >= 0; i-- {
		if t.routes[i].matches(hello, src) {
			taken = i
		}
	}
	e.judge(l, taken, func(i int) []string { return t.routes[i].misses(hello, src) })
	return e
}

// judge fills in the verdicts. misses says what a route asks for that the flow does not have.
func (e *Explanation) judge(l *config.Listener, taken int, misses func(int) []string) {
	for i := range l.Routes {
		r := &l.Routes[i]
		v := Verdict{Origin: r.Origin, Does: describeRoute(r)}
		switch {
		case i == taken:
			v.Taken, v.Why, e.Route = true, "matches", r
			if arm := e.Pool; len(r.Split) > 0 {
				v.Why = "matches; the address of the client falls to " + arm
			}
		case i > taken:
			v.Why = "not reached: one before it matches"
		default:
			v.Why = strings.Join(misses(i), "; ")
		}
		e.Verdicts = append(e.Verdicts, v)
	}
	last := Verdict{Origin: l.Origin, Default: true, Does: "everything else → refused, for there is no default pool", Why: "no route matches"}
	if l.Pool != "" {
		last.Does = "everything else → pool " + l.Pool
	}
	switch {
	case taken < len(l.Routes):
		last.Why = "not reached: a route matches"
	case len(l.Routes) == 0:
		last.Why = "there are no routes"
	}
	last.Taken = taken == len(l.Routes) && l.Pool != ""
	e.Verdicts = append(e.Verdicts, last)
}

// describeRoute is a line of Describe without its place.
func describeRoute(r *config.Route) string {
	matchers := strings.Join(describeMatchers(r), ", ")
	if matchers == "" {
		matchers = "everything"
	}
	return matchers + " → " + strings.Join(describeActions(r), ", ")
}

// refusedWords says why a path is refused.
func refusedWords(r Refusal) string {
	if r == EncodedNUL {
		return "not asked: the path has %00, which ends it for some"
	}
	return "not asked: backends may read the path in another way than weir, and the routes would lead elsewhere then"
}

// misses lists what the route asks for and the request does not have, in the order in which it is asked.
// path is in plain form.
func (e *entry[T]) misses(r *config.Route, h *message.Head, path []byte, src netip.Addr) (why []string) {
	miss := func(format string, a ...any) { why = append(why, fmt.Sprintf(format, a...)) }
	if host := hostOnly(h.Authority); e.host != "" && !matchHost(e.host, host) {
		miss("the host is %s", quoted(host))
	}
	if e.path != "" && string(path) != e.path {
		miss("the path is %s", quoted(path))
	}
	if e.prefix != "" && !matchPrefix(e.prefix, path) {
		miss("the path %s is not below it", quoted(path))
	}
	if !e.hasMethod(h.Method) {
		miss("the method is %s", h.Method)
	}
	if e.more == nil {
		return why
	}
	if len(e.more.source) > 0 && !within(src.Unmap().WithZone(""), e.more.source) {
		miss("the client is %s", src)
	}
	for i := range e.more.headers {
		if !hasField(h, &e.more.headers[i]) {
			miss("no field %s has that value", r.Headers[i].Name)
		}
	}
	for _, q := range e.more.query {
		if !hasParameters(h.Target, []config.Parameter{q}) {
			miss("no parameter %s has that value", q.Name)
		}
	}
	if !e.more.matchPath(path) {
		miss("the path %s does not match the expression", quoted(path))
	}
	return why
}

func (r *stream[T]) misses(hello *sniff.Hello, src netip.Addr) (why []string) {
	if len(r.source) > 0 && !within(src.Unmap().WithZone(""), r.source) {
		why = append(why, fmt.Sprintf("the client is %s", src))
	}
	if !r.named(hello) {
		name := "the client names no server"
		if len(hello.ServerName) > 0 {
			name = "the client asks for " + quoted(hello.ServerName)
		}
		why = append(why, name)
	}
	if !r.spoken(hello) {
		why = append(why, "the client does not offer that protocol")
	}
	return why
}

// quoted is a word of the request, not too long, for a message.
func quoted(word []byte) string {
	const most = 64
	if len(word) > most {
		return fmt.Sprintf("%q…", word[:most])
	}
	return fmt.Sprintf("%q", word)
}
