package config

import (
	"fmt"
	"slices"
	"strings"
)

// actions checks what a route does.
func (c *checker) actions(r, l *value) {
	var given []*value
	for _, name := range []string{"pool", "split", "redirect", "respond"} {
		if k := r.child(name); k.given {
			given = append(given, k)
		}
	}
	switch pool := r.child("pool"); {
	case len(given) > 1:
		c.failHead(given[1], fmt.Sprintf("%s has both %s and %s", r.path, given[0].name, given[1].name), "keep one of them: a route does one thing", given[0].head)
	case len(given) == 0 && !r.strange && !pool.key.required:
		c.failHead(r, r.path+" has no action", "add one of pool, split, redirect and respond")
	}
	c.reference(r.child("pool"), l)
	c.split(r.child("split"), l)
	c.respond(r.child("respond"))
	c.changes(r)
	for _, side := range []string{"request_headers", "response_headers"} {
		c.headerChange(r.child(side), side == "request_headers")
		c.ownFields(r.child(side), r, l)
	}
	for _, h := range c.fieldsOnce(r.child("headers").items) {
		if strings.EqualFold(h.name, "host") {
			c.failHead(h, h.path+" stands beside host", "write it as host")
		}
	}
}

// split checks the arms of a route.
func (c *checker) split(v, l *value) {
	if v.given && v.broken && v.items == nil {
		c.dangling = true
	}
	seen, weights, broken := map[any]*value{}, 0, v.broken
	for _, arm := range v.items {
		if arm.fields == nil || arm.strange {
			c.dangling = true
			continue
		}
		pool := arm.child("pool")
		c.reference(pool, l)
		if first := seen[pool.raw]; first != nil && pool.given && !pool.broken {
			c.fail(pool, fmt.Sprintf("%s repeats the pool of %s", arm.path, first.path), "add their weights in one arm", first.child("pool").at)
		}
		seen[pool.raw] = arm
		weights += arm.integer("weight")
	}
	switch {
	case !v.given || broken:
	case len(v.items) == 0:
		c.fail(v, v.path+" is empty", "add { pool: NAME, weight: 1 }, or write pool: NAME instead")
	case weights == 0:
		c.failHead(v, v.path+": all weights are 0", "give one of the pools a weight")
	}
}

// respond checks a fixed response.
func (c *checker) respond(v *value) {
	if v.fields == nil || v.child("status").broken {
		return
	}
	status := v.integer("status")
	switch body := v.child("body"); {
	case slices.Contains([]int{301, 302, 303, 307, 308}, status):
		c.fail(v.child("status"), fmt.Sprintf("%s.status %d is a redirection", v.path, status), fmt.Sprintf("write redirect: { to: URL, status: %d }", status))
	case slices.Contains([]int{204, 205, 304}, status) && !body.broken && body.raw != "":
		c.fail(body, fmt.Sprintf("%s: a response of status %d has no body", body.path, status), "remove it, or write another status")
	}
}

// changes checks what belongs together in the changes that a route makes.
func (c *checker) changes(r *value) {
	for _, answer := range []string{"redirect", "respond"} {
		if !r.child(answer).given {
			continue
		}
		for _, name := range []string{"strip_prefix", "rewrite", "request_headers"} {
			if k := r.child(name); k.given {
				c.failHead(k, fmt.Sprintf("%s has no effect: the route answers with %s", k.path, answer), "remove it: no backend sees the request")
			}
		}
	}
	strip := r.child("strip_prefix")
	if !strip.given || strip.broken {
		return
	}
	prefix := strings.TrimSuffix(get[string](r, "strip_prefix"), "/")
	if prefix == "" {
		c.warn(strip, strip.path+" has no effect: it takes nothing off", "remove it")
	}
	for _, name := range []string{"path", "path_prefix"} {
		path := get[string](r, name)
		if r.child(name).given && !r.child(name).broken && prefix != "" && !hasSegments(path, prefix) && !hasSegments(prefix, path) {
			c.warn(strip, fmt.Sprintf("%s has no effect: no path of the route begins with it", strip.path), "write the beginning of "+name+", or remove it", r.child(name).at)
		}
	}
}

