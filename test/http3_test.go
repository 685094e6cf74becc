package test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"weir/internal/lbtest"
)

// tagged makes connection IDs of 8 bytes; those behind the first are the same in all of them.
type tagged [3]byte

func (tagged) ConnectionIDLen() int { return 8 }

func (i tagged) GenerateConnectionID() (quic.ConnectionID, error) {
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return quic.ConnectionID{}, err
	}
	copy(id[1:], i[:])
	return quic.ConnectionIDFromBytes(id), nil
}

// http3Name is in the certificate of the servers.
const http3Name = "http3.example"

// keepAlive is how long a client hears nothing before it asks.
const keepAlive = 200 * time.Millisecond

// http3Site is what servers and clients of a test share.
type http3Site struct {
	pair  tls.Certificate
	roots *x509.CertPool
}

func newHTTP3Site(t *testing.T) *http3Site {
	t.Helper()
	cert := lbtest.NewCertificate(t, http3Name)
	leaf, err := x509.ParseCertificate(cert.Pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	s := &http3Site{pair: cert.Pair, roots: x509.NewCertPool()}
	s.roots.AddCert(leaf)
	return s
}

// film is 4 MiB of noise that does not repeat itself.
var film = sync.OnceValue(func() []byte {
	b := make([]byte, 4<<20)
	_, _ = mathrand.NewChaCha8([32]byte{}).Read(b) // it never fails
	return b
})

// serve starts a server of quic-go on c: it says its name, and sends what it is sent, or as much noise as
// it is asked for. ids is how it names connections; nil: at random.
func (s *http3Site) serve(t *testing.T, name string, c net.PacketConn, ids quic.ConnectionIDGenerator) {
	t.Helper()
	tr := &quic.Transport{Conn: c, ConnectionIDGenerator: ids}
	l, err := tr.ListenEarly(http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{s.pair}}),
		&quic.Config{InitialPacketSize: smallPacket})
	if err != nil {
		t.Fatal(err)
	}
	server := &http3.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Backend", name)
		if r.Method == http.MethodPost {
			_, _ = io.Copy(w, r.Body) // the client looks at what comes back
			return
		}
		var n int
		if _, err := fmt.Sscanf(r.URL.Path, "/film/%d", &n); err != nil {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(film()[:n]) // as above
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.ServeListener(l) }) // it ends with an error, always
	t.Cleanup(func() {
		_ = server.Close()
		_ = l.Close()
		_ = tr.Close()
		_ = c.Close()
		serving.Wait()
	})
}

// http3Client is one connection of a client.
type http3Client struct {
	*http3.ClientConn
	conn *quic.Conn
}

// smallPacket passes where the MTU is 1280.
const smallPacket = 1200

// streamWindow bounds how much of a body is on its way before the client has read what is before it.
const streamWindow = 256 << 10

