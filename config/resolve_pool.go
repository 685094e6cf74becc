package config

import (
	"net/netip"
	"strings"
	"time"
)

func resolvePool(v, defaults *value) *Pool {
	t := bounds{v.child("timeouts"), defaults.child("timeouts")}
	m := bounds{v.child("limits"), defaults.child("limits")}
	hash, retries, outlier := v.child("hash"), v.child("retries"), v.child("outlier")
	cid := hash.child("quic_cid")
	p := &Pool{
		Name:      v.name,
		Origin:    v.head.origin(),
		Identity:  resolveIdentity(v),
		Protected: get[bool](v, "deletion_protection"),
		Protocol:  Protocol(get[string](v, "protocol")),
		Algorithm: Algorithm(get[string](v, "algorithm")),
		Hash: Hash{
			Weighted: get[bool](hash, "weighted"), Seed: uint64(get[int64](hash, "seed")),
			CIDOffset: cid.integer("offset"), CIDLength: cid.integer("length"),
		},
		Required:   get[bool](v, "required"),
		MinHealthy: v.integer("min_healthy"),
		Retries:    Retries{Attempts: retries.integer("attempts"), Budget: get[float64](retries, "budget")},
		TLS:        resolveTLS(v.child("tls")),
		Timeouts: BackendTimeouts{
			Queue:     t.duration("queue"),
			Connect:   t.duration("connect"),
			TLS:       t.duration("backend_tls"),
			Response:  t.duration("backend_response"),
			Idle:      t.duration("backend_idle"),
			Keepalive: t.duration("backend_keepalive"),
			Tunnel:    t.duration("tunnel_idle"),
			HalfClose: t.duration("half_close"),
		},
		Limits:       PoolLimits{MaxResponseHeader: int(m.size("max_response_header"))},
		Queue:        v.child("queue").integer("max"),
		SendProxy:    ProxyVersion(get[string](v, "send_proxy_protocol")),
		Rebalance:    Rebalance{Move: get[bool](v, "target_rebalance"), Rate: v.integer("rebalance_rate")},
		DrainTimeout: get[time.Duration](defaults.child("timeouts"), "drain"),
		Outlier: Outlier{
			ConsecutiveErrors: outlier.integer("consecutive_errors"),
			Eject:             get[time.Duration](outlier, "eject"),
			MaxEjected:        get[float64](outlier, "max_ejected"),
		},
	}
	p.ResolveInterval = get[time.Duration](v.child("resolve"), "interval")
	p.Persistence = resolvePersistence(v.child("session_persistence"), p.Protocol)
	if own := v.child("drain_timeout"); own.given {
		p.DrainTimeout = get[time.Duration](v, "drain_timeout")
	}
	if queue := v.child("queue"); queue.has("timeout") {
		p.Timeouts.Queue = get[time.Duration](queue, "timeout")
	}
	if datagrams := p.Protocol == UDP || p.Protocol == QUIC; datagrams && !v.has("target_rebalance") {
		p.Rebalance.Move = true
	}
	for _, on := range list[string](retries, "on") {
		p.Retries.On = append(p.Retries.On, RetryOn(on))
	}
	if ramp := v.child("slow_start"); ramp.given {
		p.SlowStart = SlowStart{Duration: get[time.Duration](ramp, "duration"), Repeat: get[bool](ramp, "repeat")}
	}
	p.Health = resolveHealth(v.child("health_check"), p)
	for _, b := range v.child("backends").items {
		p.Backends = append(p.Backends, resolveBackend(b, p, v.integer("max_connections")))
	}
	return p
}

// resolvePersistence returns the persistence of a pool of the given protocol, nil for none.
func resolvePersistence(v *value, protocol Protocol) *Persistence {
	if !v.given {
		return nil
	}
	cookie := v.child("cookie")
	p := &Persistence{
		Type:     PersistenceType(get[string](v, "type")),
		Timeout:  get[time.Duration](v, "timeout"),
		Fallback: Fallback(get[string](v, "fallback")),
	}
	if p.Type == "" {
		p.Type = persistenceTypes(protocol)[0]
	}
	if p.Timeout == 0 {
		p.Timeout = defaultPersistence
		if !protocol.HTTP() {
			p.Timeout = defaultPersistence4
		}
	}
	switch p.Type {
	case PersistAppCookie:
		p.Cookie.Name = get[string](cookie, "name")
	case PersistHTTPCookie:
		p.Cookie = SessionCookie{
			Name:     get[string](cookie, "name"),
			Domain:   get[string](cookie, "domain"),
			Path:     get[string](cookie, "path"),
			MaxAge:   get[time.Duration](cookie, "max_age"),
			Secure:   CookieSecure(get[string](cookie, "secure")),
			HTTPOnly: get[bool](cookie, "http_only"),
			SameSite: SameSite(get[string](cookie, "same_site")),
			Keys:     list[[]byte](cookie, "keys"),
		}
	}
	return p
}

