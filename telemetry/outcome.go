package telemetry

// Outcome says in one word how a request, or a connection or session at layer 4, ended, and so who ended it. It
// is a label of weir_http_outcomes_total, weir_tcp_connections_total and weir_udp_sessions_total and a field of the access log;
// the set is closed.
type Outcome uint8

// The outcomes. A request has exactly one: the first thing that went wrong for good.
const (
	OutcomeOK                 Outcome = iota // the whole response of a backend, or a configured one
	OutcomeRetriedOK                         // as ok, after at least one backend failed
	OutcomeClientClosed                      // the client went away before the end
	OutcomeClientTimeout                     // the client was too slow: 408, or it stopped reading
	OutcomeBadRequest                        // refused for its form: 400, 405, 417, 501, 505
	OutcomeTooLarge                          // refused for its size: 413, 414, 431
	OutcomeDenied                            // refused because of who the client is: 403
	OutcomeRateLimited                       // refused because the client asks too often: 429
	OutcomeBackendConnect                    // no connection to a backend could be made
	OutcomeBackendTLS                        // connected, but the TLS handshake failed
	OutcomeBackendReset                      // the backend closed before the end of its response
	OutcomeBackendTimeout                    // the backend was too slow: 504, or its body stalled
	OutcomeBackendBadResponse                // the backend answered something that is not HTTP: 502
	OutcomeNoBackendUp                       // no backend is eligible: 503
	OutcomeNoCapacity                        // the backends that are up take no new flows, and the queue is full: 503
	OutcomeQueueTimeout                      // waited for a usable backend for too long: 503
	OutcomeNoRoute                           // no route matches and there is no default pool
	OutcomeDraining                          // refused because the process is stopping
	OutcomeOverload                          // refused for want of descriptors or memory: 503
	OutcomeTunnelIdle                        // no byte of an upgraded connection for tunnel_idle
	OutcomeDrainTimeout                      // cut, or refused with 503, at the end of its backend's drain_timeout
	OutcomeInternalError                     // a defect of ours: a recovered panic

	// Those that follow are of connections at layer 4 alone.

	OutcomeIdle       // no byte either way for tcp_idle
	OutcomeHalfClosed // one side had ended, and no byte of the other came for half_close
	OutcomeRebalanced // cut because its backend went down or was removed; a UDP session: moved to another one

	// Those that follow are of UDP sessions alone.

	OutcomeExpired // no datagram either way for udp_idle, which is how most sessions end
	OutcomeEvicted // made room for a new one

	outcomeCount
)

var outcomeNames = [outcomeCount]string{
	OutcomeOK:                 "ok",
	OutcomeRetriedOK:          "retried_ok",
	OutcomeClientClosed:       "client_closed",
	OutcomeClientTimeout:      "client_timeout",
	OutcomeBadRequest:         "bad_request",
	OutcomeTooLarge:           "too_large",
	OutcomeDenied:             "denied",
	OutcomeRateLimited:        "rate_limited",
	OutcomeBackendConnect:     "backend_connect",
	OutcomeBackendTLS:         "backend_tls",
	OutcomeBackendReset:       "backend_reset",
	OutcomeBackendTimeout:     "backend_timeout",
	OutcomeBackendBadResponse: "backend_bad_response",
	OutcomeNoBackendUp:        "no_backend_up",
	OutcomeNoCapacity:         "no_capacity",
	OutcomeQueueTimeout:       "queue_timeout",
	OutcomeNoRoute:            "no_route",
	OutcomeDraining:           "draining",
	OutcomeOverload:           "overload",
	OutcomeTunnelIdle:         "tunnel_idle",
	OutcomeInternalError:      "internal_error",
	OutcomeIdle:               "idle",
	OutcomeHalfClosed:         "half_closed",
	OutcomeDrainTimeout:       "drain_timeout",
	OutcomeRebalanced:         "rebalanced",
	OutcomeExpired:            "expired",
	OutcomeEvicted:            "evicted",
}

// String is the word as it stands in labels and log lines. A value outside the set is
// "internal_error", so that a label can never take a value that is not in the table.
func (o Outcome) String() string {
	if o >= outcomeCount {
		return outcomeNames[OutcomeInternalError]
	}
	return outcomeNames[o]
}

// Success reports whether the client got what it asked for. The access log samples successes only.
func (o Outcome) Success() bool {
	return o == OutcomeOK || o == OutcomeRetriedOK || o == OutcomeExpired
}
