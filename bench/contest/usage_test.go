package contest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const statLine = "4711 (a (b) c) S 17 4711 1 0 -1 4194304 63 0 1 0 149 51 7 9 20 0 1 0 100256 2654208 405 18446744073709551615 0 0"

func TestParseStat(t *testing.T) {
	got, err := parseStat(statLine)
	want := processStat{pid: 4711, parent: 17, state: 'S', user: 1490 * time.Millisecond, system: 510 * time.Millisecond, rss: 405 * int64(os.Getpagesize())}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "1 sh S 1", "1 (sh", "1 )sh( S 1", "1 (sh) S 1 2 3", strings.Replace(statLine, " 149 ", " x ", 1), strings.Replace(statLine, " 149 ", " -1 ", 1), strings.Replace(statLine, ") S", ") SS", 1)} {
		if got, err := parseStat(bad); err == nil {
			t.Errorf("%q: got %+v and no error", bad, got)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add(statLine)
	f.Add("1 (x) R 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0")
	f.Add("1 ()) R")
	f.Fuzz(func(t *testing.T, line string) {
		s, err := parseStat(line)
		if err == nil && (s.pid < 0 || s.parent < 0) {
			t.Errorf("%q: got %+v", line, s)
		}
	})
}

const statText = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu10 1 1 1 1 1 1 1 1 0 0\ncpu1 10 20 30 40 50 60 70 80 0 0\nintr 5\n"

func TestParseCore(t *testing.T) {
	got, err := parseCore(statText, 1)
	if want := (coreTime{busy: 1900 * time.Millisecond, stolen: 800 * time.Millisecond}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", statText[:len("cpu  9 9 9 9 9 9 9 9 0 0\n")], "cpu1 1 2 3\n", "cpu1 1 2 x 4 5 6 7 8\n"} {
		if got, err := parseCore(bad, 1); err == nil {
			t.Errorf("%q: got %+v and no error", bad, got)
		}
	}
	if _, err := readCore(0); err != nil && !strings.Contains(err.Error(), "no line") {
		t.Error(err)
	}
}

func FuzzParseCore(f *testing.F) {
	f.Add(statText, 1)
	f.Add("cpu0", 0)
	f.Fuzz(func(_ *testing.T, text string, cpu int) {
		// Any text gives an answer or an error.
		_, _ = parseCore(text, cpu)
	})
}

// TestSampleTree watches a process whose child burns CPU time.
func TestSampleTree(t *testing.T) {
	cmd := exec.Command("sh", "-c", "while :; do :; done & wait")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // killed: that is its error
	}()
	deadline := time.Now().Add(20 * time.Second)
	for {
		pids, err := tree(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		u, err := sample(pids)
		if err != nil {
			t.Fatal(err)
		}
		// The two accounts agree to a tick for each process and each way.
		if d := u.cpu - u.user - u.system; len(pids) == 2 && u.cpu > 100*time.Millisecond && d > -5*tick && d < 5*tick {
			if !slices.Contains(pids, cmd.Process.Pid) || u.rss <= 0 {
				t.Errorf("got processes %v and %+v", pids, u)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %v with %+v, want two processes and 100 ms", pids, u)
		}
	}
}

func TestSampleGone(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if u, err := sample([]int{cmd.Process.Pid}); err == nil {
		t.Errorf("got %+v for a process that has ended", u)
	}
}
