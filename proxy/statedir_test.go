package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/config"
)

// ownKeys is a persistence without keys in the configuration.
const ownKeys = "session_persistence: http_cookie"

// kept is a site whose keys are kept in dir.
func kept(dir, listener, pool string, backends ...fmt.Stringer) string {
	return fmt.Sprintf("state_dir: %q\n", dir) + site(listener, pool, backends...)
}

// reload applies text, listening where r does.
func (r *rig) reload(text string, edit ...func(*config.Config)) error {
	r.t.Helper()
	next := load(r.t, text, edit...)
	next.Listeners["web"].Addresses = r.s.Listeners()[0].Config.Addresses
	_, err := r.s.Apply(next)
	r.note()
	return err
}

// wantSession wants the session of cookie on that backend still. It may get a cookie by another key.
func (r *rig) wantSession(cookie, backend string) {
	r.t.Helper()
	for range 3 {
		if a := r.dial().askWith(cookie); a.body != backend {
			r.t.Fatalf("went to %s, the session is on %s", a.body, backend)
		}
	}
}

// TestSessionsOutliveARestart, and are good in every process with the same directory.
func TestSessionsOutliveARestart(t *testing.T) {
	_, addrs := three(t, "")
	dir := filepath.Join(t.TempDir(), "state")
	text := kept(dir, "", ownKeys, addrs...)
	first := start(t, text)
	a := first.dial().askWith("")
	start(t, text).wantSession(issued(a), a.body)
	first.stop(patience)
	start(t, text).wantSession(issued(a), a.body)
	if n := first.logs.FilterMessage("a key for session cookies was made").Len(); n != 1 {
		t.Errorf("the log tells of %d keys, want 1", n)
	}
}

// TestStateDirByReload: the directory comes, its key is changed, and it goes; sessions stay.
func TestStateDirByReload(t *testing.T) {
	_, addrs := three(t, "")
	dir := t.TempDir()
	without, with := site("", ownKeys, addrs...), kept(dir, "", ownKeys, addrs...)
	r := start(t, without)
	early := r.dial().askWith("")
	if err := r.reload(with); err != nil {
		t.Fatal(err)
	}
	r.wantSession(issued(early), early.body)
	later := r.dial().askWith("")
	start(t, with).wantSession(issued(later), later.body) // signed by the key of the directory

	key := filepath.Join(dir, "session.key")
	if err := os.Rename(key, key+".old"); err != nil {
		t.Fatal(err)
	}
	if err := r.reload(with); err != nil {
		t.Fatal(err)
	}
	for _, a := range []answer{early, later} {
		r.wantSession(issued(a), a.body)
	}
	latest := r.dial().askWith("")
	fresh := start(t, with)
	fresh.wantSession(issued(latest), latest.body)
	seen := map[string]bool{}
	for range 3 {
		seen[fresh.dial().askWith(issued(later)).body] = true
	}
	if len(seen) != 3 {
		t.Errorf("a cookie by the key that was moved away led to %v in a new process, want the rotation", seen)
	}
	if err := r.reload(without); err != nil {
		t.Fatal(err)
	}
	for _, a := range []answer{early, later, latest} {
		r.wantSession(issued(a), a.body)
	}
}

// TestKeyMovesIntoTheConfiguration rotates as the documentation says.
func TestKeyMovesIntoTheConfiguration(t *testing.T) {
	_, addrs := three(t, "")
	dir := t.TempDir()
	r := start(t, kept(dir, "", ownKeys, addrs...))
	a := r.dial().askWith("")
	file := filepath.Join(dir, "session.key")
	rotated := fmt.Sprintf("session_persistence: { type: http_cookie, cookie: { keys: [%q, \"${file:%s}\"] } }",
		strings.Repeat("0f", 32), file)
	if err := r.reload(kept(dir, "", rotated, addrs...)); err != nil {
		t.Fatal(err)
	}
	r.wantSession(issued(a), a.body)
}

// TestKeyThatCannotBeUsed: nothing starts and nothing changes, and the file stays as it is.
func TestKeyThatCannotBeUsed(t *testing.T) {
	_, addrs := three(t, "")
	dir := t.TempDir()
	file := filepath.Join(dir, "session.key")
	if err := os.WriteFile(file, []byte("scribble\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, site("", ownKeys, addrs...))
	a := r.dial().askWith("")
	err := r.reload(kept(dir, "keepalive_requests: 1", ownKeys, addrs...))
	if err == nil || !strings.Contains(err.Error(), "state_dir: "+file) || !strings.Contains(err.Error(), config.KeyRemedy) {
		t.Errorf("got %v, want the file and what to do", err)
	}
	r.wantSession(issued(a), a.body)
	if text, err := os.ReadFile(file); err != nil || string(text) != "scribble\n" {
		t.Errorf("the file is %q now, %v", text, err)
	}
	s, err := New(Options{Config: load(t, kept(dir, "", ownKeys, addrs...)), Log: quietLog, Telemetry: newStats()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err == nil {
		t.Error("it starts with a key that cannot be used")
	}
}

// TestStateDirIsLeftAlone where no pool needs a key, and by a reload that is refused for something else.
func TestStateDirIsLeftAlone(t *testing.T) {
	_, addrs := three(t, "")
	dir := filepath.Join(t.TempDir(), "state")
	r := start(t, kept(dir, "", httpCookie, addrs...))
	if err := r.reload(kept(dir, "error_pages: { 503: nowhere.html }", ownKeys, addrs...)); err == nil {
		t.Error("a page that is not there was accepted")
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory was made: %v", err)
	}
}
