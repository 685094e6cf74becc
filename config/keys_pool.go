package config

// poolRows are the keys of a pool.
func poolRows(f features) []key {
	protocols, unknown := enumWith(f.layer4, []string{"http", "https"}, []string{"tcp", "tls", "udp", "quic"}, []string{"grpc", "ip"})
	algorithms, _ := enumWith(f.layer4, []string{"weighted_round_robin", "least_connections", "source_ip", "2_tuple_hash", "3_tuple_hash", "5_tuple_hash"}, []string{"quic_cid"}, nil)
	unhashed := []string{"quic_cid"}
	if f.layer4 {
		unhashed = nil
	}
	conditions, later := enumWith(f.retryConditions, []string{"connect_failure", "reset"}, []string{"timeout", "502", "503", "504"}, nil)
	rows := []key{
		{path: "pools", kind: kindMap, doc: "Sets of interchangeable backends, by name."},
		{path: "pools.*", kind: kindObject, doc: "One pool."},
		{path: "pools.*.protocol", kind: kindEnum, def: "http", enum: protocols, later: unknown, doc: "What backends speak."},
		{path: "pools.*.algorithm", kind: kindEnum, def: "weighted_round_robin",
			enum: algorithms, later: unhashed, doc: "Who gets the next request, connection or session."},
		{path: "pools.*.hash", kind: kindObject, doc: "Tuning of `source_ip` and the tuple hashes."},
		{path: "pools.*.hash.weighted", kind: kindBool, def: "true", doc: "Weights count."},
		{path: "pools.*.hash.seed", kind: kindInt, def: "0", min: "0", max: "9223372036854775807",
			doc: "Seed of the hash. The same seed gives the same table everywhere."},
		{path: "pools.*.hash.quic_cid", kind: kindObject, planned: !f.layer4, only: []string{"quic"},
			doc: "The slice of a connection ID that says which server chose it."},
		{path: "pools.*.hash.quic_cid.offset", kind: kindInt, def: "1", min: "0", max: "19", doc: "First byte of it, from 0."},
		{path: "pools.*.hash.quic_cid.length", kind: kindInt, def: "3", min: "1", max: "16", doc: "Bytes of it."},
		{path: "pools.*.slow_start", kind: kindObject, doc: "Ramp for a backend that joins or comes back. Absent: off."},
		{path: "pools.*.slow_start.duration", kind: kindDuration, def: "30s", min: "100ms", max: "24h", zero: "off",
			doc: "From a tenth of the weight to all of it."},
		{path: "pools.*.slow_start.repeat", kind: kindBool, def: "true", doc: "Ramp again after the first completed ramp."},
		{path: "pools.*.required", kind: kindBool, def: "true", doc: "Without a usable backend here the process is not ready."},
		{path: "pools.*.min_healthy", kind: kindInt, def: "0", min: "1", max: "10000", zero: "never",
			doc: "With fewer usable backends, fail open over all that are not in maintenance."},
		{path: "pools.*.retries", kind: kindObject, only: streamWords(), doc: "When another backend is tried."},
		{path: "pools.*.retries.attempts", kind: kindInt, def: "2", min: "0", max: "10", doc: "Tries after the first."},
		{path: "pools.*.retries.on", kind: kindList, single: true, def: "[connect_failure, reset]",
			doc: retriesDoc(f)},
		{path: "pools.*.retries.on[]", kind: kindEnum, enum: conditions, later: later, doc: "A condition."},
		{path: "pools.*.retries.budget", kind: kindPercent, def: "20%", min: "0%", max: "100%",
			doc: "Retries as a share of the requests; connect failures do not count."},
		{path: "pools.*.tls", kind: kindObject, doc: "TLS towards backends, for `protocol: https` and `tls`, and for health checks that speak it."},
		{path: "pools.*.tls.verify", kind: kindBool, def: "true", doc: "Verify the certificate."},
		{path: "pools.*.tls.ca", kind: kindFile, doc: "PEM file of the authorities that are trusted. Empty: those of the system."},
		{path: "pools.*.tls.server_name", kind: kindHost, doc: "Name that is asked for and verified. Empty: the backend's, by name or by IP address, as its `address` says."},
		{path: "pools.*.tls.client_cert", kind: kindFile, doc: "PEM file of the certificate shown to backends. Needs `client_key`."},
		{path: "pools.*.tls.client_key", kind: kindFile, doc: "PEM file of its key. Needs `client_cert`."},

		{path: "pools.*.http2", kind: kindBool, planned: true, doc: "HTTP/2 towards backends."},
		{path: "pools.*.any_port", kind: kindBool, planned: true, doc: "Backends take the port that the client connected to."},
		{path: "pools.*.resolve", kind: kindObject, doc: "Look-ups of backend addresses that are names."},
		{path: "pools.*.resolve.interval", kind: kindDuration, def: "30s", min: "1s", max: "24h",
			doc: "From one look-up of a name to the next, ± 10 %; the time to live of its records is not looked at. One that has failed is repeated after 1s, 2s, 4s and so on."},
	}
	rows = append(rows, identityRows("pools.*", "pools")...)
	rows = append(rows, persistenceRows(f)...)
	rows = append(rows, []key{
		{path: "pools.*.target_rebalance", kind: kindBool, planned: !f.layer4, only: []string{"tcp", "tls", "udp", "quic"},
			doc: "Move the flows of a backend that went down or was removed: TCP connections are reset, so that clients come back elsewhere; UDP sessions move with their next datagram. Absent: true in udp and quic pools, false in others."},
		{path: "pools.*.rebalance_rate", kind: kindInt, def: "0", min: "1", max: "1000000", zero: "all at once", planned: !f.layer4, only: []string{"tcp", "tls", "udp", "quic"},
			doc: "Flows of a lost backend that are moved in a second."},
		{path: "pools.*.drain_timeout", kind: kindDuration, min: "1s", max: "24h", zero: "never", planned: !f.capacity, inherits: "defaults.timeouts.drain",
			doc: "What is left on a backend this long after it began to drain, or was removed, is cut, and its sessions go elsewhere. `ready` stops the clock. A backend that drains but serves, because the pool has no other, is left alone."},
		{path: "pools.*.deletion_protection", kind: kindBool, def: "false", doc: "The API refuses to delete the pool until this is false."},
		{path: "pools.*.max_connections", kind: kindInt, def: "0", min: "1", max: "10000000", zero: "no limit", planned: !f.capacity,
			doc: "Requests, connections or sessions that one backend has at the same time. Beyond, another one takes them; when all are full, they wait in the queue."},
		{path: "pools.*.queue", kind: kindObject, planned: !f.capacity, only: streamWords(), doc: "Waiting room while all backends have their `max_connections`."},
		{path: "pools.*.queue.max", kind: kindInt, def: "1024", min: "1", max: "1000000", zero: "no waiting", doc: "Places in it, first come, first served; a session waits for its own backend. Who finds none gets 503, or is closed."},
		{path: "pools.*.queue.timeout", kind: kindDuration, min: "1ms", max: "1h", inherits: "pools.*.timeouts.queue", doc: "Longest wait; then 503, or it is closed."},
		{path: "pools.*.send_proxy_protocol", kind: kindEnum, enum: []string{"v1", "v2"}, planned: !f.layer4, only: streamWords(),
			doc: "Begin connections to backends with a PROXY header of this version, which has the addresses of the client. Absent: none. In pools with HTTP a connection is then for one connection of a client alone. Health checks send one too."},
		{path: "pools.*.outlier", kind: kindObject, doc: "Ejection of backends that fail live traffic although their health check passes. The last backend that could serve is never ejected."},
		{path: "pools.*.outlier.consecutive_errors", kind: kindInt, def: "0", min: "1", max: "100000", zero: "off",
			doc: "Failures in a row that eject a backend: to connect, connections that it ends before its answer is whole, answers that are not HTTP, and time-outs. Statuses are no failures, nor is what clients do. In udp and quic pools, datagrams that meet no server."},
		{path: "pools.*.outlier.eject", kind: kindDuration, def: "30s", min: "100ms", max: "24h",
			doc: "How long the first ejection lasts. Each further one lasts as much longer, up to ten times this; each such time without one takes a step back."},
		{path: "pools.*.outlier.max_ejected", kind: kindPercent, def: "50%", min: "1%", max: "100%",
			doc: "Share of the pool's backends that may be ejected at the same time, rounded down, but always one."},
	}...)
	return append(rows, boundRows("pools", f)...)
}

