package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestCheck gives good and bad files to `weir check`.
func TestCheck(t *testing.T) {
	const good = `
listeners: { web: { protocol: http, address: ":80", pool: app } }
pools: { app: { backends: ["10.0.0.11:8080", "10.0.0.12:8080"] } }
`
	tests := []struct {
		name, text string
		code       int
		says       []string
	}{
		{"good", good, 0, []string{"ok: ", "1 listener, 1 pool, 2 backends"}},
		{"unknown key", strings.Replace(good, "backends", "backend", 1), 1, []string{"weir.yaml:3:17", `unknown key "backend"`, `did you mean "backends"?`}},
		{"two mistakes", strings.NewReplacer("pool: app", "pool: web", "http,", "htp,").Replace(good), 1, []string{"2 errors", "weir.yaml:2:", "htp", `"web"`}},
		{"no yaml", "listeners: [", 1, []string{"weir.yaml:1:"}},
		{"empty", "", 1, []string{"weir.yaml"}},
		{"no file of a value", strings.Replace(good, "version: 1\n", "", 1) + "log: { level: \"${file:none}\" }\n", 1, []string{"weir.yaml:4:", "none"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "weir.yaml")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := weir(t, "check", file)
			if code != tt.code || (code == 0) != (stderr == "") || (code == 0) != (stdout != "") {
				t.Errorf("exit code %d, want %d; output %q, errors %q", code, tt.code, stdout, stderr)
			}
			wantWords(t, "weir check", stdout+stderr, tt.says...)
		})
	}
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("listeners: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := weir(t, "run", "-c", bad); code != 1 || stdout != "" || !strings.Contains(stderr, "bad.yaml:1:") {
		t.Errorf("weir run on a bad file: exit code %d, want 1: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := weir(t, "check"); code != 2 || stderr == "" {
		t.Errorf("without a file: exit code %d, want 2: %q", code, stderr)
	}
}

// everything is a configuration that names files, sockets, addresses and names to resolve.
const everything = `
include: [conf.d/*.yaml]
admin: { socket: DIR/run/admin.sock, listen: "ADMIN" }
log: { level: "${file:DIR/level}", access: { output: DIR/log/access.log } }
listeners: { web: { protocol: http, address: "LISTEN", pool: app } }
`

// TestCheckTouchesNothing compares the folder before and after, to the nanosecond, and looks at the
// system calls: no socket is opened and no file is written.
func TestCheckTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"weir.yaml":        strings.NewReplacer("DIR", dir, "ADMIN", fixedPort(t), "LISTEN", fixedPort(t)).Replace(everything),
		"conf.d/pool.yaml": "pools: { app: { backends: [\"127.0.0.1:9\"] } }\n",
		"level":            "debug",
		"run/keep":         "", "log/keep": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "weir.yaml")
	before := inventory(t, dir)
	for _, args := range [][]string{{"check", file}, {"check", "--files", file}} {
		if code, stdout, stderr := weir(t, args...); code != 0 {
			t.Fatalf("weir %v: exit code %d: %s%s", args, code, stdout, stderr)
		}
		if after := inventory(t, dir); after != before {
			t.Errorf("weir %v changed the folder: got %s, want %s", args, after, before)
		}
	}
	t.Run("system calls", func(t *testing.T) {
		trace := filepath.Join(t.TempDir(), "trace")
		cmd := exec.Command(program(t, "strace"), "-f", "-o", trace,
			"-e", "trace=network,openat,open,creat,mkdir,mkdirat,unlink,unlinkat,rename,renameat,renameat2,chmod,fchmodat", binary, "check", file)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("strace does not work here: %v: %s", err, out)
		}
		text, err := os.ReadFile(trace)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(file)) {
			t.Fatalf("the trace does not show that the file is read: %s", text)
		}
		suspicious := regexp.MustCompile(`socket\(|bind\(|connect\(|O_WRONLY|O_RDWR|O_CREAT|mkdir|unlink|rename|chmod|creat\(`)
		for line := range bytes.Lines(text) {
			if suspicious.Match(line) {
				t.Errorf("weir check: %s", line)
			}
		}
	})
}

