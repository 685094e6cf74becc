package config

import (
	"fmt"
	"slices"
)

// listenerTLS checks the TLS settings of a listener.
func (c *checker) listenerTLS(l *value) {
	v, protocol := l.child("tls"), l.child("protocol")
	switch {
	case protocol.broken || !protocol.given || v.broken && v.fields == nil:
		return
	case protocol.raw != "https" && protocol.raw != "tls":
		return
	case !v.given:
		c.failHead(l, fmt.Sprintf("%s speaks %s and has no tls", l.path, protocol.raw), "add tls: { certificates: [{ cert: FILE, key: FILE }] }")
		return
	}
	for _, p := range v.child("alpn").items {
		if protocol.raw == "https" && !p.broken && p.raw != "http/1.1" {
			c.fail(p, fmt.Sprintf("%s %s is not spoken on https listeners", p.path, quote(p.text)), "write http/1.1, or remove alpn")
		}
	}
	if protocol.raw == "tls" {
		c.agreeable(l, v.child("alpn"))
	}
	c.certificates(v.child("certificates"))
	c.versions(v)
	for _, name := range []string{"cipher_suites", "alpn", "ticket_keys"} {
		c.repeats(v.child(name))
	}
	ca := v.child("client_ca")
	if ca.broken || ca.raw != "" {
		return
	}
	for _, name := range []string{"client_auth", "client_cert_headers"} {
		if k := v.child(name); k.given && !k.broken && k.raw != false {
			c.fail(k, fmt.Sprintf("%s has no effect without client_ca", k.path), "add client_ca: the PEM file of the authorities of client certificates")
		}
	}
}

// agreeable warns of routes of a listener that terminates TLS which wait for a protocol that it does not
// offer: no client can agree on it.
func (c *checker) agreeable(l, offered *value) {
	if offered.broken {
		return
	}
	for _, route := range l.child("routes").items {
		for _, p := range route.child("alpn").items {
			if !p.broken && !slices.ContainsFunc(offered.items, func(o *value) bool { return o.broken || o.raw == p.raw }) {
				c.warn(p, fmt.Sprintf("%s %s is never agreed on: %s does not offer it", p.path, quote(p.text), l.path),
					"add it to "+l.path+".tls.alpn, or remove it")
			}
		}
	}
}

// certificates wants at least one, each once.
func (c *checker) certificates(v *value) {
	if v.given && !v.broken && len(v.items) == 0 {
		c.fail(v, v.path+" is empty", "add { cert: FILE, key: FILE }")
	}
	seen := map[string]*value{}
	for _, item := range v.items {
		if item.fields == nil {
			continue
		}
		c.wantPath(item.child("cert"))
		c.wantPath(item.child("key"))
		path := item.file("cert")
		if first := seen[path]; first != nil && path != "" {
			c.fail(item.child("cert"), fmt.Sprintf("%s repeats %s", item.path, first.path), "remove one of them", first.child("cert").at)
			continue
		}
		seen[path] = item
	}
}

// wantPath refuses a path that is empty.
func (c *checker) wantPath(v *value) {
	if v.given && !v.broken && v.raw == "" {
		c.fail(v, v.path+" is empty", "write the path of a file")
	}
}

// versions wants a range of versions, and suites that it has a use for.
func (c *checker) versions(v *value) {
	least, most, suites := v.child("min_version"), v.child("max_version"), v.child("cipher_suites")
	if least.broken || most.broken {
		return
	}
	if get[string](v, "min_version") > get[string](v, "max_version") {
		at := most
		if !most.given {
			at = least
		}
		c.fail(at, fmt.Sprintf("%s: min_version %s is above max_version %s", v.path, least.raw, most.raw), "exchange them, or remove one")
	}
	if least.raw == "1.3" && len(suites.items) > 0 {
		c.warnHead(suites, suites.path+" has no effect with min_version 1.3", "remove it: the suites of TLS 1.3 are always on")
	}
}

// repeats wants the items of a list to differ.
func (c *checker) repeats(v *value) {
	seen := map[string]*value{}
	for _, item := range v.items {
		if item.broken {
			continue
		}
		what := fmt.Sprint(item.raw)
		first := seen[what]
		seen[what] = item
		if first == nil {
			continue
		}
		shown := item.text
		if item.key.kind == kindKey {
			shown = first.path // a message shows no key
		}
		c.fail(item, fmt.Sprintf("%s repeats %s", item.path, shown), "remove one of them", first.at)
	}
}
