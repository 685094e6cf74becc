package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// pool checks one pool.
func (c *checker) pool(p *value) {
	if !p.head.api() && !c.used[p.name] && !c.incomplete && !c.dangling && c.root.has("listeners") {
		c.warnHead(p, fmt.Sprintf("%s is not used by any listener", p.path), "name it in a listener or a route, or remove it")
	}
	if p.fields == nil {
		return
	}
	c.foreign(p)
	c.tls(p)
	c.queue(p)
	c.layer4(p)
	c.hash(p)
	c.slowStart(p)
	c.outlier(p)
	c.repeats(p.child("retries").child("on"))
	c.persistence(p)
	c.backends(p)
	c.health(p, p.child("health_check"))
}

// tls checks the TLS settings of a pool.
func (c *checker) tls(p *value) {
	v := p.child("tls")
	if !v.given || v.fields == nil {
		return
	}
	protocol, check := p.child("protocol"), p.child("health_check")
	secure := func(v *value) bool { return v.broken || v.raw == "https" || v.raw == "tls" }
	if probes := check.fields != nil && secure(check.child("protocol")); !secure(protocol) && !probes {
		remedy := "https"
		if !Protocol(get[string](p, "protocol")).HTTP() {
			remedy = "tls"
		}
		c.failHead(v, fmt.Sprintf("%s has no effect: %s speaks %s without TLS", v.path, p.path, protocol.raw), "add protocol: "+remedy+" to the pool, or remove tls")
		return
	}
	cert, key := v.child("client_cert"), v.child("client_key")
	if cert.given != key.given && !cert.broken && !key.broken {
		c.failHead(v, fmt.Sprintf("%s has one of client_cert and client_key", v.path), "give both, or neither")
	}
	verify := v.child("verify")
	if verify.given && verify.raw == false {
		hint := "a backend is not authenticated: prefer tls.ca with the authority of the backends"
		c.warn(verify, verify.path+" is off", hint)
	}
}

// queue wants one time-out of the queue, and something that fills it.
func (c *checker) queue(p *value) {
	own, other := p.child("queue").child("timeout"), p.child("timeouts").child("queue")
	if own.given && other.given && !own.broken && !other.broken {
		c.fail(other, fmt.Sprintf("%s and %s are the same", own.path, other.path), "keep one of them", own.at)
	}
	room := p.child("queue").child("max")
	limited := func(v *value) bool { return v.child("max_connections").given }
	if room.given && !room.broken && !limited(p) && !p.strange && !slices.ContainsFunc(p.child("backends").items, limited) {
		c.warn(room, room.path+" has no effect without max_connections", "add max_connections to the pool, or remove it")
	}
}

// hashes reports whether the algorithm is one that uses the hash settings.
func hashes(algorithm any) bool {
	return !slices.Contains([]any{string(WeightedRoundRobin), string(LeastConnections)}, algorithm)
}

func (c *checker) hash(p *value) {
	v, algorithm := p.child("hash"), p.child("algorithm")
	if v.given && !algorithm.broken && !hashes(algorithm.raw) {
		c.warnHead(v, fmt.Sprintf("%s has no effect with algorithm %s", v.path, algorithm.raw), "it tunes source_ip and the tuple hashes: remove it, or choose one of those")
	}
}

func (c *checker) slowStart(p *value) {
	v, check := p.child("slow_start"), p.child("health_check")
	if !v.given || v.broken || get[time.Duration](v, "duration") == 0 {
		return
	}
	if check.word != "" {
		c.warnHead(v, fmt.Sprintf("%s never sees a backend come back, since health_check is none", v.path),
			"only backends that a reload adds will ramp: add a health check, or expect that")
	}
}

// outlier wants something that ejects, and somebody who stays.
func (c *checker) outlier(p *value) {
	v, count := p.child("outlier"), p.child("outlier").child("consecutive_errors")
	switch backends := p.child("backends"); {
	case !v.given || v.broken || count.broken:
	case v.integer("consecutive_errors") == 0:
		c.warnHead(v, v.path+" has no effect without consecutive_errors", "add consecutive_errors: 5, or remove it")
	case len(backends.items) == 1 && !backends.broken && !backends.strange:
		c.warnHead(v, fmt.Sprintf("%s has no effect: %s has one backend", v.path, p.path), "the last backend is never ejected: add another one, or remove it")
	}
}

// backends checks the backends of a pool against each other.
func (c *checker) backends(p *value) {
	v := p.child("backends")
	if !v.given || v.items == nil && v.broken {
		return
	}
	if len(v.items) == 0 && !v.broken {
		c.warnHead(v, fmt.Sprintf("%s is empty", v.path), "every request gets 503 until there is a backend")
		return
	}
	c.ids(v)
	addresses := make(map[address]*value, len(v.items))
	for _, b := range v.items {
		addr := get[address](b, "address")
		if b.fields == nil || b.child("address").broken || addr.port == 0 {
			continue
		}
		if first := addresses[addr]; first != nil {
			c.fail(b.child("address"), fmt.Sprintf("%s and %s have the same address %s", first.path, b.path, first.child("address").text),
				"remove one of them; a larger weight gives a backend more traffic", first.child("address").at)
			continue
		}
		addresses[addr] = b
		if probe := b.child("health_check"); probe.given && p.child("health_check").word != "" {
			c.warnHead(probe, fmt.Sprintf("%s has no effect: the pool has health_check none", probe.path), "remove it, or give the pool a health check")
		}
	}
	if !v.broken && !slices.ContainsFunc(v.items, func(b *value) bool { return b.broken }) {
		c.weights(p, v)
		if names := p.child("resolve"); names.given && !slices.ContainsFunc(v.items, isName) {
			c.warnHead(names, fmt.Sprintf("%s has no effect: no backend of the pool is a name", names.path), "remove it")
		}
	}
}

