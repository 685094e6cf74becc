package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Failure is the kind of an exchange that failed.
type Failure uint8

// The kinds of failure.
const (
	FailedConnect  Failure = iota // no connection
	FailedTimeout                 // no whole response within the time-out
	FailedClosed                  // the connection broke or ended before the whole response
	FailedResponse                // not a response by the rules of HTTP/1.1, or bytes after it
	FailedCheck                   // LoadOptions.Check refused it
	failures
)

var failureNames = [failures]string{"connect", "timeout", "closed", "response", "check"}

// String is the kind in one word, as in reports.
func (f Failure) String() string {
	if f >= failures {
		return fmt.Sprintf("failure(%d)", uint8(f))
	}
	return failureNames[f]
}

// MarshalText writes the kind in one word.
func (f Failure) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// failure is the error of an exchange, with its kind.
type failure struct {
	kind Failure
	err  error
}

func (f *failure) Error() string { return f.kind.String() + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// classify tells what kind of failure an error of a socket or of the parser is.
func classify(err error) *failure {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &failure{FailedTimeout, err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return &failure{FailedClosed, err}
	}
	return &failure{FailedResponse, err}
}
