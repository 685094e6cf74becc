package lbtest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// get asks the backend on a connection of its own.
func get(t *testing.T, addr netip.AddrPort) (*http.Response, string, error) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr.String()+"/x", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func TestHTTPAnswersAsTold(t *testing.T) {
	b := NewHTTP(t, "b1")
	resp, body, err := get(t, b.Addr())
	if err != nil || resp.StatusCode != 200 || body != "b1" || resp.Header.Get("X-Backend") != "b1" {
		t.Fatalf("got %v %q %v, want 200 and the name", resp, body, err)
	}
	b.SetStatus(503)
	b.SetBody("db pool exhausted")
	resp, body, err = get(t, b.Addr())
	if err != nil || resp.StatusCode != 503 || body != "db pool exhausted" {
		t.Fatalf("got %v %q %v, want the new answer", resp, body, err)
	}
	b.SetHandler(http.NotFoundHandler())
	if resp, _, err = get(t, b.Addr()); err != nil || resp.StatusCode != 404 {
		t.Fatalf("got %v %v, want the handler's 404", resp, err)
	}
	if got := b.Requests(); got != 3 {
		t.Errorf("Requests() = %d, want 3", got)
	}
	if got := b.Last().URL.Path; got != "/x" {
		t.Errorf("Last() has path %q, want /x", got)
	}
}

func TestHTTPStopsAndStartsOnItsPort(t *testing.T) {
	b := NewHTTP(t, "b1")
	b.Stop()
	if _, _, err := get(t, b.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("stopped: got %v, want a refusal", err)
	}
	b.Start()
	if _, body, err := get(t, b.Addr()); err != nil || body != "b1" {
		t.Fatalf("started again: got %q %v", body, err)
	}
}

func TestHTTPDelayEndsWithStop(t *testing.T) {
	b := NewHTTP(t, "b1")
	b.SetDelay(time.Hour)
	failed := make(chan error, 1)
	go func() {
		_, _, err := get(t, b.Addr())
		failed <- err
	}()
	Eventually(t, 10*time.Second, func() bool { return b.Running() == 1 })
	b.Stop()
	if err := <-failed; err == nil {
		t.Error("a delayed request was answered by a stopped backend")
	}
}

func TestTCPBackends(t *testing.T) {
	dial := func(addr netip.AddrPort) net.Conn {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	read := func(c net.Conn, n int) (string, error) {
		b := make([]byte, n)
		_, err := io.ReadFull(c, b)
		return string(b), err
	}
	send := func(c net.Conn, s string) {
		if _, err := io.WriteString(c, s); err != nil {
			t.Fatal(err)
		}
	}

	script := NewTCP(t, Script(4, "PONG"))
	c := dial(script.Addr())
	send(c, "PING")
	if got, err := read(c, 4); got != "PONG" || err != nil {
		t.Errorf("Script: got %q %v, want PONG", got, err)
	}
	if got := script.Accepted(); got != 1 {
		t.Errorf("Accepted() = %d, want 1", got)
	}
	c.Close()
	Eventually(t, 10*time.Second, func() bool { return script.Open() == 0 })

	c = dial(NewTCP(t, Say("220 ready\r\n")).Addr())
	if got, err := io.ReadAll(c); string(got) != "220 ready\r\n" || err != nil {
		t.Errorf("Say: got %q %v, want the text and the end", got, err)
	}

	c = dial(NewTCP(t, Drip("HTTP/1.1 200 OK\r\n", "x", time.Millisecond)).Addr())
	if got, err := read(c, 20); got != "HTTP/1.1 200 OK\r\nxxx" || err != nil {
		t.Errorf("Drip: got %q %v", got, err)
	}

	c = dial(NewTCP(t, Reset()).Addr())
	send(c, "x")
	if _, err := read(c, 1); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Reset: got %v, want a reset", err)
	}

	hang := NewTCP(t, Hang())
	c = dial(hang.Addr())
	send(c, "x")
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("Hang: got %d bytes, %v", n, err)
	}
}

func TestRefusing(t *testing.T) {
	_, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", Refusing(t).String())
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want a refusal", err)
	}
}

func TestHTTPSUsesTheCertificate(t *testing.T) {
	cert := NewCertificate(t, "127.0.0.1", "b1.test")
	b := NewHTTPS(t, "b1", cert)
	c, err := cert.Client(t).DialContext(context.Background(), "tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || line != "HTTP/1.0 200 OK\r\n" {
		t.Errorf("got %q %v", line, err)
	}
}
