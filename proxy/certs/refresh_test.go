package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
)

// serialOf asks a server for a name and returns the serial number of what it shows.
func serialOf(t *testing.T, a *authority, s *server, name string) int64 {
	t.Helper()
	return s.mustDial(t, a.trusting(name)).PeerCertificates[0].SerialNumber.Int64()
}

// TestRefresh replaces files in every order and with every fault.
func TestRefresh(t *testing.T) {
	a := newAuthority(t, "Authority")
	x, y := spec{names: []string{"x.example"}, serial: 1}, spec{names: []string{"y.example"}, serial: 2}
	i := mustNew(t, Options{Certificates: []Pair{a.issue(t, "x", x), a.issue(t, "y", y)}}, nil)
	s := serve(t, i.Config())
	refresh := func(changed bool, wantX, wantY int64) error {
		t.Helper()
		got, err := i.Refresh()
		if got != changed {
			t.Errorf("changed %v, want %v (%v)", got, changed, err)
		}
		if gotX, gotY := serialOf(t, a, s, "x.example"), serialOf(t, a, s, "y.example"); gotX != wantX || gotY != wantY {
			t.Errorf("serials %d and %d, want %d and %d", gotX, gotY, wantX, wantY)
		}
		return err
	}
	if err := refresh(false, 1, 2); err != nil {
		t.Error(err)
	}
	x.serial = 11
	cert, key := a.make(t, x)
	a.write(t, "x.crt", cert) // half of the pair
	err := refresh(false, 1, 2)
	contains(t, err, "x.crt", "x.key", "install both")
	if !errors.Is(err, ErrMismatch) {
		t.Errorf("%v is not ErrMismatch", err)
	}
	y.serial = 12
	a.issue(t, "y", y) // is not held back by it
	if err := refresh(true, 1, 12); !errors.Is(err, ErrMismatch) {
		t.Errorf("%v is not ErrMismatch", err)
	}
	a.write(t, "x.key", key)
	if err := refresh(true, 11, 12); err != nil {
		t.Error(err)
	}
	a.write(t, "x.crt", []byte("garbage"))
	contains(t, refresh(false, 11, 12), "x.crt", "no certificate")
	a.write(t, "x.crt", cert[:len(cert)/3])
	contains(t, refresh(false, 11, 12), "x.crt", "no certificate")
	if err := os.Remove(a.dir + "/y.key"); err != nil {
		t.Fatal(err)
	}
	contains(t, refresh(false, 11, 12), "x.crt", "y.key", "create it")
	x.serial, y.serial = 21, 22
	a.issue(t, "x", x)
	a.issue(t, "y", y)
	if err := refresh(true, 21, 22); err != nil {
		t.Error(err)
	}
}

// TestRefreshDuringHandshakes swaps certificates while clients connect: all succeed, each sees a
// certificate that was in force, and in the end the last.
func TestRefreshDuringHandshakes(t *testing.T) {
	a := newAuthority(t, "Authority")
	const rounds = 30
	key := newKey(t, x509.ECDSA)
	make := func(serial int64) spec { return spec{names: []string{"x.example"}, serial: serial, key: key} }
	i := mustNew(t, Options{Certificates: []Pair{a.issue(t, "x", make(1))}}, nil)
	s := serve(t, i.Config())
	var done atomic.Bool
	var handshakes atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			last := int64(1)
			c := a.trusting("x.example")
			for !done.Load() {
				state, err := s.dial(c)
				if err != nil {
					t.Error(err)
					return
				}
				serial := state.PeerCertificates[0].SerialNumber.Int64()
				if serial < last || serial > rounds {
					t.Errorf("serial %d after %d", serial, last)
				}
				last = serial
				handshakes.Add(1)
			}
		})
	}
	for serial := int64(2); serial <= rounds; serial++ {
		before := handshakes.Load()
		a.issue(t, "x", make(serial))
		if changed, err := i.Refresh(); !changed || err != nil {
			t.Error(changed, err)
		}
		i.NotAfter()
		i.Warnings()
		for handshakes.Load() == before && !t.Failed() { // each certificate is met by some
			if _, err := s.dial(a.trusting("x.example")); err != nil {
				t.Error(err)
			}
		}
	}
	done.Store(true)
	wg.Wait()
	if got := serialOf(t, a, s, "x.example"); got != rounds {
		t.Errorf("serial %d in the end, want %d", got, rounds)
	}
}

// TestRefreshKeepsConnections reads from a connection made before the swap.
func TestRefreshKeepsConnections(t *testing.T) {
	a := newAuthority(t, "Authority")
	i := mustNew(t, Options{Certificates: []Pair{a.issue(t, "x", spec{names: []string{"x.example"}})}}, nil)
	client, served := net.Pipe()
	defer client.Close()
	defer served.Close()
	tc, ts := tls.Client(client, a.trusting("x.example")), tls.Server(served, i.Config())
	echoed := make(chan error, 1)
	go func() {
		buf := bytes.Repeat([]byte{0}, 4)
		for range 2 {
			if _, err := ts.Read(buf); err != nil {
				echoed <- err
				return
			}
			if _, err := ts.Write(buf); err != nil {
				echoed <- err
				return
			}
		}
		echoed <- nil
	}()
	for n := range 2 {
		if n == 1 {
			a.issue(t, "x", spec{names: []string{"x.example"}})
			if changed, err := i.Refresh(); !changed || err != nil {
				t.Fatal(changed, err)
			}
		}
		if _, err := tc.Write([]byte("ping")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4)
		if _, err := tc.Read(buf); err != nil || string(buf) != "ping" {
			t.Fatalf("%q, %v", buf, err)
		}
	}
	if err := <-echoed; err != nil {
		t.Error(err)
	}
}
