package balancer

import (
	"slices"

	"weir/config"
)

// Snapshot is one immutable state of a pool: members, weights and picker change together or not at
// all. Only health, leases and totals of the backends themselves move on.
type Snapshot struct {
	generation uint64
	algorithm  config.Algorithm
	tier       Tier
	members    []Member
	picker     Picker // nil: Acquire answers refusal
	refusal    error
	bounded    bool // some eligible member has a Limit
	faults     int  // in a row that eject a backend; 0: none do
	keyed      bool // the picker wants the hash of tuple under seed
	tuple      Tuple
	seed       uint64
	weighted   bool // hashes heed weights
	shareError float64
	replaced   chan struct{}
}

// Member is a backend's place in a snapshot.
type Member struct {
	Backend    *Backend
	Weight     int     // 0…256: the file's, or an override
	Limit      int     // leases at the same time; 0: any number
	Effective  float64 // Weight × Ramp if eligible, else 0
	Ramp       float64 // 0.1…1, part of the weight that slow start has released; 1: not ramping
	Backup     bool
	State      config.State
	Overridden bool // the operator has set State or Weight, be it to the value of the file
	Health     Health
	Ejected    bool // live traffic failed on it
	Eligible   bool // takes new flows
}

// Members lists all backends in the order of the configuration. The caller must not change it.
func (s *Snapshot) Members() []Member { return slices.Clip(s.members) }

// Generation counts the snapshots of a pool, from 1.
func (s *Snapshot) Generation() uint64 { return s.generation }

// Tier says which backends are eligible.
func (s *Snapshot) Tier() Tier { return s.tier }

// Undecided reports whether flows wait here: for first verdicts on backends, or first answers about names.
func (s *Snapshot) Undecided() bool { return s.picker == nil && s.refusal == ErrChecking }

// Algorithm is the pool's algorithm.
func (s *Snapshot) Algorithm() config.Algorithm { return s.algorithm }

// ShareError is the largest relative error of a backend's share that comes from rounding weights to
// the slots of the cycle: 0 when the weights fit as they are, 0.02 when some backend gets 2 % more
// or less than its weight says.
func (s *Snapshot) ShareError() float64 { return s.shareError }

// Replaced is closed when a newer snapshot has been published.
func (s *Snapshot) Replaced() <-chan struct{} { return s.replaced }
