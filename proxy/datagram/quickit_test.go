package datagram

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"weir/config"
	"weir/internal/lbtest"
)

// serverIDs makes connection IDs of 8 bytes, with a server ID in the bytes 1 to 3 unless it is 0.
type serverIDs struct{ id byte }

func (s serverIDs) ConnectionIDLen() int { return 8 }

func (s serverIDs) GenerateConnectionID() (quic.ConnectionID, error) {
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return quic.ConnectionID{}, err
	}
	if s.id != 0 {
		id[1], id[2], id[3] = 0xb0, 0x0b, s.id
	}
	return quic.ConnectionIDFromBytes(id), nil
}

// quicServer answers each stream with its name and what was sent, in the order of the bytes.
type quicServer struct {
	name     string
	addr     netip.AddrPort
	listener *quic.Listener

	mu    sync.Mutex
	conns []*quic.Conn
}

// peers lists the remote addresses of the connections so far.
func (s *quicServer) peers() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		list = append(list, c.RemoteAddr().String())
	}
	return list
}

func (s *quicServer) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

type quicOptions struct {
	ids      bool // connection IDs have a server ID
	retry    bool
	versions []quic.Version
}

// certificate is one for all servers of a test, and the configuration of clients who trust it.
func certificate(t *testing.T) (server, client *tls.Config) {
	cert := lbtest.NewCertificate(t, "quic.example")
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert.Pair.Certificate[0])
	must(t, err)
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{cert.Pair}, NextProtos: []string{"echo"}},
		&tls.Config{RootCAs: roots, ServerName: "quic.example", NextProtos: []string{"echo"}}
}

func newQUICServer(t *testing.T, number byte, o quicOptions, tlsConfig *tls.Config) *quicServer {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	ids := serverIDs{}
	if o.ids {
		ids.id = number
	}
	transport := &quic.Transport{Conn: socket, ConnectionIDGenerator: ids, VerifySourceAddress: func(net.Addr) bool { return o.retry }}
	listener, err := transport.Listen(tlsConfig, &quic.Config{Versions: o.versions, MaxIdleTimeout: time.Minute})
	must(t, err)
	a := socket.LocalAddr().(*net.UDPAddr).AddrPort()
	s := &quicServer{name: fmt.Sprintf("b%d", number), addr: a, listener: listener}
	var serving sync.WaitGroup
	serving.Go(func() { s.serve(&serving) })
	t.Cleanup(func() {
		must(t, listener.Close())
		must(t, transport.Close())
		must(t, socket.Close())
		serving.Wait()
	})
	return s
}

func (s *quicServer) serve(serving *sync.WaitGroup) {
	for {
		conn, err := s.listener.Accept(context.Background())
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		serving.Go(func() {
			for {
				stream, err := conn.AcceptStream(conn.Context())
				if err != nil {
					return
				}
				serving.Go(func() {
					_, _ = io.WriteString(stream, s.name+" ")
					_, _ = io.Copy(stream, stream) // the client checks what comes back
					_ = stream.Close()
				})
			}
		})
	}
}

// nat is a relay in front of a listener, as a router does it: the client behind it has an outside address
// that can change at any time.
type nat struct {
	t      *testing.T
	inside *net.UDPConn
	to     netip.AddrPort

	mu      sync.Mutex
	outside *net.UDPConn
	client  net.Addr
	closed  bool
	running sync.WaitGroup
}

func newNAT(t *testing.T, to netip.AddrPort) *nat {
	t.Helper()
	inside, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	n := &nat{t: t, inside: inside, to: to}
	n.rebind("127.0.0.1")
	n.running.Go(n.forward)
	t.Cleanup(func() {
		n.mu.Lock()
		n.closed = true
		n.outside.Close()
		n.mu.Unlock()
		n.inside.Close()
		n.running.Wait()
	})
	return n
}

