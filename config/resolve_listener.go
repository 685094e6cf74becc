package config

import (
	"math"
	"net/netip"
	"strconv"
	"time"
)

func resolveListener(v, defaults *value) *Listener {
	l := &Listener{
		Name:              v.name,
		Origin:            v.head.origin(),
		Identity:          resolveIdentity(v),
		Protocol:          Protocol(get[string](v, "protocol")),
		Addresses:         listen(v),
		Pool:              get[string](v, "pool"),
		Forwarded:         resolveForwarded(v.child("forwarded")),
		Via:               get[string](v, "via"),
		TLS:               resolveListenerTLS(v.child("tls")),
		Access:            Access{Allow: list[netip.Prefix](v, "allow"), Deny: list[netip.Prefix](v, "deny")},
		RateLimit:         resolveRateLimit(v.child("rate_limit")),
		Proxy:             AcceptProxy{From: list[netip.Prefix](v.child("accept_proxy_protocol"), "from")},
		RequestID:         get[bool](v, "request_id"),
		ErrorPages:        resolveErrorPages(v.child("error_pages")),
		KeepaliveRequests: v.integer("keepalive_requests"),
		Timeouts:          resolveClientTimeouts(bounds{v.child("timeouts"), defaults.child("timeouts")}),
		Limits:            resolveListenerLimits(bounds{v.child("limits"), defaults.child("limits")}),
	}
	if tcp := v.child("tcp"); l.Protocol == TCP || l.Protocol == TLS {
		l.TCP = TCPOptions{Keepalive: get[time.Duration](tcp, "keepalive"), UserTimeout: get[time.Duration](tcp, "user_timeout")}
	}
	if l.Protocol == UDP {
		limits := bounds{v.child("limits"), defaults.child("limits")}
		l.UDP = UDPOptions{Responses: v.child("udp").integer("responses"), MaxSessions: int(limits.size("max_sessions"))}
	}
	if l.Protocol == HTTPS && len(l.TLS.ALPN) == 0 {
		l.TLS.ALPN = []string{"http/1.1"}
	}
	for _, r := range v.child("routes").items {
		l.Routes = append(l.Routes, resolveRoute(r))
	}
	return l
}

func resolveForwarded(v *value) Forwarded {
	f := Forwarded{
		Trust:      list[netip.Prefix](v, "trust"),
		Mode:       ForwardedMode(get[string](v, "mode")),
		ClientFrom: ForwardedField(get[string](v, "client_from")),
		By:         get[string](v, "by"),
		Ports:      get[bool](v, "ports"),
	}
	for _, name := range list[string](v, "fields") {
		f.Fields = append(f.Fields, ForwardedField(name))
	}
	return f
}

func resolveClientTimeouts(b bounds) ClientTimeouts {
	return ClientTimeouts{
		Header:    b.duration("client_header"),
		BodyIdle:  b.duration("client_body_idle"),
		Idle:      b.duration("client_idle"),
		WriteIdle: b.duration("client_write_idle"),
		TLS:       b.duration("client_tls"),
		TCPIdle:   b.duration("tcp_idle"),
		UDPIdle:   b.duration("udp_idle"),
	}
}

func resolveListenerLimits(b bounds) ListenerLimits {
	return ListenerLimits{
		MaxHeader:      int(b.size("max_header")),
		MaxHeaderCount: int(b.size("max_header_count")),
		MaxTarget:      int(b.size("max_target")),
		MaxBody:        b.size("max_body"),
		MaxConnections: int(b.size("max_connections")),
		NewConnections: int(b.size("new_connections_per_second")),
		PerClient:      int(b.size("per_client_connections")),
		MinBodyRate:    b.size("min_body_rate"),
	}
}

// listen returns the addresses of a listener, in either spelling.
func listen(v *value) []string {
	if v.has("address") {
		return []string{get[string](v, "address")}
	}
	return list[string](v, "addresses")
}

// resolveListenerTLS returns the TLS settings of a listener, nil for none.
func resolveListenerTLS(v *value) *ListenerTLS {
	if !v.given {
		return nil
	}
	t := &ListenerTLS{
		MinVersion:        TLSVersion(get[string](v, "min_version")),
		MaxVersion:        TLSVersion(get[string](v, "max_version")),
		CipherSuites:      list[string](v, "cipher_suites"),
		ALPN:              list[string](v, "alpn"),
		TicketKeys:        list[[]byte](v, "ticket_keys"),
		OCSP:              v.file("ocsp"),
		ClientCA:          v.file("client_ca"),
		ClientCertHeaders: get[bool](v, "client_cert_headers"),
	}
	if t.ClientCA != "" {
		t.ClientAuth = ClientAuth(get[string](v, "client_auth"))
	}
	for _, c := range v.child("certificates").items {
		t.Certificates = append(t.Certificates, Certificate{Cert: c.file("cert"), Key: c.file("key")})
	}
	return t
}

func resolveRateLimit(v *value) RateLimit {
	r := RateLimit{Key: RateKey(get[string](v, "key")), Rate: get[float64](v, "rate"), Burst: v.integer("burst")}
	if r.Rate > 0 && r.Burst == 0 {
		r.Burst = int(math.Ceil(r.Rate))
	}
	return r
}

func resolveErrorPages(v *value) map[int]string {
	if len(v.items) == 0 {
		return nil
	}
	pages := make(map[int]string, len(v.items))
	for _, page := range v.items {
		status, err := strconv.Atoi(page.name)
		if err != nil {
			panic("config: error_pages: the name " + page.name) // namesStatuses
		}
		pages[status] = v.file(page.name)
	}
	return pages
}
