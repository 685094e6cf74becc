package config

import (
	"fmt"
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
	var before []*value
	comparisons := 0
	for _, r := range routes.items {
		if r.fields == nil {
			c.dangling = true
			continue
		}
		if r.strange {
			c.dangling = true
		}
		c.reference(r.child("pool"), l)
		path, prefix := r.child("path"), r.child("path_prefix")
		if path.given && prefix.given {
			c.fail(prefix, r.path+" has both path and path_prefix", "keep one of them", path.at)
			continue
		}
		for _, m := range []*value{path, prefix} {
			if m.given && !m.broken && m.raw == "" {
				c.fail(m, m.path+" is empty", "remove it to match every path")
			}
		}
		if r.broken {
			continue
		}
		for _, earlier := range before {
			if comparisons++; comparisons > maxRouteComparisons {
				break
			}
			if covers(resolveRoute(earlier), resolveRoute(r)) {
				c.warn(r, fmt.Sprintf("%s is never reached", r.path), fmt.Sprintf("%s takes all of its requests: put this one first", earlier.path), earlier.at)
				break
			}
		}
		before = append(before, r)
	}
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
