package route

import (
	"fmt"
	"strings"

	"weir/config"
)

// Describe says what a listener does with requests or connections, one line for each route, in the order in which
// they are tried, and one for those that no route takes.
func Describe(l *config.Listener) []string {
	var lines []string
	for i := range l.Routes {
		r := &l.Routes[i]
		matchers := strings.Join(describeMatchers(r), ", ")
		if matchers == "" {
			matchers = "everything"
		}
		line := fmt.Sprintf("%s:%d: %s → %s", r.Origin.File, r.Origin.Line, matchers, strings.Join(describeActions(r), ", "))
		if first := broader(l.Routes[:i], r); first != nil {
			line += fmt.Sprintf(" (behind %s:%d, which is less specific)", first.Origin.File, first.Origin.Line)
		}
		lines = append(lines, line)
	}
	last := "refused, for there is no default pool"
	if l.Pool != "" {
		last = "pool " + l.Pool
	}
	return append(lines, fmt.Sprintf("%s:%d: everything else → %s", l.Origin.File, l.Origin.Line, last))
}

func describeMatchers(r *config.Route) []string {
	var parts []string
	for _, m := range [][2]string{
		{"sni", strings.Join(r.SNI, " or ")}, {"alpn", strings.Join(r.ALPN, " or ")},
		{"host", r.Host}, {"path", r.Path}, {"path_prefix", r.PathPrefix}, {"path_regex", r.PathRegex}, {"method", strings.Join(r.Methods, " or ")},
	} {
		if m[1] != "" {
			parts = append(parts, m[0]+" "+m[1])
		}
	}
	for _, f := range r.Headers {
		parts = append(parts, fmt.Sprintf("header %s = %q", f.Name, f.Value))
	}
	for _, q := range r.Query {
		parts = append(parts, fmt.Sprintf("query %s = %q", q.Name, q.Value))
	}
	var networks []string
	for _, n := range r.Source {
		networks = append(networks, n.String())
	}
	if len(networks) > 0 {
		parts = append(parts, "source "+strings.Join(networks, " or "))
	}
	return parts
}

// describeActions names header changes without their values, which may be secret.
func describeActions(r *config.Route) []string {
	var parts []string
	switch {
	case r.Redirect != nil:
		parts = append(parts, fmt.Sprintf("redirect %d to %s", r.Redirect.Status, r.Redirect.To))
	case r.Respond != nil:
		parts = append(parts, fmt.Sprintf("respond %d", r.Respond.Status))
	case len(r.Split) > 0:
		var arms []string
		for _, a := range r.Split {
			arms = append(arms, fmt.Sprintf("%s %d", a.Pool, a.Weight))
		}
		parts = append(parts, "split "+strings.Join(arms, " : "))
	default:
		parts = append(parts, "pool "+r.Pool)
	}
	if r.StripPrefix != "" {
		parts = append(parts, "strip_prefix "+r.StripPrefix)
	}
	if r.Rewrite != "" {
		parts = append(parts, "rewrite "+r.Rewrite)
	}
	parts = append(parts, describeChange("request", r.RequestHeaders)...)
	return append(parts, describeChange("response", r.ResponseHeaders)...)
}

func describeChange(side string, c config.HeaderChange) []string {
	var parts []string
	for _, name := range c.Remove {
		parts = append(parts, fmt.Sprintf("%s remove %s", side, name))
	}
	for _, f := range c.Set {
		parts = append(parts, fmt.Sprintf("%s set %s", side, f.Name))
	}
	for _, f := range c.Add {
		parts = append(parts, fmt.Sprintf("%s add %s", side, f.Name))
	}
	return parts
}
