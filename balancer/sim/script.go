package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
)

// The bounds of a script. They keep a slip of the pen from running for hours.
const (
	maxFlows   = 100_000_000 // rate × duration
	maxClients = 1_000_000
	maxRows    = 10_000 // duration / interval
	maxTime    = 10_000 * time.Hour
)

// Script is the traffic and the events of a run. Zero fields get the defaults of the package
// documentation.
type Script struct {
	Duration time.Duration            `yaml:"duration"`
	Rate     float64                  `yaml:"rate"`    // flows per second
	Clients  int                      `yaml:"clients"` // 1…1,000,000
	Service  time.Duration            `yaml:"service"`
	Services map[string]time.Duration `yaml:"services"` // by backend, instead of Service
	Interval time.Duration            `yaml:"interval"`
	Seed     uint64                   `yaml:"seed"`
	Events   []Event                  `yaml:"events"` // in any order; at equal times as listed
}

// ParseScript reads a script from YAML. Unknown keys are errors. Errors name line and column.
func ParseScript(text []byte) (Script, error) {
	var s Script
	if err := decode(text, &s); err != nil {
		return Script{}, err
	}
	if _, err := s.resolve(); err != nil {
		return Script{}, err
	}
	return s, nil
}

// decode turns the panics of the decoder into errors: it has one for a tag where it wants a list.
func decode(text []byte, s *Script) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("script: the YAML decoder gave up: %v", cause)
		}
	}()
	if err := yaml.UnmarshalWithOptions(text, s, yaml.Strict()); err != nil {
		return fmt.Errorf("script: %s", yaml.FormatError(err, false, true))
	}
	return nil
}

// resolve fills in the defaults and checks the bounds.
func (s Script) resolve() (Script, error) {
	s.Duration = or(s.Duration, time.Minute)
	s.Rate = or(s.Rate, 100)
	s.Clients = or(s.Clients, 1000)
	s.Service = or(s.Service, 10*time.Millisecond)
	s.Interval = or(s.Interval, roundInterval(s.Duration))
	var errs []error
	reject := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("script: "+format, args...))
		}
	}
	reject(s.Duration < 0 || s.Duration > maxTime, "duration %v is not in 0…%v", s.Duration, maxTime)
	reject(!(s.Rate > 0), "rate %v is not above 0", s.Rate) // not > rather than <=: NaN
	reject(s.Rate*s.Duration.Seconds() > maxFlows, "rate %v for %v is more than %d flows", s.Rate, s.Duration, maxFlows)
	reject(s.Clients < 1 || s.Clients > maxClients, "clients %d is not in 1…%d", s.Clients, maxClients)
	reject(s.Service < 0 || s.Service > maxTime, "service %v is not in 0…%v", s.Service, maxTime)
	for name, d := range s.Services {
		reject(d < 0 || d > maxTime, "service %v of %s is not in 0…%v", d, name, maxTime)
	}
	reject(s.Interval < 0 || s.Duration/max(s.Interval, 1) > maxRows, "interval %v gives more than %d rows", s.Interval, maxRows)
	for _, e := range s.Events {
		reject(e.At >= s.Duration, "event %q is not before the end at %v", e, s.Duration)
	}
	return s, errors.Join(errs...)
}

// roundInterval is the shortest of 1, 2 or 5 times a power of ten, or of the units of a clock, of which
// at most twelve cover d.
func roundInterval(d time.Duration) time.Duration {
	least := (d + 11) / 12
	for unit := time.Duration(1); ; unit *= 10 {
		for _, n := range []time.Duration{1, 2, 5} {
			step := n * unit
			if step > 5*time.Second {
				return roundClock(least)
			}
			if step >= least {
				return step
			}
		}
	}
}

// roundClock is roundInterval above 5 s, where a minute has 60 seconds.
func roundClock(least time.Duration) time.Duration {
	for unit := time.Second; unit <= time.Hour; unit *= 60 {
		for _, n := range []time.Duration{1, 2, 5, 10, 15, 30} {
			if step := n * unit; step >= least {
				return step
			}
		}
	}
	return (least + time.Hour - 1).Truncate(time.Hour)
}

// or is v, or the default if that is zero.
func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
