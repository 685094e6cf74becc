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
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"weir/internal/lbtest"
)

// nginx is Debian's nginx with files to serve by sendfile, those below /gzip/ compressed, and a folder
// to upload to. What is below /proxied/ it has from a backend of its own, in chunks.
type nginx struct {
	address string
	files   string // its document root
}

// text is the small file, large the large one.
var (
	text  = []byte("a file that nginx serves\n")
	large = bytes.Repeat([]byte("0123456789abcdef"), mib/16)
)

// sizes are files of noise, named by their sizes: none, little, around the sizes of buffers, much.
var sizes = []int{0, 1, 100, 4095, 4096, 16384, 65537, 300_000}

// inChunks answers /N with N bytes of noise, a part at a time and without a length.
func inChunks(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.Atoi(r.URL.Path[1:])
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	for rest := noise(size); ; {
		part := min(len(rest), 1+size/7)
		if _, err := w.Write(rest[:part]); err != nil {
			return // the client is gone
		}
		w.(http.Flusher).Flush()
		if rest = rest[part:]; len(rest) == 0 {
			return
		}
	}
}

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
	inner := lbtest.NewHTTP(t, "inner")
	inner.SetHandler(http.HandlerFunc(inChunks))
	for _, folder := range []string{"files", "files/upload", "files/gzip", "temp"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write("files/small.txt", text)
	write("files/large.bin", large)
	write("files/gzip/large.txt", large)
	for _, size := range sizes {
		write("files/"+strconv.Itoa(size), noise(size))
	}
	// One process: workers would run as another user, who may not read our files.
	write("nginx.conf", []byte(fmt.Sprintf(`
daemon off; master_process off; pid nginx.pid; error_log error.log;
events { }
http {
	access_log off; client_max_body_size 64m; sendfile on;
	client_body_temp_path temp/body; proxy_temp_path temp/proxy; fastcgi_temp_path temp/fastcgi;
	uwsgi_temp_path temp/uwsgi; scgi_temp_path temp/scgi;
	server {
		listen %s; root files;
		location /upload/ { dav_methods PUT; }
		location /gzip/ { gzip on; gzip_types *; }
		location /proxied/ { proxy_pass http://%s/; }
	}
}`, n.address, inner.Addr())))
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

// boundary is what nginx puts between several ranges, a number that grows from answer to answer.
var boundary = regexp.MustCompile(`\b\d{20}\b`)

// TestNginx asks for static files with and without weir in between: the answers are the same.
func TestNginx(t *testing.T) {
	t.Parallel()
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
		{"two ranges", "GET", "/large.bin", map[string]string{"Range": "bytes=0-9,20-29"}, 206, nil},
		{"compressed", "GET", "/gzip/large.txt", map[string]string{"Accept-Encoding": "gzip"}, 200, nil},
		{"not compressed", "GET", "/gzip/large.txt", nil, 200, large},
		{"in chunks", "GET", "/proxied/300000", nil, 200, noise(300_000)},
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
			for _, a := range []*answer{&got, &want} {
				a.body = boundary.ReplaceAll(a.body, nil)
				a.header.Set("Content-Type", boundary.ReplaceAllString(a.header.Get("Content-Type"), ""))
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
