package exchange

import (
	"bytes"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/proxy/message"
	"weir/proxy/session"
	"weir/proxy/wire"
	"weir/telemetry"
)

// maxSessions bounds the table of a pool; an entry takes about 100 bytes.
const maxSessions = 1 << 19

// sticky keeps clients on the backends of a pool that they had first.
type sticky struct {
	config *config.Persistence

	// http_cookie: nothing is kept here, the cookie says it all.
	keys   [][]byte // of codec: the first signs, all verify
	codec  *session.Codec
	setter *session.Setter
	index  atomic.Pointer[session.Index]

	// source_ip and app_cookie.
	table   *session.Table
	learner *session.Learner // of app_cookie
}

// newSticky makes the persistence of a pool, or keeps the one that it has if nothing changed; nil for
// none. Whatever the new one can take over of the old one it does. key is that of cookies whose
// configuration has none; nil: a random one.
func newSticky(p *config.Pool, key []byte, old *sticky) (*sticky, error) {
	c := p.Persistence
	if c == nil {
		return nil, nil
	}
	s := &sticky{config: c}
	if c.Type == config.PersistHTTPCookie {
		s.keys = cookieKeys(c, key, old)
	}
	if old != nil && reflect.DeepEqual(old.config, c) && reflect.DeepEqual(old.keys, s.keys) {
		return old, nil
	}
	if c.Type == config.PersistHTTPCookie {
		return s, s.initCookie(p.Name)
	}
	s.table = session.NewTable(maxSessions, c.Timeout)
	if old != nil && old.config.Type == c.Type && old.config.Cookie.Name == c.Cookie.Name {
		s.table, s.learner = old.table, old.learner
		s.table.SetTimeout(c.Timeout)
	}
	s.table.SetKeep(c.Fallback == config.FallbackFail)
	if c.Type == config.PersistAppCookie && s.learner == nil {
		s.learner = session.NewLearner(c.Cookie.Name, s.table)
	}
	return s, nil
}

// cookieKeys are the keys of our cookies: those of the configuration, or key and those that the process
// has used in its place before, so that the sessions under way go on.
func cookieKeys(c *config.Persistence, key []byte, old *sticky) [][]byte {
	if len(c.Cookie.Keys) > 0 {
		return c.Cookie.Keys
	}
	var keys [][]byte
	if key != nil {
		keys = append(keys, key)
	}
	if old != nil && old.codec != nil && len(old.config.Cookie.Keys) == 0 {
		for _, k := range old.keys {
			if !bytes.Equal(k, key) && len(keys) < maxFormerKeys {
				keys = append(keys, k)
			}
		}
	}
	if len(keys) == 0 {
		keys = append(keys, session.NewKey())
	}
	return keys
}

// maxFormerKeys bounds the keys of a pool that has none of its own: each costs time for every cookie that
// none of them has signed.
const maxFormerKeys = 4

// initCookie prepares the cookies of our own.
func (s *sticky) initCookie(pool string) error {
	c := s.config.Cookie
	setter, err := session.NewSetter(session.Attributes{
		Name: c.Name, Domain: c.Domain, Path: c.Path, MaxAge: c.MaxAge, HTTPOnly: c.HTTPOnly,
		Secure:   map[config.CookieSecure]session.Secure{config.SecureAlways: session.SecureOn, config.SecureNever: session.SecureNever}[c.Secure],
		SameSite: map[config.SameSite]session.SameSite{config.SameSiteStrict: session.SameSiteStrict, config.SameSiteNone: session.SameSiteNone}[c.SameSite],
	})
	if err != nil {
		return fmt.Errorf("pools.%s.session_persistence.cookie: %w", pool, err)
	}
	s.setter = setter
	if s.codec, err = session.NewCodec(s.keys, pool); err != nil {
		return fmt.Errorf("pools.%s.session_persistence.cookie.keys: %w", pool, err)
	}
	return nil
}

// follow adapts to the backends that the pool has.
func (s *sticky) follow(p *balancer.Pool, removed []*balancer.Backend) {
	if s == nil {
		return
	}
	switch fail := s.config.Fallback == config.FallbackFail; {
	case s.table == nil:
		s.index.Store(s.codec.Index(backendsOf(p)))
	case fail:
		s.table.Restore(backendsOf(p)) // the sessions of those that left are lost
	default:
		for _, b := range removed {
			s.table.Forget(b)
		}
	}
}

// backendsOf lists the backends that a pool has.
func backendsOf(p *balancer.Pool) (list []*balancer.Backend) {
	for _, m := range p.Snapshot().Members() {
		list = append(list, m.Backend)
	}
	return list
}

// sweep removes sessions that have expired.
func (s *sticky) sweep(now int64) {
	if s != nil && s.table != nil {
		for s.table.Sweep(now) {
			now = wire.Now()
		}
	}
}

