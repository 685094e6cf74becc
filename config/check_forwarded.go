package config

import "slices"

// forwarded checks what backends are told of where a request comes from.
func (c *checker) forwarded(v *value) {
	if v.fields == nil {
		return
	}
	trust, fields := v.child("trust"), v.child("fields")
	c.repeats(fields)
	for _, name := range []string{"mode", "client_from"} {
		k := v.child(name)
		if k.given && !k.broken && !trust.given && !trust.broken {
			c.warn(k, k.path+" has no effect without trust", "add forwarded.trust: the networks of the proxies in front; fields from anybody else are dropped")
		}
	}
	if fields.broken || slices.ContainsFunc(fields.items, func(f *value) bool { return f.broken }) {
		return
	}
	if slices.Contains(list[string](v, "fields"), string(ForwardedElement)) {
		return
	}
	for _, name := range []string{"by", "ports"} {
		if k := v.child(name); k.given && !k.broken && k.raw != k.key.defValue {
			c.warn(k, k.path+" has no effect: Forwarded is not written", "add Forwarded to forwarded.fields, or remove it")
		}
	}
}
