package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
)

const (
	defaultSocket = "/run/weir/admin.sock"
	// adminTimeout bounds one question, healthTimeout that of a check that is repeated.
	adminTimeout  = 10 * time.Second
	healthTimeout = 5 * time.Second
	// maxDocument bounds an answer: 100,000 backends fit.
	maxDocument = 256 << 20
)

// locator is the flags by which a verb finds a daemon, and how long it waits for an answer.
type locator struct {
	socket, config string
	timeout        time.Duration
}

// addLocator adds --socket, -c and --timeout.
func addLocator(cmd *cobra.Command, timeout time.Duration) *locator {
	l := &locator{}
	cmd.Flags().StringVar(&l.socket, "socket", "", "admin socket of the daemon (default "+defaultSocket+")")
	cmd.Flags().StringVarP(&l.config, "config", "c", "", "configuration of the daemon, to find its admin socket; nothing else in it needs to be valid")
	cmd.Flags().DurationVar(&l.timeout, "timeout", timeout, "how long to wait for an answer of the daemon")
	cmd.MarkFlagsMutuallyExclusive("socket", "config")
	return l
}

// admin connects the flags with a client. Nothing is sent yet.
func (l *locator) admin() (*admin, error) {
	if l.timeout <= 0 {
		return nil, usage("--timeout %s: a time-out is more than 0", l.timeout)
	}
	socket := l.socket
	if l.config != "" {
		var err error
		if socket, err = socketOf(l.config); err != nil {
			return nil, &failure{exitUnreachable, fmt.Errorf("cannot find weir: %w", err)}
		}
	}
	if socket == "" {
		socket = defaultSocket
	}
	return newAdmin(socket, l.timeout), nil
}

// admin is a client of one admin socket.
type admin struct {
	socket string
	client *http.Client
}

func newAdmin(socket string, timeout time.Duration) *admin {
	return &admin{socket: socket, client: &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			},
		},
	}}
}

// do asks and returns the status and the document. A problem of the daemon's is a failure of code 4,
// except for statuses in expected.
func (a *admin) do(ctx context.Context, method, path string, expected ...int) (int, []byte, error) {
	return a.exchange(ctx, request{method: method, path: path}, expected...)
}

// request is what is asked of a daemon.
type request struct {
	method, path string
	body         []byte // a JSON document; nil: none
	ifMatch      string // empty: whatever there is
}

// exchange is do for any request.
func (a *admin) exchange(ctx context.Context, q request, expected ...int) (int, []byte, error) {
	response, err := a.send(ctx, q)
	if err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxDocument))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return 0, nil, a.unreachable(err)
	}
	for _, status := range append(expected, http.StatusOK) {
		if response.StatusCode == status {
			return status, answer, nil
		}
	}
	return 0, nil, refused(response, answer)
}

// send sends a request. The caller closes the body of the response.
func (a *admin) send(ctx context.Context, q request) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, "http://localhost"+q.path, bytes.NewReader(q.body))
	if err != nil {
		return nil, err
	}
	if q.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.ifMatch != "" {
		r.Header.Set("If-Match", q.ifMatch)
	}
	response, err := a.client.Do(r)
	if err != nil {
		return nil, a.unreachable(err)
	}
	return response, nil
}

// get asks for a document and decodes it as well.
func (a *admin) get(ctx context.Context, path string, into any, expected ...int) ([]byte, error) {
	_, body, err := a.do(ctx, http.MethodGet, path, expected...)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return nil, fmt.Errorf("answer of %s to %s: %w — is it a weir of this version?", a.socket, path, err)
	}
	return body, nil
}

// unreachable says why nobody answered and what to do about it.
func (a *admin) unreachable(err error) error {
	const start = "start it with 'weir run -c FILE'"
	var cause, remedy string
	switch {
	case os.IsTimeout(err), errors.Is(err, syscall.EAGAIN): // EAGAIN: its queue of connections is full
		return &failure{exitUnreachable, fmt.Errorf(
			"weir at %s does not answer within %s — it may be stopped or overloaded: see its log, or allow it more with --timeout", a.socket, a.client.Timeout)}
	case errors.Is(err, context.Canceled):
		cause, remedy = "interrupted", "try again"
	case errors.Is(err, fs.ErrNotExist):
		cause, remedy = "no such file", start+", or name its socket with --socket or its file with -c"
	case errors.Is(err, fs.ErrPermission):
		cause, remedy = "permission denied", "join the group of the socket, or use sudo"
	case !isSocket(a.socket):
		cause, remedy = "it is not a socket", "name the admin.socket of the configuration, or the configuration with -c"
	case errors.Is(err, syscall.ECONNREFUSED):
		cause, remedy = "nobody listens on it", "the process that made the socket has ended; "+start
	default:
		cause, remedy = err.Error(), "see its log"
	}
	return &failure{exitUnreachable, fmt.Errorf("cannot reach weir at %s: %s — %s", a.socket, cause, remedy)}
}

// isSocket reports whether there is a socket at a path, or perhaps one.
func isSocket(path string) bool {
	info, err := os.Stat(path)
	return err != nil || info.Mode().Type() == fs.ModeSocket
}

// refused passes on what the daemon answered.
func refused(response *http.Response, body []byte) error {
	problem := &api.Problem{}
	if err := json.Unmarshal(body, problem); err != nil || problem.Title == "" {
		problem = &api.Problem{Title: response.Status, Status: response.StatusCode, Detail: strings.TrimSpace(string(body))}
	}
	return &failure{exitRefused, fmt.Errorf("refused: %w", problem)}
}