// retriesDoc is about the conditions that there are.
func retriesDoc(f features) string {
	doc := "Conditions. `connect_failure`: any method; `reset` (closed before the first byte of the response)"
	if f.retryConditions {
		doc += ", `timeout` (none within `backend_response`) and a status of the response"
	}
	return doc + ": idempotent methods only, with a body of at most 64 KiB. With `reset`, a request that has met an idle connection which its backend closed goes to the same one again, once and outside the budget."
}

// healthRows are the keys of a pool's health check.
func healthRows(f features) []key {
	protocols, later := enumWith(f.layer4, []string{"tcp", "http", "https"}, []string{"udp", "tls"}, []string{"grpc"})
	const p = "pools.*.health_check"
	return []key{
		{path: p, kind: kindObject, word: "none",
			doc: "How backends are probed. Absent: a TCP connection with the defaults below; in udp and quic pools no probes. `none`: backends are up at once."},
		{path: p + ".protocol", kind: kindEnum, enum: protocols, later: later,
			doc: "What probes speak. Absent: `tcp`; in udp and quic pools `udp`. In an https pool `http` is spoken over TLS too, unless `plaintext` is set. `tls` is a handshake. A `udp` probe fails on an ICMP message, and without the reply that `expect` wants."},
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
		{path: p + ".host", kind: kindHostPort, doc: "http, https: Host field. Empty: the name of a backend that is one, with the port that is probed; else the address that is probed."},
		{path: p + ".headers", kind: kindMap, naming: namesFields, doc: "http, https: further fields, by name."},
		{path: p + ".headers.*", kind: kindFieldValue, doc: "Value of the field."},
		{path: p + ".status", kind: kindList, single: true, def: `["200"]`,
			doc: "http, https: status codes of success. With exclusions only, every other code is one."},
		{path: p + ".status[]", kind: kindStatus, doc: "`200`, `200-299`, or an exclusion: `!204`, `!500-599`."},
		{path: p + ".body", kind: kindRegexp, doc: "http, https: expression that the body must match. Go syntax, or with look-around where that refuses it."},
		{path: p + ".body_not", kind: kindRegexp, doc: "http, https: expression that the body must not match."},
		{path: p + ".max_body", kind: kindSize, def: "256KiB", min: "1B", max: "16MiB", doc: "http, https: bytes of the body that are read."},
		{path: p + ".send", kind: kindPayload, doc: "tcp: sent after connecting; udp: the datagram. Text or `hex:…`, at most 64 KiB."},
		{path: p + ".expect", kind: kindExpect, doc: "tcp, udp: wanted in reply; expression or `hex:…`."},
		{path: p + ".service", kind: kindText, planned: true, doc: "grpc: name of the service."},
	}
}