// membership is what an exchange knows of the session of its client.
type membership struct {
	key     session.Key
	keyed   bool              // key names a session that the request belongs to
	backend *balancer.Backend // of the session; nil: there is none
	renew   bool              // the cookie is to be issued again
	cookie  bool              // the request brought a cookie of ours
	lost    bool              // its cookie is good, but the backend is no longer in the pool
}

// lookUp finds the session that a request belongs to.
func (s *sticky) lookUp(req *message.Head, flow *balancer.Flow) (m membership) {
	switch s.config.Type {
	case config.PersistSourceIP:
		m.key, m.keyed = session.AddressKey(flow.Src.Addr()), true
		m.backend = s.table.Get(m.key, wire.Now())
	case config.PersistAppCookie:
		var lines [8][]byte
		m.key, m.backend = s.learner.Session(wire.Now(), cookies(req, lines[:0])...)
		m.keyed = m.backend != nil
	case config.PersistHTTPCookie:
		var lines [8][]byte
		value, found := session.Find(s.config.Cookie.Name, cookies(req, lines[:0])...)
		if m.cookie = found; !found {
			break
		}
		tag, _, verdict := s.codec.Decode(value, time.Now().Unix(), s.config.Timeout)
		if verdict.OK() {
			m.backend, m.renew = s.index.Load().Backend(tag), verdict == session.Stale
			m.lost = m.backend == nil
		}
	}
	return m
}

// ends reports whether the request may go nowhere, because the backend of its session was removed.
func (s *sticky) ends(m *membership) bool {
	return m.lost && s.config.Fallback == config.FallbackFail
}

// cookies lists the values of the Cookie lines.
func cookies(req *message.Head, lines [][]byte) [][]byte {
	if !req.Has(message.Cookie) {
		return lines
	}
	for i := range req.Fields {
		if f := &req.Fields[i]; f.Name == message.Cookie {
			lines = append(lines, req.Value(f))
		}
	}
	return lines
}

// appendCookies takes our own cookie out of the request: what is left of the Cookie lines is written
// afresh.
func (s *sticky) appendCookies(dst []byte, req *message.Head) []byte {
	for i := range req.Fields {
		f := &req.Fields[i]
		if f.Name != message.Cookie || f.Drop {
			continue
		}
		start := len(dst)
		dst = append(dst, "Cookie: "...)
		empty := len(dst)
		if dst = session.Strip(dst, req.Value(f), s.config.Cookie.Name); len(dst) == empty {
			dst = dst[:start]
			continue
		}
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// joined notes that the request went to b, and says what became of its session.
func (s *sticky) joined(m *membership, b *balancer.Backend) telemetry.SessionResult {
	result := telemetry.SessionHit
	switch m.backend {
	case b:
	case nil:
		if result = telemetry.SessionNew; m.lost {
			result = telemetry.SessionLost
		}
	default:
		result = telemetry.SessionLost
	}
	if m.keyed && s.table != nil && m.backend != b {
		s.table.Put(m.key, b, wire.Now())
	}
	return result
}

// answered learns from a response of b, and marks what must not be forwarded with a cookie of ours.
func (s *sticky) answered(m *membership, res *message.Head, b *balancer.Backend) {
	if s.learner != nil && res.Has(message.SetCookie) {
		now, wall := wire.Now(), time.Now().Unix()
		for i := range res.Fields {
			if f := &res.Fields[i]; f.Name == message.SetCookie {
				s.learner.Learn(res.Value(f), b, now, wall)
			}
		}
	}
	if s.sets(m, b) {
		dropPublic(res)
	}
}

// sets reports whether the response gets a cookie of ours.
func (s *sticky) sets(m *membership, b *balancer.Backend) bool {
	return s.codec != nil && (m.backend != b || m.renew)
}

// dropPublic marks the Cache-Control lines of a response that let a shared cache keep it. Others stay:
// private, which is added, takes nothing from them.
func dropPublic(res *message.Head) {
	for i := range res.Fields {
		f := &res.Fields[i]
		if f.NameLen != uint32(len("cache-control")) || !message.Equal(res.NameBytes(f), "cache-control") {
			continue
		}
		if v := res.Value(f); message.HasToken(v, "public") || bytes.Contains(bytes.ToLower(v), []byte("s-maxage")) {
			f.Drop = true
		}
	}
}

// appendSetCookie writes our cookie, and that no shared cache may keep the response with it.
func (s *sticky) appendSetCookie(dst []byte, m *membership, b *balancer.Backend, secure bool) []byte {
	if !s.sets(m, b) {
		return dst
	}
	var value [session.EncodedSize]byte
	dst = append(dst, "Set-Cookie: "...)
	dst = s.setter.Append(dst, s.codec.Encode(value[:0], b.Name(), time.Now().Unix()), secure)
	return append(dst, "\r\nCache-Control: private\r\n"...)
}
