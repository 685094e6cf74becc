package config

import (
	"net/netip"
	"time"
)

// TCPOptions are those of the sockets of a tcp or tls listener, towards clients and backends.
type TCPOptions struct {
	Keepalive   time.Duration // idle time before a probe, and between probes, whole seconds; 0: no probes
	UserTimeout time.Duration // for which data may stay unacknowledged; 0: the system decides
}

// UDPOptions are those of the sessions of a udp listener.
type UDPOptions struct {
	Responses   int // datagrams with which one of a client is answered; 0: unknown
	MaxSessions int // at the same time; 0: 40 % of the descriptor limit
}

// AcceptProxy says who must send a PROXY header. It is not looked for in connections of others.
type AcceptProxy struct {
	From []netip.Prefix // empty: nobody
}

// ProxyVersion is a version of the PROXY protocol.
type ProxyVersion string

// The versions of the PROXY protocol, and the absence of it.
const (
	ProxyNone ProxyVersion = ""
	ProxyV1   ProxyVersion = "v1"
	ProxyV2   ProxyVersion = "v2"
)

// Rebalance says what becomes of the flows of a backend that went down or was removed.
type Rebalance struct {
	Move bool // false: they stay
	Rate int  // flows that are moved in a second; 0: all at once
}
