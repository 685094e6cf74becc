package test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"weir/internal/lbtest"
)

// startTLS runs weir with https listeners, given by their tls section, before backends[0].
func startTLS(t *testing.T, listeners map[string]string) (*daemon, *lbtest.HTTP) {
	t.Helper()
	b := backends(t, 1)
	d := start(t, tlsConfig(b[0], listeners))
	d.awaitHealth("app", "b1", "up")
	return d, b[0]
}

// tlsConfig trusts the clients as proxies: what is dropped of their fields has another reason.
func tlsConfig(b *lbtest.HTTP, listeners map[string]string) string {
	var text strings.Builder
	text.WriteString("\nlisteners:\n")
	for name, section := range listeners {
		fmt.Fprintf(&text, "  %s: { protocol: https, address: \"127.0.0.1:0\", pool: app, forwarded: { trust: [127.0.0.0/8] }, tls: { %s } }\n", name, section)
	}
	fmt.Fprintf(&text, "pools: { app: { backends: %s } }\n", listed(b))
	return text.String()
}

// certificates is that key, from pairs of files.
func certificates(files ...string) string {
	var pairs []string
	for i := 0; i < len(files); i += 2 {
		pairs = append(pairs, fmt.Sprintf("{ cert: %s, key: %s }", files[i], files[i+1]))
	}
	return "certificates: [" + strings.Join(pairs, ", ") + "]"
}

// sClient lets `openssl s_client` send a request, whose answer ends the connection.
func sClient(t *testing.T, a *authority, address string, args ...string) spoken {
	t.Helper()
	return openssl(t, "GET / HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n",
		append([]string{"s_client", "-connect", address, "-CAfile", a.path("ca.crt"), "-ign_eof"}, args...)...)
}

// TestTLSVersions meets listeners of several versions with clients of one each.
func TestTLSVersions(t *testing.T) {
	t.Parallel()
	program(t, "openssl")
	a := newAuthority(t)
	cert, key := a.issue(identity{file: "shop", name: "shop", hosts: []string{"shop.example"}, serial: 2})
	pair := certificates(cert, key)
	d, _ := startTLS(t, map[string]string{
		"usual": pair, "old": pair + `, max_version: "1.2"`, "new": pair + `, min_version: "1.3"`,
	})
	versions := []struct {
		name, flag string
		at         []string // listeners that speak it
	}{
		{"1.0", "-tls1", nil},
		{"1.1", "-tls1_1", nil},
		{"1.2", "-tls1_2", []string{"usual", "old"}},
		{"1.3", "-tls1_3", []string{"usual", "new"}},
	}
	for _, listener := range []string{"usual", "old", "new"} {
		for _, v := range versions {
			t.Run(v.name+" to "+listener, func(t *testing.T) {
				address := d.address(listener)
				host, port, _ := cutLast(address, ":")
				s := sClient(t, a, address, v.flag, "-cipher", "DEFAULT:@SECLEVEL=0", "-servername", "shop.example")
				c := curl(t, "%{http_code}", "--tlsv"+v.name, "--tls-max", v.name, "--ciphers", "DEFAULT:@SECLEVEL=0",
					"--cacert", a.path("ca.crt"), "--resolve", "shop.example:"+port+":"+host, "https://shop.example:"+port+"/")
				if !strings.Contains(strings.Join(v.at, " "), listener) {
					s.want(1, "alert protocol version")
					s.wantNot("BEGIN CERTIFICATE", "HTTP/1.1 200")
					if c.code != 35 || !strings.Contains(c.verbose, "alert protocol version") {
						t.Errorf("curl: exit code %d, want 35: %s", c.code, c.verbose)
					}
					return
				}
				s.want(0, "New, TLSv"+v.name, "Verify return code: 0 (ok)", "HTTP/1.1 200 OK")
				if c.code != 0 || c.wrote != "200" {
					t.Errorf("curl: exit code %d, got %s: %s", c.code, c.wrote, c.verbose)
				}
				wantWords(t, "curl -v", c.verbose, "SSL connection using TLSv"+v.name, "SSL certificate verify ok")
			})
		}
	}
	for version, want := range map[string]float64{"1.2": 4, "1.3": 4} {
		if got := d.metric("weir_tls_handshakes_total", "version", version, "result", "ok"); got != want {
			t.Errorf("handshakes of %s: got %v, want %v", version, got, want)
		}
	}
	if got := d.metric("weir_tls_handshakes_total", "result", "error"); got != 2*(3*4-4) {
		t.Errorf("handshakes that failed: got %v, want 16", got)
	}
}

