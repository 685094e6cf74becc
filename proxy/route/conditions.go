package route

import (
	"net/netip"
	"regexp"
	"strings"

	"weir/config"
	"weir/proxy/message"
)

// conditions are the matchers that few routes have. All must match.
type conditions struct {
	expression *regexp.Regexp // nil: any path
	headers    []config.Header
	query      []config.Parameter
	source     []netip.Prefix
}

// newConditions returns nil if r has none. The names of headers are in lower case.
func newConditions(r *config.Route) *conditions {
	if r.PathRegex == "" && len(r.Headers) == 0 && len(r.Query) == 0 && len(r.Source) == 0 {
		return nil
	}
	c := &conditions{query: r.Query, source: r.Source}
	if r.PathRegex != "" {
		c.expression = regexp.MustCompile(r.PathRegex)
	}
	for _, f := range r.Headers {
		c.headers = append(c.headers, config.Header{Name: strings.ToLower(f.Name), Value: f.Value})
	}
	return c
}

// match is about all but the path. What is cheap comes first.
func (c *conditions) match(h *message.Head, src netip.Addr) bool {
	if len(c.source) > 0 && !within(src.Unmap().WithZone(""), c.source) {
		return false
	}
	for i := range c.headers {
		if !hasField(h, &c.headers[i]) {
			return false
		}
	}
	return len(c.query) == 0 || hasParameters(h.Target, c.query)
}

// matchPath takes the path in one of its forms.
func (c *conditions) matchPath(path []byte) bool {
	return c.expression == nil || c.expression.Match(path)
}

func within(a netip.Addr, networks []netip.Prefix) bool {
	for _, n := range networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// hasField reports whether some line has the name of want, in any letter case, and exactly its value.
func hasField(h *message.Head, want *config.Header) bool {
	for i := range h.Fields {
		f := &h.Fields[i]
		if message.Equal(h.NameBytes(f), want.Name) && string(h.Value(f)) == want.Value {
			return true
		}
	}
	return false
}
