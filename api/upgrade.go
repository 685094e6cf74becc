package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"weir/config/store"
)

// UpgradeFunc puts a process of the binary that is installed in the place of this one, within a time. An
// error means that this one goes on as before; its text is for the operator.
type UpgradeFunc func(ctx context.Context, within time.Duration) (Upgraded, error)

// TakeOverFunc hands this process over to the one at the other end of a connection, which is its own from
// then on.
type TakeOverFunc func(*net.UnixConn)

// Upgraded is the document of POST /v1/upgrade.
type Upgraded struct {
	OldPID      int     `json:"old_pid"`
	NewPID      int     `json:"new_pid"`
	OldVersion  string  `json:"old_version"`
	NewVersion  string  `json:"new_version"`
	TookMS      float64 `json:"took_ms"`     // from the start of the new process until it served
	PausedMS    float64 `json:"paused_ms"`   // in which new clients waited
	Connections int     `json:"connections"` // that the old process still has, until they end
	Sessions    int     `json:"sessions"`    // of UDP that the new one goes on with
}

// ErrUpgrading refuses an upgrade while another one is under way.
var ErrUpgrading = errors.New("another upgrade is under way")

// Bounds of the time that a new process may take until it serves.
const (
	DefaultUpgradeTime = 30 * time.Second
	maxUpgradeTime     = 100 * time.Second // less than the server has for an answer
)

// HandOverProtocol is what a connection is upgraded to for TakeOver, as a token of the field Upgrade.
const HandOverProtocol = "weir-handover"

// upgradeRoutes are those for the process that comes after this one.
func (s *Server) upgradeRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/upgrade", id: "upgrade", title: "Replace the process by the binary that is installed", socketOnly: true,
			doc: "Starts the program anew, with the same arguments, and hands everything over to it: sockets, sessions, what is known of backends. No client is refused and no request lost. " +
				"If the new process does not come into service, this one goes on as before, and the problem says why. As USR2 does.",
			query:  []parameter{{"within", "How long the new process may take until it serves, like `10s`; 30 s unless told."}},
			answer: document[Upgraded](), problems: []int{400, 409, 500, 503}, offered: func(o *Options) bool { return o.Upgrade != nil }, handle: s.serveUpgrade},
		{method: http.MethodGet, path: "/v1/takeover", title: "For a process that was started to take over", plain: true, socketOnly: true,
			offered: func(o *Options) bool { return o.TakeOver != nil }, handle: s.serveTakeOver},
	}
}

func (s *Server) serveUpgrade(w http.ResponseWriter, r *http.Request) error {
	within := DefaultUpgradeTime
	if text := r.URL.Query().Get("within"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > maxUpgradeTime {
			return problem(http.StatusBadRequest, "within: "+quote(text)+" is no time up to "+maxUpgradeTime.String(), "write it like 10s")
		}
		within = d
	}
	// A client that leaves must not leave a half-way upgrade behind.
	done, err := s.options.Upgrade(context.WithoutCancel(r.Context()), within)
	if errors.Is(err, ErrUpgrading) {
		return problem(http.StatusConflict, err.Error(), "wait for it")
	}
	if errors.Is(err, store.ErrStopping) {
		return explain(err)
	}
	if err != nil {
		return problem(http.StatusInternalServerError, err.Error(), "this process serves as before")
	}
	w.Header().Set("Connection", "close") // the next request is the new process's
	writeJSON(w, http.StatusOK, done)
	return nil
}

// serveTakeOver lets go of the connection. Whoever may open the socket may change what weir does, but what is
// handed over is more: keys that are masked everywhere else, and sockets.
func (s *Server) serveTakeOver(w http.ResponseWriter, r *http.Request) error {
	if !strings.EqualFold(r.Header.Get("Upgrade"), HandOverProtocol) {
		return problem(http.StatusUpgradeRequired, r.URL.Path+" is for a process that takes over", "weir run --take-over")
	}
	if user, known := r.Context().Value(peerKey{}).(uint32); !known || user != 0 && user != uint32(os.Geteuid()) {
		return problem(http.StatusForbidden, "a process of another user cannot take over",
			"what is handed over are sockets and keys: start it as the user that weir runs as, or as root")
	}
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("hijack: %w", err)
	}
	conn, ok := innermost(c).(*net.UnixConn)
	if !ok || buffered.Reader.Buffered() > 0 {
		return errors.Join(errors.New("a client of /v1/takeover speaks before it is asked"), c.Close())
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return errors.Join(err, c.Close())
	}
	if _, err := fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", HandOverProtocol); err != nil {
		return errors.Join(err, c.Close())
	}
	if b, ok := c.(*boundedConn); ok {
		b.release() // it is no connection of this server any more
	}
	s.options.TakeOver(conn)
	return nil
}

// innermost is the connection in the wrapping of the server.
func innermost(c net.Conn) net.Conn {
	if b, ok := c.(*boundedConn); ok {
		return b.Conn
	}
	return c
}