// isName reports whether the address of a backend is a name, which may be any number of machines.
func isName(b *value) bool { return get[address](b, "address").host != "" }

// weights looks for numbers that do not do what they seem to. No backend is broken.
func (c *checker) weights(p, v *value) {
	if least := p.child("min_healthy"); !least.broken && p.integer("min_healthy") > len(v.items) && !slices.ContainsFunc(v.items, isName) {
		c.warn(least, fmt.Sprintf("%s %d is more than the pool has backends", least.path, p.integer("min_healthy")), fmt.Sprintf("it always fails open: write at most %d", len(v.items)))
	}
	takes := func(b *value) bool { return b.integer("weight") > 0 && get[string](b, "state") == string(Ready) }
	if !slices.ContainsFunc(v.items, takes) {
		c.warnHead(v, fmt.Sprintf("%s: no backend takes new requests", v.path), "each has weight 0 or is not ready: every request gets 503 until that changes")
	}
	algorithm, weighted := p.child("algorithm"), p.child("hash").child("weighted")
	if algorithm.broken || weighted.broken || !hashes(algorithm.raw) || weighted.raw != false {
		return
	}
	for _, b := range v.items {
		if w := b.child("weight"); w.given && b.integer("weight") > 1 {
			c.warn(w, fmt.Sprintf("%s has no effect with hash.weighted: false", w.path), "remove the weights of this pool, or hash.weighted", weighted.at)
			return // one is enough: it holds for the pool
		}
	}
}

// The keys of a health check that belong to some protocols only.
var (
	httpOnly = []string{"path", "method", "host", "headers", "status", "body", "body_not", "max_body"}
	rawOnly  = []string{"send", "expect"}
)

// health checks the health check of a pool.
func (c *checker) health(p, v *value) {
	protocol := v.child("protocol")
	if v.fields == nil || protocol.broken {
		return
	}
	speaks := probeProtocol(v, Protocol(get[string](p, "protocol")))
	c.probeKeys(v, speaks)
	if speaks == UDP && !p.child("protocol").broken && !datagrams(p) {
		c.fail(protocol, fmt.Sprintf("%s udp is for udp and quic pools: %s speaks %s", protocol.path, p.path, p.child("protocol").raw), "write protocol: tcp")
	}
	if plain := v.child("plaintext"); plain.raw == true && speaks != HTTPS && (!speaks.HTTP() || p.child("protocol").raw == "http") {
		c.warn(plain, plain.path+" has no effect: the probe is plain anyway", "remove it")
	}
	interval, timeout := get[time.Duration](v, "interval"), get[time.Duration](v, "timeout")
	if t := v.child("timeout"); t.given && !v.child("interval").broken && !t.broken && timeout > interval {
		c.warn(t, fmt.Sprintf("%s.timeout %s is longer than interval %s", v.path, timeout, interval),
			fmt.Sprintf("probes of one backend never overlap: one that does not answer is probed every %s", timeout))
	}
	c.probeRequest(v)
}

// probeKeys looks for keys that probes which speak protocol have no use for.
func (c *checker) probeKeys(v *value, protocol Protocol) {
	useless, remedy := slices.Concat(httpOnly, rawOnly), "remove it"
	switch {
	case protocol.HTTP():
		useless, remedy = rawOnly, "add protocol: tcp to the health check, or remove it"
	case protocol == TCP || protocol == UDP:
		useless, remedy = httpOnly, "add protocol: http to the health check, or remove it"
	}
	for _, name := range useless {
		if k := v.child(name); k.given {
			c.found.add(Error, k.head, k.path, fmt.Sprintf("%s has no effect: the health check is %s", k.path, protocol), remedy)
		}
	}
}

// probeRequest checks what belongs together in an http probe.
func (c *checker) probeRequest(v *value) {
	if v.child("method").raw == "HEAD" {
		for _, name := range []string{"body", "body_not"} {
			if rule := v.child(name); rule.given && rule.raw != "" {
				c.fail(rule, fmt.Sprintf("%s cannot match: a response to HEAD has no body", rule.path), "write method: GET")
			}
		}
	}
	for _, header := range v.child("headers").items {
		switch strings.ToLower(header.name) {
		case "host":
			c.found.add(Error, header.head, header.path, header.path+" stands beside host", "write it as health_check.host")
		case "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer", "expect":
			c.found.add(Error, header.head, header.path, header.path+" would change the framing of the probe", "remove it")
		}
	}
	if status := v.child("status"); status.given && !status.broken && len(status.items) == 0 {
		c.fail(status, status.path+" is empty", `write at least one, like ["200"]`)
	}
}
