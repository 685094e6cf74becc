package balancer

import (
	"slices"

	"weir/config"
)

// publish builds the snapshot of the present seats and makes it the one that Acquire sees, unless it
// would be like the one before. The pool's mutex must be held.
func (p *Pool) publish() {
	old, s := p.snapshot.Load(), p.build(p.members())
	s.generation = old.generation + 1
	if old.generation > 0 && s.like(old) {
		return
	}
	p.equip(s)
	p.snapshot.Store(s)
	close(old.replaced)
	if p.queue.waiting.Load() != 0 {
		p.queue.wakeAll()
	}
}

// build makes the snapshot of members, without its picker.
func (p *Pool) build(members []Member) *Snapshot {
	tier, refusal := elect(members, p.config.MinHealthy, p.config.Resolving)
	bounded := false
	for i := range members {
		if m := &members[i]; m.Eligible {
			m.Effective = float64(m.Weight) * m.Ramp
			bounded = bounded || m.Limit > 0
		}
	}
	s := &Snapshot{
		algorithm: p.config.Algorithm,
		tier:      tier,
		members:   members,
		refusal:   refusal,
		bounded:   bounded,
		faults:    p.config.Outlier.ConsecutiveErrors,
		weighted:  p.config.Hash.Weighted,
		seed:      p.config.Hash.Seed,
		replaced:  make(chan struct{}),
	}
	s.tuple, s.keyed = tupleOf(p.config.Algorithm)
	return s
}

// equip gives s its picker, if anybody serves.
func (p *Pool) equip(s *Snapshot) {
	if s.tier != TierNone {
		s.picker, s.shareError = p.pickerFor(s)
	}
}

func (p *Pool) members() []Member {
	members := make([]Member, len(p.seats))
	for i, s := range p.seats {
		members[i] = Member{
			Backend:    s.backend,
			Weight:     s.weight(),
			Limit:      s.file.MaxConnections,
			Ramp:       s.slow.ratio,
			Backup:     s.file.Backup,
			State:      s.state(),
			Overridden: s.override.Weight != nil || s.override.State != nil,
			Health:     s.backend.Health(),
			Ejected:    s.backend.Ejection() != nil,
		}
	}
	return members
}

// like reports whether s would pick as old does.
func (s *Snapshot) like(old *Snapshot) bool {
	return s.algorithm == old.algorithm && s.tier == old.tier && s.refusal == old.refusal &&
		s.seed == old.seed && s.faults == old.faults && s.weighted == old.weighted && slices.Equal(s.members, old.members)
}

func tupleOf(a config.Algorithm) (t Tuple, keyed bool) {
	switch a {
	case config.SourceIP:
		return SourceIP, true
	case config.TwoTupleHash:
		return TwoTuple, true
	case config.ThreeTupleHash:
		return ThreeTuple, true
	case config.FiveTupleHash:
		return FiveTuple, true
	case config.QUICCID:
		return ConnectionID, true
	default:
		return 0, false
	}
}
