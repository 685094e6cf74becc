package config

import (
	"fmt"
	"strings"
)

// MaxWeight is the largest weight of a backend.
const MaxWeight = 256

// Override is what an operator wants of a backend instead of the configuration, until it is cleared. The
// zero Override wants nothing.
type Override struct {
	State  *State `json:"state,omitempty"`
	Weight *int   `json:"weight,omitempty"` // 0…MaxWeight
}

// IsZero reports whether o wants nothing.
func (o Override) IsZero() bool { return o.State == nil && o.Weight == nil }

// Equal reports whether both want the same.
func (o Override) Equal(other Override) bool {
	return same(o.State, other.State) && same(o.Weight, other.Weight)
}

func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Clone is an Override that shares nothing with o.
func (o Override) Clone() Override {
	if o.State != nil {
		o.State = new(*o.State)
	}
	if o.Weight != nil {
		o.Weight = new(*o.Weight)
	}
	return o
}

// Validate says what is wrong with o.
func (o Override) Validate() error {
	if o.Weight != nil && (*o.Weight < 0 || *o.Weight > MaxWeight) {
		return fmt.Errorf("weight %d is not in 0…%d", *o.Weight, MaxWeight)
	}
	if o.State != nil && *o.State != Ready && *o.State != Drain && *o.State != Maintenance {
		return fmt.Errorf("state %q is not ready, drain or maintenance", *o.State)
	}
	return nil
}

// String is like "state drain, weight 5".
func (o Override) String() string {
	var parts []string
	if o.State != nil {
		parts = append(parts, "state "+string(*o.State))
	}
	if o.Weight != nil {
		parts = append(parts, fmt.Sprintf("weight %d", *o.Weight))
	}
	return strings.Join(parts, ", ")
}

// WithOverrides is c with other overrides, by pool and backend. c itself is not changed.
func (c *Config) WithOverrides(overrides map[string]map[string]Override) *Config {
	out := *c
	out.Pools = make(map[string]*Pool, len(c.Pools))
	for name, p := range c.Pools {
		q := *p
		q.Overrides = overrides[name]
		out.Pools[name] = &q
	}
	return &out
}
