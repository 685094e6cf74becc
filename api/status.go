package api

import (
	"fmt"
	"os"
	"strings"
	"time"

	"weir/balancer"
	"weir/config"
	"weir/healthcheck"
)

// Status builds the document of GET /v1/status from the snapshots of this moment.
func (s *Server) Status() Status {
	process := s.options.Running.Process()
	pools := s.options.Running.Pools()
	status := Status{
		Version:       s.options.Version,
		Commit:        s.options.Commit,
		PID:           os.Getpid(),
		Former:        process.Former,
		Started:       s.options.Started.UTC(),
		UptimeSeconds: time.Since(s.options.Started).Round(time.Millisecond).Seconds(),
		Generation:    process.Generation,
		Config:        ConfigStatus{File: process.ConfigFile, SHA256: process.Digest, Loaded: process.LoadedAt.UTC()},
		Ready:         s.readiness(process, pools).Ready,
		Draining:      process.Draining,
		Listeners:     make([]ListenerStatus, 0, len(process.Listeners)),
		Pools:         make([]PoolStatus, 0, len(pools)),
	}
	for _, l := range process.Listeners {
		status.Listeners = append(status.Listeners, listenerStatus(l))
	}
	for _, l := range process.Leaving {
		status.Leaving = append(status.Leaving, listenerStatus(l))
	}
	for _, p := range pools {
		status.Pools = append(status.Pools, s.poolStatus(p))
	}
	return status
}

func listenerStatus(l Listener) ListenerStatus {
	return ListenerStatus{
		Name: l.Name, Protocol: l.Protocol, Addresses: l.Addresses, Pool: l.Pool,
		ConnectionsActive: l.Active, ConnectionsTotal: l.Total,
	}
}

// poolStatus reads one snapshot, so that its parts fit together.
func (s *Server) poolStatus(p Pool) PoolStatus {
	snapshot := p.Snapshot()
	members := snapshot.Members()
	status := PoolStatus{
		Name:      p.Name(),
		Protocol:  p.Protocol,
		Algorithm: string(snapshot.Algorithm()),
		Required:  p.Required,
		Tier:      snapshot.Tier().String(),
		Queued:    p.Queued(),
		Backends:  make([]BackendStatus, 0, len(members)),
	}
	for _, m := range members {
		if m.Health == balancer.Up {
			status.Up++
		}
		status.Backends = append(status.Backends, s.backendStatus(p.Name(), m))
	}
	status.Names = nameStatuses(p.Names)
	return status
}

func (s *Server) backendStatus(pool string, m balancer.Member) BackendStatus {
	b := m.Backend
	status := BackendStatus{
		Name:            b.Name(),
		Address:         b.Address().String(),
		Health:          m.Health.String(),
		Since:           b.Since().UTC(),
		State:           string(m.State),
		Overridden:      m.Overridden,
		Eligible:        m.Eligible,
		Backup:          m.Backup,
		Weight:          m.Weight,
		EffectiveWeight: m.Effective,
		SlowStartRatio:  m.Ramp,
		Active:          b.Active(),
		MaxConnections:  m.Limit,
		Picks:           b.Picks(),
	}
	check, checked := s.options.Checks.Status(healthcheck.Key{Pool: pool, Backend: b.Name()})
	if checked {
		status.Check = checkStatus(check)
	}
	if e := ejection(m); e != nil {
		status.Ejection = &Ejection{Since: e.Since.UTC(), Until: e.Until.UTC(), Reason: e.Why.String(), Times: e.Times}
	}
	status.Reason = reason(m, check, checked)
	return status
}

// ejection is that of a member that was ejected when the snapshot was made; nil: there is none.
func ejection(m balancer.Member) *balancer.Ejection {
	if !m.Ejected {
		return nil
	}
	return m.Backend.Ejection() // or nil: it is over
}

func checkStatus(c healthcheck.Status) *CheckStatus {
	status := &CheckStatus{State: c.State.String(), Streak: c.Streak, Rise: c.Rise, Fall: c.Fall}
	if len(c.Probes) > 0 {
		last := probeStatus(c.Probes[0])
		status.Last = &last
	}
	return status
}

// reason says why a backend gets flows or does not: what the operator wants of it first, then its health.
func reason(m balancer.Member, check healthcheck.Status, checked bool) string {
	var parts []string
	by := ""
	if m.Overridden {
		by = " by override"
	}
	switch m.State {
	case config.Drain:
		parts = append(parts, "draining"+by)
	case config.Maintenance:
		parts = append(parts, "in maintenance"+by)
	}
	if m.Weight == 0 {
		parts = append(parts, "weight 0: no new flows")
	}
	if e := ejection(m); e != nil {
		parts = append(parts, fmt.Sprintf("ejected for %v until %s: live traffic failed on it (%v)",
			e.Until.Sub(e.Since), e.Until.UTC().Format("15:04:05Z"), e.Why))
	}
	if m.Ramp < 1 {
		parts = append(parts, fmt.Sprintf("slow start at %.0f %%", 100*m.Ramp))
	}
	switch {
	case check.Reason != "":
		parts = append(parts, check.Reason)
	case m.Health == balancer.Checking:
		parts = append(parts, "waiting for the first probe")
	case !checked:
		parts = append(parts, "no health check")
	}
	return strings.Join(parts, "; ")
}
