package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/config"
)

// childEnv makes the test binary a process that writes, until it is killed.
const childEnv = "WEIR_STORE_WRITER"

func TestMain(m *testing.M) {
	if file := os.Getenv(childEnv); file != "" {
		if err := writeUntilKilled(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// writeUntilKilled makes changes, each of a pool of its own and of one override, and prints the number of
// each that was acknowledged.
func writeUntilKilled(file string) error {
	s, err := Open(Options{File: file})
	if err != nil {
		return err
	}
	s.keeper.most = 16 << 10 // so that state.json is written often
	fmt.Printf("has %d\n", lastWritten(s.Current()))
	for n := lastWritten(s.Current()) + 1; ; n++ {
		_, err := s.Update(context.Background(), Change{Edit: func(d *Draft) error {
			ref := Ref{Kind: Pool, Name: fmt.Sprintf("p%d", n%40)}
			_, err := d.Put(ref, fmt.Appendf(nil, `{"required": false, "meta": {"n": "%d"}, "backends": ["10.0.0.9:80"]}`, n))
			return errors.Join(err, d.SetOverride(BackendRef{"app", "b1"}, config.Override{Weight: new(n % 256)}))
		}})
		if err != nil {
			return err
		}
		fmt.Printf("done %d\n", n)
	}
}

// lastWritten is the number of the last change that a revision has; 0: none.
func lastWritten(r *Revision) int {
	last := 0
	for _, p := range r.Config.Pools {
		if n, err := strconv.Atoi(p.Identity.Meta["n"]); err == nil {
			last = max(last, n)
		}
	}
	return last
}

// writer is a process that writes.
type writer struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
}

func startWriter(t *testing.T, file string) *writer {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+file)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &writer{cmd, bufio.NewScanner(out)}
}

// number reads the next line, which has a word and a number. It is false at the end.
func (w *writer) number(t *testing.T, word string) (int, bool) {
	t.Helper()
	if !w.lines.Scan() {
		return 0, false
	}
	text, found := strings.CutPrefix(w.lines.Text(), word+" ")
	n, err := strconv.Atoi(text)
	if !found || err != nil {
		t.Fatalf("the writer says %q, want %s and a number", w.lines.Text(), word)
	}
	return n, true
}

// TestKilled kills a process that writes, again and again, at random moments: everything that was
// acknowledged is there afterwards, and at most the one change more that was under way.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "weir.yaml")
	if err := os.WriteFile(file, []byte(plainFile+"state_dir: "+filepath.Join(dir, "state")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	acknowledged, kills := 0, 0
	changes := 400 / slower
	if os.Getenv("WEIR_LONG_TESTS") != "" {
		changes = 1000
	}
	for acknowledged < changes {
		w := startWriter(t, file)
		has, ok := w.number(t, "has")
		if !ok {
			t.Fatal("the writer did not start")
		}
		if has != acknowledged && has != acknowledged+1 {
			t.Fatalf("after %d kills, %d changes are there, want the %d that were acknowledged", kills, has, acknowledged)
		}
		acknowledged = has
		stopAt := acknowledged + 1 + random.IntN(80)
		killed := time.AfterFunc(time.Hour, func() {})
		for {
			n, ok := w.number(t, "done")
			if !ok {
				break
			}
			if n != acknowledged+1 {
				t.Fatalf("change %d follows on %d", n, acknowledged)
			}
			acknowledged = n
			if n == stopAt {
				killed = time.AfterFunc(time.Duration(random.IntN(3_000))*time.Microsecond, func() { _ = w.cmd.Process.Kill() })
			}
		}
		killed.Stop()
		if err := w.cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the writer ended by itself: %v", err)
		}
		kills++
	}
	s, err := Open(Options{File: file})
	if err != nil {
		t.Fatal(err)
	}
	r := s.Current()
	for name, text := range r.Objects.Pools {
		var spec struct{ Meta map[string]string }
		if err := json.Unmarshal(text, &spec); err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(spec.Meta["n"])
		if err != nil || fmt.Sprintf("p%d", n%40) != name || n <= lastWritten(r)-40 {
			t.Errorf("%s has change %s, the last one is %d", name, spec.Meta["n"], lastWritten(r))
		}
	}
	if got, want := *r.Overrides[BackendRef{"app", "b1"}].Weight, lastWritten(r)%256; got != want {
		t.Errorf("the override has weight %d, want %d", got, want)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("%d changes acknowledged, %d kills", acknowledged, kills)
}
