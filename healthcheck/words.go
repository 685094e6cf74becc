package healthcheck

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"
)

// describe puts the cause of a network error into the words that an operator knows. The address is
// left out: the sentence around it has named it.
func describe(err error) string {
	if err == nil {
		return "unknown error"
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return "timed out"
	}
	if errors.Is(err, context.Canceled) {
		return "cancelled"
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if v, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return printable(v.Err.Error()) // it names what the certificate is for
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error()
	}
	return err.Error()
}

// printable puts U+FFFD in the place of what is no character to see: a peer's words are for terminals, too.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return utf8.RuneError
		}
		return r
	}, text)
}

// isTimeout reports whether err is a deadline that passed.
func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// openFailure says why there is no connection.
func openFailure(phase string, err error, timeout time.Duration) string {
	switch {
	case isTimeout(err) && phase == PhaseTLS:
		return "no TLS handshake within " + brief(timeout)
	case isTimeout(err):
		return "no connection within " + brief(timeout)
	case phase == PhaseTLS:
		return "TLS handshake: " + strings.TrimPrefix(describe(err), "tls: ")
	}
	return describe(err)
}

// sendFailure says why a request did not go out.
func sendFailure(err error, timeout time.Duration) string {
	if isTimeout(err) {
		return "not sent within " + brief(timeout)
	}
	return describe(err) + " while sending"
}

// size writes a number of bytes.
func size(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%dKiB", n>>10)
	case n == 1:
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

// brief writes a duration with the precision that a reader needs.
func brief(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()), ".0") + "s"
	}
	s := d.Round(time.Second).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
