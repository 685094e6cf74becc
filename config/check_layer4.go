package config

import (
	"fmt"
	"slices"
	"time"
)

// defaultPersistence is how long sessions last in pools with HTTP, defaultPersistence4 in others.
// Those have maxPersistence4 at most (the bounds of both vendors).
const (
	defaultPersistence  = 24 * time.Hour
	defaultPersistence4 = time.Minute
	maxPersistence4     = time.Hour
)

// maxCID is the longest QUIC connection ID in bytes (RFC 9000, section 17.2).
const maxCID = 20

// persistenceTypes are the types of persistence of a pool of the given protocol, the default first.
func persistenceTypes(protocol Protocol) []PersistenceType {
	if protocol.HTTP() {
		return []PersistenceType{PersistHTTPCookie, PersistAppCookie, PersistSourceIP}
	}
	return []PersistenceType{PersistSourceIP}
}

// datagrams reports whether the pool p is one of datagrams.
func datagrams(p *value) bool {
	protocol := p.child("protocol").raw
	return protocol == "udp" || protocol == "quic"
}

// layer4 checks what belongs together in a pool without HTTP.
func (c *checker) layer4(p *value) {
	protocol := p.child("protocol")
	if protocol.broken {
		return
	}
	c.quic(p, Protocol(get[string](p, "protocol")))
	move, rate := p.child("target_rebalance"), p.child("rebalance_rate")
	if rate.given && !rate.broken && !move.broken && move.raw != true && (move.given || !datagrams(p)) {
		c.warn(rate, rate.path+" has no effect without target_rebalance", "add target_rebalance: true, or remove it")
	}
	if protocol.raw == "tcp" || protocol.raw == "tls" {
		for _, on := range p.child("retries").child("on").items {
			if !on.broken && on.raw != string(RetryConnectFailure) {
				c.fail(on, fmt.Sprintf("%s %s has no effect: %s speaks %s", on.path, on.text, p.path, protocol.raw), "only connect_failure can be told without HTTP")
			}
		}
	}
}

// quic checks what a quic pool needs, and what no other has.
func (c *checker) quic(p *value, protocol Protocol) {
	algorithm, cid, kept := p.child("algorithm"), p.child("hash").child("quic_cid"), p.child("session_persistence")
	if !algorithm.broken && algorithm.raw == string(QUICCID) && protocol != QUIC {
		c.fail(algorithm, fmt.Sprintf("%s quic_cid is for quic pools: %s speaks %s", algorithm.path, p.path, protocol), "write protocol: quic, or another algorithm")
	}
	if protocol != QUIC {
		return
	}
	if !kept.given && !kept.broken && !p.strange {
		c.failHead(p, p.path+" speaks quic and has no session_persistence", "add session_persistence: source_ip, which is for the first packets of a connection")
	}
	if cid.fields == nil || cid.broken {
		return
	}
	if end := cid.integer("offset") + cid.integer("length"); end > maxCID {
		c.failHead(cid, fmt.Sprintf("%s ends behind byte %d", cid.path, end), fmt.Sprintf("a connection ID has at most %d bytes", maxCID))
	}
}

// persistence4 checks the persistence v of a pool without HTTP.
func (c *checker) persistence4(v *value, protocol Protocol) {
	kind, timeout := v.child("type"), v.child("timeout")
	if kind.given && !kind.broken && !slices.Contains(persistenceTypes(protocol), PersistenceType(get[string](v, "type"))) {
		c.fail(kind, fmt.Sprintf("%s %s is for pools with HTTP: this one speaks %s", kind.path, kind.text, protocol), "write source_ip")
	}
	if cookie := v.child("cookie"); cookie.given {
		c.failHead(cookie, fmt.Sprintf("%s has no effect: there are no cookies in %s", cookie.path, protocol), "remove it")
	}
	if timeout.given && !timeout.broken && get[time.Duration](v, "timeout") > maxPersistence4 {
		c.fail(timeout, fmt.Sprintf("%s %s is over the maximum %s of %s pools", timeout.path, timeout.text, "1h", protocol), "write at most 1h")
	}
}
