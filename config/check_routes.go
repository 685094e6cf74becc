package config

import (
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
		c.reference(r.child("pool"), l)
		if c.paths(r) && !r.broken {
			before.add(r)
		}
	}
}

// paths checks the paths of one route, and reports whether they are fine.
func (c *checker) paths(r *value) bool {
	path, prefix := r.child("path"), r.child("path_prefix")
	if path.given && prefix.given {
		c.fail(prefix, r.path+" has both path and path_prefix", "keep one of them", path.at)
		return false
	}
	for _, m := range []*value{path, prefix} {
		if m.given && !m.broken && m.raw == "" {
			c.fail(m, m.path+" is empty", "remove it to match every path")
			return false
		}
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
	for i, earlier := range b.routes {
		if b.comparisons++; b.comparisons > maxRouteComparisons {
			break
		}
		if covers(earlier, route) {
			first := b.values[i]
			b.checker.warn(r, r.path+" is never reached", first.path+" takes all of its requests: put this one first", first.at)
			break
		}
	}
	b.values, b.routes = append(b.values, r), append(b.routes, route)
}

// covers reports whether every request that b matches is matched by a.
func covers(a, b Route) bool {
	return coversHost(a.Host, b.Host) && coversPath(a, b) && coversMethods(a.Methods, b.Methods)
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
	case a.Path == "" && a.PathPrefix == "":
		return true
	case a.Path != "":
		return a.Path == b.Path
	case b.Path != "":
		return hasSegments(b.Path, a.PathPrefix)
	}
	return b.PathPrefix != "" && hasSegments(b.PathPrefix, a.PathPrefix)
}

// hasSegments reports whether path begins with prefix in whole segments.
func hasSegments(path, prefix string) bool {
	rest, ok := strings.CutPrefix(path, prefix)
	return ok && (rest == "" || rest[0] == '/' || strings.HasSuffix(prefix, "/"))
}

func coversMethods(a, b []string) bool {
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
