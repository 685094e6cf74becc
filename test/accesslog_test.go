package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAccessLogChanges turns the access log on, to another file and off by reloads, under traffic. Every
// request is in one of the files, once, and none while it is off. A file that cannot be made refuses the
// reload.
func TestAccessLogChanges(t *testing.T) {
	b := backends(t, 1)
	dir := t.TempDir()
	config := func(output string) string {
		return fmt.Sprintf(`
listeners: { web: { protocol: http, address: "127.0.0.1:0", pool: app } }
pools: { app: { health_check: none, backends: %s } }
log: { access: { output: %q } }
`, listed(b...), output)
	}
	one, two := filepath.Join(dir, "one.log"), filepath.Join(dir, "two.log")
	lines := func(path string) int {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(data), "\n")
	}
	d := start(t, config("off"))
	tr := drive(t, load{url: d.url("web"), clients: 4, rate: 400})
	more := func() {
		n := tr.count()
		eventually(t, "requests are answered", func() bool { return tr.count() > n+50 })
	}
	more()
	d.reload(config(one))
	before := tr.count()
	more()
	d.reload(config(two))
	more()
	d.expect("reload refused")
	d.write(config(filepath.Join(dir, "none", "three.log")))
	if code, _, stderr := d.cli("reload"); code == 0 || !strings.Contains(stderr, "log.access: ") {
		t.Errorf("an access log that cannot be opened: %d %s", code, stderr)
	}
	more()
	calls := tr.stop()
	wantNoFailure(t, calls)
	d.reload(config("off"))
	if got := fetch(t, "GET", d.url("web"), nil); got.status != 200 {
		t.Errorf("got %d", got.status)
	}
	d.stop()
	first, second := lines(one), lines(two)
	// Requests under way during the first reload may be on either side of it.
	if got, want := first+second, len(calls)-before; got < want || got > want+tr.load.clients {
		t.Errorf("%d and %d lines, want %d together", first, second, want)
	}
	if first == 0 || second == 0 {
		t.Errorf("%d and %d lines, want some in each", first, second)
	}
	if lost := strings.Count(d.log.String(), "lost"); lost != 0 {
		t.Error("lines were lost")
	}
}
