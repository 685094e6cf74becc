package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxRouteComparisons bounds the search for unreachable routes of one listener.
const maxRouteComparisons = 1 << 22

// routes checks the routes of one listener.
func (c *checker) routes(l, routes *value) {
	if routes.broken && routes.items == nil {
		c.dangling = c.dangling || routes.given
	}
	before := reachable{checker: c}
	for _, r := range routes.items {
		if r.fields == nil || r.strange {
			c.dangling = true
		}
		if r.fields == nil {
			continue
		}
		c.actions(r, l)
		if c.paths(r) && !r.broken {
			before.add(r)
		}
	}
}

// paths checks the paths of one route, and reports whether they are fine.
func (c *checker) paths(r *value) bool {
	var first *value
	for _, name := range []string{"path", "path_prefix", "path_regex"} {
		m := r.child(name)
		switch {
		case !m.given:
			continue
		case !m.broken && m.raw == "":
			c.fail(m, m.path+" is empty", "remove it to match every path")
			return false
		case first != nil:
			c.fail(m, fmt.Sprintf("%s has both %s and %s", r.path, first.name, name), "keep one of them", first.at)
			return false
		}
		first = m
	}
	return true
}

// reachable has the routes of a listener so far, to find those behind them that never match.
type reachable struct {
	checker     *checker
	values      []*value
	routes      []Route
	comparisons int
}

func (b *reachable) add(r *value) {
	route := resolveRoute(r)
	route.Path, route.PathPrefix = normalPath(route.Path), normalPath(route.PathPrefix)
	b.warn(r, route)
	b.values, b.routes = append(b.values, r), append(b.routes, route)
}

// warn looks for a route that takes all of what r matches, or for several that share it by method.
func (b *reachable) warn(r *value, route Route) {
	var methods []string
	var takers []*value
	for i, earlier := range b.routes {
		if b.comparisons += effort(earlier, route); b.comparisons > maxRouteComparisons {
			return
		}
		if !coversButMethods(earlier, route) {
			continue
		}
		if first := b.values[i]; covers(earlier, route) {
			b.checker.warn(r, r.path+" is never reached", first.path+" takes all of its requests: put this one first", first.at)
			return
		}
		if !slices.ContainsFunc(earlier.Methods, func(m string) bool { return slices.Contains(route.Methods, m) }) {
			continue
		}
		methods, takers = append(methods, earlier.Methods...), append(takers, b.values[i])
		if coversWords(methods, route.Methods) {
			b.unreached(r, takers)
			return
		}
	}
}

// unreached warns of a route that several take from together.
func (b *reachable) unreached(r *value, takers []*value) {
	var names []string
	var places []span
	for _, v := range takers {
		names, places = append(names, v.path), append(places, v.at)
	}
	b.checker.warn(r, r.path+" is never reached", strings.Join(names, " and ")+" take all of its requests together: put this one first", places...)
}

// effort is how many comparisons covers makes at most.
func effort(a, b Route) int {
	return 1 + len(a.Methods)*len(b.Methods) + len(a.Headers)*len(b.Headers) + len(a.Query)*len(b.Query) + len(a.Source)*len(b.Source) +
		len(a.SNI)*len(b.SNI) + len(a.ALPN)*len(b.ALPN)
}

// covers reports whether every request that b matches is matched by a, as far as that can be told
// cheaply: expressions cover each other only if they are the same or all-embracing, and networks are not joined. Paths
// are in normal form.
func covers(a, b Route) bool { return coversButMethods(a, b) && coversWords(a.Methods, b.Methods) }

func coversButMethods(a, b Route) bool {
	return coversHost(a.Host, b.Host) && coversPath(a, b) &&
		coversHeaders(a.Headers, b.Headers) && coversQuery(a.Query, b.Query) && coversSource(a.Source, b.Source) &&
		coversNames(a.SNI, b.SNI) && coversWords(a.ALPN, b.ALPN)
}

func coversHost(a, b string) bool {
	if a == "" || a == b {
		return true
	}
	suffix, wildcard := strings.CutPrefix(a, "*")
	return wildcard && strings.HasSuffix(b, suffix)
}

func coversPath(a, b Route) bool {
	switch {
	case a.Path == "" && a.PathPrefix == "" && a.PathRegex == "":
		return true
	case a.PathRegex != "":
		return a.PathRegex == b.PathRegex || coversAll(a.PathRegex, b)
	case a.Path != "":
		return a.Path == b.Path
	case b.Path != "":
		return hasSegments(b.Path, a.PathPrefix)
	}
	return b.PathPrefix != "" && hasSegments(b.PathPrefix, a.PathPrefix)
}

// coversAll reports whether an expression is one of those that every path of b matches.
func coversAll(expression string, b Route) bool {
	switch expression {
	case "^", ".*", "^.*":
		return true
	case "/", "^/", "/.*", "^/.*": // not *
		return strings.HasPrefix(b.Path, "/") || b.PathPrefix != ""
	}
	return false
}

// keptEscapes are those that the normal form of a path has.
var keptEscapes = strings.NewReplacer("%2f", "%252F", "%2F", "%252F", "%25", "%2525")

// normalPath is the plain form of a path in which routes are compared: escapes decoded, but for those
// of slashes and percent signs, and dot segments removed after that (RFC 3986, section 5.2.4).
func normalPath(path string) string {
	decoded, err := url.PathUnescape(keptEscapes.Replace(path))
	if err != nil || !strings.HasPrefix(decoded, "/") {
		return path // it matches what has the same bytes, at least
	}
	var kept []string
	segments := strings.Split(decoded, "/")
	for i, s := range segments {
		if s != "." && s != ".." {
			kept = append(kept, s)
			continue
		}
		if s == ".." && len(kept) > 1 {
			kept = kept[:len(kept)-1]
		}
		if i == len(segments)-1 {
			kept = append(kept, "")
		}
	}
	return strings.Join(kept, "/")
}

// hasSegments reports whether path begins with prefix in whole segments.
func hasSegments(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}

// coversWords wants every word of b in a.
func coversWords(a, b []string) bool {
	if len(a) == 0 {
		return true
	}
	for _, m := range b {
		if !slices.Contains(a, m) {
			return false
		}
	}
	return len(b) > 0
}

// coversNames wants every name of b in one of a.
func coversNames(a, b []string) bool {
	if len(a) == 0 {
		return true
	}
	for _, name := range b {
		if !slices.ContainsFunc(a, func(pattern string) bool { return coversHost(pattern, name) }) {
			return false
		}
	}
	return len(b) > 0
}

// coversHeaders wants b to ask for every field that a asks for.
func coversHeaders(a, b []Header) bool {
	for _, h := range a {
		if !slices.ContainsFunc(b, func(o Header) bool { return strings.EqualFold(o.Name, h.Name) && o.Value == h.Value }) {
			return false
		}
	}
	return true
}

func coversQuery(a, b []Parameter) bool {
	for _, q := range a {
		if !slices.Contains(b, q) {
			return false
		}
	}
	return true
}

// coversSource wants every network of b in one of a.
func coversSource(a, b []netip.Prefix) bool {
	if len(a) == 0 {
		return true
	}
	for _, q := range b {
		if !slices.ContainsFunc(a, func(p netip.Prefix) bool { return p.Bits() <= q.Bits() && p.Contains(q.Addr()) }) {
			return false
		}
	}
	return len(b) > 0
}
