package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"weir/config"
)

func sampleEntry() Entry {
	return Entry{
		Time:      time.Date(2026, 3, 4, 5, 6, 7, 89e6, time.FixedZone("CET", 3600)),
		Listener:  "web",
		Client:    netip.MustParseAddrPort("[::ffff:192.0.2.7]:51234"),
		Method:    "GET",
		Host:      "shop.example",
		Target:    "/cart?id=1",
		Proto:     "HTTP/1.1",
		UserAgent: `curl/8.0 "quoted"`,
		Status:    200,
		In:        181,
		Out:       5432,
		Queue:     0,
		Connect:   350 * time.Microsecond,
		FirstByte: 1500 * time.Microsecond,
		Total:     2250999 * time.Nanosecond,
		Pool:      "app",
		Backend:   "b1",
		Attempts:  1,
		Outcome:   OutcomeOK,
	}
}

// openLog opens a log that is closed with the test.
func openLog(t testing.TB, c config.AccessLog) *AccessLog {
	t.Helper()
	a, err := OpenAccessLog(c, func(n uint64) { t.Errorf("%d lines lost", n) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return a
}

func TestAccessLogLine(t *testing.T) {
	ok := sampleEntry()
	failed := sampleEntry()
	failed.Client = netip.MustParseAddrPort("[2001:db8::1]:443")
	failed.Status, failed.Outcome, failed.Attempts = 502, OutcomeBackendReset, 2
	failed.Reason, failed.RequestID = "b1 closed before its response", "4f"
	tests := []struct {
		name  string
		entry Entry
		want  string
	}{
		{"ok", ok, `{"level":"info","ts":"2026-03-04T04:06:07.089Z","listener":"web","client":"192.0.2.7",` +
			`"client_port":51234,"method":"GET","host":"shop.example","path":"/cart?id=1","proto":"HTTP/1.1",` +
			`"status":200,"bytes_in":181,"bytes_out":5432,"duration_ms":2.25,"queue_ms":0,"connect_ms":0.35,` +
			`"ttfb_ms":1.5,"pool":"app","backend":"b1","attempts":1,"outcome":"ok","ua":"curl/8.0 \"quoted\""}`},
		{"failed", failed, `{"level":"warn","ts":"2026-03-04T04:06:07.089Z","listener":"web",` +
			`"client":"2001:db8::1","client_port":443,"method":"GET","host":"shop.example","path":"/cart?id=1",` +
			`"proto":"HTTP/1.1","status":502,"bytes_in":181,"bytes_out":5432,"duration_ms":2.25,"queue_ms":0,` +
			`"connect_ms":0.35,"ttfb_ms":1.5,"pool":"app","backend":"b1","attempts":2,"outcome":"backend_reset",` +
			`"reason":"b1 closed before its response","request_id":"4f","ua":"curl/8.0 \"quoted\""}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "access.log")
			a, err := OpenAccessLog(config.AccessLog{Output: path, Sample: 1}, nil)
			if err != nil {
				t.Fatal(err)
			}
			a.Write(&tt.entry)
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			if got := readFile(t, path); got != tt.want+"\n" {
				t.Errorf("got  %swant %s", got, tt.want)
			}
		})
	}
}

// Whatever a client sends, an entry is one line of valid JSON in valid UTF-8.
func FuzzAccessLogLine(f *testing.F) {
	f.Add("/a\nb", "x\r\n{\"level\":\"fake\"}", "GET")
	f.Add("\xff\xfe", "\u2028", "\x00\x1b[31m")
	encoder := newLineEncoder()
	f.Fuzz(func(t *testing.T, target, host, agent string) {
		e := Entry{Target: target, Host: host, UserAgent: agent}
		b, err := encoder.encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		line := b.String()
		b.Free()
		if strings.IndexByte(line, '\n') != len(line)-1 || !utf8.ValidString(line) {
			t.Fatalf("not one line of UTF-8: %q", line)
		}
		if i := strings.IndexFunc(line[:len(line)-1], func(r rune) bool { return r < ' ' }); i >= 0 {
			t.Fatalf("control character at %d of %q", i, line)
		}
		var got struct{ Path, Host, UA string }
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		if utf8.ValidString(target) && got.Path != target {
			t.Errorf("path %q, want %q", got.Path, target)
		}
	})
}

func TestAccessLogOff(t *testing.T) {
	off, err := OpenAccessLog(config.AccessLog{Output: "off", Sample: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []*AccessLog{off, nil} {
		e := sampleEntry()
		a.Write(&e)
		if a.Enabled() || a.Reopen() != nil || a.Err() != nil || a.Close() != nil {
			t.Error("a log that is off does something")
		}
	}
}

func TestAccessLogCannotBeOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing", "access.log")
	_, err := OpenAccessLog(config.AccessLog{Output: path}, nil)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
}

// Sampling leaves out successes only, and exactly as many as configured.
func TestAccessLogSamples(t *testing.T) {
	for _, share := range []float64{0, 0.001, 0.1, 1. / 3, 0.5, 0.999, 1} {
		t.Run(fmt.Sprint(share), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "access.log")
			a, err := OpenAccessLog(config.AccessLog{Output: path, Sample: share}, nil)
			if err != nil {
				t.Fatal(err)
			}
			ok, failed := sampleEntry(), sampleEntry()
			failed.Outcome = OutcomeNoBackendUp
			for i := range 3000 {
				a.Write(&ok)
				if i%300 == 0 {
					a.Write(&failed)
				}
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			text := readFile(t, path)
			if got := strings.Count(text, "no_backend_up"); got != 10 {
				t.Errorf("%d failures, want all 10", got)
			}
			successes := strings.Count(text, `"outcome":"ok"`)
			if want := share * 3000; math.Abs(float64(successes)-want) > 1 {
				t.Errorf("%d successes, want %v", successes, want)
			}
		})
	}
}

func TestSamplerSpreadsEvenly(t *testing.T) {
	s := newSampler(0.25)
	last, taken := -1, 0
	for i := range 400 {
		if !s.take() {
			continue
		}
		taken++
		if last >= 0 && i-last != 4 {
			t.Fatalf("taken at %d after %d, want every fourth", i, last)
		}
		last = i
	}
	if taken != 100 {
		t.Errorf("%d taken, want 100", taken)
	}
}

func TestAccessLogReopen(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "access.log"), filepath.Join(dir, "access.log.1")
	a := openLog(t, config.AccessLog{Output: path, Sample: 1})
	e := sampleEntry()
	e.Target = "/before"
	a.Write(&e)
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	e.Target = "/between"
	a.Write(&e)
	if err := a.Reopen(); err != nil {
		t.Fatal(err)
	}
	e.Target = "/after"
	a.Write(&e)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, old); !strings.Contains(got, "/before") || !strings.Contains(got, "/between") ||
		strings.Contains(got, "/after") {
		t.Errorf("old file has %s", got)
	}
	if got := readFile(t, path); strings.Count(got, "\n") != 1 || !strings.Contains(got, "/after") {
		t.Errorf("new file has %s", got)
	}
	if err := a.Reopen(); err == nil {
		t.Error("Reopen after Close succeeded")
	}
}

func TestAccessLogReopenFailureKeepsTheOldFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a := openLog(t, config.AccessLog{Output: filepath.Join(dir, "access.log"), Sample: 1})
	moved := dir + ".moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if err := a.Reopen(); err == nil {
		t.Error("Reopen in a directory that is gone succeeded")
	}
	e := sampleEntry()
	a.Write(&e)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, filepath.Join(moved, "access.log")); strings.Count(got, "\n") != 1 {
		t.Errorf("old file has %q, want one line", got)
	}
}

// Writers, rotations and the end at once: no line is torn, and each is in a file or counted as
// lost.
func TestAccessLogConcurrently(t *testing.T) {
	const writers, each = 6, 500
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	var lost atomic.Uint64
	a, err := OpenAccessLog(config.AccessLog{Output: path, Sample: 1}, func(n uint64) { lost.Add(n) })
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				e := sampleEntry()
				a.Write(&e)
			}
		})
	}
	wg.Go(func() {
		for i := range 5 {
			if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil {
				t.Error(err)
			}
			if err := a.Reopen(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	e := sampleEntry()
	a.Write(&e) // too late
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 6 {
		t.Fatalf("files %v (%v), want 6", files, err)
	}
	var lines uint64
	for _, file := range files {
		for line := range bytes.Lines([]byte(readFile(t, file))) {
			lines++
			if !json.Valid(line) {
				t.Errorf("torn line %q", line)
			}
		}
	}
	if lines != writers*each || lost.Load() != 1 {
		t.Errorf("%d lines, %d lost; want %d and 1", lines, lost.Load(), writers*each)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func BenchmarkAccessLogWrite(b *testing.B) {
	a, err := OpenAccessLog(config.AccessLog{Output: os.DevNull, Sample: 1}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	e := sampleEntry()
	b.ReportAllocs()
	for b.Loop() {
		a.Write(&e)
	}
}

func BenchmarkAccessLogEncode(b *testing.B) {
	encoder := newLineEncoder()
	e := sampleEntry()
	b.ReportAllocs()
	for b.Loop() {
		line, err := encoder.encode(&e)
		if err != nil {
			b.Fatal(err)
		}
		line.Free()
	}
}
