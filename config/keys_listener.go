package config

// listenerRows are the keys of a listener; those of its routes follow in routeRows.
func listenerRows(f features) []key {
	protocols, later := enumWith(f.tlsListeners, []string{"http"}, []string{"https"}, []string{"quic", "ip"})
	protocols, later = enumWith(f.layer4, protocols, []string{"tcp", "tls", "udp"}, later)
	layer7 := httpWords()
	rows := []key{
		{path: "listeners", kind: kindMap, required: true, doc: "Addresses on which clients are served, by name."},
		{path: "listeners.*", kind: kindObject, doc: "One listener."},
		{path: "listeners.*.protocol", kind: kindEnum, required: true, enum: protocols, later: later, doc: "What clients speak."},
		{path: "listeners.*.address", kind: kindListen,
			doc: "IP:port. Without an IP (`:8080`) all addresses. Port 0 takes a free one. One of `address` and `addresses` is required."},
		{path: "listeners.*.addresses", kind: kindList, doc: "Several of them."},
		{path: "listeners.*.addresses[]", kind: kindListen, doc: "An IP:port."},
		{path: "listeners.*.pool", kind: kindReference, doc: "Pool of what no route matches. Required when there are no routes; with routes and without it such requests get 421, such connections are closed."},
		{path: "listeners.*.routes", kind: kindList, only: streamWords(), doc: "Which request or connection goes to which pool. The first match wins."},
		{path: "listeners.*.keepalive_requests", kind: kindInt, only: layer7, def: "0", min: "1", max: "1000000000", zero: "unlimited",
			doc: "Requests on one connection."},

		{path: "listeners.*.http2", kind: kindObject, planned: true, doc: "HTTP/2."},
		{path: "listeners.*.http3", kind: kindBool, planned: true, doc: "HTTP/3."},
	}
	rows = append(rows, identityRows("listeners.*", "listeners")...)
	rows = append(rows, forwardedRows()...)
	rows = append(rows, listenerTLSRows(!f.tlsListeners)...)
	rows = append(rows, []key{
		{path: "listeners.*.via", kind: kindPseudonym, only: layer7,
			doc: "Name of weir in a Via field that is added to requests and responses (RFC 9110, section 7.6.3). Empty: none is added."},
		{path: "listeners.*.accept_proxy_protocol", kind: kindObject, planned: !f.layer4, only: streamWords(),
			doc: "Who must send a PROXY header, version 1 or 2, at the beginning of each connection. It is not looked for in connections from anybody else. " +
				"The client is then who the header says, also for `forwarded.trust`."},
		{path: "listeners.*.accept_proxy_protocol.from", kind: kindList, single: true, required: true, doc: "Networks of the proxies."},
		{path: "listeners.*.accept_proxy_protocol.from[]", kind: kindPrefix, doc: "Network (`10.0.0.0/8`) or address."},
		{path: "listeners.*.request_id", kind: kindBool, only: layer7, def: "false", planned: !f.routesFull, doc: "Give every request an id."},
		{path: "listeners.*.error_pages", kind: kindMap, only: layer7, naming: namesStatuses, planned: !f.routesFull, doc: "Bodies of error responses of weir's own, by status."},
		{path: "listeners.*.error_pages.*", kind: kindFile, doc: "File with the body."},
		{path: "listeners.*.tcp", kind: kindObject, planned: !f.layer4, only: []string{"tcp", "tls"}, doc: "Options of the TCP sockets of clients and backends."},
		{path: "listeners.*.tcp.keepalive", kind: kindDuration, def: "15s", min: "1s", max: "9h", zero: "no keep-alive probes",
			doc: "A connection without data is probed after this, and as often again, in whole seconds. Nine probes without an answer end it."},
		{path: "listeners.*.tcp.user_timeout", kind: kindDuration, def: "0s", min: "1ms", max: "24h", zero: "that of the system",
			doc: "Data that is not acknowledged for this long ends the connection."},
		{path: "listeners.*.udp", kind: kindObject, planned: !f.layer4, only: []string{"udp"}, doc: "Behaviour of UDP sessions."},
		{path: "listeners.*.udp.responses", kind: kindInt, def: "0", min: "1", max: "1000000", zero: "unknown",
			doc: "Datagrams with which a backend answers one of a client. A session ends with the last that is due."},
	}...)
	rows = append(rows, admissionRows(f)...)
	return append(rows, boundRows("listeners", f)...)
}

// forwardedFields are the fields that tell a backend where a request comes from.
var forwardedFields = []string{
	"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-For-Port", "X-Forwarded-ELB-IP",
	"X-Real-IP", "Forwarded",
}