// TestTLSSuites asks for suites that are there and for some that are not.
func TestTLSSuites(t *testing.T) {
	t.Parallel()
	program(t, "openssl")
	a := newAuthority(t)
	ec, ecKey := a.issue(identity{file: "ec", name: "ec", hosts: []string{"shop.example"}, serial: 2})
	old, oldKey := a.issue(identity{file: "rsa", name: "rsa", hosts: []string{"shop.example"}, serial: 3, key: rsaKey(t)})
	both := certificates(ec, ecKey, old, oldKey)
	d, _ := startTLS(t, map[string]string{
		"usual": both, "few": both + ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]",
	})
	tests := []struct {
		suite, subject string
		usual, few     bool
	}{
		{"ECDHE-ECDSA-AES128-GCM-SHA256", "CN = ec", true, false},
		{"ECDHE-RSA-AES128-GCM-SHA256", "CN = rsa", true, false},
		{"ECDHE-RSA-AES256-GCM-SHA384", "CN = rsa", true, true},
		{"ECDHE-ECDSA-CHACHA20-POLY1305", "CN = ec", true, true},
		{"AES128-GCM-SHA256", "", false, false},       // without forward secrecy
		{"AES128-SHA", "", false, false},              // the same
		{"ECDHE-RSA-AES128-SHA256", "", false, false}, // CBC with SHA-256
	}
	for _, tt := range tests {
		for listener, there := range map[string]bool{"usual": tt.usual, "few": tt.few} {
			t.Run(tt.suite+" of "+listener, func(t *testing.T) {
				s := sClient(t, a, d.address(listener), "-tls1_2", "-cipher", tt.suite, "-servername", "shop.example")
				if !there {
					s.want(1, "alert handshake failure")
					return
				}
				s.want(0, "New, TLSv1.2, Cipher is "+tt.suite, tt.subject, "HTTP/1.1 200 OK")
			})
		}
	}
	for _, suite := range []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"} {
		sClient(t, a, d.address("few"), "-ciphersuites", suite, "-servername", "shop.example").want(0, "New, TLSv1.3, Cipher is "+suite)
	}
}

// TestTLSNames chooses certificates by name, and protocols by ALPN.
func TestTLSNames(t *testing.T) {
	t.Parallel()
	program(t, "openssl")
	a := newAuthority(t)
	var files []string
	for i, hosts := range [][]string{{"other.example"}, {"*.shop.example"}, {"shop.example", "a.shop.example"}, {"*.deep.shop.example"}} {
		cert, key := a.issue(identity{file: fmt.Sprint("c", i), name: fmt.Sprint("number ", i), hosts: hosts, serial: int64(i + 2)})
		files = append(files, cert, key)
	}
	d, _ := startTLS(t, map[string]string{"shop": certificates(files...)})
	address := d.address("shop")
	host, port, _ := cutLast(address, ":")
	tests := []struct {
		name   string
		number int
		fits   bool // the certificate is good for the name
	}{
		{"shop.example", 2, true},
		{"SHOP.example", 2, true},
		{"a.shop.example", 2, true}, // exact before wildcard
		{"b.shop.example", 1, true},
		{"x.deep.shop.example", 3, true},
		{"deep.shop.example", 1, true},
		{"a.b.shop.example", 0, false}, // a wildcard is one label
		{"other.example", 0, true},
		{"unknown.example", 0, false},
		{"", 0, false},
	}
	for _, tt := range tests {
		t.Run("SNI "+tt.name, func(t *testing.T) {
			sni := []string{"-servername", tt.name}
			if tt.name == "" {
				sni = []string{"-noservername"}
			}
			sClient(t, a, address, sni...).want(0, fmt.Sprint("subject=O = Weir, CN = number ", tt.number), "HTTP/1.1 200 OK")
			if tt.name == "" {
				return
			}
			url := "https://" + tt.name + ":" + port + "/"
			resolve := []string{"--resolve", tt.name + ":" + port + ":" + host, url}
			c := curl(t, "%{http_code}", append([]string{"--cacert", a.path("ca.crt")}, resolve...)...)
			if tt.fits != (c.code == 0 && c.wrote == "200") || !tt.fits && c.code != 60 {
				t.Errorf("curl: exit code %d, got %s: %s", c.code, c.wrote, c.verbose)
			}
			if c := curl(t, "%{http_code}", append([]string{"-k"}, resolve...)...); c.code != 0 || c.wrote != "200" {
				t.Errorf("curl -k: exit code %d, got %s: %s", c.code, c.wrote, c.verbose)
			}
		})
	}
	sClient(t, a, address, "-alpn", "http/1.1").want(0, "ALPN protocol: http/1.1")
	sClient(t, a, address, "-alpn", "h2,http/1.1").want(0, "ALPN protocol: http/1.1")
	sClient(t, a, address).want(0, "No ALPN negotiated", "HTTP/1.1 200 OK")
	sClient(t, a, address, "-alpn", "h2").want(1, "alert no application protocol")
	if c := curl(t, "%{http_code} %{http_version}", "-k", "--http2", "https://"+address); c.wrote != "200 1.1" {
		t.Errorf("curl --http2: got %s: %s", c.wrote, c.verbose)
	}
}

