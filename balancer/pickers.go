package balancer

import "weir/config"

// pickerFor makes the picker of s and the rounding error of its shares. What it can it takes over
// from before: the phase of the rotation, the place of a scan, tables. The pool's mutex must be
// held.
func (p *Pool) pickerFor(s *Snapshot) (Picker, float64) {
	if s.keyed {
		return p.newHashing(s), 0
	}
	if s.algorithm != config.LeastConnections {
		return p.ledger.rotate(s.eligible(), p.options.Offset)
	}
	var turns *rotation
	var shareError float64
	if s.ramping() {
		turns, shareError = p.ledger.rotate(s.eligible(), p.options.Offset)
	}
	p.scan = newLeastConnections(s.eligible(), turns, p.scan)
	return p.scan, shareError
}

// eligible lists the members that take new flows.
func (s *Snapshot) eligible() []Member {
	var members []Member
	for _, m := range s.members {
		if m.Eligible {
			members = append(members, m)
		}
	}
	return members
}

// ramping reports whether some but not all eligible members ramp. If all do, at whatever ratio,
// there is nobody to spare them for.
func (s *Snapshot) ramping() bool {
	var warm, cold bool
	for _, m := range s.members {
		if m.Eligible {
			warm = warm || m.Ramp == 1
			cold = cold || m.Ramp < 1
		}
	}
	return warm && cold
}
