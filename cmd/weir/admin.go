package main

import (
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
	// adminTimeout bounds one question; a reload loads and binds, which may take a while.
	adminTimeout = 30 * time.Second
	// maxDocument bounds an answer: 100,000 backends fit.
	maxDocument = 256 << 20
)

// locator is the flags by which a verb finds a daemon.
type locator struct{ socket, config string }

// addLocator adds --socket and -c.
func addLocator(cmd *cobra.Command) *locator {
	l := &locator{}
	cmd.Flags().StringVar(&l.socket, "socket", "", "admin socket of the daemon (default "+defaultSocket+")")
	cmd.Flags().StringVarP(&l.config, "config", "c", "", "configuration of the daemon, to find its admin socket")
	cmd.MarkFlagsMutuallyExclusive("socket", "config")
	return l
}

// admin connects the flags with a client. Nothing is sent yet.
func (l *locator) admin(cmd *cobra.Command) (*admin, error) {
	socket := l.socket
	if l.config != "" {
		c, _, err := load(cmd, l.config)
		if err != nil {
			return nil, err
		}
		if socket = c.Admin.Socket; socket == "" {
			return nil, fmt.Errorf("%s has no admin.socket — set it, or name the socket with --socket", l.config)
		}
	}
	if socket == "" {
		socket = defaultSocket
	}
	return newAdmin(socket), nil
}

// admin is a client of one admin socket.
type admin struct {
	socket string
	client *http.Client
}

func newAdmin(socket string) *admin {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &admin{socket: socket, client: &http.Client{
		Timeout: adminTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socket)
			},
		},
	}}
}

// do asks and returns the status and the document. A problem of the daemon's is a failure of code 4,
// except for statuses in expected.
func (a *admin) do(ctx context.Context, method, path string, expected ...int) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return 0, nil, a.unreachable(err)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocument))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return 0, nil, a.unreachable(err)
	}
	for _, status := range append(expected, http.StatusOK) {
		if response.StatusCode == status {
			return status, body, nil
		}
	}
	return 0, nil, refused(response, body)
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
	var cause, remedy string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		cause, remedy = "no such file", "start it with 'weir run -c FILE', or name its socket with --socket or its file with -c"
	case errors.Is(err, syscall.ECONNREFUSED):
		cause, remedy = "nobody listens on it", "the process that made the socket has ended; start it with 'weir run -c FILE'"
	case errors.Is(err, fs.ErrPermission):
		cause, remedy = "permission denied", "join the group of the socket, or use sudo"
	case os.IsTimeout(err):
		cause, remedy = "no answer in time", "the process may be stopped or overloaded; see its log"
	case errors.Is(err, context.Canceled):
		cause, remedy = "interrupted", "try again"
	default:
		cause, remedy = err.Error(), "see its log"
	}
	return &failure{exitUnreachable, fmt.Errorf("cannot reach weir at %s: %s — %s", a.socket, cause, remedy)}
}

// refused passes on what the daemon answered.
func refused(response *http.Response, body []byte) error {
	problem := &api.Problem{}
	if err := json.Unmarshal(body, problem); err != nil || problem.Title == "" {
		problem = &api.Problem{Title: response.Status, Status: response.StatusCode, Detail: strings.TrimSpace(string(body))}
	}
	return &failure{exitRefused, fmt.Errorf("refused: %w", problem)}
}
