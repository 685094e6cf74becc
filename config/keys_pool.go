package config

// poolRows are the keys of a pool.
func poolRows(f features) []key {
	conditions, later := enumWith(f.retryConditions, []string{"connect_failure", "reset"}, []string{"timeout", "502", "503", "504"}, nil)
	rows := []key{
		{path: "pools", kind: kindMap, doc: "Sets of interchangeable backends, by name."},
		{path: "pools.*", kind: kindObject, doc: "One pool."},
		{path: "pools.*.protocol", kind: kindEnum, def: "http", enum: []string{"http", "https"},
			later: []string{"grpc", "tcp", "tls", "udp", "quic", "ip"}, doc: "What backends speak."},
		{path: "pools.*.algorithm", kind: kindEnum, def: "weighted_round_robin",
			enum:  []string{"weighted_round_robin", "least_connections", "source_ip", "2_tuple_hash", "3_tuple_hash", "5_tuple_hash"},
			later: []string{"quic_cid"}, doc: "Who gets the next request."},
		{path: "pools.*.hash", kind: kindObject, doc: "Tuning of `source_ip` and the tuple hashes."},
		{path: "pools.*.hash.weighted", kind: kindBool, def: "true", doc: "Weights count."},
		{path: "pools.*.hash.seed", kind: kindInt, def: "0", min: "0", max: "9223372036854775807",
			doc: "Seed of the hash. The same seed gives the same table everywhere."},
		{path: "pools.*.hash.quic_cid", kind: kindObject, planned: true, doc: "Slice of the QUIC connection ID."},
		{path: "pools.*.hash.quic_cid.offset", kind: kindInt, def: "1", planned: true, doc: "First byte of it."},
		{path: "pools.*.hash.quic_cid.length", kind: kindInt, def: "3", planned: true, doc: "Bytes of it."},
		{path: "pools.*.slow_start", kind: kindObject, doc: "Ramp for a backend that joins or comes back. Absent: off."},
		{path: "pools.*.slow_start.duration", kind: kindDuration, def: "30s", min: "100ms", max: "24h", zero: "off",
			doc: "From a tenth of the weight to all of it."},
		{path: "pools.*.slow_start.repeat", kind: kindBool, def: "true", doc: "Ramp again after the first completed ramp."},
		{path: "pools.*.required", kind: kindBool, def: "true", doc: "Without a usable backend here the process is not ready."},
		{path: "pools.*.min_healthy", kind: kindInt, def: "0", min: "1", max: "10000", zero: "never",
			doc: "With fewer usable backends, fail open over all that are not in maintenance."},
		{path: "pools.*.retries", kind: kindObject, doc: "When another backend is tried."},
		{path: "pools.*.retries.attempts", kind: kindInt, def: "2", min: "0", max: "10", doc: "Tries after the first."},
		{path: "pools.*.retries.on", kind: kindList, single: true, def: "[connect_failure, reset]",
			doc: retriesDoc(f)},
		{path: "pools.*.retries.on[]", kind: kindEnum, enum: conditions, later: later, doc: "A condition."},
		{path: "pools.*.retries.budget", kind: kindPercent, def: "20%", min: "0%", max: "100%",
			doc: "Retries as a share of the requests; connect failures do not count."},
		{path: "pools.*.tls", kind: kindObject, doc: "TLS towards backends, for `protocol: https` and for https health checks."},
		{path: "pools.*.tls.verify", kind: kindBool, def: "true", doc: "Verify the certificate."},
		{path: "pools.*.tls.ca", kind: kindFile, doc: "PEM file of the authorities that are trusted. Empty: those of the system."},
		{path: "pools.*.tls.server_name", kind: kindHost, doc: "Name that is asked for and verified. Empty: the backend's address."},
		{path: "pools.*.tls.client_cert", kind: kindFile, doc: "PEM file of the certificate shown to backends. Needs `client_key`."},
		{path: "pools.*.tls.client_key", kind: kindFile, doc: "PEM file of its key. Needs `client_cert`."},

		{path: "pools.*.id", kind: kindText, planned: true, doc: "Stable id for API clients."},
		{path: "pools.*.meta", kind: kindMap, planned: true, doc: "Opaque values that are kept and shown."},
		{path: "pools.*.http2", kind: kindBool, planned: true, doc: "HTTP/2 towards backends."},
		{path: "pools.*.any_port", kind: kindBool, planned: true, doc: "Backends take the port that the client connected to."},
		{path: "pools.*.resolve", kind: kindObject, planned: true, doc: "Resolution of backend addresses that are names."},
	}
	rows = append(rows, persistenceRows(!f.persistence)...)
	rows = append(rows, []key{
		{path: "pools.*.target_rebalance", kind: kindBool, planned: true, doc: "Move flows of a lost backend."},
		{path: "pools.*.rebalance_rate", kind: kindInt, planned: true, doc: "Flows moved in a second."},
		{path: "pools.*.drain_timeout", kind: kindDuration, planned: true, doc: "What is left on a draining backend after this is cut."},
		{path: "pools.*.deletion_protection", kind: kindBool, planned: true, doc: "The API refuses to delete the pool."},
		{path: "pools.*.max_connections", kind: kindInt, planned: true, doc: "Connections to one backend."},
		{path: "pools.*.queue", kind: kindObject, planned: true, doc: "Waiting room beyond `max_connections`."},
		{path: "pools.*.send_proxy_protocol", kind: kindText, planned: true, doc: "PROXY header towards backends."},
		{path: "pools.*.outlier", kind: kindObject, planned: true, doc: "Ejection of backends that fail live traffic."},
	}...)
	return append(rows, boundRows("pools", f)...)
}

