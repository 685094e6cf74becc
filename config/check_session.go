package config

import (
	"fmt"
	"strings"
	"time"
)

// persistence checks how a pool keeps its clients.
func (c *checker) persistence(p *value) {
	v := p.child("session_persistence")
	if v.fields == nil || v.child("type").broken {
		return
	}
	protocol := Protocol(get[string](p, "protocol"))
	if p.child("protocol").broken {
		return
	}
	if !protocol.HTTP() {
		c.persistence4(v, protocol)
		return
	}
	cookie, kind := v.child("cookie"), persistenceTypes(protocol)[0]
	if v.has("type") {
		kind = PersistenceType(get[string](v, "type"))
	}
	switch kind {
	case PersistSourceIP:
		if cookie.given {
			c.failHead(cookie, cookie.path+" has no effect: sessions are kept by source_ip", "remove it, or write type: http_cookie")
		}
	case PersistAppCookie:
		c.appCookie(v, cookie)
	case PersistHTTPCookie:
		c.cookieName(cookie)
		c.cookieKeys(v, cookie)
		if age := cookie.child("max_age"); !age.broken && get[time.Duration](cookie, "max_age")%time.Second != 0 {
			c.fail(age, fmt.Sprintf("%s %s has parts of a second", age.path, age.text), "write whole seconds")
		}
	}
}

// appCookie checks the cookie that backends set: it has a name and nothing else of ours.
func (c *checker) appCookie(v, cookie *value) {
	name := cookie.child("name")
	if !name.given && !name.broken && !v.strange && !cookie.strange {
		c.failHead(v, v.path+" has no cookie.name", `add cookie: { name: NAME } with the name of the cookie that backends set, or "*" for any`)
	}
	for _, k := range cookie.items {
		if k.name != "name" {
			c.failHead(k, fmt.Sprintf("%s has no effect: backends set the cookie themselves", k.path), "remove it, or write type: http_cookie")
		}
	}
}

// cookieName checks the name of our cookie with what browsers want of some names.
func (c *checker) cookieName(cookie *value) {
	name := cookie.child("name")
	text := get[string](cookie, "name")
	secure, site := cookie.child("secure"), cookie.child("same_site")
	if site.raw == "none" && secure.raw == "never" {
		c.fail(site, site.path+" none needs secure: browsers drop the cookie", "write secure: auto or always, or same_site: lax", secure.at)
	}
	switch {
	case name.broken:
	case text == "*":
		c.fail(name, name.path+" * is for app_cookie", "write the name of the cookie that weir sets")
	case strings.HasPrefix(text, "__Host-") && (cookie.child("domain").raw != "" || cookie.child("path").raw != "/"):
		c.fail(name, fmt.Sprintf("%s %s allows no domain and only the path /", name.path, name.text), "browsers drop such a cookie: choose another name, or remove domain and path")
	case (strings.HasPrefix(text, "__Host-") || strings.HasPrefix(text, "__Secure-")) && secure.raw == "never":
		c.fail(name, fmt.Sprintf("%s %s needs secure", name.path, name.text), "browsers drop such a cookie: choose another name, or write secure: always", secure.at)
	}
}

// cookieKeys checks what authenticates our cookie.
func (c *checker) cookieKeys(v, cookie *value) {
	keys := cookie.child("keys")
	c.repeats(keys)
	if len(keys.items) == 0 && !keys.broken && get[string](c.root, "state_dir") == "" {
		c.warnHead(v, v.path+" has no cookie.keys: a restart ends all sessions", `set state_dir, where one is kept; or add cookie: { keys: ["${file:/etc/weir/cookie.key}"] }; make the file with: openssl rand -hex 32`)
	}
}
