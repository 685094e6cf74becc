package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/config"
	"weir/internal/lbtest"
)

// secureSite is site with an https listener.
func secureSite(c *lbtest.Certificate, listener, pool string, backends ...fmt.Stringer) string {
	certificates := fmt.Sprintf("tls: { certificates: [{ cert: %q, key: %q }] }\n", c.CertFile, c.KeyFile)
	if strings.HasPrefix(listener, "tls:") {
		certificates = ""
	}
	return strings.Replace(site(certificates+listener, pool, backends...), "protocol: http", "protocol: https", 1)
}

// trusting is a client's configuration that believes in c.
func trusting(t testing.TB, c *lbtest.Certificate) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(c.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	return &tls.Config{RootCAs: roots, ServerName: "shop.example", NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
}

// secureClient is a raw client connection over TLS.
type secureClient struct {
	*client
	*tls.Conn
}

func (r *rig) dialTLS(c *tls.Config) *secureClient {
	r.t.Helper()
	raw := r.dial()
	conn := tls.Client(raw.TCPConn, c)
	if err := conn.Handshake(); err != nil {
		r.t.Fatalf("handshake: %v", err)
	}
	raw.r = bufio.NewReader(conn)
	return &secureClient{raw, conn}
}

func (c *secureClient) ask(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

const getShop = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"

func TestSecureListenerKeepsAlive(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			cert := lbtest.NewCertificate(t, "shop.example")
			o := answering(t, ok200)
			r := start(t, secureSite(cert, "", "", o.Addr()))
			config := trusting(t, cert)
			config.MinVersion, config.MaxVersion = version, version
			c := r.dialTLS(config)
			for range 3 {
				c.ask(getShop)
				c.want("GET", 200, "ok")
			}
			c.ask(getShop + getShop) // two in one record
			c.want("GET", 200, "ok")
			c.want("GET", 200, "ok")
			if got := c.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("negotiated %q", got)
			}
			if got := o.last(); !strings.Contains(got, "X-Forwarded-Proto: https\r\n") {
				t.Errorf("the backend got %q", got)
			}
			if got := o.Accepted(); got != 1 {
				t.Errorf("%d connections to the backend, want 1", got)
			}
			r.wantOutcomes("ok 5")
		})
	}
}

func TestSecureListenerStreamsBodies(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	o := newOrigin(t, each(func(_, body string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}))
	r := start(t, secureSite(cert, "", "", o.Addr()))
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for _, chunked := range []bool{false, true} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting(t, cert)}}
		var upload io.Reader = bytes.NewReader(body)
		if chunked {
			upload = struct{ io.Reader }{upload} // of unknown length
		}
		for range 2 {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+r.addr()+"/", upload)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("chunked %v: the echo of %d bytes has %d and differs: %v", chunked, len(body), len(got), err)
			}
			upload = bytes.NewReader(body)
		}
		client.CloseIdleConnections()
	}
	r.wantOutcomes("ok 4")
}

func TestPlainRequestOnSecureListener(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	r := start(t, secureSite(cert, "", "", answering(t, ok200).Addr()))
	c := r.dial()
	c.send(getShop)
	c.want("GET", 400, "use https")
	c.wantEnd()
}

func TestSlowHandshakeIsEnded(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	r := start(t, secureSite(cert, "timeouts: { client_tls: 150ms }", "", answering(t, ok200).Addr()))
	c := r.dial()
	c.send("\x16\x03\x01") // the beginning of a record
	if b, err := c.r.ReadByte(); err == nil {
		t.Errorf("got %x, want the end", b)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
	lbtest.Eventually(t, patience, func() bool { return r.connections() == 0 })
}

func TestTunnelOverTLS(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	o := echoing(t, "hello ")
	r := start(t, secureSite(cert, "", "", o.Addr()))
	c := r.dialTLS(trusting(t, cert))
	c.ask(upgradeRequest)
	c.switched()
	c.ask("over TLS")
	c.read("hello over TLS")
	if err := c.Conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.wantEnd()
	r.wantOutcomes("ok 1")
}

func TestClientCertificates(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	person := lbtest.NewCertificate(t, "alice")
	o := answering(t, ok200)
	listener := fmt.Sprintf("tls: { certificates: [{ cert: %q, key: %q }], client_ca: %q, client_cert_headers: true }\nforwarded: { trust: [127.0.0.1] }",
		cert.CertFile, cert.KeyFile, person.CertFile)
	r := start(t, secureSite(cert, listener, "", o.Addr()))
	config := trusting(t, cert)
	config.Certificates = []tls.Certificate{person.Pair}
	c := r.dialTLS(config)
	c.ask("GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-Clientcert-Subjectdn: CN=mallory\r\n\r\n")
	c.want("GET", 200, "ok")
	got := o.last()
	if !strings.Contains(got, "X-Forwarded-Clientcert-Clientverify: SUCCESS\r\n") || strings.Contains(got, "mallory") ||
		!strings.Contains(got, "X-Forwarded-Clientcert-Fingerprint: ") {
		t.Errorf("the backend got %q", got)
	}
	stranger := tls.Client(r.dial().TCPConn, trusting(t, cert))
	if err := stranger.Handshake(); err == nil {
		if _, err = stranger.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a client without a certificate got in: %v", err)
		}
	}
}

