package session

import "weir/balancer"

// Any stands for every name, in the place of the name of an application's cookie.
const Any = "*"

// maxCookies is how many cookies of a request are looked up when any may name the session. A field
// of 64 KiB holds thousands, each of which costs a digest; browsers keep some 180 for a site, and
// send those with the longest path first.
const maxCookies = 200

// Learner follows the cookies that an application sets by itself: a response teaches it which
// backend a cookie came from, and the requests that bring the cookie back go there. Cookies without
// a value are ignored. All its methods may be called concurrently.
type Learner struct {
	name  []byte
	any   bool
	table *Table
}

// NewLearner makes a learner for the cookie called name, letter case included; Any follows them all.
// The table must be the learner's own.
func NewLearner(name string, t *Table) *Learner {
	return &Learner{name: []byte(name), any: name == Any, table: t}
}

// Session returns the backend that one of the cookies of a request was learned from, nil if there is
// none, as Table.Get does, and the key of that session: a caller that cannot use the backend and
// finds another puts that into the table. cookies are the values of all Cookie fields. Of several
// cookies of the name the first counts; with Any it is the first that was learned, among the first
// 200, and that is not lost if there is one. A request without such cookies counts neither as a hit nor as a miss.
func (l *Learner) Session(now int64, cookies ...[]byte) (Key, *balancer.Backend) {
	var missed *shard
	var lost *balancer.Backend
	var lostKey Key
	looked := 0
	for _, line := range cookies {
		for name, value := range Pairs(line) {
			if !l.follows(name) {
				continue
			}
			if len(value) > 0 {
				k := CookieKey(name, value)
				missed = l.table.shard(&k)
				b := l.table.get(missed, &k, now)
				switch {
				case b == nil:
				case !b.Removed():
					return k, b
				case lost == nil:
					lostKey, lost = k, b
				}
			}
			if looked++; !l.any || looked == maxCookies {
				return found(lostKey, lost, missed)
			}
		}
	}
	return found(lostKey, lost, missed)
}

// found is what a search has come to that met at most a lost session.
func found(k Key, lost *balancer.Backend, missed *shard) (Key, *balancer.Backend) {
	if lost != nil {
		return k, lost
	}
	return Key{}, miss(missed)
}

// miss counts a miss in s, if anything was looked up, and is no backend.
func miss(s *shard) *balancer.Backend {
	if s != nil {
		s.misses.Add(1)
	}
	return nil
}

// Learn notes that the backend b has sent a Set-Cookie field with that value, and reports whether the
// field sets a cookie that is followed. now is of the table's clock, wall in Unix seconds. A cookie
// that is deleted by sending its value again ends the session; mostly the value is gone by then, and
// the session expires.
//
// With Any, most cookies say nothing about the client, lang=en for one. A cookie that a second
// backend sets to the same value, while the first could go on serving it, names no session.
func (l *Learner) Learn(setCookie []byte, b *balancer.Backend, now, wall int64) bool {
	c, ok := ParseSetCookie(setCookie, wall)
	if !ok || !l.follows(c.Name) || len(c.Value) == 0 {
		return false
	}
	k := CookieKey(c.Name, c.Value)
	switch {
	case c.Deleted:
		l.table.Delete(k)
		return false
	case l.any:
		l.table.put(k, b, now, contest)
	default:
		l.table.Put(k, b, now)
	}
	return true
}

// follows reports whether cookies of that name are followed.
func (l *Learner) follows(name []byte) bool { return l.any || string(name) == string(l.name) }
