package api

import (
	"net/http"
	"time"

	"weir/healthcheck"
)

// probes builds the document of one backend's history.
func (s *Server) probes(pool, backend string) (ProbeHistory, error) {
	status, ok := s.options.Checks.Status(healthcheck.Key{Pool: pool, Backend: backend})
	if !ok {
		return ProbeHistory{}, problem(http.StatusNotFound,
			"no health check runs for backend "+quote(backend)+" of pool "+quote(pool),
			"GET /v1/status lists pools and backends; a pool with health_check: none has no probes")
	}
	history := ProbeHistory{
		Pool: pool, Backend: backend,
		State: status.State.String(), Since: status.Since.UTC(), Reason: status.Reason,
		Probes: make([]ProbeStatus, 0, len(status.Probes)),
	}
	for _, p := range status.Probes {
		history.Probes = append(history.Probes, probeStatus(p))
	}
	return history, nil
}

func probeStatus(p healthcheck.Probe) ProbeStatus {
	return ProbeStatus{
		At:         p.At.UTC(),
		DurationMS: float64(p.Duration.Round(time.Microsecond)) / float64(time.Millisecond),
		OK:         p.OK,
		Phase:      p.Phase,
		Status:     p.Status,
		Excerpt:    p.Excerpt,
		Reason:     p.Reason,
	}
}
