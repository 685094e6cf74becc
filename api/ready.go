package api

import (
	"fmt"

	"weir/balancer"
)

// Readiness builds the document of GET /readyz.
func (s *Server) Readiness() Readiness {
	return s.readiness(s.options.Running.Process(), s.options.Running.Pools())
}

// readiness holds every condition against the state, in the order in which a start meets them.
func (s *Server) readiness(process Process, pools []Pool) Readiness {
	all := []Condition{
		condition("loaded", process.Loaded, "no configuration is in force"),
		condition("bound", process.Bound, "not every listener is bound"),
		condition("probed", s.options.Checks.Settled(), "the first round of health checks is not over"),
	}
	for _, p := range pools {
		if p.Required {
			all = append(all, poolServed(p))
		}
	}
	all = append(all, condition("serving", !process.Draining, "the process is stopping"))

	readiness := Readiness{Ready: true, Draining: process.Draining, Checks: all}
	for _, c := range all {
		readiness.Ready = readiness.Ready && c.OK
	}
	return readiness
}

// poolServed holds when a new flow of the pool would find a backend.
func poolServed(p Pool) Condition {
	var up, down, checking int
	for _, m := range p.Snapshot().Members() {
		if m.Eligible {
			return condition("pool "+p.Name(), true, "")
		}
		switch m.Health {
		case balancer.Up:
			up++
		case balancer.Down:
			down++
		default:
			checking++
		}
	}
	return condition("pool "+p.Name(), false,
		fmt.Sprintf("no backend takes new flows: %d up, %d down, %d checking", up, down, checking))
}

func condition(name string, ok bool, missing string) Condition {
	if ok {
		missing = ""
	}
	return Condition{Name: name, OK: ok, Detail: missing}
}
