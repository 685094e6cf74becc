package config

// processRows are the keys of the whole process.
func processRows() []key {
	return []key{
		{path: "version", kind: kindInt, def: "1", min: "1", max: "1",
			doc: "Version of the vocabulary."},
		{path: "include", kind: kindList, single: true,
			doc: "Further files, in the main file only. Patterns are relative to it; files are read in the order of their names, each with its own line numbers. A name of a listener or a pool that stands in two files is an error, and so is any other section that does."},
		{path: "include[]", kind: kindFile, doc: "A path, or a pattern with `*`, `?` and `[…]`."},
		{path: "state_dir", kind: kindFile,
			doc: "Directory for what outlives a restart, made with mode 0700 if it is not there. In it are what was made through the API and the overrides of backends (`state.json`, `state.log`), each change synced before it is answered, the key of session cookies (`session.key`), the last addresses of names (`names.json`), and the last events (`journal.jsonl`). One process alone uses it. Empty: nothing is kept."},
		{path: "watch", kind: kindBool, def: "false",
			doc: "Reload when the content of a file changes: this one, an include, or a `${file:…}`. All are read every two seconds; a change is taken when it has come to rest for half a second. `weir run --watch` turns it on too."},
		{path: "limits", kind: kindObject, doc: "Limits of the whole process."},
		{path: "limits.memory", kind: kindSize, def: "0", min: "64MiB", max: "1024TiB", zero: "by the environment",
			doc: "Memory that the process lives within. From 95 % of it on new connections, UDP sessions and requests are refused, until there is less than 92 %; what runs goes on. The garbage collector keeps below 90 % what it can. 0: 90 % of the memory limit of the cgroup, or what makes the environment's GOMEMLIMIT 90 % of it; without either, no limit."},
		{path: "load_balancers", kind: kindMap, planned: true, doc: "Containers of objects made through vendor dialects."},

		{path: "admin", kind: kindObject, doc: "Where the daemon is controlled and observed."},
		{path: "admin.socket", kind: kindFile, def: "/run/weir/admin.sock",
			doc: "Path of the unix socket of the CLI and the API, at most 107 bytes. An empty text turns it off."},
		{path: "admin.listen", kind: kindListen,
			doc: "IP:port that serves the API, `/metrics`, `/livez` and `/readyz` to clients that address it by IP or as localhost. Without `credentials` it serves reads only. It has no TLS: keep it on loopback, or on a network of your own. Empty: none."},
		{path: "admin.credentials", kind: kindList,
			doc: "Who may use the API over TCP: a request shows a token as `Authorization: Bearer TOKEN` or `X-Auth-Token: TOKEN`. With any here, reads need one as well, but for `/metrics`, `/livez` and `/readyz`. The admin socket asks for none: its mode says who may open it."},
		{path: "admin.credentials[]", kind: kindObject, doc: "One credential."},
		{path: "admin.credentials[].name", kind: kindText, required: true, doc: "Who it is, for logs and events."},
		{path: "admin.credentials[].token", kind: kindToken, required: true, secret: true,
			doc: "The secret. `${file:…}` keeps it out of this file; a new one is in force after a reload."},
		{path: "admin.credentials[].role", kind: kindEnum, def: "admin", enum: []string{"admin", "read"},
			doc: "`admin`: everything. `read`: reads only."},
		{path: "admin.credentials[].access_key", kind: kindText, planned: true, doc: "Access key of SDK-HMAC-SHA256."},
		{path: "admin.credentials[].secret_key", kind: kindText, planned: true, doc: "Its secret key."},
		{path: "admin.credentials[].key_id", kind: kindText, planned: true, doc: "Key of RSA request signatures: tenancy/user/fingerprint."},
		{path: "admin.credentials[].public_key", kind: kindFile, planned: true, doc: "Its public key, a PEM file."},
		{path: "admin.insecure", kind: kindBool,
			doc: "Writes over TCP with any credential or none. Allowed only if `listen` is a loopback address."},

		{path: "log", kind: kindObject, doc: "The log of the process."},
		{path: "log.level", kind: kindEnum, def: "info", enum: []string{"debug", "info", "warn", "error"},
			doc: "Lowest level that is written."},
		{path: "log.format", kind: kindEnum, def: "json", enum: []string{"json", "console"},
			doc: "One JSON object per line, or lines for people."},
		{path: "log.access", kind: kindObject, doc: "One line per request."},
		{path: "log.access.output", kind: kindOutput, def: "off",
			doc: "`off`, `stdout`, `stderr` or the path of a file."},
		{path: "log.access.format", kind: kindEnum, def: "json", enum: []string{"json"}, doc: "Shape of a line."},
		{path: "log.access.sample", kind: kindFloat, def: "1.0", min: "0", max: "1",
			doc: "Share of the successful requests that is written. Failures always are."},
	}
}

