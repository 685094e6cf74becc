package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"weir/telemetry"
)

const (
	// maxStreams bounds the streams of events of each door, so that connections are left for questions, and
	// those who come over TCP take none from the socket.
	maxStreams = 32
	// heartbeat is how often a stream without events says that it lives.
	heartbeat = 15 * time.Second
	// stallTimeout is how long a client may take nothing of what it is sent before its stream is cut.
	stallTimeout = 10 * time.Second
	// reconnect is how long a client is asked to wait before it comes again.
	reconnect = 2 * time.Second
)

// The names of what a stream of events sends.
const (
	streamEvent = "event" // data is an Event
	streamGap   = "gap"   // data is a Gap: events are missing here
	streamEnd   = "end"   // data is an End: the last thing on the stream
)

// Gap says that events before the next one are gone.
type Gap struct {
	After uint64 `json:"after"` // the id that the client has named
}

// End says why a stream ends.
type End struct {
	// Reason is stopping (the process is), slow (the client missed events) or access (the credential of the
	// client is not good for them any more).
	Reason string `json:"reason"`
}

// EventList is the document of GET /v1/events?follow=false, oldest first.
type EventList struct {
	Last  uint64  `json:"last"` // id of the last event there is; since=LAST asks for what follows
	Items []Event `json:"items"`
}

// serveEvents sends events as they happen (Server-Sent Events of the HTML standard), or those that are
// held as a document.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) error {
	after, err := s.startOf(r)
	if err != nil {
		return err
	}
	if follow := r.URL.Query().Get("follow"); follow == "false" {
		b := s.options.Journal.Since(after)
		if b.Events == nil {
			b.Events = []Event{}
		}
		writeJSON(w, http.StatusOK, EventList{Last: b.Last, Items: b.Events})
		return nil
	} else if follow != "" && follow != "true" {
		return problem(http.StatusBadRequest, "follow is "+quote(follow), "allowed: true, false")
	}
	if r.Method == http.MethodHead {
		streamHeader(w.Header())
		return nil
	}
	streams, allowed := s.streams, (func() bool)(nil)
	if _, remote := r.Context().Value(callerKey{}).(caller); remote {
		streams = s.remote
		allowed = func() bool { _, _, refused := s.guard.judge(r, false); return refused == nil }
	}
	select {
	case streams <- struct{}{}:
		defer func() { <-streams }()
	default:
		w.Header().Set("Retry-After", "5")
		return problem(http.StatusServiceUnavailable, fmt.Sprintf("%d streams of events are open", maxStreams), "close one, or ask with follow=false")
	}
	(&stream{
		w: w, control: http.NewResponseController(w), journal: s.options.Journal, after: after, stalled: s.options.stalled, allowed: allowed,
	}).run(r.Context().Done(), s.closing)
	return nil
}

// startOf is the id after which a client wants events. Without a wish, those that are to come.
func (s *Server) startOf(r *http.Request) (uint64, error) {
	since, name := r.URL.Query().Get("since"), "since"
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		since, name = last, "Last-Event-ID"
	}
	if since == "" {
		if r.URL.Query().Get("follow") == "false" {
			return 0, nil
		}
		return s.options.Journal.Last(), nil
	}
	if id, err := strconv.ParseUint(since, 10, 64); err == nil {
		return id, nil
	}
	if at, err := time.Parse(time.RFC3339, since); err == nil && name == "since" {
		return s.options.Journal.Before(at), nil
	}
	if ago, err := time.ParseDuration(since); err == nil && name == "since" && ago >= 0 {
		return s.options.Journal.Before(time.Now().Add(-ago)), nil
	}
	return 0, problem(http.StatusBadRequest, name+" "+quote(since)+" is neither an id nor a time",
		"write an id, a time like 2026-01-02T15:04:05Z, or how long ago like 10m")
}

// stream is one client that follows the events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	journal *telemetry.Journal
	after   uint64 // id of the last event that was sent
	begun   bool   // the client has been told of what was before
	stalled time.Duration
	allowed func() bool // asked again and again, for a reload can take the credential away; nil: always
}

// run sends events until the client is gone or stalls, misses some, may not have them any more, or the server
// closes.
func (t *stream) run(gone, closing <-chan struct{}) {
	streamHeader(t.w.Header())
	if t.send(fmt.Appendf(nil, "retry: %d\n\n", reconnect.Milliseconds())) != nil {
		return
	}
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		if t.allowed != nil && !t.allowed() {
			_ = t.send(message(streamEnd, 0, End{"access"})) // the last thing, whether it arrives or not
			return
		}
		more, err := t.catchUp()
		if err != nil || more == nil {
			return
		}
		select {
		case <-more:
		case <-ticker.C:
			err = t.send([]byte(": still here\n\n"))
		case <-gone:
			return
		case <-closing:
			// What was told just before, such as that the process stops, still goes out.
			if _, err := t.catchUp(); err == nil {
				_ = t.send(message(streamEnd, 0, End{"stopping"})) // the last thing, whether it arrives or not
			}
			return
		}
		if err != nil {
			return
		}
	}
}

// streamHeader says that events follow.
func streamHeader(h http.Header) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
}

// catchUp sends what the client has not seen. The channel is closed when there is more; nil: the client
// was too slow and the stream is over.
func (t *stream) catchUp() (<-chan struct{}, error) {
	b := t.journal.Since(t.after)
	var out []byte
	if b.Missed {
		if t.begun {
			return nil, t.send(message(streamEnd, 0, End{"slow"}))
		}
		out = message(streamGap, 0, Gap{t.after})
	}
	t.begun = true
	for _, e := range b.Events {
		out = append(out, message(streamEvent, e.ID, e)...)
	}
	t.after = b.Last
	if len(out) == 0 {
		return b.More, nil
	}
	return b.More, t.send(out)
}

// send writes and flushes. A client that takes nothing for long is an error.
func (t *stream) send(out []byte) error {
	if err := t.control.SetWriteDeadline(time.Now().Add(t.stalled)); err != nil {
		return err
	}
	if _, err := t.w.Write(out); err != nil {
		return err
	}
	return t.control.Flush()
}

// message is one message of a stream. JSON has no line breaks, so its data is one line.
func message(name string, id uint64, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		panic("api: event does not encode: " + err.Error())
	}
	if id == 0 {
		return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, text)
	}
	return fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", id, name, text)
}