// retriesDoc is about the conditions that there are.
func retriesDoc(f features) string {
	doc := "Conditions. `connect_failure`: any method; `reset` (closed before the first byte of the response)"
	if f.retryConditions {
		doc += ", `timeout` (none within `backend_response`) and a status of the response"
	}
	return doc + ": idempotent methods only."
}

// healthRows are the keys of a pool's health check.
func healthRows() []key {
	const p = "pools.*.health_check"
	return []key{
		{path: p, kind: kindObject, word: "none",
			doc: "How backends are probed. Absent: a TCP connection with the defaults below. `none`: backends are up at once."},
		{path: p + ".protocol", kind: kindEnum, def: "tcp", enum: []string{"tcp", "http", "https"}, later: []string{"udp", "tls", "grpc"},
			doc: "What probes speak. In an https pool `http` is spoken over TLS too, unless `plaintext` is set."},
		{path: p + ".port", kind: kindInt, def: "0", min: "1", max: "65535", zero: "the backend's", doc: "Port that is probed."},
		{path: p + ".interval", kind: kindDuration, def: "5s", min: "1ms", max: "30m",
			doc: "From one probe to the next, ± 10 %. Probes of one backend never overlap."},
		{path: p + ".timeout", kind: kindDuration, def: "2s", min: "1ms", max: "10m", doc: "Deadline of a whole probe. It may exceed the interval."},
		{path: p + ".rise", kind: kindInt, def: "2", min: "1", max: "1000", doc: "Successes in a row that turn down into up."},
		{path: p + ".fall", kind: kindInt, def: "3", min: "1", max: "1000", doc: "Failures in a row that turn up into down."},
		{path: p + ".initial", kind: kindEnum, def: "checking", enum: []string{"checking", "up", "down"},
			doc: "Health before the first verdict. `checking`: the first result decides, whatever `rise` and `fall` are, and it gets no traffic before."},
		{path: p + ".plaintext", kind: kindBool, def: "false", doc: "Probe without TLS although the pool uses it."},
		{path: p + ".path", kind: kindTarget, def: "/", doc: "http, https: request target; begins with `/`."},
		{path: p + ".method", kind: kindMethod, def: "GET", doc: "http, https: method."},
		{path: p + ".host", kind: kindHostPort, doc: "http, https: Host field. Empty: the address that is probed."},
		{path: p + ".headers", kind: kindMap, naming: namesFields, doc: "http, https: further fields, by name."},
		{path: p + ".headers.*", kind: kindFieldValue, doc: "Value of the field."},
		{path: p + ".status", kind: kindList, single: true, def: `["200"]`,
			doc: "http, https: status codes of success. With exclusions only, every other code is one."},
		{path: p + ".status[]", kind: kindStatus, doc: "`200`, `200-299`, or an exclusion: `!204`, `!500-599`."},
		{path: p + ".body", kind: kindRegexp, doc: "http, https: expression that the body must match. Go syntax, or with look-around where that refuses it."},
		{path: p + ".body_not", kind: kindRegexp, doc: "http, https: expression that the body must not match."},
		{path: p + ".max_body", kind: kindSize, def: "256KiB", min: "1B", max: "16MiB", doc: "http, https: bytes of the body that are read."},
		{path: p + ".send", kind: kindPayload, doc: "tcp: sent after connecting; text or `hex:…`, at most 64 KiB."},
		{path: p + ".expect", kind: kindExpect, doc: "tcp: wanted in reply; expression or `hex:…`."},
		{path: p + ".service", kind: kindText, planned: true, doc: "grpc: name of the service."},
	}
}

// backendRows are the keys of a backend.
func backendRows() []key {
	const p = "pools.*.backends"
	return []key{
		{path: p, kind: kindMap, required: true, listed: true,
			doc: "Backends by name, or a list of addresses, which are then their own names."},
		{path: p + ".*", kind: kindObject, short: "address", doc: "One backend, or its address alone."},
		{path: p + ".*.address", kind: kindAddress, required: true, doc: "IP:port."},
		{path: p + ".*.weight", kind: kindInt, def: "1", min: "0", max: "256", doc: "Share of the traffic. 0: no new flows."},
		{path: p + ".*.backup", kind: kindBool, def: "false", doc: "Used only while no primary is usable."},
		{path: p + ".*.state", kind: kindEnum, def: "ready", enum: []string{"ready", "drain", "maintenance"},
			doc: "`drain`: no new flows. `maintenance`: no traffic whatever happens."},
		{path: p + ".*.health_check", kind: kindObject, doc: "Where this backend is probed."},
		{path: p + ".*.health_check.address", kind: kindIP, doc: "IP that is probed. Empty: the backend's."},
		{path: p + ".*.health_check.port", kind: kindInt, def: "0", min: "1", max: "65535", zero: "that of the pool's check", doc: "Port that is probed."},
		{path: p + ".*.max_connections", kind: kindInt, planned: true, doc: "Connections to this backend."},
		{path: p + ".*.id", kind: kindText, planned: true, doc: "Stable id for API clients."},
		{path: p + ".*.meta", kind: kindMap, planned: true, doc: "Opaque values that are kept and shown."},
	}
}