// bound is one row of the time-outs and limits, which may stand in defaults and in each listener
// or each pool.
type bound struct {
	name, side string // side: listeners, pools, or empty for the whole process
	kind       kind
	def        string
	min, max   string
	zero       string
	doc        string
	planned    bool
	only       []string // as of a key, on its side
}

// httpWords are the protocols of HTTP, streamWords all that run over connections.
func httpWords() []string   { return []string{"http", "https"} }
func streamWords() []string { return []string{"http", "https", "tcp", "tls"} }

// timeoutBounds are the time-outs.
func timeoutBounds(f features) []bound {
	const unbounded = "no time-out"
	t := func(name, side, def, doc string) bound {
		return bound{name: name, side: side, kind: kindDuration, def: def, min: "1ms", max: "24h", zero: unbounded, doc: doc}
	}
	with := func(on bool, b bound) bound { b.planned = !on; return b }
	http, streams := httpWords(), streamWords()
	only := func(words []string, b bound) bound { b.only = words; return b }
	grace := t("grace", "", "30s", "How long work in flight may take after the signal to stop.")
	grace.zero = "not at all"
	preStop := t("pre_stop", "", "0s", "Between \"not ready\" and the end of accepting.")
	preStop.zero = "none"
	drain := with(f.capacity, t("drain", "", "5m", "What is left on a backend this long after it began to drain, or was removed, is cut, as are TCP connections whose listener was removed. A pool has it as `drain_timeout`."))
	drain.zero = "never"
	return []bound{
		only([]string{"https", "tls", "tcp"}, with(f.tlsListeners, t("client_tls", "listeners", "5s", "TLS handshake with a client; on tcp listeners that look at it, the wait for its first message."))),
		only(http, t("client_header", "listeners", "10s", "Whole request head; 408.")),
		only(http, t("client_body_idle", "listeners", "30s", "Between two parts of a request body; 408.")),
		only(http, t("client_idle", "listeners", "75s", "Between two requests on a connection.")),
		only(http, t("client_write_idle", "listeners", "60s", "Without progress while a response is sent.")),
		only(append(streamWords(), "udp", "quic"), t("queue", "pools", "5s", "Waiting for the first verdict on a backend, while all of the pool, or that of the session, are still being checked, and in the `queue` while all have their `max_connections`; 503. Without one that is up, the 503 comes at once. Datagrams wait for a first verdict alone, and are dropped then.")),
		only(streams, t("connect", "pools", "5s", "TCP connection to a backend; 503, 504 when no other is left.")),
		only([]string{"http", "https", "tls"}, t("backend_tls", "pools", "5s", "TLS handshake with a backend.")),
		only(http, t("backend_response", "pools", "60s", "From the end of the request to the first byte of the response; 504.")),
		only(http, t("backend_idle", "pools", "60s", "Between two parts of a response body.")),
		only(http, t("backend_keepalive", "pools", "60s", "An unused connection to a backend is kept this long.")),
		only(http, with(f.upgrade, t("tunnel_idle", "pools", "1h", "Without data in either direction of an upgraded connection."))),
		only(streams, with(f.upgrade, t("half_close", "pools", "30s", "After one side of a connection has ended."))),
		only([]string{"tcp", "tls"}, with(f.layer4, t("tcp_idle", "listeners", "350s", "Without data in either direction of a TCP connection."))),
		only([]string{"udp"}, with(f.layer4, t("udp_idle", "listeners", "60s", "Without a datagram in either direction of a UDP session."))),
		drain,
		grace,
		preStop,
	}
}