// rebind changes the outside address: another port, of any address.
func (n *nat) rebind(ip string) {
	n.t.Helper()
	next, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip)}, net.UDPAddrFromAddrPort(n.to))
	must(n.t, err)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.outside != nil {
		n.outside.Close()
	}
	n.outside = next
	n.running.Go(func() { n.answer(next) })
}

func (n *nat) forward() {
	b := make([]byte, 1<<16)
	for {
		k, from, err := n.inside.ReadFrom(b)
		if err != nil {
			return
		}
		n.mu.Lock()
		n.client = from
		out := n.outside
		n.mu.Unlock()
		_, _ = out.Write(b[:k]) // lost, if it is being changed
	}
}

func (n *nat) answer(c *net.UDPConn) {
	b := make([]byte, 1<<16)
	for {
		k, err := c.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		n.mu.Lock()
		client := n.client
		n.mu.Unlock()
		_, _ = n.inside.WriteTo(b[:k], client)
	}
}

// quicRig is a listener with a quic pool in front of servers.
type quicRig struct {
	*rig
	servers []*quicServer
	tls     *tls.Config // of clients
}

func newQUICRig(t *testing.T, n int, o quicOptions, ro rigOptions) *quicRig {
	t.Helper()
	serverTLS, clientTLS := certificate(t)
	q := &quicRig{tls: clientTLS}
	var addrs []netip.AddrPort
	for i := range n {
		s := newQUICServer(t, byte(i+1), o, serverTLS)
		q.servers = append(q.servers, s)
		addrs = append(addrs, s.addr)
	}
	change := ro.pool
	ro.pool = func(p *config.Pool) {
		p.Protocol = config.QUIC
		p.Persistence = &config.Persistence{Type: config.PersistSourceIP, Timeout: time.Minute, Fallback: config.FallbackRebalance}
		if change != nil {
			change(p)
		}
	}
	q.rig = newRig(t, ro, addrs...)
	return q
}

// server is the one of that name.
func (q *quicRig) server(name string) *quicServer {
	for _, s := range q.servers {
		if s.name == name {
			return s
		}
	}
	q.t.Fatalf("no server %q", name)
	return nil
}

// transport is a socket of a client.
func transport(t *testing.T) *quic.Transport {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	tr := &quic.Transport{Conn: c}
	t.Cleanup(func() {
		must(t, tr.Close())
		must(t, c.Close())
	})
	return tr
}

// dial connects by tr.
func (q *quicRig) dial(t *testing.T, tr *quic.Transport, to netip.AddrPort, versions ...quic.Version) *quic.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := tr.Dial(ctx, net.UDPAddrFromAddrPort(to), q.tls, &quic.Config{Versions: versions, MaxIdleTimeout: time.Minute})
	must(t, err)
	t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	return conn
}

// ask sends size bytes on a stream of its own, wants them back, and returns the name of the server. between
// is called when a part has been sent.
func ask(t *testing.T, conn *quic.Conn, size int, between ...func()) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := conn.OpenStreamSync(ctx)
	must(t, err)
	must(t, stream.SetDeadline(time.Now().Add(2*patience)))
	want := make([]byte, size)
	_, err = rand.Read(want)
	must(t, err)
	sent := make(chan error, 1)
	go func() {
		var errs []error
		part := size/(len(between)+1) + 1
		for rest := want; len(rest) > 0; {
			n := min(part, len(rest))
			_, err := stream.Write(rest[:n])
			errs = append(errs, err)
			if rest = rest[n:]; len(rest) > 0 {
				between[0]()
				between = between[1:]
			}
		}
		sent <- errors.Join(append(errs, stream.Close())...)
	}()
	got, err := io.ReadAll(stream)
	if err = errors.Join(err, <-sent); err != nil {
		t.Fatalf("%d bytes came back of %d: %v", len(got), size, err)
	}
	name, body, _ := bytes.Cut(got, []byte(" "))
	if !bytes.Equal(body, want) {
		t.Fatalf("%d bytes came back of %d, or others", len(body), size)
	}
	return string(name)
}
