package config

import "slices"

// features switches groups of keys and words on. What is behind a switch that is off stays in the
// vocabulary as planned: using it is an error that says so. A group is switched on together with
// the code that honours it.
type features struct {
	tlsListeners    bool // https listeners: tls, timeouts.client_tls
	persistence     bool // session_persistence of pools
	admission       bool // allow, deny, rate_limit and the limits of new work of listeners
	routesFull      bool // every matcher and action of HTTP routes, request_id, error_pages
	upgrade         bool // timeouts.tunnel_idle and timeouts.half_close of pools
	retryConditions bool // retries.on: timeout and statuses
	layer4          bool // tcp, tls and udp listeners, tcp, tls, udp and quic pools, PROXY protocol, rebalancing
	capacity        bool // max_connections of pools and backends, queue, drain_timeout
}

// built has the features of this version. It is never changed while the program runs.
var built = features{upgrade: true, tlsListeners: true, persistence: true, admission: true, routesFull: true, retryConditions: true, capacity: true, layer4: true}

// enumWith returns the words of an enum and those of later versions: more belong to the former if
// their feature is on.
func enumWith(on bool, now, more, later []string) (enum, rest []string) {
	if on {
		return slices.Concat(now, more), later
	}
	return now, slices.Concat(more, later)
}

// withFeatures replaces the features of this version.
func withFeatures(f features) Option {
	return func(l *loader) { l.vocabulary = vocabularyOf(f) }
}
