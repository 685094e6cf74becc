package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is the type of a series.
type Kind string

// The types of series.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Level says what a series belongs to; /metrics?level= selects by it.
type Level string

// The levels.
const (
	ProcessLevel  Level = "process"
	ListenerLevel Level = "listener"
	PoolLevel     Level = "pool"
	BackendLevel  Level = "backend"
)

// Series is the description of one metric of this package.
type Series struct {
	Name   string
	Kind   Kind
	Level  Level
	Labels []string
	Help   string
}

// Describe lists every metric of this package in the order of the documentation. The collectors of
// the Go runtime and of the process (go_*, process_*) come on top.
func Describe() []Series {
	all := slices.Clone(series[:])
	for i := range all {
		all[i].Labels = slices.Clone(all[i].Labels)
	}
	return all
}

// seriesID is an index into series.
type seriesID int

const (
	buildInfo seriesID = iota
	configInfo
	configGeneration
	configLastOK
	configLastOKTime
	configReloads
	panicsTotal
	accessLogLost
	journalLost
	adminRefused
	healthOverdue
	descriptors
	memory
	listenerConnections
	listenerActive
	listenerRejected
	listenerAcceptErrors
	tlsHandshakes
	tlsNotAfter
	tlsRefreshErrors
	httpRequests
	httpOutcomes
	httpDuration
	tcpConnections
	udpSessions
	udpDatagrams
	udpDropped
	bytesTotal
	retriesTotal
	rebalancedFlows
	sessionsTotal
	poolFailOpen
	poolQueueLength
	healthDuration
	backendUp
	backendDraining
	backendWeight
	backendEffectiveWeight
	slowStartRatio
	backendEjected
	ejectionsTotal
	backendActive
	backendPicks
	backendRequests
	backendErrors
	backendConnectErrors
	backendOpened
	backendOpen
	backendIdle
	backendReused
	healthChecks
	resolutionsTotal
	resolvedAddresses
	unusableAddresses

	seriesCount
)

var (
	onListener = []string{"listener"}
	onExchange = []string{"listener", "pool"}
	onPool     = []string{"pool"}
	onBackend  = []string{"pool", "backend"}
)

func with(labels []string, more ...string) []string { return slices.Concat(labels, more) }

