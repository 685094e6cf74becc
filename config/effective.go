package config

import (
	"encoding/json"
	"slices"
	"strings"
)

// Effective is everything that holds, in the vocabulary, as JSON: what was written, as Spec shows it, and
// the defaults for the rest. Left out are defaults that are empty, and those that have no effect with what was
// written, for example with the protocol of a pool. Without includes, which are in it, and with its secrets in
// their place, it can be loaded and means the same. c must have been returned by Load, LoadBytes or With.
func (c *Config) Effective() json.RawMessage {
	root := c.made.root
	return specOf((&completer{root: root}).completed(root))
}

// completer copies values and adds the defaults.
type completer struct {
	root  *value
	owner *value // the listener or pool that is copied; nil: none
}

// completed is v with its defaults.
func (c *completer) completed(v *value) *value {
	out := *v
	out.items, out.fields = nil, nil
	switch {
	case v.word != "":
	case v.key.kind == kindObject:
		c.members(v, &out)
	default:
		for _, item := range v.items {
			out.items = append(out.items, c.completed(item))
		}
	}
	return &out
}

// members fills the object out with those of v and with defaults.
func (c *completer) members(v, out *value) {
	if path := v.key.path; path == "listeners.*" || path == "pools.*" {
		c.owner = v
	}
	out.fields = map[string]*value{}
	for _, k := range v.key.children {
		member := v.fields[k.name]
		if member == nil {
			member = c.absent(v, k)
		}
		if member != nil && k.path != "include" {
			out.fields[k.name] = c.completed(member)
		}
	}
}

// absent is what holds for a key that was not written; nil: nothing that is worth to be shown.
func (c *completer) absent(v *value, k *key) *value {
	if k.planned || c.idle(v, k) {
		return nil
	}
	out := &value{key: k, path: join(v.path, k.name), name: k.name, raw: k.defValue, text: k.def}
	switch {
	case k.inherits != "":
		from := c.inherited(k.inherits)
		out.raw, out.text = from.raw, from.text
	case k.kind == kindObject:
		if !slices.Contains(implied, k.path) {
			return nil
		}
	case k.kind == kindList && k.def != "":
		for word := range strings.SplitSeq(strings.Trim(k.def, "[]"), ",") {
			text := strings.Trim(word, ` "`)
			out.items = append(out.items, &value{key: k.item, raw: k.item.mustParse(text), text: text})
		}
	case !k.kind.scalar() || k.def == "":
		return nil
	}
	return out
}

// implied are the objects whose absence means that all their defaults hold. Others turn something on by
// being there.
var implied = []string{
	"admin", "log", "log.access", "defaults", "defaults.timeouts", "defaults.limits",
	"listeners.*.timeouts", "listeners.*.limits", "listeners.*.forwarded", "listeners.*.tcp", "listeners.*.udp",
	"pools.*.timeouts", "pools.*.limits", "pools.*.hash", "pools.*.retries", "pools.*.queue", "pools.*.outlier", "pools.*.resolve",
}

// idle reports whether a key of v has no effect with what was written beside it.
func (c *completer) idle(v *value, k *key) bool {
	if c.owner == nil {
		return false
	}
	protocol := get[string](c.owner, "protocol")
	if len(k.only) > 0 && !slices.Contains(k.only, protocol) {
		return true
	}
	switch {
	case k.path == "pools.*.queue.timeout":
		return true // timeouts.queue says it
	case k.path == "pools.*.timeouts.queue":
		return c.owner.child("queue").has("timeout")
	case k.path == "listeners.*.tls.client_auth":
		return !v.has("client_ca")
	case k.path == "pools.*.retries.on":
		return !Protocol(protocol).HTTP()
	case v.key.path == "pools.*.health_check":
		speaks := probeProtocol(v, Protocol(protocol))
		return slices.Contains(httpOnly, k.name) && !speaks.HTTP() || slices.Contains(rawOnly, k.name) && speaks.HTTP()
	case v.key.path == "pools.*.session_persistence.cookie":
		return get[string](c.owner.child("session_persistence"), "type") != string(PersistHTTPCookie)
	}
	return false
}

// inherited is what holds at a path of the table, in the owner or the root.
func (c *completer) inherited(path string) *value {
	v := c.root
	for name := range strings.SplitSeq(path, ".") {
		v = v.child(name)
	}
	if !v.given {
		v.text = v.key.def
	}
	return v
}