// TestMutualTLS wants certificates of clients, and tells backends about them.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	program(t, "openssl")
	a, stranger := newAuthority(t), newAuthority(t)
	cert, key := a.issue(identity{file: "shop", name: "shop", hosts: []string{"shop.example"}, serial: 2})
	ada, adaKey := a.issue(identity{file: "ada", name: "Ada", serial: 0xbeef})
	eve, eveKey := stranger.issue(identity{file: "eve", name: "Eve", serial: 3})
	mutual := certificates(cert, key) + ", client_cert_headers: true, client_ca: " + a.path("ca.crt")
	d, b := startTLS(t, map[string]string{"require": mutual, "request": mutual + ", client_auth: request"})
	b.SetHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, field := range []string{"Clientverify", "Subjectdn", "Issuerdn", "Serialnumber", "Fingerprint", "Forged"} {
			_, _ = fmt.Fprintf(w, "%s=%s\n", field, strings.Join(r.Header["X-Forwarded-Clientcert-"+field], "|"))
		}
	}))
	forged := []string{"-H", "X-Forwarded-ClientCert-SubjectDN: CN=root", "-H", "x-forwarded-clientcert-clientverify: SUCCESS", "-H", "X-Forwarded-Clientcert-Forged: yes"}
	none := "Clientverify=NONE\nSubjectdn=\nIssuerdn=\nSerialnumber=\nFingerprint=\nForged=\n"
	tests := []struct {
		name, listener string
		args           []string
		served         bool
		fields         []string
	}{
		{"valid", "require", []string{"--cert", ada, "--key", adaKey}, true,
			[]string{"Clientverify=SUCCESS\n", "Subjectdn=CN=Ada,O=Weir\n", "Issuerdn=CN=Authority,O=Weir\n", "Serialnumber=BEEF\n", "Forged=\n"}},
		{"valid", "request", []string{"--cert", ada, "--key", adaKey}, true, []string{"Clientverify=SUCCESS\n", "Subjectdn=CN=Ada,O=Weir\n", "Forged=\n"}},
		{"none", "require", nil, false, nil},
		{"none", "request", nil, true, []string{none}},
		{"of a stranger", "require", []string{"--cert", eve, "--key", eveKey}, false, nil},
		{"of a stranger", "request", []string{"--cert", eve, "--key", eveKey}, false, nil},
	}
	for _, tt := range tests {
		for _, version := range []string{"1.2", "1.3"} {
			t.Run(tt.name+" to "+tt.listener+" by "+version, func(t *testing.T) {
				args := append([]string{"-k", "--tlsv" + version, "--tls-max", version, "https://" + d.address(tt.listener)}, tt.args...)
				before := b.Requests()
				c := curl(t, "%{http_code}", append(args, forged...)...)
				if tt.served != (c.code == 0 && c.wrote == "200") {
					t.Errorf("exit code %d, got %s: %s", c.code, c.wrote, c.verbose)
				}
				if !tt.served && (b.Requests() != before || !strings.Contains(c.verbose, "alert")) {
					t.Errorf("%d requests got through: %s", b.Requests()-before, c.verbose)
				}
				wantWords(t, "the backend", string(c.body), tt.fields...)
			})
		}
	}
	sClient(t, a, d.address("require"), "-cert", ada, "-key", adaKey).want(0, "Acceptable client certificate CA names", "CN = Authority", "Subjectdn=CN=Ada")
}

