package config

import (
	"fmt"
	"net/netip"
)

// admission checks who is served by a listener, and how often.
func (c *checker) admission(l *value) {
	denied := map[netip.Prefix]*value{}
	for _, item := range l.child("deny").items {
		if prefix, ok := item.raw.(netip.Prefix); ok && denied[prefix] == nil {
			denied[prefix] = item
		}
	}
	for _, item := range l.child("allow").items {
		prefix, ok := item.raw.(netip.Prefix)
		if !ok {
			continue
		}
		if deny := around(prefix, denied); deny != nil {
			c.warn(item, fmt.Sprintf("%s %s has no effect: deny comes first and has %s", item.path, item.text, deny.text),
				"remove one of them, or make deny smaller", deny.at)
		}
	}
	limit := l.child("rate_limit")
	if limit.fields != nil && !limit.strange && !limit.child("rate").given {
		c.warnHead(limit, limit.path+" has no rate, so there is no limit", "add rate: the requests of a client in a second")
	}
	pages := l.child("error_pages")
	for _, page := range pages.items {
		c.wantPath(page)
	}
}

// around finds the smallest network that has all of prefix.
func around(prefix netip.Prefix, networks map[netip.Prefix]*value) *value {
	for bits := prefix.Bits(); bits >= 0 && len(networks) > 0; bits-- {
		if v := networks[netip.PrefixFrom(prefix.Addr(), bits).Masked()]; v != nil {
			return v
		}
	}
	return nil
}
