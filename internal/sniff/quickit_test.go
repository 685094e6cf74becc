package sniff

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"

	"weir/internal/lbtest"
)

// ids makes connection IDs of one length and remembers them.
type ids struct {
	length int
	mu     sync.Mutex
	made   [][]byte
}

func (i *ids) ConnectionIDLen() int { return i.length }

func (i *ids) GenerateConnectionID() (quic.ConnectionID, error) {
	id := make([]byte, i.length)
	if _, err := rand.Read(id); err != nil {
		return quic.ConnectionID{}, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.made = append(i.made, id)
	return quic.ConnectionIDFromBytes(id), nil
}

// has reports whether id was made here.
func (i *ids) has(id []byte) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.ContainsFunc(i.made, func(made []byte) bool { return bytes.Equal(made, id) })
}

// tape is what one direction of a relay has carried.
type tape struct {
	mu        sync.Mutex
	datagrams [][]byte
}

func (p *tape) add(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.datagrams = append(p.datagrams, bytes.Clone(b))
}

// all are the datagrams in their order.
func (p *tape) all() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.datagrams)
}

// relay carries datagrams between one client and a server, and keeps them.
type relay struct {
	front, back        *net.UDPConn
	toServer, toClient tape
	mu                 sync.Mutex
	client             net.Addr
}

// newRelay starts a relay that ends with the test.
func newRelay(t *testing.T, server net.Addr) *relay {
	t.Helper()
	r := &relay{front: listenUDP(t)}
	back, err := net.DialUDP("udp", nil, server.(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	r.back = back
	var running sync.WaitGroup
	running.Go(r.forward)
	running.Go(r.answer)
	t.Cleanup(func() {
		r.front.Close()
		r.back.Close()
		running.Wait()
	})
	return r
}

// forward carries datagrams to the server until the relay is closed. What cannot be sent is lost, as
// datagrams are.
func (r *relay) forward() {
	b := make([]byte, 1<<16)
	for {
		n, from, err := r.front.ReadFrom(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.client = from
		r.mu.Unlock()
		r.toServer.add(b[:n])
		_, _ = r.back.Write(b[:n])
	}
}

// answer carries datagrams to the client that sent last, until the relay is closed.
func (r *relay) answer() {
	b := make([]byte, 1<<16)
	for {
		n, err := r.back.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the server has gone, says the kernel; the relay is closed next
		}
		r.mu.Lock()
		client := r.client
		r.mu.Unlock()
		r.toClient.add(b[:n])
		_, _ = r.front.WriteTo(b[:n], client)
	}
}

// listenUDP is a socket that ends with the test.
func listenUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

const (
	clientIDLen = 5
	serverIDLen = 8
)

// conversation is a client and a server of quic-go with a relay between them.
type conversation struct {
	*relay
	clientIDs, serverIDs ids
	client               *quic.Transport
	tls                  *tls.Config
}

// converse starts a server that sends every stream back, and what is between it and a client.
func converse(t *testing.T, retry bool, versions ...quic.Version) *conversation {
	t.Helper()
	c := &conversation{clientIDs: ids{length: clientIDLen}, serverIDs: ids{length: serverIDLen}}
	cert := lbtest.NewCertificate(t, "quic.example")
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert.Pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	c.tls = &tls.Config{
		RootCAs: roots, ServerName: "quic.example", NextProtos: []string{"echo"},
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	socket := listenUDP(t)
	server := &quic.Transport{
		Conn: socket, ConnectionIDGenerator: &c.serverIDs,
		VerifySourceAddress: func(net.Addr) bool { return retry },
	}
	listener, err := server.ListenEarly(
		&tls.Config{Certificates: []tls.Certificate{cert.Pair}, NextProtos: []string{"echo"}},
		&quic.Config{Versions: versions, Allow0RTT: true})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { serve(t, listener, &serving) })
	c.client = &quic.Transport{Conn: listenUDP(t), ConnectionIDGenerator: &c.clientIDs}
	t.Cleanup(func() {
		closeAll(t, c.client, listener, server)
		serving.Wait()
	})
	c.relay = newRelay(t, socket.LocalAddr())
	return c
}

func closeAll(t *testing.T, closers ...io.Closer) {
	for _, c := range closers {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// serve accepts connections until the listener is closed, and sends one stream of each back.
func serve(t *testing.T, l *quic.EarlyListener, serving *sync.WaitGroup) {
	for {
		conn, err := l.Accept(t.Context())
		if err != nil {
			return
		}
		serving.Go(func() {
			// The client has what it wants, or its test fails for want of it.
			stream, err := conn.AcceptStream(conn.Context())
			if err != nil {
				return
			}
			_, _ = io.Copy(stream, stream)
			_ = stream.Close()
			<-conn.Context().Done()
		})
	}
}

// echo sends size bytes through a new stream, wants them back, and closes the connection.
func echo(t *testing.T, conn *quic.Conn, size int) {
	t.Helper()
	defer func() {
		if err := conn.CloseWithError(0, ""); err != nil {
			t.Error(err)
		}
	}()
	stream, err := conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := bytesOf(0, size)
	sent := make(chan error, 1)
	go func() {
		_, err := stream.Write(want)
		sent <- errors.Join(err, stream.Close())
	}()
	got, err := io.ReadAll(stream)
	if err = errors.Join(err, <-sent); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes came back of %d: %v", len(got), size, err)
	}
}