// TestTLSResumption keeps the sessions of openssl over reloads, and with keys from the file over a
// restart too.
func TestTLSResumption(t *testing.T) {
	t.Parallel()
	program(t, "openssl")
	a := newAuthority(t)
	cert, key := a.issue(identity{file: "shop", name: "shop", hosts: []string{"shop.example"}, serial: 2})
	pair := certificates(cert, key)
	b := backends(t, 1)
	first, second := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	before := tlsConfig(b[0], map[string]string{"own": pair, "shared": pair + ", ticket_keys: [" + first + "]"})
	rotated := tlsConfig(b[0], map[string]string{"own": pair, "shared": pair + ", ticket_keys: [" + second + ", " + first + "]"})
	d := start(t, before)
	d.awaitHealth("app", "b1", "up")
	session := func(listener, version string) string { return a.path(listener + version) }
	everywhere := func(d *daemon, f func(listener, version string, ask func(args ...string) spoken)) {
		for _, listener := range []string{"own", "shared"} {
			for _, version := range []string{"1_2", "1_3"} {
				f(listener, version, func(args ...string) spoken {
					t.Helper()
					return sClient(t, a, d.address(listener), append(args, "-tls"+version, "-servername", "shop.example")...)
				})
			}
		}
	}
	everywhere(d, func(listener, version string, ask func(...string) spoken) {
		ask("-sess_out", session(listener, version)).want(0, "New, TLSv1", "HTTP/1.1 200 OK")
		ask("-sess_in", session(listener, version)).want(0, "Reused, TLSv1", "HTTP/1.1 200 OK")
	})
	d.reload(before + "# the same\n")
	d.reload(rotated)
	everywhere(d, func(listener, version string, ask func(...string) spoken) {
		ask("-sess_in", session(listener, version)).want(0, "Reused, TLSv1", "HTTP/1.1 200 OK")
	})
	d.stop()
	d = start(t, rotated)
	d.awaitHealth("app", "b1", "up")
	everywhere(d, func(listener, version string, ask func(...string) spoken) {
		want := "New, TLSv1"
		if listener == "shared" {
			want = "Reused, TLSv1"
		}
		ask("-sess_in", session(listener, version)).want(0, want, "HTTP/1.1 200 OK")
	})
}

// TestStaple staples an OCSP response to one of two certificates.
func TestStaple(t *testing.T) {
	t.Parallel()
	program(t, "openssl")
	a := newAuthority(t)
	shop := identity{file: "shop", name: "shop", hosts: []string{"shop.example"}, serial: 2}
	cert, key := a.issue(shop)
	response := a.staple(shop)
	a.replace(cert, append(readFile(t, cert), readFile(t, a.path("ca.crt"))...)) // curl wants to see the issuer
	other, otherKey := a.issue(identity{file: "other", name: "other", hosts: []string{"other.example"}, serial: 3})
	d, _ := startTLS(t, map[string]string{"shop": certificates(cert, key, other, otherKey) + ", ocsp: " + response})
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		sClient(t, a, d.address("shop"), version, "-status", "-servername", "shop.example").
			want(0, "OCSP Response Status: successful (0x0)", "Cert Status: good", "Serial Number: 02")
		sClient(t, a, d.address("shop"), version, "-status", "-servername", "other.example").want(0, "OCSP response: no response sent")
		sClient(t, a, d.address("shop"), version, "-servername", "shop.example").wantNot("OCSP Response Status")
	}
	host, port, _ := cutLast(d.address("shop"), ":")
	c := curl(t, "%{http_code}", "--cert-status", "--cacert", a.path("ca.crt"), "--resolve", "shop.example:"+port+":"+host, "https://shop.example:"+port)
	if c.code != 0 || !strings.Contains(c.verbose, "SSL certificate status: good (0)") {
		t.Errorf("curl --cert-status: exit code %d: %s", c.code, c.verbose)
	}
}

// TestPlainHTTPToTLS tells clients that speak plain HTTP what they should do.
func TestPlainHTTPToTLS(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	d, b := startTLS(t, map[string]string{"shop": certificates(a.issue(identity{file: "shop", name: "shop", serial: 2}))})
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
		"POST /form HTTP/1.0\r\nContent-Length: 100000\r\n\r\nbegin",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		c := connect(t, d.address("shop"))
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%q: %v", request, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusBadRequest || !response.Close || !strings.Contains(string(body), "https") {
			t.Errorf("%q: got %s %v %q, %v", request, response.Status, response.Header, body, err)
		}
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%q: after the answer: got %v, want the end", request, err)
		}
	}
	// What is neither gets no answer, or an alert.
	c := connect(t, d.address("shop"))
	if _, err := io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(c); strings.Contains(string(got), "HTTP") {
		t.Errorf("to ssh: got %q", got)
	}
	if b.Requests() != 0 {
		t.Errorf("%d requests reached the backend", b.Requests())
	}
	if got := d.metric("weir_tls_handshakes_total", "result", "error"); got != 4 {
		t.Errorf("handshakes that failed: got %v, want 4", got)
	}
	program(t, "curl")
	if c := curl(t, "%{http_code}", "http://"+d.address("shop")); c.wrote != "400" || !strings.Contains(string(c.body), "https") {
		t.Errorf("curl: got %s %q: %s", c.wrote, c.body, c.verbose)
	}
}