// limitBounds are the limits.
func limitBounds(f features) []bound {
	return []bound{
		{name: "max_header", only: httpWords(), side: "listeners", kind: kindSize, def: "64KiB", min: "1KiB", max: "1MiB", doc: "Bytes of a request head; 431."},
		{name: "max_header_count", only: httpWords(), side: "listeners", kind: kindInt, def: "128", min: "1", max: "10000", doc: "Fields of a request head; 431. The same for a response; 502."},
		{name: "max_target", only: httpWords(), side: "listeners", kind: kindSize, def: "16KiB", min: "64B", max: "1MiB", doc: "Bytes of a request target; 414."},
		{name: "max_body", only: httpWords(), side: "listeners", kind: kindSize, def: "0", min: "1B", max: "1024TiB", zero: "unlimited", doc: "Bytes of a request body, declared or streamed; 413."},
		{name: "max_connections", only: streamWords(), side: "listeners", kind: kindInt, def: "0", min: "1", max: "10000000", zero: "no limit by count", doc: "Client connections at the same time."},
		{name: "new_connections_per_second", side: "listeners", kind: kindInt, def: "0", min: "1", max: "1000000", zero: "no limit", planned: !f.admission, doc: "Client connections accepted in a second."},
		{name: "per_client_connections", side: "listeners", kind: kindInt, def: "0", min: "1", max: "1000000", zero: "no limit", planned: !f.admission, doc: "Connections of one client address."},
		{name: "max_sessions", only: []string{"udp"}, side: "listeners", kind: kindInt, def: "0", min: "1", max: "10000000", zero: "40 % of the descriptor limit", planned: !f.layer4, doc: "UDP sessions at the same time. The one that was idle longest makes room for a new one."},
		{name: "min_body_rate", only: httpWords(), side: "listeners", kind: kindSize, def: "0", min: "1B", max: "1GiB", zero: "none", planned: !f.admission, doc: "Slowest upload, bytes in a second."},
		{name: "max_response_header", only: httpWords(), side: "pools", kind: kindSize, def: "64KiB", min: "1KiB", max: "1MiB", doc: "Bytes of a response head; 502."},
	}
}

// defaultsRows are the time-outs and limits that hold where none are given.
func defaultsRows(f features) []key {
	all := []key{
		{path: "defaults", kind: kindObject, doc: "Time-outs and limits for every listener and pool that gives none of its own."},
		{path: "defaults.timeouts", kind: kindObject, doc: "Time-outs. `grace` and `pre_stop` hold for the process and stand only here."},
	}
	for _, b := range timeoutBounds(f) {
		all = append(all, b.row("defaults.timeouts."))
	}
	all = append(all, key{path: "defaults.limits", kind: kindObject, doc: "Limits."})
	for _, b := range limitBounds(f) {
		all = append(all, b.row("defaults.limits."))
	}
	return all
}

// row places b under prefix with its own default.
func (b bound) row(prefix string) key {
	return key{path: prefix + b.name, kind: b.kind, def: b.def, min: b.min, max: b.max, zero: b.zero, doc: b.doc, planned: b.planned}
}

// boundRows are the time-outs and limits of one side ("listeners", "pools"), which inherit from
// defaults.
func boundRows(side string, f features) []key {
	var all []key
	add := func(section, doc string, bounds []bound) {
		prefix := side + ".*." + section
		all = append(all, key{path: prefix, kind: kindObject, doc: doc})
		for _, b := range bounds {
			if b.side != side {
				continue
			}
			k := b.row(prefix + ".")
			k.only = b.only
			k.def, k.inherits = "", "defaults."+section+"."+b.name
			all = append(all, k)
		}
	}
	add("timeouts", "Time-outs, instead of those of `defaults`.", timeoutBounds(f))
	add("limits", "Limits, instead of those of `defaults`.", limitBounds(f))
	return all
}
