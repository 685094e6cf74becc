package config

import (
	"fmt"
	"slices"
	"strings"
)

// checker looks at what no single row can say: references, pairs of keys, things without effect.
// It is silent about values that are broken already, and about names that a file which could not
// be read may define.
type checker struct {
	root       *value
	found      *findings
	incomplete bool
	dangling   bool            // some reference or listener could not be followed
	used       map[string]bool // pools
}

// run makes all checks.
func (c *checker) run() {
	c.used = map[string]bool{}
	for _, l := range c.root.child("listeners").items {
		c.listener(l)
	}
	c.sockets()
	c.ids(c.root.child("listeners"))
	c.ids(c.root.child("pools"))
	for _, p := range c.root.child("pools").items {
		c.pool(p)
	}
	c.admin()
}

func (c *checker) fail(v *value, message, hint string, related ...span) {
	c.found.add(Error, v.at, v.path, message, hint, related...)
}

func (c *checker) warn(v *value, message, hint string, related ...span) {
	c.found.add(Warning, v.at, v.path, message, hint, related...)
}

// failHead is fail for a thing as a whole: its name is what is marked.
func (c *checker) failHead(v *value, message, hint string, related ...span) {
	c.found.add(Error, v.head, v.path, message, hint, related...)
}

func (c *checker) warnHead(v *value, message, hint string) {
	c.found.add(Warning, v.head, v.path, message, hint)
}

// matrix says which pools a listener can use.
var matrix = map[Protocol][]Protocol{
	HTTP:  {HTTP, HTTPS},
	HTTPS: {HTTP, HTTPS},
	TCP:   {TCP},
	TLS:   {TLS, TCP},
	UDP:   {UDP, QUIC},
}

// listener checks one listener.
func (c *checker) listener(l *value) {
	if l.fields == nil {
		c.dangling = true
		return
	}
	address, addresses := l.child("address"), l.child("addresses")
	switch {
	case address.given && addresses.given:
		c.fail(addresses, l.path+" has both address and addresses", "keep one of them", address.at)
	case address.given && !address.broken && address.raw == "", addresses.given && !addresses.broken && len(addresses.items) == 0:
		c.failHead(l, l.path+" has no address", `write address: ":8080"`)
	case !address.given && !addresses.given && !l.strange:
		c.failHead(l, l.path+" has no address", `add address: ":8080"`)
	}
	pool, routes := l.child("pool"), l.child("routes")
	if !pool.given && len(routes.items) == 0 && !routes.broken && !l.strange {
		c.failHead(l, l.path+" has no pool", "add pool: and the name of a pool, or routes")
	}
	if l.strange {
		c.dangling = true // it may have named a pool
	}
	c.foreign(l)
	c.reference(pool, l)
	c.routes(l, routes)
	c.listenerTLS(l)
	c.admission(l)
	c.pagesOfFile(l)
	c.forwarded(l.child("forwarded"))
}

// reference follows the name of a pool.
func (c *checker) reference(ref, l *value) {
	if ref.broken {
		c.dangling = true
	}
	if !ref.given || ref.broken {
		return
	}
	name, _ := ref.raw.(string) // kindReference
	pools := c.root.child("pools")
	target := pools.fields[name]
	if target == nil {
		c.dangling = true
		if !c.incomplete {
			c.fail(ref, fmt.Sprintf("%s %s does not exist", ref.path, quote(ref.text)), poolAdvice(ref.text, pools))
		}
		return
	}
	c.used[name] = true
	if target.head.api() && !ref.at.api() {
		c.fail(ref, fmt.Sprintf("%s %s was made through the API", ref.path, quote(ref.text)), "the file must be complete by itself: define the pool in it", target.head)
	}
	from, to := l.child("protocol"), target.child("protocol")
	if from.broken || to.broken || !from.given {
		return
	}
	p, q := Protocol(get[string](l, "protocol")), Protocol(get[string](target, "protocol"))
	if allowed := matrix[p]; !slices.Contains(allowed, q) {
		c.fail(ref, fmt.Sprintf("%s (%s) cannot use pools.%s (%s)", l.path, p, name, q),
			fmt.Sprintf("listeners of protocol %s need a pool of protocol %s", p, orList(words(allowed))), target.head)
	}
}

func words(ps []Protocol) []string {
	var out []string
	for _, p := range ps {
		out = append(out, string(p))
	}
	return out
}

// poolAdvice says which pools there are.
func poolAdvice(name string, pools *value) string {
	var names []string
	for _, p := range pools.items {
		names = append(names, p.name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return `there are no pools: add pools: { NAME: { backends: ["10.0.0.11:8080"] } }`
	}
	near := closest(name, names)
	if len(names) > 10 {
		names = append(names[:10], "…")
	}
	known := "pools: " + strings.Join(names, ", ")
	if near != "" {
		return fmt.Sprintf("did you mean %q? (%s)", near, known)
	}
	return known
}