// dial connects from c.
func (s *http3Site) dial(t *testing.T, c net.PacketConn, to string) *http3Client {
	t.Helper()
	at, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	tr := transportOn(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := tr.DialEarly(ctx, at, &tls.Config{RootCAs: s.roots, ServerName: http3Name, NextProtos: []string{http3.NextProtoH3}},
		&quic.Config{
			InitialStreamReceiveWindow: streamWindow, MaxStreamReceiveWindow: streamWindow, MaxIdleTimeout: patience,
			InitialPacketSize: smallPacket,
			// A client that has nothing to say while its router forgets it hears nothing any more: it must ask.
			KeepAlivePeriod: keepAlive,
		})
	if err != nil {
		t.Fatal(err)
	}
	h := &http3.Transport{}
	t.Cleanup(func() {
		_ = conn.CloseWithError(0, "")
		_ = h.Close()
	})
	return &http3Client{h.NewClientConn(conn), conn}
}

// transportOn makes a socket of QUIC of c.
func transportOn(t *testing.T, c net.PacketConn) *quic.Transport {
	tr := &quic.Transport{Conn: c}
	t.Cleanup(func() {
		_ = tr.Close()
		_ = c.Close()
	})
	return tr
}

// socketAt binds a socket of UDP to a free port of an address.
func socketAt(t *testing.T, host string) net.PacketConn {
	t.Helper()
	c, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// post sends a body, wants it back, and returns who sent it.
func (c *http3Client) post(body []byte) (backend string, err error) {
	ctx, cancel := context.WithTimeout(c.conn.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+http3Name+"/", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	return c.exchange(r, body, nil)
}

// download asks for n bytes. Each of steps is called once, at an equal distance from the others, while
// the transfer goes on.
func (c *http3Client) download(n int, steps ...func() error) (backend string, err error) {
	ctx, cancel := context.WithTimeout(c.conn.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/film/%d", http3Name, n), nil)
	if err != nil {
		return "", err
	}
	return c.exchange(r, film()[:n], steps)
}

func (c *http3Client) exchange(r *http.Request, want []byte, steps []func() error) (backend string, err error) {
	response, err := c.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	got := make([]byte, 0, len(want)+1)
	for i, step := range append(steps, nil) {
		part := len(want) * (i + 1) / (len(steps) + 1)
		if step == nil {
			part = len(want) + 1 // to the end
		}
		n, err := io.ReadFull(response.Body, got[len(got):part])
		got = got[:len(got)+n]
		if step == nil {
			break
		}
		if err == nil {
			err = step()
		}
		if err != nil {
			return "", fmt.Errorf("after %d of %d bytes: %w", len(got), len(want), err)
		}
	}
	if response.StatusCode != http.StatusOK || !bytes.Equal(got, want) {
		return "", fmt.Errorf("status %d with %d bytes, want %d", response.StatusCode, len(got), len(want))
	}
	return response.Header.Get("X-Backend"), nil
}

// startHTTP3 runs weir before n servers b1…; server IDs are in their connection IDs if ids is set.
func startHTTP3(t *testing.T, s *http3Site, n int, ids bool) (d *daemon, at string) {
	t.Helper()
	var list []string
	for i := range n {
		name := fmt.Sprintf("b%d", i+1)
		c := socketAt(t, "127.0.0.1")
		var generator quic.ConnectionIDGenerator
		if ids {
			generator = tagged{0x5e, 0x1d, byte(i + 1)}
		}
		s.serve(t, name, c, generator)
		list = append(list, fmt.Sprintf("%s: %q", name, c.LocalAddr()))
	}
	d = start(t, fmt.Sprintf(`
listeners: { web: { protocol: udp, address: "127.0.0.1:0", pool: app } }
pools: { app: { protocol: quic, session_persistence: source_ip, backends: { %s } } }
`, strings.Join(list, ", ")))
	return d, d.address("web")
}

// TestHTTP3 makes many requests of many clients at once, each of which keeps to one server.
func TestHTTP3(t *testing.T) {
	s := newHTTP3Site(t)
	d, at := startHTTP3(t, s, 2, false)
	const clients, requests = 10, 40
	var working sync.WaitGroup
	var mu sync.Mutex
	served := map[string]int{}
	for i := range clients {
		c := s.dial(t, socketAt(t, fmt.Sprintf("127.0.3.%d", i+1)), at) // each has its own persistence
		working.Go(func() {
			first := ""
			for k := range requests {
				backend, err := c.post(noise(k * k * 20))
				if first == "" {
					first = backend
				}
				if err != nil || backend != first {
					t.Errorf("client %d of %s, request %d: %q, %v", i, first, k, backend, err)
					return
				}
			}
			mu.Lock()
			served[first]++
			mu.Unlock()
		})
	}
	working.Wait()
	if served["b1"] != clients/2 || served["b2"] != clients/2 {
		t.Errorf("clients of each server: %v", served)
	}
	if n := d.metric("weir_udp_datagrams_dropped_total", "listener", "web"); n != 0 {
		t.Errorf("%v datagrams were dropped", n)
	}
}

// TestHTTP3Rebinding changes the port, then the address of a client that downloads, as a router does that
// forgets it: the servers do nothing for it, and choose their connection IDs at random.
func TestHTTP3Rebinding(t *testing.T) {
	s := newHTTP3Site(t)
	d, at := startHTTP3(t, s, 2, false)
	served := map[string]bool{}
	for i := range 2 { // one for each server
		r := newRouter(t, at)
		// An address of its own, or persistence would lead both to one server.
		port := func() error { return r.rebindTo(fmt.Sprintf("127.0.4.%d", i+1)) }
		if err := port(); err != nil {
			t.Fatal(err)
		}
		c := s.dial(t, socketAt(t, "127.0.0.1"), r.inside.LocalAddr().String())
		backend, err := c.post([]byte("before"))
		if err != nil || served[backend] {
			t.Fatalf("before: %q, %v, others have %v", backend, err, served)
		}
		served[backend] = true
		opened := d.metric("weir_listener_connections_total", "listener", "web")
		if got, err := c.download(len(film()), port, port, port); err != nil || got != backend {
			t.Fatalf("another port: %q, %v, want %s", got, err, backend)
		}
		if got := d.metric("weir_listener_connections_total", "listener", "web"); got != opened {
			t.Errorf("another port: %v sessions, before %v", got, opened)
		}
		var steps []func() error
		for k := range 3 {
			steps = append(steps, func() error { return r.rebindTo(fmt.Sprintf("127.0.5.%d", 10*i+k+1)) })
		}
		if got, err := c.download(len(film()), steps...); err != nil || got != backend {
			t.Fatalf("another address: %q, %v, want %s", got, err, backend)
		}
		if got, err := c.post([]byte("after")); err != nil || got != backend {
			t.Fatalf("after: %q, %v, want %s", got, err, backend)
		}
	}
}

// TestHTTP3Migration lets clients go over to another address of their own accord in the middle of a
// download, with a connection ID that nobody has seen: servers that keep a server ID get them back.
func TestHTTP3Migration(t *testing.T) {
	s := newHTTP3Site(t)
	_, at := startHTTP3(t, s, 3, true)
	hosts := 0
	host := func() string {
		hosts++
		return fmt.Sprintf("127.0.6.%d", hosts)
	}
	// weir believes a server ID when two connections have shown it.
	for range 6 {
		if _, err := s.dial(t, socketAt(t, host()), at).post([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	migrated := map[string]int{}
	for i := range 6 {
		c := s.dial(t, socketAt(t, host()), at)
		before, err := c.post([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		elsewhere := socketAt(t, host())
		migrate := func() error {
			path, err := c.conn.AddPath(transportOn(t, elsewhere))
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := path.Probe(ctx); err != nil {
				return err
			}
			return path.Switch()
		}
		began := time.Now()
		if got, err := c.download(len(film()), migrate); err != nil || got != before {
			t.Fatalf("client %d of %s, after %v: %q, %v", i, before, time.Since(began), got, err)
		}
		if got, err := c.post(noise(100_000)); err != nil || got != before {
			t.Fatalf("client %d of %s: %q, %v", i, before, got, err)
		}
		if got := c.conn.LocalAddr().String(); got != elsewhere.LocalAddr().String() {
			t.Errorf("client %d is at %s, went to %s", i, got, elsewhere.LocalAddr())
		}
		migrated[before]++
	}
	if len(migrated) != 3 {
		t.Errorf("only some servers were put to the test: %v", migrated)
	}
}
