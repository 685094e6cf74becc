package test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nginx is Debian's nginx with files to serve, and a folder to upload to.
type nginx struct {
	address string
	files   string // its document root
}

// text is the small file, large the large one.
var (
	text  = []byte("a file that nginx serves\n")
	large = bytes.Repeat([]byte("0123456789abcdef"), mib/16)
)

func startNginx(t *testing.T) *nginx {
	t.Helper()
	path := program(t, "nginx")
	dir := t.TempDir()
	n := &nginx{address: fixedPort(t), files: filepath.Join(dir, "files")}
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"files", "files/upload", "temp"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("files/small.txt", text)
	write("files/large.bin", large)
	// One process: workers would run as another user, who may not read our files.
	write("nginx.conf", []byte(fmt.Sprintf(`
daemon off; master_process off; pid nginx.pid; error_log error.log;
events { }
http {
	access_log off; client_max_body_size 64m;
	client_body_temp_path temp/body; proxy_temp_path temp/proxy; fastcgi_temp_path temp/fastcgi;
	uwsgi_temp_path temp/uwsgi; scgi_temp_path temp/scgi;
	server {
		listen %s; root files;
		location /upload/ { dav_methods PUT; }
	}
}`, n.address)))
	var output lockedBuffer
	cmd := exec.Command(path, "-e", "error.log", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("nginx: %v: %s", err, output.String())
		}
	})
	eventually(t, "nginx listens", func() bool {
		c, err := net.Dial("tcp", n.address)
		return err == nil && c.Close() == nil
	})
	return n
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func fetch(t *testing.T, method, url string, header map[string]string) answer {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "files.example"
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, body}
}

// TestNginx asks for static files with and without weir in between: the answers are the same.
func TestNginx(t *testing.T) {
	n := startNginx(t)
	d := start(t, nginxConfig(n))
	tag := fetch(t, "GET", "http://"+n.address+"/small.txt", nil).header
	tests := []struct {
		name, method, path string
		header             map[string]string
		status             int
		body               []byte
	}{
		{"get", "GET", "/small.txt", nil, 200, text},
		{"large", "GET", "/large.bin", nil, 200, large},
		{"head", "HEAD", "/large.bin", nil, 200, nil},
		{"same tag", "GET", "/small.txt", map[string]string{"If-None-Match": tag.Get("ETag")}, 304, nil},
		{"not modified", "GET", "/small.txt", map[string]string{"If-Modified-Since": tag.Get("Last-Modified")}, 304, nil},
		{"range", "GET", "/large.bin", map[string]string{"Range": "bytes=10-25"}, 206, large[10:26]},
		{"end", "GET", "/large.bin", map[string]string{"Range": "bytes=-100000"}, 206, large[len(large)-100000:]},
		{"beyond", "GET", "/small.txt", map[string]string{"Range": "bytes=100-"}, 416, nil},
		{"missing", "GET", "/none.txt", nil, 404, nil},
		{"missing head", "HEAD", "/none.txt", nil, 404, nil},
		{"folder", "GET", "/upload", nil, 301, nil},
		{"method", "DELETE", "/small.txt", nil, 405, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := fetch(t, tt.method, "http://"+n.address+tt.path, tt.header)
			got := fetch(t, tt.method, d.url("web")+tt.path, tt.header)
			if got.status != tt.status || want.status != tt.status {
				t.Errorf("status: got %d, of nginx itself %d, want %d", got.status, want.status, tt.status)
			}
			if tt.body != nil && !bytes.Equal(got.body, tt.body) || !bytes.Equal(got.body, want.body) {
				t.Errorf("body: got %d bytes, want %d", len(got.body), len(want.body))
			}
			for _, h := range []http.Header{got.header, want.header} {
				h.Del("Date")
				h.Del("Connection")
			}
			if fmt.Sprint(got.header) != fmt.Sprint(want.header) {
				t.Errorf("header: got %v, want %v", got.header, want.header)
			}
		})
	}
}

func nginxConfig(n *nginx) string {
	return fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: files } }
pools:
  files:
    health_check: { protocol: http, path: /small.txt, body: "^a file", interval: 1s, timeout: 1s }
    backends: { nginx: { address: %q } }
`, n.address)
}

// TestCurl talks to nginx through weir with curl, in the ways that curl has.
func TestCurl(t *testing.T) {
	curl := program(t, "curl")
	n := startNginx(t)
	d := start(t, nginxConfig(n))
	url := d.url("web")
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, large, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		args     []string
		verdict  string // status, version of the answer, connections made, bytes received; or its start
		uploaded string
		verbose  []string // that -v has to show
	}{
		{"get", []string{url + "/large.bin"}, "200 1.1 1 1048576", "", nil},
		{"http 1.0", []string{"--http1.0", url + "/large.bin"}, "200 1.1 1 1048576", "", nil},
		{"http 1.0 keep-alive", []string{"--http1.0", "-H", "Connection: keep-alive", url + "/small.txt"}, "200 1.1 1 25", "", nil},
		{"head", []string{"-I", url + "/large.bin"}, "200 1.1 1 0", "", []string{"< Content-Length: 1048576"}},
		{"two on a connection", []string{url + "/small.txt", url + "/small.txt", "-o", "/dev/null"}, "200 1.1 1 25\n200 1.1 0 25", "", nil},
		{"upload", []string{"-T", source, url + "/upload/declared"}, "201 1.1 1 0", "declared", nil},
		{"upload by http 1.0", []string{"--http1.0", "-T", source, url + "/upload/old"}, "201 1.1 1 0", "old", nil},
		{"chunked upload", []string{"-T", source, "-H", "Transfer-Encoding: chunked", url + "/upload/chunked"}, "201 1.1 1 0", "chunked", nil},
		{"expect", []string{"-T", source, "-H", "Expect: 100-continue", "--expect100-timeout", "20", url + "/upload/asked"}, "201 1.1 1 0", "asked", []string{"< HTTP/1.1 100 Continue"}},
		{"no expect", []string{"-T", source, "-H", "Expect:", url + "/upload/unasked"}, "201 1.1 1 0", "unasked", nil},
		{"expect refused", []string{"-T", source, "-H", "Expect: 100-continue", "--expect100-timeout", "20", url + "/small.txt"}, "405 1.1 1", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"-sSv", "--max-time", "20", "-o", "/dev/null",
				"-w", `%{http_code} %{http_version} %{num_connects} %{size_download}\n`}, tt.args...)
			cmd := exec.Command(curl, args...)
			var out, verbose bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &verbose
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v: %s", err, verbose.String())
			}
			if got := strings.TrimSpace(out.String()); !strings.HasPrefix(got, tt.verdict) {
				t.Errorf("got %q, want %q: %s", got, tt.verdict, verbose.String())
			}
			wantWords(t, "curl -v", strings.ReplaceAll(verbose.String(), "\r", ""), tt.verbose...)
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
