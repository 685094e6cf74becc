package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestWatch changes a configuration as Kubernetes changes a ConfigMap, by swapping a link, and as editors do.
// Nobody says a word to weir. One that is broken is told once, and changes nothing. Most of its time it waits
// for the next look at the files, every two seconds.
func TestWatch(t *testing.T) {
	t.Parallel()
	b := backends(t, 2)
	d := launch(t, "include: [map/part.yaml]\nwatch: true\nlisteners: { web: { protocol: http, address: \"127.0.0.1:0\", pool: app } }\n")
	if err := d.cmd.Process.Kill(); err != nil { // its include is not there yet
		t.Fatal(err)
	}
	<-d.ended
	folder := filepath.Join(d.dir, "map")
	versions := 0
	swap := func(text string) {
		t.Helper()
		versions++
		version := filepath.Join(folder, fmt.Sprintf("..v%d", versions))
		for _, err := range []error{
			os.MkdirAll(version, 0o755),
			os.WriteFile(filepath.Join(version, "part.yaml"), []byte(text), 0o600),
			os.Symlink(filepath.Base(version), filepath.Join(folder, "..new")),
			os.Rename(filepath.Join(folder, "..new"), filepath.Join(folder, "..data")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	pool := func(i int) string {
		return fmt.Sprintf("pools: { app: { health_check: none, backends: { b%d: %q } } }\n", i+1, b[i].Addr())
	}
	swap(pool(0))
	if err := os.Symlink("..data/part.yaml", filepath.Join(folder, "part.yaml")); err != nil {
		t.Fatal(err)
	}
	d.revive()
	serves := func(name string) func() bool {
		return func() bool {
			backend, _ := visit(t, d.url("web"), "")
			return backend == name
		}
	}
	eventually(t, "b1 serves", serves("b1"))
	swap(pool(1))
	eventually(t, "b2 serves", serves("b2"))
	d.expect("reload refused")
	swap(pool(0)[:40])
	eventually(t, "the log says that it is broken", func() bool { return strings.Contains(d.log.String(), "reload refused") })
	if !serves("b2")() {
		t.Error("a broken file has changed something")
	}
	swap(pool(0))
	eventually(t, "b1 serves again", serves("b1"))
	if n := strings.Count(d.log.String(), "reload refused"); n != 1 {
		t.Errorf("the broken file was told %d times, want once", n)
	}
}

// TestFullDisk fills the disk of the state directory: changes are refused, everything else goes on, and
// what was answered before is there after a restart.
func TestFullDisk(t *testing.T) {
	b := backends(t, 1)
	disk := t.TempDir()
	if err := syscall.Mount("weir-test", disk, "tmpfs", 0, "size=40k"); err != nil {
		t.Skipf("no disk can be made: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	d := start(t, stateful(filepath.Join(disk, "state"), listed(b...), ""))
	kept, refused := 0, ""
	for refused == "" {
		status, body, err := d.tell(t.Context(), "PUT", fmt.Sprintf("/v1/pools/p%d", kept),
			fmt.Sprintf(`{"required": false, "meta": {"text": %q}, "health_check": "none", "backends": [%q]}`, strings.Repeat("x", 1500), b[0].Addr()))
		switch {
		case err != nil:
			t.Fatal(err)
		case status/100 == 2:
			kept++
		default:
			refused = string(body)
		}
	}
	if kept < 5 || !strings.Contains(refused, "no space left on device; nothing has changed") {
		t.Errorf("after %d changes: %s", kept, refused)
	}
	d.reload(stateful(filepath.Join(disk, "state"), listed(b...), ", drain_timeout: 5s"))
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-d.ended
	d.revive()
	for n := range kept + 1 {
		status, _ := d.get(fmt.Sprintf("/v1/pools/p%d", n))
		if there := status == 200; there != (n < kept) {
			t.Errorf("p%d: status %d, and %d changes were answered", n, status, kept)
		}
	}
	if got, _ := visit(t, d.url("web"), ""); got != "b1" {
		t.Errorf("got %q", got)
	}
	d.expect("journal")
	d.signal(syscall.SIGTERM)
	<-d.ended // its journal could not be written, which its exit code says
	d.stopped = true
}
