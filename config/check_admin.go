package config

import (
	"fmt"
	"net/netip"
)

// maxSocketPath is the longest path of a unix socket, in bytes.
const maxSocketPath = 107

// admin checks the admin addresses and who may use them.
func (c *checker) admin() {
	admin := c.root.child("admin")
	path := admin.child("socket")
	if name := admin.file("socket"); path.given && !path.broken && len(name) > maxSocketPath {
		c.fail(path, fmt.Sprintf("%s has %d bytes, over the maximum %d of a unix socket", path.path, len(name), maxSocketPath), "use a shorter path")
	}
	credentials := admin.child("credentials")
	c.credentials(credentials)
	listen, insecure := admin.child("listen"), admin.child("insecure")
	if listen.broken {
		return
	}
	if text, _ := listen.raw.(string); text == "" {
		for _, v := range []*value{credentials, insecure} {
			if v.given && !v.broken && (len(v.items) > 0 || v.raw == true) {
				c.warnHead(v, v.path+" has no effect without admin.listen", "remove it: the admin socket asks for no credential")
			}
		}
		return
	}
	if onLoopback(listen) {
		return
	}
	if insecure.raw == true {
		c.fail(insecure, fmt.Sprintf("%s lets everybody write who reaches %s", insecure.path, quote(listen.text)), "let admin.listen be on 127.0.0.1, or remove it")
	}
	advice := "what it serves is read only; 127.0.0.1 keeps it on this one"
	if len(credentials.items) > 0 {
		advice = "tokens cross the network in clear text; 127.0.0.1 keeps them on this one"
	}
	c.warn(listen, fmt.Sprintf("%s %s can be reached from other machines", listen.path, quote(listen.text)), advice)
}

// onLoopback reports whether only this machine reaches an address that has been accepted by its row.
func onLoopback(v *value) bool {
	text, _ := v.raw.(string)
	host, _, p := splitHostPort(text)
	if p != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// credentials wants no name and no token twice, and no name empty.
func (c *checker) credentials(list *value) {
	names, tokens := map[string]*value{}, map[string]*value{}
	for _, item := range list.items {
		name, token := item.child("name"), item.child("token")
		if text, ok := name.raw.(string); ok && name.given && !name.broken {
			if first := names[text]; first != nil {
				c.fail(name, fmt.Sprintf("%s repeats %s", name.path, quote(text)), "give each credential a name of its own", first.at)
			}
			if text == "" {
				c.fail(name, name.path+" is empty", "write who it is")
			}
			names[text] = name
		}
		if text, ok := token.raw.(string); ok && token.given && !token.broken {
			if first := tokens[text]; first != nil {
				// A message shows no token.
				c.fail(token, fmt.Sprintf("%s repeats %s", token.path, first.path), "give each credential a token of its own", first.at)
			}
			tokens[text] = token
		}
	}
}
