package test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/lbtest"
)

// curled is what curl did.
type curled struct {
	code    int    // exit code
	wrote   string // what -w printed
	verbose string
	body    []byte
}

// curl runs curl with -w verdict.
func curl(t *testing.T, verdict string, args ...string) curled {
	t.Helper()
	path := program(t, "curl")
	file := filepath.Join(t.TempDir(), "body")
	cmd := exec.Command(path, append([]string{"-sSv", "--max-time", "20", "-o", file, "-w", verdict + `\n`}, args...)...)
	cmd.Env = append(os.Environ(), "OPENSSL_CONF="+os.DevNull) // Debian's has no TLS before 1.2
	cmd.Stdin = bytes.NewReader(large)                         // for -T -
	var out, verbose bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &verbose
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatalf("curl: %v", err)
	}
	c := curled{cmd.ProcessState.ExitCode(), strings.TrimSpace(out.String()), strings.ReplaceAll(verbose.String(), "\r", ""), nil}
	c.body, _ = os.ReadFile(file) // without a body there is no file
	return c
}

// TestCurl talks to nginx through weir with curl, in the ways that curl has.
func TestCurl(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	n := startNginx(t)
	d := start(t, nginxConfig(n))
	url := d.url("web")
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, large, 0o600); err != nil {
		t.Fatal(err)
	}
	fifty := "200 1.1 1 25" + strings.Repeat("\n200 1.1 0 25", 49)
	const asked, patiently = "Expect: 100-continue", "--expect100-timeout"
	tests := []struct {
		name     string
		args     []string
		verdict  string // status, version of the answer, connections made, bytes received; or its start
		uploaded string
		verbose  []string // that -v has to show
		body     []byte
	}{
		{"get", []string{url + "/large.bin"}, "200 1.1 1 1048576", "", nil, large},
		{"http 1.0", []string{"--http1.0", url + "/large.bin"}, "200 1.1 1 1048576", "", nil, large},
		{"http 1.0 keep-alive", []string{"--http1.0", "-H", "Connection: keep-alive", url + "/small.txt"}, "200 1.1 1 25", "", nil, text},
		{"http 1.0 in chunks", []string{"--http1.0", url + "/proxied/300000"}, "200 1.1 1 300000", "", nil, noise(300_000)},
		{"head", []string{"-I", url + "/large.bin"}, "200 1.1 1 0", "", []string{"< Content-Length: 1048576"}, nil},
		{"head by http 1.0", []string{"--http1.0", "-I", url + "/large.bin"}, "200 1.1 1 0", "", []string{"< Content-Length: 1048576"}, nil},
		{"range", []string{"-r", "10-25", url + "/large.bin"}, "206 1.1 1 16", "", []string{"< Content-Range: bytes 10-25/1048576"}, large[10:26]},
		{"the end", []string{"-r", "-7", url + "/large.bin"}, "206 1.1 1 7", "", []string{"< Content-Range: bytes 1048569-1048575/1048576"}, large[mib-7:]},
		{"beyond", []string{"-r", "2000000-", url + "/large.bin"}, "416 1.1 1", "", []string{"< Content-Range: bytes */1048576"}, nil},
		{"resume", []string{"-C", "1048000", url + "/large.bin"}, "206 1.1 1 576", "", nil, nil},
		{"compressed", []string{"--compressed", url + "/gzip/large.txt"}, "200 1.1 1", "", []string{"< Content-Encoding: gzip", "< Transfer-Encoding: chunked"}, large},
		{"in chunks", []string{url + "/proxied/300000"}, "200 1.1 1 300000", "", []string{"< Transfer-Encoding: chunked"}, noise(300_000)},
		{"two on a connection", []string{url + "/small.txt", url + "/small.txt", "-o", "/dev/null"}, "200 1.1 1 25\n200 1.1 0 25", "", nil, nil},
		{"fifty on a connection", []string{url + "/small.txt?[1-50]"}, fifty, "", nil, text},
		{"upload", []string{"-T", source, url + "/upload/declared"}, "201 1.1 1 0", "declared", nil, nil},
		{"upload by http 1.0", []string{"--http1.0", "-T", source, url + "/upload/old"}, "201 1.1 1 0", "old", nil, nil},
		{"chunked upload", []string{"-T", source, "-H", "Transfer-Encoding: chunked", url + "/upload/chunked"}, "201 1.1 1 0", "chunked", nil, nil},
		{"upload from a pipe", []string{"-T", "-", url + "/upload/piped"}, "201 1.1 1 0", "piped", []string{"> Transfer-Encoding: chunked"}, nil},
		{"expect", []string{"-T", source, "-H", asked, patiently, "20", url + "/upload/asked"}, "201 1.1 1 0", "asked", []string{"< HTTP/1.1 100 Continue"}, nil},
		{"expect in chunks", []string{"-T", "-", "-H", asked, patiently, "20", url + "/upload/both"}, "201 1.1 1 0", "both", []string{"< HTTP/1.1 100 Continue"}, nil},
		{"no expect", []string{"-T", source, "-H", "Expect:", url + "/upload/unasked"}, "201 1.1 1 0", "unasked", nil, nil},
		{"expect refused", []string{"-T", source, "-H", asked, patiently, "20", url + "/small.txt"}, "405 1.1 1", "", nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := curl(t, `%{http_code} %{http_version} %{num_connects} %{size_download}`, tt.args...)
			if c.code != 0 || !strings.HasPrefix(c.wrote, tt.verdict) {
				t.Errorf("exit code %d, got %q, want %q: %s", c.code, c.wrote, tt.verdict, c.verbose)
			}
			wantWords(t, "curl -v", c.verbose, tt.verbose...)
			if tt.body != nil && !bytes.Equal(c.body, tt.body) {
				t.Errorf("got a body of %d bytes, want %d", len(c.body), len(tt.body))
			}
			if tt.uploaded == "" {
				return
			}
			got, err := os.ReadFile(filepath.Join(n.files, "upload", tt.uploaded))
			if err != nil || !bytes.Equal(got, large) {
				t.Errorf("nginx got %d bytes, want %d: %v", len(got), len(large), err)
			}
		})
	}
}