// series is the table of all names; it is never written.
var series = [seriesCount]Series{
	buildInfo: {"weir_build_info", Gauge, ProcessLevel, []string{"version", "commit", "goversion"},
		"Always 1; the labels say which build is running."},
	configInfo: {"weir_config_info", Gauge, ProcessLevel, []string{"sha256"},
		"Always 1; the label is the digest of the configuration in use, of all its files."},
	configGeneration: {"weir_config_generation", Gauge, ProcessLevel, nil,
		"Generation of the configuration in use; it grows with every successful load."},
	configLastOK: {"weir_config_last_reload_successful", Gauge, ProcessLevel, nil,
		"Whether the last attempt to load a configuration succeeded (1) or not (0)."},
	configLastOKTime: {"weir_config_last_reload_success_timestamp_seconds", Gauge, ProcessLevel, nil,
		"When the configuration in use was loaded, in Unix time."},
	configReloads: {"weir_config_reloads_total", Counter, ProcessLevel, []string{"result"},
		"Attempts to load a configuration, the first included, by result: success or failure."},
	panicsTotal: {"weir_panics_total", Counter, ProcessLevel, nil,
		"Recovered panics: defects of weir that cost one connection each."},
	accessLogLost: {"weir_access_log_lost_total", Counter, ProcessLevel, nil,
		"Lines of the access log that were dropped because its output was too slow or failed."},
	journalLost: {"weir_journal_lost_total", Counter, ProcessLevel, nil,
		"Events that were not written to the journal's file because it was too slow or failed."},
	adminRefused: {"weir_admin_refused_total", Counter, ProcessLevel, []string{"reason"},
		"Requests that the admin address refused by reason: credential, role, read_only, host or origin."},
	healthOverdue: {"weir_health_checks_overdue_total", Counter, ProcessLevel, nil,
		"Health checks that started late because too many others were running."},
	descriptors: {"weir_descriptors", Gauge, ProcessLevel, []string{"kind"},
		"File descriptors of the process by kind: open, or the limit of them."},
	memory: {"weir_memory_bytes", Gauge, ProcessLevel, []string{"kind"},
		"Memory of the process by kind: used, or the budget that new work is accepted within, absent without one."},

	listenerConnections: {"weir_listener_connections_total", Counter, ListenerLevel, onListener,
		"Client connections that were accepted and served; of udp listeners, sessions."},
	listenerActive: {"weir_listener_connections_active", Gauge, ListenerLevel, onListener,
		"Client connections that are open; of udp listeners, sessions."},
	listenerRejected: {"weir_listener_connections_rejected_total", Counter, ListenerLevel,
		with(onListener, "reason"), "Client connections that were closed without being served, by reason."},
	listenerAcceptErrors: {"weir_listener_accept_errors_total", Counter, ListenerLevel, onListener,
		"Failed attempts to accept a client connection."},
	tlsHandshakes: {"weir_tls_handshakes_total", Counter, ListenerLevel, with(onListener, "version", "result"),
		"TLS handshakes with clients by version and result: ok or error."},
	tlsNotAfter: {"weir_tls_certificate_not_after_seconds", Gauge, ListenerLevel, with(onListener, "name"),
		"When a certificate of the listener expires, in Unix time."},
	tlsRefreshErrors: {"weir_tls_certificate_refresh_errors_total", Counter, ListenerLevel, onListener,
		"Times that files of the listener's certificates were read again and not all could be used."},

	httpRequests: {"weir_http_requests_total", Counter, PoolLevel, with(onExchange, "method", "code"),
		"Requests by method and by the status sent to the client; none if none was sent."},
	httpOutcomes: {"weir_http_outcomes_total", Counter, PoolLevel, with(onExchange, "outcome"),
		"Requests by how they ended, in the words of the access log."},
	httpDuration: {"weir_http_request_duration_seconds", Histogram, PoolLevel, onExchange,
		"Time from the first byte of a request to the last byte of its response."},
	tcpConnections: {"weir_tcp_connections_total", Counter, PoolLevel, with(onExchange, "outcome"),
		"Connections of tcp and tls listeners that have ended, by how, in the words of the access log."},
	udpSessions: {"weir_udp_sessions_total", Counter, PoolLevel, with(onExchange, "outcome"),
		"Sessions of udp listeners that have ended, by how, in the words of the access log."},
	udpDatagrams: {"weir_udp_datagrams_total", Counter, PoolLevel, with(onExchange, "direction"),
		"Datagrams exchanged with clients of udp listeners: in from them, out to them."},
	udpDropped: {"weir_udp_datagrams_dropped_total", Counter, PoolLevel, with(onExchange, "reason"),
		"Datagrams of udp listeners that went nowhere, by reason."},
	bytesTotal: {"weir_bytes_total", Counter, PoolLevel, with(onExchange, "direction"),
		"Bytes exchanged with clients, heads included: in from them, out to them."},

	retriesTotal: {"weir_retries_total", Counter, PoolLevel, with(onPool, "reason"),
		"Tries of another backend after one failed, by reason."},
	rebalancedFlows: {"weir_rebalanced_flows_total", Counter, PoolLevel, onPool,
		"Flows that were taken off a backend because it went down or was removed (target_rebalance)."},
	sessionsTotal: {"weir_sessions_total", Counter, PoolLevel, with(onPool, "result"),
		"Requests to a pool with session persistence by what became of their session: hit, new or lost."},
	poolFailOpen: {"weir_pool_fail_open", Gauge, PoolLevel, onPool,
		"Whether the pool has too few usable backends and uses all of them whatever their health (1)."},
	poolQueueLength: {"weir_pool_queue_length", Gauge, PoolLevel, onPool,
		"Requests or connections that wait because every backend of the pool has its max_connections."},
	healthDuration: {"weir_health_check_duration_seconds", Histogram, PoolLevel, onPool,
		"Duration of health checks, failed ones included."},

	backendUp: {"weir_backend_up", Gauge, BackendLevel, onBackend,
		"Whether the backend is up by its health checks (1); 0 if down or not yet checked."},
	backendDraining: {"weir_backend_draining", Gauge, BackendLevel, onBackend,
		"Whether the backend is set to drain (1)."},
	backendWeight: {"weir_backend_weight", Gauge, BackendLevel, onBackend,
		"Weight of the backend, overrides included."},
	backendEffectiveWeight: {"weir_backend_effective_weight", Gauge, BackendLevel, onBackend,
		"Weight that the backend's share of new flows follows at present; 0 if it gets none."},
	slowStartRatio: {"weir_slow_start_ratio", Gauge, BackendLevel, onBackend,
		"How far the backend's slow start has come, from 0.1 to 1; 1 if none is going on."},
	backendEjected: {"weir_backend_ejected", Gauge, BackendLevel, onBackend,
		"Whether the backend is out of service because live traffic failed on it (1)."},
	ejectionsTotal: {"weir_ejections_total", Counter, BackendLevel, with(onBackend, "reason"),
		"How often the backend was ejected, by the last of the faults in a row."},
	backendActive: {"weir_backend_connections_active", Gauge, BackendLevel, onBackend,
		"Leases held on the backend: requests in progress, or connections at layer 4."},
	backendPicks: {"weir_backend_picks_total", Counter, BackendLevel, onBackend,
		"How often the backend was chosen for a flow, retries included."},
	backendRequests: {"weir_backend_requests_total", Counter, BackendLevel, with(onBackend, "code"),
		"Requests sent to the backend by the class of its response; none if there was none."},
	backendErrors: {"weir_backend_errors_total", Counter, BackendLevel, with(onBackend, "reason"),
		"Requests that failed on the backend after a connection was there, by reason."},
	backendConnectErrors: {"weir_backend_connect_errors_total", Counter, BackendLevel, with(onBackend, "reason"),
		"Failed attempts to connect to the backend, TLS handshake included, by reason."},
	backendOpened: {"weir_backend_connections_total", Counter, BackendLevel, onBackend,
		"Connections made to the backend."},
	backendOpen: {"weir_backend_connections_open", Gauge, BackendLevel, onBackend,
		"Connections to the backend that are open, busy or idle."},
	backendIdle: {"weir_backend_connections_idle", Gauge, BackendLevel, onBackend,
		"Connections to the backend that wait for their next request."},
	backendReused: {"weir_backend_connections_reused_total", Counter, BackendLevel, onBackend,
		"Requests to the backend that found an idle connection."},
	healthChecks: {"weir_health_checks_total", Counter, BackendLevel, with(onBackend, "result"),
		"Health checks of the backend by result: success or failure."},
	resolutionsTotal: {"weir_resolutions_total", Counter, BackendLevel, with(onBackend, "result"),
		"Look-ups of the backend's name by result: ok, not_found, timeout, failed or unusable."},
	resolvedAddresses: {"weir_resolved_addresses", Gauge, BackendLevel, onBackend,
		"Addresses of the last good answer about the backend's name."},
	unusableAddresses: {"weir_resolved_addresses_unusable_total", Counter, BackendLevel, onBackend,
		"Addresses in answers about the backend's name that no backend can have, like 0.0.0.0."},
}

func newDescs() [seriesCount]*prometheus.Desc {
	var descs [seriesCount]*prometheus.Desc
	for i, s := range series {
		descs[i] = prometheus.NewDesc(s.Name, s.Help, s.Labels, nil)
	}
	return descs
}
