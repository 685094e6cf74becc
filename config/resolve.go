package config

import (
	"net/netip"
	"slices"
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
