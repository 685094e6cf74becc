package config

import (
	"fmt"
	"slices"
	"strings"
)

// useless looks below v, which is part of owner, for keys that its protocol has no use for.
func (c *checker) useless(v, owner *value, protocol string) {
	if v.key.only != nil && !slices.Contains(v.key.only, protocol) {
		if !v.broken || v.given {
			c.failHead(v, fmt.Sprintf("%s has no effect: %s speaks %s", v.path, owner.path, protocol), "remove it: it is for "+orList(v.key.only))
		}
		return
	}
	for _, child := range v.items {
		c.useless(child, owner, protocol)
	}
}

// foreign looks for such keys in a listener or pool.
func (c *checker) foreign(owner *value) {
	protocol := owner.child("protocol")
	if word, ok := protocol.raw.(string); ok && !protocol.broken && owner.fields != nil {
		c.useless(owner, owner, strings.ToLower(word))
	}
}
