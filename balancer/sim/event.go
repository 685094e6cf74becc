package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/balancer"
	"weir/config"
)

// Action is what an Event does.
type Action string

// The actions.
const (
	Up          Action = "up"          // the health check says up
	Down        Action = "down"        // the health check says down
	Add         Action = "add"         // the backend joins the pool, with Weight, and is up
	Remove      Action = "remove"      // the backend leaves the pool
	Weight      Action = "weight"      // the operator overrides the weight
	Ready       Action = "ready"       // the operator overrides the state
	Drain       Action = "drain"       // the operator overrides the state
	Maintenance Action = "maintenance" // the operator overrides the state
)

// actions says whether each takes a weight: never, perhaps or always.
var actions = map[Action]struct{ min, max int }{
	Up: {}, Down: {}, Remove: {}, Ready: {}, Drain: {}, Maintenance: {}, Add: {0, 1}, Weight: {1, 1},
}

// Event is something that happens to a backend at a moment of virtual time.
type Event struct {
	At      time.Duration
	Action  Action
	Backend string
	Weight  int // of Add and Weight: 0…256
}

// ParseEvent reads an event: a time since the beginning, an action, the name of a backend and, for
// weight and perhaps add, a weight from 0 to 256. Examples: "10s down b2", "1m30s add b4 3".
func ParseEvent(text string) (Event, error) {
	fields := strings.Fields(text)
	if len(fields) < 3 {
		return Event{}, fmt.Errorf(`event %q: want a time, an action and a backend, like "10s down b2"`, text)
	}
	at, err := time.ParseDuration(fields[0])
	if err != nil || at < 0 {
		return Event{}, fmt.Errorf(`event %q: %q is not a time since the beginning, like "10s"`, text, fields[0])
	}
	e := Event{At: at, Action: Action(fields[1]), Backend: fields[2], Weight: 1}
	takes, known := actions[e.Action]
	if !known {
		return Event{}, fmt.Errorf("event %q: unknown action %q, want up, down, add, remove, weight, ready, drain or maintenance",
			text, fields[1])
	}
	if n := len(fields) - 3; n < takes.min || n > takes.max {
		if takes.min > n {
			return Event{}, fmt.Errorf("event %q: no weight given", text)
		}
		return Event{}, fmt.Errorf("event %q: %q is too much", text, fields[3+takes.max])
	}
	if len(fields) > 3 {
		if e.Weight, err = strconv.Atoi(fields[3]); err != nil || e.Weight < 0 || e.Weight > 256 {
			return Event{}, fmt.Errorf("event %q: weight %q is not in 0…256", text, fields[3])
		}
	}
	return e, nil
}

// String is the form that ParseEvent reads.
func (e Event) String() string {
	s := e.At.String() + " " + string(e.Action) + " " + e.Backend
	if e.Action == Add || e.Action == Weight {
		s += " " + strconv.Itoa(e.Weight)
	}
	return s
}

// MarshalText is String: reports show events as they are written.
func (e Event) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText is ParseEvent.
func (e *Event) UnmarshalText(text []byte) error {
	parsed, err := ParseEvent(string(text))
	if err == nil {
		*e = parsed
	}
	return err
}

// apply makes e happen to the pool of r.
func (r *run) apply(e Event) error {
	now := epoch.Add(e.At)
	b := r.backend(e.Backend)
	if b == nil && e.Action != Add {
		return fmt.Errorf("event %q: pool %s has no backend %q", e, r.pool.Name(), e.Backend)
	}
	switch e.Action {
	case Up, Down:
		r.pool.Report(b, e.Action == Up, now)
	case Add:
		if b != nil {
			return fmt.Errorf("event %q: pool %s has a backend %q", e, r.pool.Name(), e.Backend)
		}
		r.add(e, now)
	case Remove:
		r.remove(e.Backend, now)
	default:
		return r.override(e, now)
	}
	return nil
}

func (r *run) override(e Event, now time.Time) error {
	o := r.overrides[e.Backend]
	if e.Action == Weight {
		o.Weight = new(e.Weight)
	} else {
		o.State = new(config.State(e.Action))
	}
	r.overrides[e.Backend] = o
	if err := r.pool.SetAdmin(e.Backend, o, now); err != nil {
		return fmt.Errorf("event %q: %w", e, err)
	}
	return nil
}

// backend is the named backend of the pool, or nil.
func (r *run) backend(name string) *balancer.Backend {
	for _, m := range r.pool.Snapshot().Members() {
		if m.Backend.Name() == name {
			return m.Backend
		}
	}
	return nil
}
