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
		DurationMS: milliseconds(p.Duration),
		OK:         p.OK,
		Phase:      p.Phase,
		Status:     p.Status,
		Excerpt:    p.Excerpt,
		Reason:     p.Reason,
	}
}

// milliseconds is a duration in a document, to the microsecond.
func milliseconds(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond)) / float64(time.Millisecond)
}
