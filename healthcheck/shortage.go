package healthcheck

import "time"

// shortageEvery is the shortest time between two beginnings of a shortage that are said: one that
// comes and goes with every probe is one line a minute, and one when it ends.
const shortageEvery = time.Minute

// shortage follows the time in which a target cannot be checked for want of something on this side.
// It is pure; the zero value is no shortage.
type shortage struct {
	since  time.Time // its first probe; zero: there is none
	told   bool      // its beginning was said
	toldAt time.Time // when a beginning was said last; outlives the shortage
}

// missed counts a probe that said nothing and reports whether to say so.
func (s *shortage) missed(at time.Time) (say bool) {
	if s.since.IsZero() {
		s.since = at
	}
	if s.told || !s.toldAt.IsZero() && at.Sub(s.toldAt) < shortageEvery {
		return false
	}
	s.told, s.toldAt = true, at
	return true
}

// over ends the shortage, if there is one: a probe said something. say tells whether its beginning
// was said and the end should be, lasted how long it was.
func (s *shortage) over(at time.Time) (lasted time.Duration, say bool) {
	if s.told {
		lasted, say = at.Sub(s.since), true
	}
	s.since, s.told = time.Time{}, false
	return lasted, say
}