// inventory lists a tree with sizes and times of change.
func inventory(t *testing.T, dir string) string {
	t.Helper()
	var list strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			fmt.Fprintln(&list, path, info.Mode(), info.Size(), info.ModTime().UnixNano())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.String()
}

// TestPortTaken starts weir on an address that this process has.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file := filepath.Join(t.TempDir(), "weir.yaml")
	text := fmt.Sprintf(`
listeners: { web: { protocol: http, address: %q, pool: app } }
pools: { app: { backends: ["127.0.0.1:9"] } }
admin: { socket: %q }
`, l.Addr(), filepath.Join(filepath.Dir(file), "s"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := weir(t, "run", "-c", file)
	if code != 1 || stdout != "" {
		t.Errorf("exit code %d, want 1; output %q", code, stdout)
	}
	wantWords(t, "weir run", stderr, "weir: ", l.Addr().String(), "address already in use", fmt.Sprintf("pid %d", os.Getpid()), "choose another port")
	if _, err := os.Stat(filepath.Join(filepath.Dir(file), "s")); !os.IsNotExist(err) {
		t.Errorf("an admin socket was left behind: %v", err)
	}
}

// TestSocketTaken starts a second weir on the admin socket of a first, which must not notice.
func TestSocketTaken(t *testing.T) {
	b := backends(t, 1)
	configuration := fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { backends: %s } }
`, listed(b...))
	d := start(t, configuration)
	code, stdout, stderr := weir(t, "run", "-c", d.file)
	if code != 1 {
		t.Errorf("exit code %d, want 1: %s", code, stdout)
	}
	wantWords(t, "weir run", stderr, d.socket, "weir: ")
	if status := d.status(); status.PID != d.cmd.Process.Pid {
		t.Errorf("pid %d answers on the socket, want %d", status.PID, d.cmd.Process.Pid)
	}
	wantNoFailure(t, drive(t, load{url: d.url("web"), clients: 1, limit: 1}).wait())
	// The socket of a process that was killed is in nobody's way.
	d.stop()
	if _, err := os.Stat(d.socket); !os.IsNotExist(err) {
		t.Errorf("the admin socket outlived the process: %v", err)
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: d.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	if err := stale.Close(); err != nil {
		t.Fatal(err)
	}
	again := exec.Command(binary, "run", "-c", d.file)
	var log lockedBuffer
	again.Stdout, again.Stderr = &log, &log
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "weir replaces a stale socket", func() bool {
		c, err := net.Dial("unix", d.socket)
		return err == nil && c.Close() == nil
	})
	if err := again.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := again.Wait(); err != nil {
		t.Errorf("%v: %s", err, log.String())
	}
}

// TestDemo runs the demo for three seconds, and once until it is interrupted.
func TestDemo(t *testing.T) {
	app := regexp.MustCompile(`app +http://(127\.0\.0\.1:\d+)`)
	admin := regexp.MustCompile(`admin +http://(127\.0\.0\.1:\d+)`)
	tests := []struct {
		name      string
		args      []string
		least     time.Duration
		interrupt bool
		result    string
	}{
		{"duration", []string{"demo", "--duration", "3s"}, 3 * time.Second, false, `[1-9]\d* requests in .* 0 failed`},
		{"interrupted", []string{"demo"}, 0, true, `\d+ requests in .* 0 failed`}, // maybe before the first
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var out, log lockedBuffer
			cmd := exec.Command(binary, tt.args...)
			cmd.Env = append(os.Environ(), "TMPDIR="+dir)
			cmd.Stdout, cmd.Stderr = &out, &log
			began := time.Now()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			stuck := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
			defer stuck.Stop()
			eventually(t, "the demo serves", func() bool { return answers(app.FindStringSubmatch(out.String())) })
			if tt.interrupt {
				if err := cmd.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
			}
			err := cmd.Wait()
			if text := out.String(); err != nil || !admin.MatchString(text) || !regexp.MustCompile(tt.result).MatchString(text) {
				t.Fatalf("%v: %s%s", err, text, log.String())
			}
			if took := time.Since(began); took < tt.least {
				t.Errorf("it ended after %v", took)
			}
			for _, address := range []string{app.FindStringSubmatch(out.String())[1], admin.FindStringSubmatch(out.String())[1]} {
				if c, err := net.Dial("tcp", address); err == nil {
					t.Errorf("somebody still listens on %s", address)
					_ = c.Close()
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("the demo left %v behind, %v", left, err)
			}
		})
	}
}

