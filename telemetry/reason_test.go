package telemetry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestConnectReasonOf(t *testing.T) {
	tests := []struct {
		err  error
		want ConnectReason
	}{
		{syscall.ECONNREFUSED, ConnectRefused},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}, ConnectUnreachable},
		{fmt.Errorf("dial backend b1: %w", syscall.ETIMEDOUT), ConnectTimeout},
		{context.DeadlineExceeded, ConnectTimeout},
		{os.ErrDeadlineExceeded, ConnectTimeout},
		{&net.DNSError{IsTimeout: true}, ConnectTimeout},
		{syscall.ECONNRESET, ConnectReset},
		{syscall.EMFILE, ConnectLocal},
		{syscall.EADDRNOTAVAIL, ConnectLocal},
		{tls.AlertError(40), ConnectTLS},
		{errors.New("something else"), ConnectOther},
		{nil, ConnectOther},
	}
	for _, tt := range tests {
		if got := ConnectReasonOf(tt.err); got != tt.want {
			t.Errorf("%v is %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestConnectReasonOfRealDials(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = net.Dial("tcp", closed.Addr().String())
	if got := ConnectReasonOf(err); got != ConnectRefused {
		t.Errorf("%v is %v, want refused", err, got)
	}

	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	_, err = new(net.Dialer).DialContext(expired, "tcp", closed.Addr().String())
	if got := ConnectReasonOf(err); got != ConnectTimeout {
		t.Errorf("%v is %v, want timeout", err, got)
	}

	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the refused handshake
	secure.StartTLS()
	defer secure.Close()
	_, err = tls.Dial("tcp", secure.Listener.Addr().String(), nil) // its certificate is nobody's
	if got := ConnectReasonOf(err); got != ConnectTLS {
		t.Errorf("%v is %v, want tls", err, got)
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	_, err = tls.Dial("tcp", plain.Listener.Addr().String(), nil)
	if got := ConnectReasonOf(err); got != ConnectTLS {
		t.Errorf("%v is %v, want tls", err, got)
	}
}

func TestReasonWordsAreBounded(t *testing.T) {
	words := make(map[string]bool)
	for i := range 256 {
		words["reject "+RejectReason(i).String()] = true
		words["connect "+ConnectReason(i).String()] = true
		words["retry "+RetryReason(i).String()] = true
		words["session "+SessionResult(i).String()] = true
	}
	for _, r := range []RejectReason{RejectDenied, RejectRate, RejectPerClient} {
		if r.String() == RejectOther.String() {
			t.Errorf("reject reason %d has no word of its own", r)
		}
	}
	if want := int(rejectCount) + int(connectCount) + int(retryCount) + int(sessionCount); len(words) != want {
		t.Errorf("%d words, want %d: %v", len(words), want, words)
	}
}
