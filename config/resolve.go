package config

import (
	"slices"
	"time"
)

// resolve turns values without errors into the configuration, with every default in its place. What stands
// in before (nil: nothing), made of the same files, as the same value, is taken from there.
func resolve(root *value, before *Config) *Config {
	c := &Config{
		Version:   root.integer("version"),
		Admin:     resolveAdmin(root.child("admin")),
		Log:       resolveLog(root.child("log")),
		StateDir:  root.file("state_dir"),
		Watch:     get[bool](root, "watch"),
		Listeners: map[string]*Listener{},
		Pools:     map[string]*Pool{},
	}
	defaults := root.child("defaults")
	timeouts := defaults.child("timeouts")
	c.Process = Process{
		Grace:   get[time.Duration](timeouts, "grace"),
		PreStop: get[time.Duration](timeouts, "pre_stop"),
		Memory:  get[int64](root.child("limits"), "memory"),
	}
	for _, v := range root.child("listeners").items {
		if before.has("listeners", v) {
			c.Listeners[v.name] = before.Listeners[v.name]
			continue
		}
		c.Listeners[v.name] = resolveListener(v, defaults)
	}
	for _, v := range root.child("pools").items {
		if before.has("pools", v) {
			c.Pools[v.name] = before.Pools[v.name]
			continue
		}
		c.Pools[v.name] = resolvePool(v, defaults)
	}
	return c
}

// has reports whether c was made of the very value v.
func (c *Config) has(section string, v *value) bool {
	return c != nil && c.made.root.child(section).fields[v.name] == v
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
	admin := Admin{Socket: v.file("socket"), Listen: get[string](v, "listen"), Insecure: get[bool](v, "insecure")}
	for _, c := range v.child("credentials").items {
		admin.Credentials = append(admin.Credentials, Credential{
			Name: get[string](c, "name"), Token: get[string](c, "token"), Role: Role(get[string](c, "role")),
		})
	}
	return admin
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

func resolveIdentity(v *value) Identity {
	i := Identity{ID: get[string](v, "id")}
	for _, m := range v.child("meta").items {
		if i.Meta == nil {
			i.Meta = map[string]string{}
		}
		text, _ := m.raw.(string) // kindMeta
		i.Meta[m.name] = text
	}
	return i
}