// answers reports whether the address that was found in an output serves.
func answers(found []string) bool {
	if found == nil {
		return false
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Get("http://" + found[1])
	return err == nil && response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// TestStatus prints the tables of a running weir.
func TestStatus(t *testing.T) {
	b := backends(t, 2)
	d := start(t, fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools:
  app:
    algorithm: least_connections
    backends: { b1: { address: %q, weight: 3 }, b2: { address: %q, state: maintenance } }
`, b[0].Addr(), b[1].Addr()))
	d.awaitHealth("app", "b2", "up")
	wantNoFailure(t, drive(t, load{url: d.url("web"), clients: 1, limit: 12}).wait())
	address := d.address("web")
	code, stdout, stderr := d.cli("status")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, row := range []string{
		`^weir \S+, pid ` + fmt.Sprint(d.cmd.Process.Pid) + `, up \S+, generation 1, ready$`,
		`^web +http +` + regexp.QuoteMeta(address) + ` +app +\d+$`,
		`^app +http +least_connections +2/2 +0 +primary$`,
		`^app/b1 +` + b[0].Addr().String() + ` +up +\S+ +ready +3 +0 +12 +connect .*$`,
		`^app/b2 +` + b[1].Addr().String() + ` +up +\S+ +maintenance +\S+ +0 +0 +in maintenance; connect .*$`,
	} {
		if !regexp.MustCompile(`(?m)` + row).MatchString(stdout) {
			t.Errorf("no row like %s in\n%s", row, stdout)
		}
	}
	// The same by the file instead of the socket, as a document.
	code, stdout, stderr = weir(t, "status", "-c", d.file, "-o", "json")
	var document struct{ Pools []struct{ Name string } }
	if err := json.Unmarshal([]byte(stdout), &document); code != 0 || err != nil || len(document.Pools) != 1 || document.Pools[0].Name != "app" {
		t.Errorf("exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
	d.stop()
	if code, _, stderr := d.cli("status"); code != 3 || !strings.Contains(stderr, d.socket) {
		t.Errorf("without a daemon: exit code %d, want 3: %s", code, stderr)
	}
}

// TestSimulate shows what removing a backend does to the clients of a hash.
func TestSimulate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "weir.yaml")
	text := `
listeners: { web: { protocol: http, address: ":80", pool: app } }
pools:
  app:
    algorithm: source_ip
    backends: [10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80, 10.0.0.4:80, 10.0.0.5:80, 10.0.0.6:80, 10.0.0.7:80, 10.0.0.8:80, 10.0.0.9:80, 10.0.0.10:80]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := weir(t, "simulate", "-c", file, "--clients", "10000", "--event", "30s remove 10.0.0.4:80", "-o", "json")
	var reports []struct {
		Moved    int `json:"moved_clients"`
		Flows    int
		Refused  int
		Backends []struct {
			Name  string
			Picks int
		}
	}
	if err := json.Unmarshal([]byte(stdout), &reports); code != 0 || err != nil || len(reports) != 1 {
		t.Fatalf("exit code %d, %v: %s%s", code, err, stdout, stderr)
	}
	if r := reports[0]; r.Moved < 800 || r.Moved > 1200 || r.Flows != 6000 || r.Refused != 0 || len(r.Backends) != 10 {
		t.Errorf("got %+v", r)
	}
	if code, stdout, stderr := weir(t, "simulate", "-c", file); code != 0 || !strings.Contains(stdout, "pool app: source_ip") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}
