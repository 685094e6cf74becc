package balancer

import "weir/config"

// Tier is the first group of backends that has a member able to serve.
type Tier uint8

// The tiers, in the order in which they are tried.
const (
	TierPrimary  Tier = iota // primaries that are up, ready, not ejected and have weight
	TierBackup               // the same of backups
	TierDraining             // draining ones that are up, not ejected and have weight
	TierFailOpen             // all that are not in maintenance and have weight, whatever their health, ejected or not
	TierNone                 // nobody
)

// String is primary, backup, draining, fail_open or none.
func (t Tier) String() string {
	names := [...]string{"primary", "backup", "draining", "fail_open"}
	if int(t) < len(names) {
		return names[t]
	}
	return "none"
}

// elect sets Eligible on the members of the tier that serves and returns the tier. For TierNone the
// error says what a new flow is told.
//
// minHealthy counts what could serve without failing open: the tier's members and, while primaries
// serve, the backups in reserve. Backends without a verdict count as healthy here, or a pool would
// fail open at every start. So do names that are being resolved for the first time, of which there are
// resolving.
func elect(members []Member, minHealthy, resolving int) (Tier, error) {
	groups := [TierNone]int{}
	checking, candidates, idle := resolving, resolving, 0
	for _, m := range members {
		if m.State != config.Maintenance {
			candidates++
			if m.Health == Checking {
				checking++
			}
			if m.Health == Up && m.Weight == 0 {
				idle++
			}
		}
		for t := range groups {
			if m.belongs(Tier(t)) {
				groups[t]++
			}
		}
	}
	if candidates > 0 && checking == candidates {
		return TierNone, ErrChecking
	}
	tier := TierNone
	for t := TierDraining + 1; t > TierPrimary; t-- {
		if groups[t-1] > 0 {
			tier = t - 1
		}
	}
	healthy := checking
	switch tier {
	case TierPrimary:
		healthy += groups[TierPrimary] + groups[TierBackup]
	case TierBackup, TierDraining:
		healthy += groups[tier]
	}
	if healthy < minHealthy && groups[TierFailOpen] > 0 {
		tier = TierFailOpen
	}
	if tier == TierNone {
		if idle > 0 {
			return TierNone, ErrNoCapacity
		}
		return TierNone, ErrNoBackendUp
	}
	for i := range members {
		members[i].Eligible = members[i].belongs(tier)
	}
	return tier, nil
}

// belongs reports whether m takes new flows when t serves.
func (m Member) belongs(t Tier) bool {
	if m.Weight == 0 || m.Ejected && t != TierFailOpen {
		return false
	}
	switch t {
	case TierPrimary:
		return m.Health == Up && m.State == config.Ready && !m.Backup
	case TierBackup:
		return m.Health == Up && m.State == config.Ready && m.Backup
	case TierDraining:
		return m.Health == Up && m.State == config.Drain
	default:
		return m.State != config.Maintenance
	}
}
