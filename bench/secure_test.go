package bench

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"weir/internal/lbtest"
)

// handshakes counts what a TLS server has seen.
type handshakes struct{ full, resumed, requests atomic.Int64 }

// serveTLS is serve over TLS, with the options of the client for it.
func serveTLS(t *testing.T, tickets bool) (*handshakes, LoadOptions) {
	t.Helper()
	var seen handshakes
	certificate := lbtest.NewCertificate(t, "127.0.0.1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := tls.NewListener(l, &tls.Config{
		Certificates:           []tls.Certificate{certificate.Pair},
		SessionTicketsDisabled: !tickets,
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.DidResume {
				seen.resumed.Add(1)
			} else {
				seen.full.Add(1)
			}
			return nil
		},
	})
	s := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		seen.requests.Add(1)
		ctx.SetBodyString("hello")
	}}
	done := make(chan error, 1)
	go func() { done <- s.Serve(secure) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Shutdown(), <-done); err != nil {
			t.Errorf("shut down: %v", err)
		}
	})
	return &seen, LoadOptions{
		URL:         "https://" + l.Addr().String() + "/",
		TLS:         certificate.Client(t).Config,
		Connections: 2,
		Duration:    200 * time.Millisecond,
		Check:       wantBody("hello"),
	}
}

func TestLoadTLS(t *testing.T) {
	tests := []struct {
		name          string
		fresh, resume bool
		full, resumed func(requests int64) int64
	}{
		{"kept alive", false, false, two, none},
		{"full handshakes", true, false, each, none},
		{"resumed", true, true, two, func(requests int64) int64 { return requests - 2 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen, o := serveTLS(t, true)
			var judged atomic.Int64
			o.Fresh, o.Resume = tt.fresh, tt.resume
			o.CheckTLS = func(s tls.ConnectionState) error {
				judged.Add(1)
				if s.Version != tls.VersionTLS13 {
					return errors.New("not TLS 1.3")
				}
				return nil
			}
			r, err := Load(t.Context(), o)
			if err != nil || r.Failed() != 0 || r.Total < 3 {
				t.Fatalf("got %d responses, errors %v, first %v, error %v", r.Total, r.Errors, r.FirstError, err)
			}
			requests, full, resumed := seen.requests.Load(), seen.full.Load(), seen.resumed.Load()
			if uint64(requests) != r.Total || full != tt.full(requests) || resumed != tt.resumed(requests) {
				t.Errorf("%d responses: the server saw %d requests, %d full and %d resumed handshakes", r.Total, requests, full, resumed)
			}
			if got := judged.Load(); got != full+resumed {
				t.Errorf("%d handshakes were judged, %d were made", got, full+resumed)
			}
		})
	}
}

func two(int64) int64           { return 2 }
func none(int64) int64          { return 0 }
func each(requests int64) int64 { return requests }

func TestLoadTLSFailures(t *testing.T) {
	t.Run("no tickets", func(t *testing.T) {
		_, o := serveTLS(t, false)
		o.Fresh, o.Resume = true, true
		r, err := Load(t.Context(), o)
		if err != nil || r.Errors[FailedCheck] == 0 || !errors.Is(r.FirstError, errNotResumed) {
			t.Errorf("got errors %v, first %v, error %v", r.Errors, r.FirstError, err)
		}
	})
	t.Run("refused by the judge", func(t *testing.T) {
		_, o := serveTLS(t, true)
		o.CheckTLS = func(tls.ConnectionState) error { return errors.New("no") }
		if _, err := Load(t.Context(), o); err == nil || err.Error() != "check: no" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("not trusted", func(t *testing.T) {
		_, o := serveTLS(t, true)
		o.TLS = nil
		if _, err := Load(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), "connect: ") {
			t.Errorf("got %v", err)
		}
	})
}

// TestLoadFresh has a plain connection for each request.
func TestLoadFresh(t *testing.T) {
	var served atomic.Int64
	var kept atomic.Bool
	url := serve(t, func(ctx *fasthttp.RequestCtx) {
		served.Add(1)
		if ctx.ConnRequestNum() != 1 {
			kept.Store(true)
		}
		ctx.SetBodyString("hello")
	})
	r, err := Load(t.Context(), LoadOptions{
		URL: url, Fresh: true, Connections: 3, Duration: 200 * time.Millisecond, Check: wantBody("hello"),
	})
	if err != nil || r.Failed() != 0 || r.Reconnects != 0 || r.Total < 4 {
		t.Fatalf("got %d responses, %d reconnects, errors %v, first %v, error %v", r.Total, r.Reconnects, r.Errors, r.FirstError, err)
	}
	if uint64(served.Load()) != r.Total || kept.Load() {
		t.Errorf("the server answered %d requests, the run counted %d; a connection had several: %v", served.Load(), r.Total, kept.Load())
	}
}
