package sim

import (
	"strconv"
	"time"

	"weir/config"
)

// Offset is a moment of a run, counted from its beginning. In JSON it is a number of seconds.
type Offset time.Duration

// MarshalJSON is the offset in seconds.
func (o Offset) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(o).Seconds(), 'f', -1, 64), nil
}

// String is the form of a time.Duration without units that are 0: 10s, 1m30s, 2m.
func (o Offset) String() string {
	s := time.Duration(o).String()
	if n := len(s); n > 3 && s[n-3:] == "m0s" {
		s = s[:n-2]
	}
	if n := len(s); n > 3 && s[n-3:] == "h0m" {
		s = s[:n-2]
	}
	return s
}

// Report is what a run showed.
type Report struct {
	Pool      string           `json:"pool"`
	Algorithm config.Algorithm `json:"algorithm"`
	Duration  Offset           `json:"duration_seconds"`
	Rate      float64          `json:"flows_per_second"`
	Clients   int              `json:"clients"`
	Seed      uint64           `json:"seed"`
	Flows     int              `json:"flows"`   // that arrived
	Refused   int              `json:"refused"` // of those: no backend was to be had
	// Moved counts the clients that came to another backend, summed over all changes; of pools that
	// do not hash it is absent.
	Moved     *int       `json:"moved_clients,omitempty"`
	Queue     *Queue     `json:"queue,omitempty"` // absent: no backend has a limit
	Backends  []Backend  `json:"backends"`        // in the order in which they appeared
	Intervals []Interval `json:"intervals"`
	Ramps     []Ramp     `json:"ramps,omitempty"` // in the order in which they began
}

// Queue is where flows wait while all backends have their maximum of leases.
type Queue struct {
	Places  int    `json:"places"`
	Timeout Offset `json:"timeout_seconds"` // 0: none
	Flows   int    `json:"flows"`           // that had to wait
	Longest Offset `json:"longest_seconds"` // wait of one that was served
	Left    int    `json:"left"`            // that wait at the end, and are neither picked nor refused
}

// Backend is the total of one backend name.
type Backend struct {
	Name      string  `json:"name"`
	Picks     int     `json:"picks"`
	Share     float64 `json:"share"`      // of the flows that were not refused
	MaxLeases int     `json:"max_leases"` // the most that it held at once
}

// Interval is one row of the report. It begins with From and ends before To.
type Interval struct {
	From    Offset             `json:"from_seconds"`
	To      Offset             `json:"to_seconds"`
	Flows   int                `json:"flows"`
	Refused int                `json:"refused"`
	Queued  int                `json:"queued,omitempty"` // that began to wait
	Moved   int                `json:"moved_clients"`    // 0 if the pool does not hash
	Shares  map[string]float64 `json:"shares"`           // by backend, of the flows that were not refused
	Tier    string             `json:"tier"`             // that served at the end
	Events  []Event            `json:"events,omitempty"`
}

// Ramp is one slow start.
type Ramp struct {
	Backend string  `json:"backend"`
	Began   Offset  `json:"began_seconds"`
	Points  []Point `json:"points"`
}

// Point is one step of a ramp, up to the next step or event.
type Point struct {
	At    Offset  `json:"at_seconds"`
	Ratio float64 `json:"ratio"`      // of the weight
	Want  float64 `json:"want_share"` // effective weight / sum of effective weights
	Got   float64 `json:"got_share"`
	Flows int     `json:"flows"` // that Got was counted over
}
