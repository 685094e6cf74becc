package test

import (
	"bufio"
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
	"time"
)

// secretNginx is Debian's nginx with a secret below /admin, and its own reading of a path below all else.
func secretNginx(t *testing.T) (address string) {
	t.Helper()
	path, dir, address := program(t, "nginx"), t.TempDir(), fixedPort(t)
	file := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`
daemon off; master_process off; pid nginx.pid; error_log error.log;
events { }
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	server {
		listen %s;
		location /admin { return 200 "SECRET $uri"; }
		location / { return 200 "public $uri"; }
	}
}`, address)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var output lockedBuffer
	cmd := exec.Command(path, "-e", "error.log", "-p", dir, "-c", file)
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
		c, err := net.Dial("tcp", address)
		return err == nil && c.Close() == nil
	})
	return address
}

// askFor sends a target as it is; net/http would change some.
func askFor(t *testing.T, address, target string) (status int, body string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n", target); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(all)
}

// TestPathsPastRoutes looks for a spelling of /admin that gets past the route in front of it to a
// backend that reads paths as generously as nginx does.
func TestPathsPastRoutes(t *testing.T) {
	t.Parallel()
	nginx := secretNginx(t)
	d := start(t, fmt.Sprintf(`
listeners:
  web:
    protocol: http
    address: "127.0.0.1:0"
    pool: app
    routes:
      - { path_prefix: /admin, source: [10.0.0.0/8], pool: app }
      - { path_prefix: /admin, respond: { status: 403, body: no } }
      - { path_prefix: /pub, strip_prefix: /pub, rewrite: "/x{path}", pool: app }
pools:
  app: { health_check: none, backends: { nginx: { address: %q } } }
`, nginx))
	weir := strings.TrimPrefix(d.url("web"), "http://")
	const forbidden, bad, fine = http.StatusForbidden, http.StatusBadRequest, http.StatusOK
	tests := []struct {
		target string
		status int
		body   string // what it begins with
	}{
		{"/admin", forbidden, "no"}, {"/admin/", forbidden, "no"}, {"/%61dmin/x", forbidden, "no"}, {"/x/../admin", forbidden, "no"},
		{"/x/%2e%2e/admin", forbidden, "no"}, {"/./admin", forbidden, "no"}, {"/admin?x", forbidden, "no"},
		{"//admin", bad, ""}, {"///admin", bad, ""}, {"/x/..%2fadmin", bad, ""}, {"/x/..%2Fadmin", bad, ""}, {"/x%2f..%2fadmin", bad, ""},
		{"/%2fadmin", bad, ""}, {"/x//../admin", bad, ""}, {"/admin%2fx", bad, ""}, {"/admin;x", bad, ""}, {"/admin%3bx", bad, ""},
		{"/x/..;/admin", bad, ""}, {`/x/..\admin`, bad, ""}, {"/x/..%5cadmin", bad, ""}, {`/\admin`, bad, ""}, {"/%5cadmin", bad, ""},
		{"/admin/x%2f..;%2f..;%2fpub/..", bad, ""}, {"/admin%2fx%2f..;%2f..;%2fpub/..", bad, ""}, {"/x/%2e%2e%2fadmin", bad, ""},
		{"/pub/..%2fadmin", bad, ""}, {"/pub/..%2f..%2fadmin", bad, ""}, {"/pub/..;/admin", bad, ""}, {`/pub/..\admin`, bad, ""},
		{"/admin%00", bad, ""}, {"/%00/../admin", bad, ""}, {"/x%00", bad, ""},
		{"/", fine, "public /"}, {"/x%2fy", fine, "public /x/y"}, {"/x//y", fine, "public /x/y"}, {"/x;v=1", fine, "public /x;v=1"},
		{"/administration", fine, "SECRET /administration"}, // nginx's prefix is no segment; ours is
		{"/x%252f..%252fadmin", fine, "public /x%2f..%2fadmin"}, {"/x/%252e%252e/admin", fine, "public /x/%2e%2e/admin"}, {"/%2561dmin", fine, "public /%61dmin"},
		{"/pub/a%2fb", fine, "public /x/a/b"}, {"/pub/../y", fine, "public /y"}, {"/pub/%252e%252e%252fadmin", fine, "public /x/%2e%2e%2fadmin"},
	}
	for _, tt := range tests {
		status, body := askFor(t, weir, tt.target)
		if status != tt.status || !strings.HasPrefix(body, tt.body) {
			t.Errorf("%s: got %d %q, want %d %q", tt.target, status, body, tt.status, tt.body)
		}
	}
	// Without weir each of these gets there: else the test shows nothing.
	for _, target := range []string{"//admin", "/x/..%2fadmin", "/x%2f..%2fadmin", "/%2fadmin", "/x//../admin", "/admin%2fx", "/admin;x"} {
		if _, body := askFor(t, nginx, target); !strings.HasPrefix(body, "SECRET") {
			t.Errorf("nginx has %q for %s, want the secret", body, target)
		}
	}
}
