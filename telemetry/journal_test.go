package telemetry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// openJournal opens a journal and closes it with the test.
func openJournal(t *testing.T, o JournalOptions) *Journal {
	t.Helper()
	j, err := OpenJournal(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

// messages lists what events say.
func messages(events []Event) (list []string) {
	for _, e := range events {
		list = append(list, e.Message)
	}
	return list
}

// addMany adds events n to m.
func addMany(j *Journal, n, m int) {
	for i := n; i <= m; i++ {
		j.Add(Event{Kind: EventHealth, Pool: "web", Backend: "b1", Message: fmt.Sprint("e", i)})
	}
}

func TestJournalSince(t *testing.T) {
	j := openJournal(t, JournalOptions{})
	before := j.Last()
	addMany(j, 1, 3)
	ids := j.Since(0).Events
	tests := []struct {
		name   string
		after  uint64
		want   []string
		missed bool
	}{
		{"all", 0, []string{"e1", "e2", "e3"}, false},
		{"after the first", ids[0].ID, []string{"e2", "e3"}, false},
		{"after the last", ids[2].ID, nil, false},
		{"from before the first", before, []string{"e1", "e2", "e3"}, false},
		{"from long before the first", before - 1, []string{"e1", "e2", "e3"}, true},
		{"of another journal", ids[2].ID + 1, []string{"e1", "e2", "e3"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := j.Since(tt.after)
			if got := messages(b.Events); !slices.Equal(got, tt.want) || b.Missed != tt.missed || b.Last != ids[2].ID {
				t.Errorf("got %v, missed %v, last %d; want %v, %v, %d", got, b.Missed, b.Last, tt.want, tt.missed, ids[2].ID)
			}
		})
	}
}

// TestJournalIsBounded: the last JournalSize events are held, and a reader is told of what it missed.
func TestJournalIsBounded(t *testing.T) {
	j := openJournal(t, JournalOptions{})
	addMany(j, 1, 1)
	first := j.Since(0).Last
	for total := 2; total <= 5*JournalSize; total++ {
		addMany(j, total, total)
		if total%97 != 0 && total%JournalSize > 1 {
			continue
		}
		b := j.Since(0)
		oldest := max(1, total-JournalSize+1)
		if len(b.Events) != min(total, JournalSize) || b.Events[0].Message != fmt.Sprint("e", oldest) {
			t.Fatalf("after %d: got %d events from %s on", total, len(b.Events), b.Events[0].Message)
		}
		if missed := j.Since(first).Missed; missed != (oldest > 2) {
			t.Fatalf("after %d: missed %v", total, missed)
		}
	}
}

func TestJournalMore(t *testing.T) {
	j := openJournal(t, JournalOptions{})
	b := j.Since(0)
	select {
	case <-b.More:
		t.Fatal("more, before anything was added")
	default:
	}
	addMany(j, 1, 1)
	select {
	case <-b.More:
	default:
		t.Error("nobody is told that there is more")
	}
}

func TestJournalBefore(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	j := openJournal(t, JournalOptions{Now: func() time.Time { return at }})
	for i := 1; i <= 4; i++ {
		addMany(j, i, i)
		at = at.Add(time.Second)
	}
	start := at.Add(-4 * time.Second)
	for after, want := range map[time.Duration][]string{
		-time.Hour:              {"e1", "e2", "e3", "e4"},
		0:                       {"e1", "e2", "e3", "e4"},
		500 * time.Millisecond:  {"e2", "e3", "e4"},
		3 * time.Second:         {"e4"},
		3001 * time.Millisecond: nil,
	} {
		if got := messages(j.Since(j.Before(start.Add(after))).Events); !slices.Equal(got, want) {
			t.Errorf("from %v on: got %v, want %v", after, got, want)
		}
	}
}

// TestJournalOutlivesProcess: ids go on, and what is torn or strange in the file harms nothing.
func TestJournalOutlivesProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "journal.jsonl")
	j := openJournal(t, JournalOptions{File: path})
	addMany(j, 1, 3)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	before := j.Since(0)
	appendTo(t, path, "not JSON\n"+`{"id":1,"kind":"health","message":"strange order"}`+"\n\n{}\n"+`{"id":99999999999999,"kind":"hea`)
	j = openJournal(t, JournalOptions{File: path})
	addMany(j, 4, 4)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = openJournal(t, JournalOptions{File: path})
	b := j.Since(0)
	if got, want := messages(b.Events), []string{"strange order", "e1", "e2", "e3", "e4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if b.Last <= before.Last {
		t.Errorf("last id: got %d, want more than %d", b.Last, before.Last)
	}
	if e, was := b.Events[2], before.Events[1]; e.ID != was.ID || !e.Time.Equal(was.Time) || e.Pool != "web" || e.Backend != "b1" {
		t.Errorf("got %+v, want %+v", e, was)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, want 0600", info.Mode().Perm())
	}
}