// framingFields are those that say where a message ends or that end at the next hop. weir writes
// them itself.
var framingFields = []string{
	"connection", "content-length", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
	"te", "trailer", "transfer-encoding", "upgrade",
}

// singleFields are those that a message has once at most; one that is added could be the second.
var singleFields = []string{
	"age", "authorization", "content-location", "content-range", "content-type", "date", "etag", "expires", "from", "last-modified",
	"location", "max-forwards", "origin", "referer", "retry-after", "server", "user-agent", "x-real-ip", "x-request-id",
	"x-forwarded-elb-ip", "x-forwarded-for-port", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto",
}

// ownFields refuses changes of fields that weir answers for by another key.
func (c *checker) ownFields(v, r, l *value) {
	certificates := l.child("tls").child("client_cert_headers").raw == true
	for _, part := range []string{"set", "add", "remove"} {
		for _, field := range v.child(part).items {
			name := strings.ToLower(fieldName(field))
			switch {
			case field.broken:
			case name == "location" && v.name == "response_headers" && r.child("redirect").given:
				c.failHead(field, field.path+" stands beside redirect", "remove it: redirect.to is its value", r.child("redirect").head)
			case strings.HasPrefix(name, "x-forwarded-clientcert-") && v.name == "request_headers" && certificates:
				c.failHead(field, fmt.Sprintf("%s: %s tells of the certificate of the client", field.path, fieldName(field)),
					"remove it, or tls.client_cert_headers, which writes this field", l.child("tls").child("client_cert_headers").at)
			}
		}
	}
}

// headerChange checks the names of the fields that a route changes.
func (c *checker) headerChange(v *value, request bool) {
	set := c.fieldsOnce(v.child("set").items)
	remove := c.fieldsOnce(v.child("remove").items)
	for _, fields := range [][]*value{set, c.fieldsOnce(v.child("add").items), remove} {
		for _, field := range fields {
			name := fieldName(field)
			if slices.Contains(framingFields, strings.ToLower(name)) {
				c.failHead(field, fmt.Sprintf("%s: %s belongs to the connection, not to the message", field.path, name), "remove it: weir writes this field itself")
			}
			if request && strings.EqualFold(name, "host") {
				c.hostField(field)
			} else if slices.Contains(singleFields, strings.ToLower(name)) && strings.HasSuffix(field.key.path, ".add.*") {
				c.failHead(field, fmt.Sprintf("%s: a message has one %s field at most", field.path, name), "write it under set")
			}
		}
	}
	replaced := map[string]*value{}
	for _, field := range set {
		replaced[strings.ToLower(field.name)] = field
	}
	for _, field := range remove {
		name := strings.ToLower(fieldName(field))
		if again := replaced[name]; again != nil && !(request && name == "host") {
			c.fail(field, fmt.Sprintf("%s %s is set as well", field.path, fieldName(field)), "keep one of them: set replaces what is there", again.head)
		}
	}
}

// hostField checks a change of the Host field, of which there is always one.
func (c *checker) hostField(field *value) {
	if !strings.HasSuffix(field.key.path, ".set.*") {
		c.failHead(field, field.path+": a request has exactly one Host field", "write it under set")
		return
	}
	text, _ := field.raw.(string) // kindFieldValue
	_, p := parseHostPort(text, field.key)
	if p != nil || text == "" {
		c.fail(field, fmt.Sprintf("%s %s is not a host", field.path, quote(field.text)), "write a host name, with or without :port")
	}
}

// fieldName is the name of a field that is named in a map or a list.
func fieldName(v *value) string {
	if v.key.kind == kindFieldName {
		text, _ := v.raw.(string) // kindFieldName
		return text
	}
	return v.name
}

// fieldsOnce returns the fields that are not broken, and refuses one that stands there again, in
// whatever letter case.
func (c *checker) fieldsOnce(fields []*value) []*value {
	var once []*value
	seen := map[string]*value{}
	for _, field := range fields {
		if field.broken {
			continue
		}
		name := strings.ToLower(fieldName(field))
		if first := seen[name]; first != nil {
			c.failHead(field, fmt.Sprintf("%s repeats %s", field.path, first.path), "remove one of them: names of fields have no letter case", first.head)
			continue
		}
		seen[name] = field
		once = append(once, field)
	}
	return once
}