func resolveTLS(v *value) BackendTLS {
	return BackendTLS{
		Verify:     get[bool](v, "verify"),
		CA:         v.file("ca"),
		ServerName: get[string](v, "server_name"),
		ClientCert: v.file("client_cert"),
		ClientKey:  v.file("client_key"),
	}
}

// resolveHealth returns the health check of p, nil for none.
func resolveHealth(v *value, p *Pool) *HealthCheck {
	if v.word != "" || !v.given && (p.Protocol == UDP || p.Protocol == QUIC) {
		return nil
	}
	h := &HealthCheck{
		Protocol:  probeProtocol(v, p.Protocol),
		Port:      v.integer("port"),
		Interval:  get[time.Duration](v, "interval"),
		Timeout:   get[time.Duration](v, "timeout"),
		Rise:      v.integer("rise"),
		Fall:      v.integer("fall"),
		Initial:   InitialHealth(get[string](v, "initial")),
		Plaintext: get[bool](v, "plaintext"),
		Path:      get[string](v, "path"),
		Method:    get[string](v, "method"),
		Host:      get[string](v, "host"),
		Headers:   resolveHeaders(v.child("headers")),
		Status:    statusSet(list[statusItem](v, "status")),
		Body:      get[string](v, "body"),
		BodyNot:   get[string](v, "body_not"),
		MaxBody:   int(get[int64](v, "max_body")),
		Send:      get[[]byte](v, "send"),
		Expect:    get[Expect](v, "expect"),
		TLS:       p.TLS,
		SendProxy: p.SendProxy,
		Secrets:   v.secrets(),
	}
	switch {
	case h.Protocol == HTTPS && h.Plaintext:
		h.Protocol = HTTP
	case h.Protocol == HTTP && p.Protocol == HTTPS && !h.Plaintext:
		h.Protocol = HTTPS
	}
	return h
}

// probeProtocol is what the probes of health check v speak, in a pool of the given protocol.
func probeProtocol(v *value, pool Protocol) Protocol {
	switch {
	case v.has("protocol"):
		return Protocol(get[string](v, "protocol"))
	case pool == UDP || pool == QUIC:
		return UDP
	}
	return TCP
}

// statusSet joins the items of a status list.
func statusSet(items []statusItem) StatusSet {
	var s StatusSet
	var texts []string
	for _, item := range items {
		texts = append(texts, item.text)
		if item.exclude {
			s.Exclude = append(s.Exclude, item.codes)
		} else {
			s.Ranges = append(s.Ranges, item.codes)
		}
	}
	s.Text = strings.Join(texts, ",")
	return s
}

// resolveBackend returns a backend of p; most bounds its connections if it has no bound of its own.
func resolveBackend(v *value, p *Pool, most int) *Backend {
	at := get[address](v, "address")
	b := &Backend{
		Name:           v.name,
		Origin:         v.head.origin(),
		Identity:       resolveIdentity(v),
		Address:        at.literal,
		Host:           at.host,
		Weight:         v.integer("weight"),
		Backup:         get[bool](v, "backup"),
		State:          State(get[string](v, "state")),
		MaxConnections: v.integer("max_connections"),
	}
	probe := v.child("health_check")
	addr, port := b.Address.Addr(), at.port
	if b.Host != "" {
		b.Port = at.port
	}
	if own := get[netip.Addr](probe, "address"); own.IsValid() {
		addr = own
	}
	if p.Health != nil && p.Health.Port != 0 {
		port = uint16(p.Health.Port)
	}
	if b.MaxConnections == 0 {
		b.MaxConnections = most
	}
	if own := probe.integer("port"); own != 0 {
		port = uint16(own)
	}
	b.ProbeAddress = netip.AddrPortFrom(addr, port)
	return b
}
