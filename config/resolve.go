package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// resolve turns values without errors into the configuration, with every default in its place.
func resolve(root *value) *Config {
	c := &Config{
		Version:   root.integer("version"),
		Admin:     resolveAdmin(root.child("admin")),
		Log:       resolveLog(root.child("log")),
		Listeners: map[string]*Listener{},
		Pools:     map[string]*Pool{},
	}
	defaults := root.child("defaults")
	timeouts := defaults.child("timeouts")
	c.Process = Process{
		Grace:   get[time.Duration](timeouts, "grace"),
		PreStop: get[time.Duration](timeouts, "pre_stop"),
	}
	for _, v := range root.child("listeners").items {
		c.Listeners[v.name] = resolveListener(v, defaults)
	}
	for _, v := range root.child("pools").items {
		c.Pools[v.name] = resolvePool(v, defaults)
	}
	return c
}

// file returns the path called name, relative paths resolved by the file that has them.
func (v *value) file(name string) string {
	c := v.child(name)
	path, _ := c.raw.(string) // kindFile and kindOutput
	if !c.given || c.at.src == nil {
		return path
	}
	return c.at.src.join(path)
}

func resolveAdmin(v *value) Admin {
	return Admin{Socket: v.file("socket"), Listen: get[string](v, "listen")}
}

func resolveLog(v *value) Log {
	access := v.child("access")
	output := get[string](access, "output")
	if !slices.Contains([]string{"off", "stdout", "stderr"}, output) {
		output = access.file("output")
	}
	return Log{
		Level:  get[string](v, "level"),
		Format: get[string](v, "format"),
		Access: AccessLog{Output: output, Format: get[string](access, "format"), Sample: get[float64](access, "sample")},
	}
}

// bounds are the time-outs or limits of one listener or pool over those of defaults.
type bounds struct{ own, defaults *value }

func (b bounds) from(name string) *value {
	if b.own.has(name) {
		return b.own
	}
	return b.defaults
}

func (b bounds) duration(name string) time.Duration { return get[time.Duration](b.from(name), name) }

func (b bounds) size(name string) int64 { return get[int64](b.from(name), name) }

func resolveListener(v, defaults *value) *Listener {
	t := bounds{v.child("timeouts"), defaults.child("timeouts")}
	m := bounds{v.child("limits"), defaults.child("limits")}
	forwarded := v.child("forwarded")
	l := &Listener{
		Name:              v.name,
		Origin:            v.head.origin(),
		Protocol:          Protocol(get[string](v, "protocol")),
		Addresses:         listen(v),
		Pool:              get[string](v, "pool"),
		Forwarded:         Forwarded{Trust: list[netip.Prefix](forwarded, "trust"), Mode: ForwardedMode(get[string](forwarded, "mode"))},
		KeepaliveRequests: v.integer("keepalive_requests"),
		Timeouts: ClientTimeouts{
			Header:    t.duration("client_header"),
			BodyIdle:  t.duration("client_body_idle"),
			Idle:      t.duration("client_idle"),
			WriteIdle: t.duration("client_write_idle"),
		},
		Limits: ListenerLimits{
			MaxHeader:      int(m.size("max_header")),
			MaxHeaderCount: int(m.size("max_header_count")),
			MaxTarget:      int(m.size("max_target")),
			MaxBody:        m.size("max_body"),
			MaxConnections: int(m.size("max_connections")),
		},
	}
	for _, r := range v.child("routes").items {
		l.Routes = append(l.Routes, resolveRoute(r))
	}
	return l
}

// listen returns the addresses of a listener, in either spelling.
func listen(v *value) []string {
	if v.has("address") {
		return []string{get[string](v, "address")}
	}
	return list[string](v, "addresses")
}

func resolveRoute(v *value) Route {
	return Route{
		Origin:     v.at.origin(),
		Host:       get[string](v, "host"),
		Path:       get[string](v, "path"),
		PathPrefix: get[string](v, "path_prefix"),
		Methods:    list[string](v, "method"),
		Pool:       get[string](v, "pool"),
	}
}

func resolvePool(v, defaults *value) *Pool {
	t := bounds{v.child("timeouts"), defaults.child("timeouts")}
	m := bounds{v.child("limits"), defaults.child("limits")}
	hash, retries := v.child("hash"), v.child("retries")
	cid := hash.child("quic_cid")
	p := &Pool{
		Name:      v.name,
		Origin:    v.head.origin(),
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
		},
		Limits: PoolLimits{MaxResponseHeader: int(m.size("max_response_header"))},
	}
	for _, on := range list[string](retries, "on") {
		p.Retries.On = append(p.Retries.On, RetryOn(on))
	}
	if ramp := v.child("slow_start"); ramp.given {
		p.SlowStart = SlowStart{Duration: get[time.Duration](ramp, "duration"), Repeat: get[bool](ramp, "repeat")}
	}
	p.Health = resolveHealth(v.child("health_check"), p)
	for _, b := range v.child("backends").items {
		p.Backends = append(p.Backends, resolveBackend(b, p.Health))
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
	if v.word != "" {
		return nil
	}
	h := &HealthCheck{
		Protocol:  Protocol(get[string](v, "protocol")),
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
		Status:    statusSet(list[statusItem](v, "status")),
		Body:      get[string](v, "body"),
		BodyNot:   get[string](v, "body_not"),
		MaxBody:   int(get[int64](v, "max_body")),
		Send:      get[[]byte](v, "send"),
		Expect:    get[Expect](v, "expect"),
		TLS:       p.TLS,
	}
	for _, header := range v.child("headers").items {
		text, _ := header.raw.(string) // kindFieldValue
		h.Headers = append(h.Headers, Header{Name: header.name, Value: text})
	}
	switch {
	case h.Protocol == HTTPS && h.Plaintext:
		h.Protocol = HTTP
	case h.Protocol == HTTP && p.Protocol == HTTPS && !h.Plaintext:
		h.Protocol = HTTPS
	}
	return h
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

func resolveBackend(v *value, h *HealthCheck) *Backend {
	b := &Backend{
		Name:    v.name,
		Origin:  v.head.origin(),
		Address: get[netip.AddrPort](v, "address"),
		Weight:  v.integer("weight"),
		Backup:  get[bool](v, "backup"),
		State:   State(get[string](v, "state")),
	}
	probe := v.child("health_check")
	addr, port := b.Address.Addr(), b.Address.Port()
	if own := get[netip.Addr](probe, "address"); own.IsValid() {
		addr = own
	}
	if h != nil && h.Port != 0 {
		port = uint16(h.Port)
	}
	if own := probe.integer("port"); own != 0 {
		port = uint16(own)
	}
	b.ProbeAddress = netip.AddrPortFrom(addr, port)
	return b
}
