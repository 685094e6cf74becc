package healthcheck

import "weir/config"

// tracker turns results into a verdict. It is pure.
type tracker struct {
	state      State
	streak     int // latest results in a row against state
	rise, fall int // both at least 1
}

// newTracker starts in the initial state that c asks for.
func newTracker(c *config.HealthCheck) tracker {
	t := tracker{}
	switch c.Initial {
	case config.InitialUp:
		t.state = Up
	case config.InitialDown:
		t.state = Down
	default:
		t.state = Checking
	}
	t.thresholds(c.Rise, c.Fall)
	return t
}

// thresholds sets how many results in a row change the state. A streak under way goes on counting
// towards the new number.
func (t *tracker) thresholds(rise, fall int) {
	t.rise, t.fall = max(rise, 1), max(fall, 1)
}

// observe counts one result and reports whether it changed the state. The count that decided is
// left in the second value: n of n results for a change, the streak otherwise.
func (t *tracker) observe(ok bool) (changed bool, count int) {
	switch {
	case t.state == Checking:
		t.state = verdict(ok)
		return true, 1
	case ok == (t.state == Up):
		t.streak = 0
		return false, 0
	}
	t.streak++
	if count = t.streak; count < t.threshold() {
		return false, count
	}
	t.state, t.streak = verdict(ok), 0
	return true, count
}

// threshold is the streak that ends the present state.
func (t *tracker) threshold() int {
	switch t.state {
	case Up:
		return t.fall
	case Down:
		return t.rise
	}
	return 1
}

func verdict(ok bool) State {
	if ok {
		return Up
	}
	return Down
}
