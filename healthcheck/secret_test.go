package healthcheck

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"weir/config"
	"weir/internal/lbtest"
)

// What a check has from a file, or as a credential, is told nobody: not when it is sent, not when it is waited
// for, and not when a backend repeats it.
func TestSecretsAreNotTold(t *testing.T) {
	const secret = "hunter22"
	hidden := func(edit func(*config.HealthCheck)) *config.HealthCheck {
		return httpCheck(func(c *config.HealthCheck) { edit(c); c.Secrets = []string{secret} })
	}
	tcp := func(send, expect, literal string) *config.HealthCheck {
		c := tcpCheck(send, expect)
		c.Expect.Literal, c.Secrets, c.Timeout = []byte(literal), []string{secret}, time.Second/2
		return c
	}
	padding := strings.Repeat("x", ExcerptSize-len("AUTH hunt"))
	echo := lbtest.Script(len("AUTH "+secret), "-ERR unknown AUTH "+secret+"\r\n")
	cut := lbtest.Script(len("AUTH "+secret), padding+"AUTH "+secret)
	broken := lbtest.Script(4, "HTTP/1.1 "+secret+"\r\n\r\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		fmt.Fprintf(w, "no %s", r.URL.RawQuery)
	}))
	defer server.Close()
	page := netip.MustParseAddrPort(server.Listener.Addr().String())
	tests := []struct {
		name   string
		check  *config.HealthCheck
		serve  lbtest.Serve // nil: page
		reason string
	}{
		{"sent", tcp("AUTH "+secret, "", ""), lbtest.Hang(), `send "AUTH [secret]" to ADDR → sent in ⋯`},
		{"repeated", tcp("AUTH "+secret, "PONG", ""), echo, `send "AUTH [secret]" to ADDR → "-ERR unknown AUTH [secret]"⋯`},
		{"cut", tcp("AUTH "+secret, "PONG", ""), cut, `send "AUTH [secret]" to ADDR → "` + padding + `AUTH [sec"⋯`},
		{"wanted", tcp("", "^"+secret+"$", ""), lbtest.Say("no"), `read from ADDR → "no", then closed (want a reply that matches "^[secret]$")`},
		{"wanted as it is", tcp("", "", secret), lbtest.Say("no"), `read from ADDR → "no", then closed (want "[secret]")`},
		{"no HTTP", hidden(func(c *config.HealthCheck) {}), broken, `GET http://ADDR/⋯`},
		{"page", hidden(func(c *config.HealthCheck) { c.Path, c.Host = "/?k="+secret, secret+".example" }), nil,
			`GET http://ADDR/?k=[secret] (host [secret].example) → 500 "no k=[secret]" (want 200)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			addr := page
			if tt.serve != nil {
				addr = lbtest.NewTCP(t, tt.serve).Addr()
			}
			p := once(t, tt.check, addr)
			want(t, p, addr, p.OK, p.Phase, p.Status, tt.reason)
			if strings.Contains(p.Reason+p.Excerpt, "hunt") {
				t.Errorf("told: %q, %q", p.Reason, p.Excerpt)
			}
		})
	}
	if err := Validate(hidden(func(c *config.HealthCheck) { c.Body = "(" + secret })); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v", err)
	}
}

// The names in a certificate are whatever its maker liked, and reach terminals.
func TestCertificatesDoNotMoveCursors(t *testing.T) {
	err := &tls.CertificateVerificationError{Err: x509.HostnameError{
		Host: "web.example", Certificate: &x509.Certificate{DNSNames: []string{"\x1b[2J\x1b]0;x\x07", "\u009b31m", "ä.example"}},
	}}
	got := openFailure(PhaseTLS, err, time.Second)
	if strings.ContainsFunc(got, unicode.IsControl) || !strings.Contains(got, "ä.example") {
		t.Errorf("got %q", got)
	}
}