// backendRows are the keys of a backend.
func backendRows(f features) []key {
	const p = "pools.*.backends"
	rows := []key{
		{path: p, kind: kindMap, required: true, listed: true,
			doc: "Backends by name, or a list of addresses, which are then their own names."},
		{path: p + ".*", kind: kindObject, short: "address", doc: "One backend, or its address alone."},
		{path: p + ".*.address", kind: kindAddress, required: true,
			doc: "IP:port, or name:port. A name is looked up in the background, by /etc/hosts and the servers of /etc/resolv.conf: each address that it has is a backend NAME/IP with the whole of what is said here, so with the whole weight; they come and go with the answers. Without a new answer the last good one stays in use. `check` looks nothing up. docs/names.md has the details."},
		{path: p + ".*.weight", kind: kindInt, def: "1", min: "0", max: "256", doc: "Share of the traffic. 0: no new flows."},
		{path: p + ".*.backup", kind: kindBool, def: "false", doc: "Used only while no primary is usable."},
		{path: p + ".*.state", kind: kindEnum, def: "ready", enum: []string{"ready", "drain", "maintenance"},
			doc: "`drain`: no new flows. `maintenance`: no traffic whatever happens."},
		{path: p + ".*.health_check", kind: kindObject, doc: "Where this backend is probed."},
		{path: p + ".*.health_check.address", kind: kindIP, doc: "IP that is probed. Empty: the backend's."},
		{path: p + ".*.health_check.port", kind: kindInt, def: "0", min: "1", max: "65535", zero: "that of the pool's check", doc: "Port that is probed."},
		{path: p + ".*.max_connections", kind: kindInt, def: "0", min: "1", max: "10000000", zero: "that of the pool", planned: !f.capacity, doc: "As `max_connections` of the pool, for this backend."},
	}
	return append(rows, identityRows(p+".*", "backends of a pool")...)
}
