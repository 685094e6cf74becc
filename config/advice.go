package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// naming says which names a map takes.
type naming uint8

const (
	namesObjects    naming = iota // listeners, pools, backends
	namesFields                   // of HTTP fields
	namesParameters               // of a query
	namesStatuses                 // that weir answers with itself
)

// ownStatuses are the statuses of responses that weir makes itself.
const ownStatuses = "400 403 404 405 408 413 414 417 421 429 431 501 502 503 504 505"

// validName reports whether name can be one of k.
func validName(name string, k *key) bool {
	switch k.naming {
	case namesFields:
		return isToken(name)
	case namesParameters:
		return name != "" && len(name) <= 128 && !strings.ContainsFunc(name, unicode.IsControl)
	case namesStatuses:
		return slices.Contains(strings.Fields(ownStatuses), name)
	}
	if len(name) < 1 || len(name) > 128 {
		return false
	}
	if name == "." || name == ".." { // in the path of a URL they name something else
		return false
	}
	for _, c := range []byte(name) {
		brackets := k.listed && (c == '[' || c == ']')
		if !isAlnum(c) && !strings.ContainsRune("_.:-", rune(c)) && !brackets {
			return false
		}
	}
	return true
}

// nameRule says which names k takes.
func nameRule(k *key) string {
	switch k.naming {
	case namesFields:
		return "write the name of an HTTP field, without a colon"
	case namesParameters:
		return "names have 1 … 128 bytes, decoded and without control characters"
	case namesStatuses:
		return "statuses of weir's own: " + ownStatuses
	}
	return "names have 1 … 128 letters, digits and _ . : -, and are not . or .."
}

// adviceFor says what to do about an unknown key of k.
func adviceFor(name string, k *key) string {
	if near := closest(name, k.names()); near != "" && strings.EqualFold(near, name) {
		return fmt.Sprintf("did you mean %q?", near)
	}
	if places := elsewhere(name, k); len(places) > 0 {
		return "it belongs under " + orList(places)
	}
	if near := closest(name, k.names()); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "allowed: " + strings.Join(k.names(), ", ")
}

// elsewhere lists up to three places where a key of that name is known: anywhere for time-outs,
// limits and keys of the file itself, for others in the same section.
func elsewhere(name string, k *key) []string {
	var places []string
	var visit func(c *key)
	visit = func(c *key) {
		if known := c.byName[name]; known != nil && !known.planned && c != k {
			places = append(places, display(c.path))
		}
		for _, next := range c.children {
			if !next.planned {
				visit(next)
			}
		}
		if c.item != nil {
			visit(c.item)
		}
	}
	top := k
	for top.parent != nil && top.parent.parent != nil {
		top = top.parent
	}
	bounded := k.name == "timeouts" || k.name == "limits"
	if bounded || top.parent == nil {
		top = k.root()
	}
	visit(top)
	return places[:min(len(places), 3)]
}

// place names a path for people; the root is the file.
func place(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}