// A certificate that is replaced while clients come and go costs none of them anything.
func TestCertificateIsReplacedUnderLoad(t *testing.T) {
	first := lbtest.NewCertificate(t, "shop.example")
	second := lbtest.NewCertificate(t, "shop.example")
	r := start(t, secureSite(first, "", "", answering(t, ok200).Addr()))
	config := trusting(t, first)
	if pem, err := os.ReadFile(second.CertFile); err != nil || !config.RootCAs.AppendCertsFromPEM(pem) {
		t.Fatal("no second certificate", err)
	}
	kept := r.dialTLS(config)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := shopOnce(r.addr(), config); err != nil {
					t.Errorf("while the certificate changed: %v", err)
					return
				}
			}
		})
	}
	replace(t, first.CertFile, second.CertFile)
	failed := `weir_tls_certificate_refresh_errors_total{listener="web"} `
	if got := r.metrics(); !strings.Contains(got, failed+"0\n") {
		t.Errorf("before anything failed: %s", got)
	}
	r.s.refreshCertificates() // half a pair: the old one stays
	if got := r.metrics(); !strings.Contains(got, failed+"1\n") {
		t.Errorf("after a failure: %s", got)
	}
	replace(t, first.KeyFile, second.KeyFile)
	r.s.refreshCertificates()
	if got := r.metrics(); !strings.Contains(got, failed+"1\n") {
		t.Errorf("after all is well again: %s", got)
	}
	c := r.dialTLS(config)
	if got := c.ConnectionState().PeerCertificates[0]; !bytes.Equal(got.Raw, second.Pair.Certificate[0]) {
		t.Error("the old certificate is still served")
	}
	close(stop)
	wg.Wait()
	kept.ask(getShop)
	kept.want("GET", 200, "ok")
}

func replace(t *testing.T, file, with string) {
	t.Helper()
	b, err := os.ReadFile(with)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// shopOnce makes a connection of its own and one request.
func shopOnce(addr string, c *tls.Config) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, getShop); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

// A session that began before a reload is resumed after it.
func TestSessionIsResumedAfterReload(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	o := answering(t, ok200)
	text := secureSite(cert, "", "", o.Addr())
	r := start(t, text)
	client := trusting(t, cert)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	c := r.dialTLS(client)
	c.ask(getShop)
	c.want("GET", 200, "ok")
	if change := r.apply(load(t, text, func(c *config.Config) { c.Listeners["web"].KeepaliveRequests = 7 })); change.ListenersChanged != 1 {
		t.Errorf("changed: %v", change)
	}
	again := r.dialTLS(client)
	again.ask(getShop)
	again.want("GET", 200, "ok")
	if !again.ConnectionState().DidResume {
		t.Error("the session was not resumed")
	}
}

func TestSecureListenerBadFiles(t *testing.T) {
	cert := lbtest.NewCertificate(t, "shop.example")
	text := secureSite(cert, "", "", answering(t, ok200).Addr())
	r := start(t, text)
	replace(t, cert.KeyFile, cert.CertFile)
	if _, err := r.s.Apply(load(t, text)); err == nil || !strings.Contains(err.Error(), "listeners.web.tls") {
		t.Fatalf("Apply: %v, want an error that names the listener", err)
	}
	if err := shopOnce(r.addr(), trusting(t, cert)); err != nil {
		t.Errorf("after a reload that was refused: %v", err)
	}
}
