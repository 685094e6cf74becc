package balancer

// pickerFor makes the picker of s. What it can it takes over from old: the phase of a rotation, the
// place of a scan, tables.
func (p *Pool) pickerFor(s, old *Snapshot) (Picker, float64) {
	backends, weights := s.eligible()
	return p.ledger.rotate(backends, weights, p.options.Offset)
}

// eligible lists the backends that take new flows, with their effective weights.
func (s *Snapshot) eligible() (backends []*Backend, weights []float64) {
	for _, m := range s.members {
		if m.Eligible {
			backends = append(backends, m.Backend)
			weights = append(weights, m.Effective)
		}
	}
	return backends, weights
}

type tableCache struct{}
