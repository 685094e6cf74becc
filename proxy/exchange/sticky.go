package exchange

import (
	"bytes"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

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
	pool   string // its name
	config *config.Persistence

	// http_cookie: nothing is kept here, the cookie says it all.
	keys   [][]byte // of codec: the first signs, all verify
	codec  *session.Codec
	setter *session.Setter
	index  atomic.Pointer[session.Index]
	log    *zap.Logger
	told   atomic.Bool // of a backend that uses the name of our cookie

	// source_ip and app_cookie.
	table     *session.Table
	addresses *session.Addresses // of source_ip
	learner   *session.Learner   // of app_cookie
}

// newSticky makes the persistence of a pool, or keeps the one that it has if nothing changed; nil for
// none. Whatever the new one can take over of the old one it does. key is that of cookies whose
// configuration has none; nil: a random one.
func newSticky(p *config.Pool, key []byte, log *zap.Logger, old *sticky) (*sticky, error) {
	c := p.Persistence
	if c == nil {
		return nil, nil
	}
	s := &sticky{pool: p.Name, config: c, log: log}
	if c.Type == config.PersistHTTPCookie {
		s.keys = cookieKeys(c, key, old)
	}
	if old != nil && reflect.DeepEqual(old.config, c) && reflect.DeepEqual(old.keys, s.keys) {
		return old, nil
	}
	if c.Type == config.PersistHTTPCookie {
		return s, s.initCookie()
	}
	if c.Type == config.PersistSourceIP {
		var before *session.Addresses
		if old != nil {
			before = old.addresses
		}
		s.addresses = session.NewAddresses(c, before)
		s.table = s.addresses.Table()
		return s, nil
	}
	s.table = session.NewTable(maxSessions, c.Timeout)
	if old != nil && old.config.Type == c.Type && old.config.Cookie.Name == c.Cookie.Name {
		s.table, s.learner = old.table, old.learner
		s.table.SetTimeout(c.Timeout)
	}
	s.table.SetKeep(c.Fallback == config.FallbackFail)
	if s.learner == nil {
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
func (s *sticky) initCookie() error {
	c := s.config.Cookie
	setter, err := session.NewSetter(session.Attributes{
		Name: c.Name, Domain: c.Domain, Path: c.Path, MaxAge: c.MaxAge, HTTPOnly: c.HTTPOnly,
		Secure:   map[config.CookieSecure]session.Secure{config.SecureAlways: session.SecureOn, config.SecureNever: session.SecureNever}[c.Secure],
		SameSite: map[config.SameSite]session.SameSite{config.SameSiteStrict: session.SameSiteStrict, config.SameSiteNone: session.SameSiteNone}[c.SameSite],
	})
	if err != nil {
		return fmt.Errorf("pools.%s.session_persistence.cookie: %w", s.pool, err)
	}
	s.setter = setter
	if s.codec, err = session.NewCodec(s.keys, s.pool); err != nil {
		return fmt.Errorf("pools.%s.session_persistence.cookie.keys: %w", s.pool, err)
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
	bond    session.Bond // of source_ip
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
		m.bond = s.addresses.Find(flow.Src.Addr(), wire.Now())
		m.backend = m.bond.Backend()
	case config.PersistAppCookie:
		var lines [8][]byte
		m.key, m.backend = s.learner.Session(wire.Now(), cookies(req, lines[:0])...)
		m.keyed = m.backend != nil
	case config.PersistHTTPCookie:
		var lines [8][]byte
		if !req.Has(message.Cookie) {
			break
		}
		var tag session.Tag
		var verdict session.Verdict
		tag, verdict, m.cookie = s.codec.Find(s.config.Cookie.Name, time.Now().Unix(), s.config.Timeout, cookies(req, lines[:0])...)
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

// claims reports whether a request that has a lease on b may go there: not if another one of its client has
// chosen another backend meanwhile, which is then that of the session.
func (s *sticky) claims(m *membership, b *balancer.Backend) bool {
	if s == nil || s.addresses == nil || b == m.bond.Backend() || m.bond.Claim(b, wire.Now()) {
		return true
	}
	m.backend = m.bond.Backend()
	return false
}

// failed notes that the request could not go to the backend that it has claimed.
func (s *sticky) failed(m *membership) {
	if s != nil && s.addresses != nil {
		m.bond.Failed()
		m.backend = m.bond.Backend()
	}
}

// addressResults are the words of the telemetry for what became of the session of a client address.
var addressResults = [...]telemetry.SessionResult{
	session.Hit: telemetry.SessionHit, session.New: telemetry.SessionNew, session.Lost: telemetry.SessionLost,
}

// joined notes that the request went to b, and says what became of its session.
func (s *sticky) joined(m *membership, b *balancer.Backend) telemetry.SessionResult {
	if s.addresses != nil {
		if b != m.bond.Backend() { // a retry on a status, which is not picked anew
			m.bond.Take(b, wire.Now())
		}
		return addressResults[m.bond.Result()]
	}
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

// answered learns from a response of b, and marks what must not be forwarded, or not with a cookie of
// ours. It returns dst with what appendSetCookie writes instead.
func (s *sticky) answered(dst []byte, m *membership, res *message.Head, b *balancer.Backend) []byte {
	if s.learner != nil && res.Has(message.SetCookie) {
		now, wall := wire.Now(), time.Now().Unix()
		for i := range res.Fields {
			if f := &res.Fields[i]; f.Name == message.SetCookie {
				s.learner.Learn(res.Value(f), b, now, wall)
			}
		}
	}
	s.dropOwn(res, b)
	if !s.sets(m, b) {
		return dst
	}
	return dropPublic(dst, res)
}

// dropOwn marks the cookies of the name of ours that a backend sets: the client would send back one in
// the place of the other, and lose its session. The log tells of it once.
func (s *sticky) dropOwn(res *message.Head, b *balancer.Backend) {
	if s.codec == nil || !res.Has(message.SetCookie) {
		return
	}
	name := s.config.Cookie.Name
	for i := range res.Fields {
		f := &res.Fields[i]
		if f.Name != message.SetCookie || !session.Sets(res.Value(f), name) {
			continue
		}
		f.Drop = true
		if s.told.CompareAndSwap(false, true) {
			s.log.Warn("a backend sets a cookie of the name that the session cookie of its pool has; such cookies are not forwarded",
				zap.String("pool", s.pool), zap.String("backend", b.Name()), zap.String("cookie", name))
		}
	}
}

// sets reports whether the response gets a cookie of ours.
func (s *sticky) sets(m *membership, b *balancer.Backend) bool {
	return s.codec != nil && (m.backend != b || m.renew)
}

// appendSetCookie writes our cookie, and that no shared cache may keep the response with it. rest is what
// answered has returned.
func (s *sticky) appendSetCookie(dst []byte, m *membership, res *message.Head, b *balancer.Backend, rest []byte, secure bool) []byte {
	if !s.sets(m, b) {
		return dst
	}
	var value [session.EncodedSize]byte
	dst = append(dst, "Set-Cookie: "...)
	dst = s.setter.Append(dst, s.codec.Encode(value[:0], b.Name(), time.Now().Unix()), secure)
	if len(rest) == 0 && saysPrivate(res) {
		return append(dst, "\r\n"...)
	}
	dst = append(dst, "\r\nCache-Control: private"...)
	return append(append(dst, rest...), "\r\n"...)
}