// forwardedRows are the keys of the fields that say where a request comes from.
func forwardedRows() []key {
	const p = "listeners.*.forwarded"
	return []key{
		{path: p, kind: kindObject, only: httpWords(), doc: "What backends are told of where a request comes from, and whose word is taken for it."},
		{path: p + ".trust", kind: kindList, single: true,
			doc: "Networks of proxies in front. X-Forwarded-*, Forwarded and X-Real-IP from anybody else are dropped and written afresh, whatever the mode. " +
				"Names that differ from these in signs only, like X_Forwarded_For, are dropped from everybody."},
		{path: p + ".trust[]", kind: kindPrefix, doc: "Network (`10.0.0.0/8`) or address."},
		{path: p + ".mode", kind: kindEnum, def: "append", enum: []string{"append", "replace", "remove", "preserve"},
			doc: "What happens to X-Forwarded-For and Forwarded of a trusted peer. `append`: its address is added. `replace`: only its address is there. " +
				"`remove`: they are taken out, and none is written. `preserve`: they stay as they came. Other fields of a trusted peer stay, and are written where it has none. " +
				"A Forwarded field that breaks the grammar of RFC 7239 is not added to but replaced."},
		{path: p + ".fields", kind: kindList, single: true, def: "[X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host]",
			doc: "Fields that are written. X-Forwarded-Port is the port that the client connected to, X-Forwarded-For-Port its own, " +
				"X-Forwarded-ELB-IP the address that it connected to; X-Real-IP is the address of the client, as found through the trusted proxies."},
		{path: p + ".fields[]", kind: kindEnum, enum: forwardedFields, doc: "Name of a field."},
		{path: p + ".client_from", kind: kindEnum, def: "X-Forwarded-For", enum: []string{"X-Forwarded-For", "Forwarded", "X-Real-IP"},
			doc: "Field of a trusted peer that names the client: the last address in it that is not of a trusted proxy."},
		{path: p + ".by", kind: kindNodeID, doc: "How weir names itself in Forwarded: `address`, or an identifier that begins with `_`. Empty: not at all."},
		{path: p + ".ports", kind: kindBool, def: "false", doc: "Write ports with the addresses in Forwarded."},
	}
}

// listenerTLSRows are the keys of TLS towards clients.
func listenerTLSRows(later bool) []key {
	const p = "listeners.*.tls"
	return []key{
		{path: p, kind: kindObject, planned: later, only: []string{"https", "tls"}, doc: "Certificates and TLS settings."},
		{path: p + ".certificates", kind: kindList, required: true,
			doc: "Certificates, chosen by the name that the client asks for: exact, then the longest wildcard, then the first."},
		{path: p + ".certificates[]", kind: kindObject, doc: "A certificate and its key."},
		{path: p + ".certificates[].cert", kind: kindFile, required: true, doc: "PEM file of the certificate and those between it and the authority."},
		{path: p + ".certificates[].key", kind: kindFile, required: true, doc: "PEM file of its key."},
		{path: p + ".min_version", kind: kindEnum, def: "1.2", enum: []string{"1.2", "1.3"}, doc: "Oldest version of TLS."},
		{path: p + ".max_version", kind: kindEnum, def: "1.3", enum: []string{"1.2", "1.3"}, doc: "Newest version of TLS."},
		{path: p + ".cipher_suites", kind: kindList, single: true,
			doc: "Suites of TLS 1.2. Absent: all of them. Those of TLS 1.3 are always on."},
		{path: p + ".cipher_suites[]", kind: kindEnum, enum: cipherSuites(), doc: "A suite."},
		{path: p + ".alpn", kind: kindList, single: true,
			doc: "Application protocols that are offered, the preferred one first. Absent: `http/1.1` on https listeners, none on others."},
		{path: p + ".alpn[]", kind: kindALPN, doc: "A protocol. An https listener has `http/1.1` only."},
		{path: p + ".ticket_keys", kind: kindList, single: true,
			doc: "Keys of session tickets: the first encrypts, all decrypt, so that sessions are resumed on every machine that has them. Absent: keys of the process."},
		{path: p + ".ticket_keys[]", kind: kindKey, secret: true, doc: "32 bytes in hexadecimal or base64; `${file:…}` keeps them out of this file."},
		{path: p + ".ocsp", kind: kindFile, doc: "DER file of the OCSP response that is stapled to the certificate it speaks of."},
		{path: p + ".client_ca", kind: kindFile, doc: "PEM file of the authorities of client certificates. Empty: none are asked for."},
		{path: p + ".client_auth", kind: kindEnum, def: "require", enum: []string{"require", "request"},
			doc: "With `client_ca`. `require`: no connection without a valid certificate. `request`: none is fine, an invalid one is not."},
		{path: p + ".client_cert_headers", kind: kindBool, def: "false", only: []string{"https"},
			doc: "Tell the backends about the certificate of the client in fields of the request; such fields of clients are dropped."},
	}
}

// cipherSuites are the suites of TLS 1.2 that crypto/tls does not call insecure.
func cipherSuites() []string {
	return []string{
		"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
		"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
		"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
		"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
	}
}

// admissionRows are the keys that say who is served, and how often.
func admissionRows(f features) []key {
	const p = "listeners.*."
	later := !f.admission
	return []key{
		{path: p + "allow", kind: kindList, single: true, planned: later, doc: "Networks of clients that are served. Absent: all."},
		{path: p + "allow[]", kind: kindPrefix, doc: "Network (`10.0.0.0/8`) or address."},
		{path: p + "deny", kind: kindList, single: true, planned: later, doc: "Networks of clients that are refused, whatever `allow` says."},
		{path: p + "deny[]", kind: kindPrefix, doc: "Network or address."},
		{path: p + "rate_limit", kind: kindObject, planned: later, only: httpWords(), doc: "How often a client is served."},
		{path: p + "rate_limit.key", kind: kindEnum, def: "client_ip", enum: []string{"client_ip"}, doc: "What is counted apart."},
		{path: p + "rate_limit.rate", kind: kindFloat, def: "0", min: "0.001", max: "1000000", zero: "no limit",
			doc: "Requests in a second; beyond: 429 with Retry-After."},
		{path: p + "rate_limit.burst", kind: kindInt, def: "0", min: "1", max: "1000000", zero: "those of one second, at least 1",
			doc: "Requests at once."},
	}
}
