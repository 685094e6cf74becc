package certs

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// server shakes hands with every client, writes one byte and closes after the client has.
type server struct {
	addr   string
	states chan tls.ConnectionState // of the clients that were let in, as far as there is room
	errs   chan error               // of the others, likewise
}

func serve(t testing.TB, c *tls.Config) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: ln.Addr().String(), states: make(chan tls.ConnectionState, 64), errs: make(chan error, 64)}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.handle(conn, c) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return s
}

func (s *server) handle(conn net.Conn, c *tls.Config) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	tc := tls.Server(conn, c)
	if err := tc.Handshake(); err != nil {
		select {
		case s.errs <- err:
		default:
		}
		return
	}
	select {
	case s.states <- tc.ConnectionState():
	default:
	}
	if _, err := tc.Write([]byte{'!'}); err != nil {
		return
	}
	io.Copy(io.Discard, tc)
}

// dial shakes hands and reads the byte of the server, before which tickets and late alerts come.
func (s *server) dial(c *tls.Config) (tls.ConnectionState, error) {
	conn, err := net.DialTimeout("tcp", s.addr, limit)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(limit))
	tc := tls.Client(conn, c)
	var one [1]byte
	if _, err := io.ReadFull(tc, one[:]); err != nil {
		return tls.ConnectionState{}, err
	}
	return tc.ConnectionState(), nil
}

func (s *server) mustDial(t testing.TB, c *tls.Config) tls.ConnectionState {
	t.Helper()
	state, err := s.dial(c)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// trusting is a client that asks for a name and verifies it.
func (a *authority) trusting(name string) *tls.Config {
	return &tls.Config{ServerName: name, RootCAs: a.pool, MinVersion: tls.VersionTLS10}
}
