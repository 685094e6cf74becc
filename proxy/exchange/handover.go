package exchange

import (
	"bytes"
	"slices"

	"weir/proxy/session"
)

// Leave lets the connections come to an end, after another process has taken over: with their next response,
// which says so. None is closed while it is idle, for its client may be sending a request at this moment.
func (s *Clients) Leave() { s.leaving.Store(true) }

// Table is where clients are remembered whose pool is persistent, for the process that takes the place of
// this one; nil: it is not, or by a cookie of our own.
func (p *Pool) Table() *session.Table {
	if s := p.settings.Load().sticky; s != nil {
		return s.table
	}
	return nil
}

// CookieKeys are the keys of cookies whose configuration has none, for the process that takes the place of
// this one.
func (p *Pool) CookieKeys() [][]byte {
	if s := p.settings.Load().sticky; s.ownKeys() {
		return s.keys
	}
	return nil
}

// ownKeys reports whether cookies are signed by keys that the configuration does not know.
func (s *sticky) ownKeys() bool {
	return s != nil && s.codec != nil && len(s.config.Cookie.Keys) == 0
}

// RememberCookieKeys goes on with the keys of the process before, in a pool that nobody uses yet: its cookies
// are good here, and those that are made here are there. It does nothing if the configuration has keys.
func (p *Pool) RememberCookieKeys(keys [][]byte) error {
	set := *p.settings.Load()
	old := set.sticky
	if !old.ownKeys() || len(keys) == 0 {
		return nil
	}
	all := slices.Clone(keys)
	for _, k := range old.keys {
		same := func(other []byte) bool { return bytes.Equal(k, other) }
		if p.engine.SessionKey != nil && !slices.ContainsFunc(all, same) {
			all = append(all, k) // of the state directory, which the process before has not had
		}
	}
	s := &sticky{pool: old.pool, config: old.config, log: old.log, keys: all[:min(len(all), maxFormerKeys)]}
	if err := s.initCookie(); err != nil {
		return err
	}
	s.follow(p.Balancer, nil)
	set.sticky = s
	p.settings.Store(&set)
	return nil
}
