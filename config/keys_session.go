package config

// persistenceRows are the keys of a pool's session persistence.
func persistenceRows(f features) []key {
	const p = "pools.*.session_persistence"
	return []key{
		{path: p, kind: kindObject, short: "type", planned: !f.persistence, doc: "Keep a client on its backend."},
		{path: p + ".type", kind: kindEnum, enum: []string{"http_cookie", "app_cookie", "source_ip"},
			doc: "`http_cookie`: a cookie of weir's own, which backends do not see. `app_cookie`: a cookie that backends set. `source_ip`: the address of the client, which is all that pools without HTTP have. Absent: `http_cookie` in http and https pools, `source_ip` in others."},
		{path: p + ".timeout", kind: kindDuration, min: "1m", max: "24h",
			doc: "A session ends this long after its last use; with `http_cookie`, whose date is renewed after half of that, after its date. Absent: 24h in http and https pools, 1m in others, which have at most 1h."},
		{path: p + ".fallback", kind: kindEnum, def: "rebalance", enum: []string{"rebalance", "fail"},
			doc: "When the backend of a session cannot be used. `rebalance`: another one, for good. `fail`: 503, or the connection is closed."},
		{path: p + ".cookie", kind: kindObject, doc: "The cookie. With `app_cookie` it has a name only."},
		{path: p + ".cookie.name", kind: kindCookieName, def: "WEIR",
			doc: "Name. `app_cookie` needs one: that of the backends' cookie, or `*` for any cookie that they set."},
		{path: p + ".cookie.domain", kind: kindHost, doc: "Domain attribute. Empty: the host of the request alone."},
		{path: p + ".cookie.path", kind: kindCookiePath, def: "/", doc: "Path attribute."},
		{path: p + ".cookie.max_age", kind: kindDuration, def: "0s", min: "1s", max: "8760h", zero: "until the browser ends",
			doc: "Max-Age attribute, in whole seconds."},
		{path: p + ".cookie.secure", kind: kindEnum, def: "auto", enum: []string{"auto", "always", "never"}, doc: "Secure attribute. `auto`: on https listeners."},
		{path: p + ".cookie.http_only", kind: kindBool, def: "true", doc: "HttpOnly attribute."},
		{path: p + ".cookie.same_site", kind: kindEnum, def: "lax", enum: []string{"lax", "strict", "none"}, doc: "SameSite attribute."},
		{path: p + ".cookie.keys", kind: kindList, single: true,
			doc: "Keys that authenticate the cookie: the first signs, all verify. The same keys make a cookie valid on every machine. Absent: one that is made in `state_dir`; without that a random one, and sessions end with the process."},
		{path: p + ".cookie.keys[]", kind: kindKey, secret: true, doc: "32 bytes in hexadecimal or base64; `${file:…}` keeps them out of this file."},
	}
}
