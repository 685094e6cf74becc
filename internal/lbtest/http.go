package lbtest

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// HTTP is a web server that gives one answer to everything. A request's body is read to its end
// first. Each response carries the field X-Backend with the server's name.
type HTTP struct {
	t    testing.TB
	name string
	addr netip.AddrPort
	tls  *tls.Config // nil: plain text

	requests atomic.Int64
	running  atomic.Int64 // requests being answered

	mu     sync.Mutex // guards what follows
	status int
	body   string
	delay  time.Duration
	custom http.Handler
	last   *http.Request
	server *http.Server
	served chan struct{} // closed when server has ended
}

// NewHTTP starts a server that answers 200 with its name as the body.
func NewHTTP(t testing.TB, name string) *HTTP {
	t.Helper()
	return newHTTP(t, name, nil)
}

// NewHTTPS is NewHTTP with TLS, by the certificate of c.
func NewHTTPS(t testing.TB, name string, c *Certificate) *HTTP {
	t.Helper()
	return newHTTP(t, name, &tls.Config{
		Certificates: []tls.Certificate{c.Pair},
		NextProtos:   []string{"http/1.1"},
	})
}

func newHTTP(t testing.TB, name string, c *tls.Config) *HTTP {
	t.Helper()
	h := &HTTP{t: t, name: name, tls: c, status: http.StatusOK, body: name}
	h.start("127.0.0.1:0")
	t.Cleanup(h.Stop)
	return h
}

// Name is the name it was made with.
func (h *HTTP) Name() string { return h.name }

// Addr is where it listens, or did before Stop.
func (h *HTTP) Addr() netip.AddrPort { return h.addr }

// SetStatus changes the status of the responses to come.
func (h *HTTP) SetStatus(code int) { h.mu.Lock(); h.status = code; h.mu.Unlock() }

// SetBody changes the body of the responses to come.
func (h *HTTP) SetBody(body string) { h.mu.Lock(); h.body = body; h.mu.Unlock() }

// SetDelay lets responses to come wait for d, or until the client is gone.
func (h *HTTP) SetDelay(d time.Duration) { h.mu.Lock(); h.delay = d; h.mu.Unlock() }

// SetHandler lets f give the responses to come, in place of the one answer; nil: that one again.
// The request is counted and kept first, its body is left to f.
func (h *HTTP) SetHandler(f http.Handler) { h.mu.Lock(); h.custom = f; h.mu.Unlock() }

// Requests counts the requests whose head has arrived.
func (h *HTTP) Requests() int64 { return h.requests.Load() }

// Running counts the requests that are being answered.
func (h *HTTP) Running() int64 { return h.running.Load() }

// Last is the latest request, without its body; nil: there was none.
func (h *HTTP) Last() *http.Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// Stop closes the listener and all connections, as the end of the process would. Connections to
// its port are refused until Start. It may be called more than once.
func (h *HTTP) Stop() {
	h.mu.Lock()
	server, served := h.server, h.served
	h.server = nil
	h.mu.Unlock()
	if server == nil {
		return
	}
	if err := server.Close(); err != nil {
		h.t.Errorf("stop backend %s: %v", h.name, err)
	}
	<-served
	Eventually(h.t, 10*time.Second, func() bool { return h.running.Load() == 0 })
}

// Start listens on the same port again after Stop.
func (h *HTTP) Start() {
	h.t.Helper()
	h.start(h.addr.String())
}

func (h *HTTP) start(addr string) {
	h.t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		h.t.Fatalf("start backend %s: %v", h.name, err)
	}
	if !h.addr.IsValid() { // later starts get the same; others may be reading it
		h.addr = ln.Addr().(*net.TCPAddr).AddrPort()
	}
	if h.tls != nil {
		ln = tls.NewListener(ln, h.tls)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.server = &http.Server{Handler: http.HandlerFunc(h.serve), ErrorLog: quiet}
	h.served = make(chan struct{})
	go h.listen(h.server, ln, h.served)
}

func (h *HTTP) listen(s *http.Server, ln net.Listener, served chan<- struct{}) {
	defer close(served)
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		h.t.Errorf("backend %s: %v", h.name, err)
	}
}

func (h *HTTP) serve(w http.ResponseWriter, r *http.Request) {
	h.running.Add(1)
	defer h.running.Add(-1)
	h.requests.Add(1)
	kept := r.Clone(context.Background())
	kept.Body = nil
	h.mu.Lock()
	h.last = kept
	status, body, delay, custom := h.status, h.body, h.delay, h.custom
	h.mu.Unlock()
	w.Header().Set("X-Backend", h.name)
	if custom != nil {
		custom.ServeHTTP(w, r)
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the client is gone
	}
	if !wait(r.Context(), delay) {
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// A client that is gone, or a status without a body: nothing to tell.
	_, _ = io.WriteString(w, body)
}

// wait lets d pass and reports whether ctx lasted that long.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
