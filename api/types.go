package api

import "time"

// Status is the document of GET /v1/status. Times are UTC, durations in the unit that their name has.
type Status struct {
	Version       string           `json:"version"`
	Commit        string           `json:"commit"`
	PID           int              `json:"pid"`
	Former        []int            `json:"former_pids,omitempty"` // of processes before an upgrade, that have connections left
	Started       time.Time        `json:"started"`
	UptimeSeconds float64          `json:"uptime_seconds"`
	Generation    uint64           `json:"generation"`
	Config        ConfigStatus     `json:"config"`
	Ready         bool             `json:"ready"`
	Draining      bool             `json:"draining"`
	Listeners     []ListenerStatus `json:"listeners"`
	Leaving       []ListenerStatus `json:"leaving,omitempty"` // listeners that were removed and have connections left
	Pools         []PoolStatus     `json:"pools"`
}

// ConfigStatus is the configuration in force.
type ConfigStatus struct {
	File   string    `json:"file"`
	SHA256 string    `json:"sha256"`
	Loaded time.Time `json:"loaded"`
}

// ListenerStatus is one listener.
type ListenerStatus struct {
	Name              string   `json:"name"`
	Protocol          string   `json:"protocol"`
	Addresses         []string `json:"addresses"` // as bound
	Pool              string   `json:"pool,omitempty"`
	ConnectionsActive int64    `json:"connections_active"`
	ConnectionsTotal  uint64   `json:"connections_total"`
}

// PoolStatus is one pool and its backends, in the order of the configuration.
type PoolStatus struct {
	Name      string          `json:"name"`
	Protocol  string          `json:"protocol"`
	Algorithm string          `json:"algorithm"`
	Required  bool            `json:"required"`
	Tier      string          `json:"tier"`   // which backends serve: primary backup draining fail_open none
	Up        int             `json:"up"`     // backends that are up, whatever their weight and state
	Queued    int64           `json:"queued"` // who waits because every backend has its maximum
	Backends  []BackendStatus `json:"backends"`
	Names     []NameStatus    `json:"names,omitempty"` // backends that are names; Backends has their addresses
}

// BackendStatus is one backend and why it is as it is.
type BackendStatus struct {
	Name            string       `json:"name"`
	Address         string       `json:"address"`
	Health          string       `json:"health"` // checking up down
	Since           time.Time    `json:"since"`  // of that health
	Reason          string       `json:"reason"`
	State           string       `json:"state"`      // ready drain maintenance
	Overridden      bool         `json:"overridden"` // state or weight differ from the file's by an operator's word
	Eligible        bool         `json:"eligible"`   // new flows may go to it
	Backup          bool         `json:"backup"`
	Weight          int          `json:"weight"`
	EffectiveWeight float64      `json:"effective_weight"`
	SlowStartRatio  float64      `json:"slow_start_ratio"`   // 1: not ramping
	Active          int64        `json:"active"`             // flows at this moment
	MaxConnections  int          `json:"max_connections"`    // the most of them; 0: no limit
	Picks           uint64       `json:"picks"`              // flows since it joined
	Ejection        *Ejection    `json:"ejection,omitempty"` // absent: live traffic has not put it out of service
	Check           *CheckStatus `json:"check,omitempty"`    // absent: no health check
}

// Ejection takes a backend out of service although its health check passes, because live traffic failed on it.
type Ejection struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"` // connect_failure reset timeout bad_response
	Times  int       `json:"times"`  // that it was ejected lately, this one included
}

// CheckStatus is where a backend's health check stands.
type CheckStatus struct {
	State  string       `json:"state"`
	Streak int          `json:"streak"` // results in a row against the present state
	Rise   int          `json:"rise"`
	Fall   int          `json:"fall"`
	Last   *ProbeStatus `json:"last,omitempty"` // absent: not probed yet
}

// ProbeStatus is one probe.
type ProbeStatus struct {
	At         time.Time `json:"at"`
	DurationMS float64   `json:"duration_ms"`
	OK         bool      `json:"ok"`
	Phase      string    `json:"phase"`            // how far it came: connect tls send receive status body
	Status     int       `json:"status,omitempty"` // HTTP status
	Excerpt    string    `json:"excerpt,omitempty"`
	Reason     string    `json:"reason,omitempty"`
}

// ProbeHistory is the document of GET /v1/pools/{pool}/backends/{backend}/probes, newest first.
type ProbeHistory struct {
	Pool    string        `json:"pool"`
	Backend string        `json:"backend"`
	State   string        `json:"state"`
	Since   time.Time     `json:"since"`
	Reason  string        `json:"reason"`
	Probes  []ProbeStatus `json:"probes"`
}

// Live is the document of GET /livez.
type Live struct {
	Live bool `json:"live"`
}

// Readiness is the document of GET /readyz: 200 when Ready, else 503.
type Readiness struct {
	Ready    bool        `json:"ready"`
	Draining bool        `json:"draining"`
	Checks   []Condition `json:"checks"`
}

// Condition is one thing that readiness needs.
type Condition struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // what is missing
}