// TestCurlIsNotToldToContinue has a backend that never says 100: curl sends its body when its own
// patience ends, and weir must be ready for that.
func TestCurlIsNotToldToContinue(t *testing.T) {
	t.Parallel()
	program(t, "curl")
	silent := lbtest.NewTCP(t, func(_ context.Context, c *net.TCPConn) {
		request, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return // a probe
		}
		// net/http would say 100 itself only in its server.
		n, err := io.Copy(io.Discard, request.Body)
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-Error: %v\r\n\r\n%9d", err, n)
	})
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { health_check: none, backends: { silent: { address: %q } } } }
`, silent.Addr()))
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, large, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, length := range map[string]string{source: "> Content-Length: 1048576", "-": "> Transfer-Encoding: chunked"} {
		c := curl(t, `%{http_code}`, "-T", file, "-H", "Expect: 100-continue", "--expect100-timeout", "0.2", d.url("web")+"/path")
		if c.code != 0 || c.wrote != "200" || strings.TrimSpace(string(c.body)) != "1048576" {
			t.Errorf("%s: exit code %d, got %s and %q: %s", length, c.code, c.wrote, c.body, c.verbose)
		}
		wantWords(t, "curl -v", c.verbose, length, "Done waiting for 100-continue", "< X-Error: <nil>")
	}
}

// TestApacheBench has ab send what it sends, by HTTP/1.0 with and without keep-alive.
func TestApacheBench(t *testing.T) {
	t.Parallel()
	path := program(t, "ab")
	n := startNginx(t)
	cert := lbtest.NewCertificate(t, "127.0.0.1")
	d := start(t, strings.Replace(nginxConfig(n), "listeners: {", fmt.Sprintf(
		`listeners: { shop: { protocol: https, address: "127.0.0.1:0", pool: files, tls: { certificates: [{ cert: %s, key: %s }] } },`, cert.CertFile, cert.KeyFile), 1))
	d.awaitHealth("files", "nginx", "up")
	form := filepath.Join(t.TempDir(), "form")
	if err := os.WriteFile(form, text, 0o600); err != nil {
		t.Fatal(err)
	}
	web, shop := d.url("web"), "https://"+d.address("shop")
	tests := []struct {
		name string
		args []string
		says []string
	}{
		{"a connection each", []string{"-n", "5000", web + "/small.txt"}, []string{"Complete requests: 5000", "HTML transferred: 125000 bytes"}},
		{"keep-alive", []string{"-k", "-n", "5000", web + "/small.txt"}, []string{"Complete requests: 5000", "Keep-Alive requests: 5000", "HTML transferred: 125000 bytes"}},
		{"large", []string{"-k", "-n", "200", web + "/large.bin"}, []string{"Complete requests: 200", "HTML transferred: 209715200 bytes"}},
		{"uploads", []string{"-k", "-n", "1000", "-u", form, web + "/upload/form"}, []string{"Complete requests: 1000"}},
		{"tls", []string{"-k", "-n", "1000", shop + "/small.txt"}, []string{"Complete requests: 1000", "Keep-Alive requests: 1000", "TLSv1.3"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := exec.Command(path, append([]string{"-q", "-c", "50", "-s", "20"}, tt.args...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("ab: %v: %s", err, out)
			}
			words := strings.Join(strings.Fields(string(out)), " ")
			wantWords(t, "ab", words, append(tt.says, "Failed requests: 0 ")...)
			if strings.Contains(words, "Non-2xx") {
				t.Errorf("ab: %s", words)
			}
		})
	}
}
