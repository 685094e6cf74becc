package wire

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/internal/lbtest"
)

// secureRelaying is relaying with TLS on both sides, or on that of the client alone.
func secureRelaying(t *testing.T, both bool) (r *relayed, client, backend net.Conn) {
	t.Helper()
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	a, rawClient := dialed(t)
	b, rawBackend := dialed(t)
	client = tls.Client(rawClient, &tls.Config{InsecureSkipVerify: true})
	backend = rawBackend
	layers := [2]Layer{}
	var wg sync.WaitGroup
	shake := func(side Side, of func(net.Conn, *tls.Config) *tls.Conn, c *Conn, config *tls.Config, peer net.Conn) {
		s := NewSecure(c, of, config)
		layers[side] = s
		wg.Go(func() { must(t, s.Handshake(soon())) })
		wg.Go(func() { must(t, peer.(*tls.Conn).Handshake()) })
	}
	shake(Client, tls.Server, a, &tls.Config{Certificates: []tls.Certificate{cert.Pair}}, client)
	if both {
		backend = tls.Server(rawBackend, &tls.Config{Certificates: []tls.Certificate{cert.Pair}})
		shake(Backend, tls.Client, b, &tls.Config{InsecureSkipVerify: true}, backend)
	}
	wg.Wait()
	deadline := time.Now().Add(patience)
	must(t, errors.Join(rawClient.SetDeadline(deadline), rawBackend.SetDeadline(deadline)))
	r = &relayed{relaysOf(t).NewRelay(a, b, RelayOptions{Layers: layers, Pipes: NewPipes(1, nil, nil)}), rawClient, rawBackend, make(chan Ending, 1)}
	go func() {
		e := r.Run()
		_ = a.Close()
		_ = b.Close()
		r.ending <- e
	}()
	t.Cleanup(func() {
		r.Stop()
		r.ended(t)
	})
	return r, client, backend
}

func TestRelaySecure(t *testing.T) {
	for _, both := range []bool{false, true} {
		r, client, backend := secureRelaying(t, both)
		big := make([]byte, 4<<20)
		for i := range big {
			big[i] = byte(i * i >> 8)
		}
		var wg sync.WaitGroup
		for _, c := range []net.Conn{client, backend} {
			wg.Go(func() {
				if _, err := c.Write(big); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				got := make([]byte, len(big))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != string(big) {
					t.Errorf("the bytes differ: %v", err)
				}
			})
		}
		wg.Wait()
		// Half-closed by the alert and the FIN; the other direction goes on.
		must(t, client.(*tls.Conn).CloseWrite())
		if n, err := backend.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the backend reads %d, %v, want the end", n, err)
		}
		send(t, backend, "goodbye")
		must(t, backend.(interface{ CloseWrite() error }).CloseWrite())
		got, err := io.ReadAll(client)
		if string(got) != "goodbye" || err != nil { // with the alert: crypto/tls says so otherwise
			t.Errorf("the client gets %q, %v", got, err)
		}
		r.want(t, CauseEnd, Client)
	}
}

// TestRelaySecureCutOff: a FIN without the alert is no end.
func TestRelaySecureCutOff(t *testing.T) {
	r, client, backend := secureRelaying(t, false)
	send(t, client, "x")
	receive(t, backend, "x")
	must(t, r.client.CloseWrite())
	wantReset(t, r.backend)
	if e := r.ended(t); e.Cause != CauseBroken || e.Side != Client || !errors.Is(e.Err, syscall.ECONNABORTED) {
		t.Errorf("ended by %+v", e)
	}
}

func TestHandshakeTimeout(t *testing.T) {
	c, _ := dialed(t)
	s := NewSecure(c, tls.Client, &tls.Config{InsecureSkipVerify: true})
	if err := s.Handshake(After(Now(), 20*time.Millisecond)); !errors.Is(err, ErrTimeout) {
		t.Errorf("%v, want ErrTimeout", err)
	}
}
