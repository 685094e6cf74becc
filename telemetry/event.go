package telemetry

import "time"

// The kinds of events.
const (
	EventStart           = "start"            // the process serves
	EventStop            = "stop"             // the process was told to stop
	EventHealth          = "health"           // a backend is up or down
	EventReload          = "reload"           // the files were read again and are in force
	EventReloadFailed    = "reload_failed"    // they were not valid, or could not be put in force
	EventRevision        = "revision"         // something else is wanted through the API
	EventOverride        = "override"         // an operator's word holds for a backend
	EventOverrideCleared = "override_cleared" // what the configuration says holds again
	EventEjection        = "ejection"         // a backend that failed live traffic was taken out, or is back
	EventPool            = "pool"             // a pool begins to serve in need, or is served as it should be again
	EventListenerUp      = "listener_up"      // a listener takes clients
	EventListenerDown    = "listener_down"    // it takes none any more
	EventDrainBegun      = "drain_begun"      // a backend gets no new flows
	EventDrainEnded      = "drain_ended"      // it has none left, or what was left was cut
)

// maxEventMessage bounds the text of an event, in bytes.
const maxEventMessage = 2 << 10

// Event is one thing that happened to the process or to one of its objects. Pool and Backend, or
// Listener, say to which; none: to the process.
type Event struct {
	ID       uint64            `json:"id"`   // increases, also over restarts; given by the Journal
	Time     time.Time         `json:"time"` // UTC; given by the Journal if it is zero
	Kind     string            `json:"kind"`
	Listener string            `json:"listener,omitempty"`
	Pool     string            `json:"pool,omitempty"`
	Backend  string            `json:"backend,omitempty"`
	Message  string            `json:"message"` // one line, for people
	Fields   map[string]string `json:"fields,omitempty"`
}