// appendTo adds text to a file.
func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestJournalRotates: the file is bounded, and the events of both files are read.
func TestJournalRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	file, _, err := openJournalFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file.most = 1000
	line := func(i int) string {
		return fmt.Sprintf("{\"id\":%d,\"kind\":\"health\",\"message\":\"e%d\"}\n", i, i)
	}
	for i := 1; i <= 100; i++ {
		if _, err := file.Write([]byte(line(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".1"} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 1000 || info.Size() == 0 {
			t.Errorf("%s has %d bytes, want 1…1000", name, info.Size())
		}
	}
	j := openJournal(t, JournalOptions{File: path})
	events := j.Since(0).Events
	if last := events[len(events)-1].Message; last != "e100" || len(events) < 25 {
		t.Errorf("got %d events up to %s, want at least 25 up to e100", len(events), last)
	}
	for i, e := range events[1:] {
		if e.ID != events[i].ID+1 {
			t.Errorf("event %d follows %d", e.ID, events[i].ID)
		}
	}
}

// TestJournalCannotWrite: events are held, and those that are not in the file are counted.
func TestJournalCannotWrite(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	var lost uint64
	j, err := OpenJournal(JournalOptions{File: filepath.Join(dir, "j"), Lost: func(n uint64) {
		mu.Lock()
		defer mu.Unlock()
		lost += n
	}})
	if err != nil {
		t.Fatal(err)
	}
	// A file that is closed behind the journal's back stands for a disk that fails.
	full, err := os.OpenFile(filepath.Join(dir, "full"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := full.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.output.replace(full); err != nil {
		t.Fatal(err)
	}
	addMany(j, 1, 5)
	if err := j.Close(); err == nil {
		t.Error("close: got no error")
	}
	addMany(j, 6, 6)
	if got := len(j.Since(0).Events); got != 6 {
		t.Errorf("got %d events, want 6", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if lost != 6 {
		t.Errorf("lost: got %d, want 6", lost)
	}
}

func TestJournalRefusesFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "journal.jsonl"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "file", "journal.jsonl"), filepath.Join(dir, "journal.jsonl")} {
		if _, err := OpenJournal(JournalOptions{File: path}); err == nil || !strings.Contains(err.Error(), "journal") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// TestJournalConcurrent: readers that come late see every event once and in order.
func TestJournalConcurrent(t *testing.T) {
	j := openJournal(t, JournalOptions{File: filepath.Join(t.TempDir(), "j")})
	const writers, each = 4, 200
	start := j.Since(0).Last
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			after, seen := start, 0
			for seen < writers*each {
				b := j.Since(after)
				if b.Missed {
					t.Error("missed events")
					return
				}
				for _, e := range b.Events {
					if e.ID <= after {
						t.Errorf("event %d follows %d", e.ID, after)
						return
					}
					after = e.ID
				}
				if seen += len(b.Events); len(b.Events) == 0 {
					<-b.More
				}
			}
		})
	}
	for range writers {
		wg.Go(func() { addMany(j, 1, each) })
	}
	wg.Wait()
}

// TestJournalKeepsItsOwn: what the caller does with its map afterwards is not seen.
func TestJournalKeepsItsOwn(t *testing.T) {
	j := openJournal(t, JournalOptions{})
	fields := map[string]string{"from": "up"}
	j.Add(Event{Kind: EventHealth, Message: strings.Repeat("ä", maxEventMessage), Fields: fields})
	fields["from"] = "changed"
	e := j.Since(0).Events[0]
	if e.Fields["from"] != "up" {
		t.Errorf("got %v", e.Fields)
	}
	if len(e.Message) > maxEventMessage+len("…") || !strings.HasPrefix(e.Message, "ää") {
		t.Errorf("message of %d bytes", len(e.Message))
	}
}

// TestJournalOfTwo: two processes that write one file for a while do not take each other's ids, and a third
// reads what both have written.
func TestJournalOfTwo(t *testing.T) {
	at := born
	clock := func() time.Time { at = at.Add(time.Millisecond); return at }
	path := filepath.Join(t.TempDir(), "j")
	old := openJournal(t, JournalOptions{File: path, Now: clock})
	addMany(old, 1, 2)
	next := openJournal(t, JournalOptions{File: path, Now: clock})
	addMany(next, 3, 3)
	addMany(old, 4, 4)
	addMany(next, 5, 5)
	for _, j := range []*Journal{next, old} {
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	third := openJournal(t, JournalOptions{File: path, Now: clock})
	if got, want := messages(third.Since(0).Events), []string{"e1", "e2", "e3", "e4", "e5"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestJournalClock: ids increase whatever the clock does.
func TestJournalClock(t *testing.T) {
	at := born
	j := openJournal(t, JournalOptions{Now: func() time.Time { return at }})
	last := j.Last()
	for _, step := range []time.Duration{0, 0, time.Hour, -2 * time.Hour, 0, time.Minute, -100 * 365 * 24 * time.Hour} {
		at = at.Add(step)
		addMany(j, 1, 1)
		if j.Last() <= last {
			t.Fatalf("id %d after %d", j.Last(), last)
		}
		last = j.Last()
	}
}

// born is when the journals of these tests begin.
var born = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// FuzzJournalLines: whatever is in the file, ids increase and nothing fails.
func FuzzJournalLines(f *testing.F) {
	f.Add([]byte(`{"id":1,"kind":"health","time":"2026-01-02T03:04:05Z","message":"x"}` + "\n{\"id\":3}\n\n"))
	f.Add([]byte("{\"id\":18446744073709551615,\"kind\":\"x\"}\n{\"id\":1,\"kind\":\"x\"}"))
	f.Fuzz(func(t *testing.T, lines []byte) {
		path := filepath.Join(t.TempDir(), "j")
		if err := os.WriteFile(path, lines, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := OpenJournal(JournalOptions{File: path})
		if err != nil {
			t.Fatal(err)
		}
		j.Add(Event{Kind: EventStart, Message: "started"})
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		events := j.Since(0).Events
		for i, e := range events[1:] {
			if e.ID <= events[i].ID {
				t.Fatalf("event %d follows %d", e.ID, events[i].ID)
			}
		}
		if again := openJournal(t, JournalOptions{File: path}).Since(0).Events; len(again) != len(events) {
			t.Fatalf("got %d events after reopening, want %d", len(again), len(events))
		}
	})
}

// TestJournalFileIsItsOwn: events do not go where a link says, to a pipe, or where everybody reads them.
func TestJournalFileIsItsOwn(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	link, pipe, open := filepath.Join(dir, "link"), filepath.Join(dir, "pipe"), filepath.Join(dir, "open")
	if err := errors.Join(os.Symlink(precious, link), syscall.Mkfifo(pipe, 0o600), os.WriteFile(open, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, pipe} {
		if _, err := OpenJournal(JournalOptions{File: path}); err == nil {
			t.Errorf("%s is taken", path)
		}
	}
	openJournal(t, JournalOptions{File: open})
	if info, err := os.Stat(open); err != nil || info.Mode() != journalFileMode {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
}

// TestJournalSettles: what was added before is in the file at once, for the process that opens it next.
func TestJournalSettles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j := openJournal(t, JournalOptions{File: path})
	j.Add(Event{Kind: "start", Message: "one"})
	if err := j.Settle(); err != nil {
		t.Fatal(err)
	}
	if got := messages(openJournal(t, JournalOptions{File: path}).Since(0).Events); !slices.Equal(got, []string{"one"}) {
		t.Errorf("got %q, want what was added", got)
	}
	if err := openJournal(t, JournalOptions{}).Settle(); err != nil {
		t.Errorf("in memory alone: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Settle(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the end: got %v", err)
	}
}
