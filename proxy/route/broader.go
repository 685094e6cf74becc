package route

import (
	"slices"
	"strings"

	"weir/config"
)

// broader returns the first of some routes that may take requests of r although its host and path say
// less than those of r. It returns nil if there is none. Expressions are not compared.
func broader(before []config.Route, r *config.Route) *config.Route {
	for i := range before {
		b := &before[i]
		host, sameHost := embracesHost(b.Host, r.Host)
		path, samePath := embracesPath(b, r)
		if host && path && !(sameHost && samePath) && meet(b.Methods, r.Methods) {
			return b
		}
	}
	return nil
}

// embracesHost reports whether a matches all that b does, and whether they are the same.
func embracesHost(a, b string) (embraces, same bool) {
	a, b = strings.ToLower(a), strings.ToLower(b)
	suffix, wildcard := strings.CutPrefix(a, "*")
	return a == "" || a == b || wildcard && strings.HasSuffix(b, suffix), a == b
}

// embracesPath is embracesHost for the path.
func embracesPath(a, b *config.Route) (embraces, same bool) {
	if a.PathRegex != "" || b.PathRegex != "" && a.Path+a.PathPrefix != "" {
		return a.PathRegex == b.PathRegex, true
	}
	path, prefix := plainForm(a.Path), plainForm(a.PathPrefix)
	other, below := plainForm(b.Path), plainForm(b.PathPrefix)
	same = path == other && prefix == below && b.PathRegex == ""
	switch {
	case path != "":
		return same, same
	case prefix == "":
		return true, same
	}
	return matchPrefix(prefix, []byte(other)) || matchPrefix(prefix, []byte(below)), same
}

func plainForm(path string) string { return string(Normalize(nil, []byte(path))) }

// meet reports whether some method is in both lists. An empty one has all.
func meet(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(m string) bool { return slices.Contains(b, m) })
}
