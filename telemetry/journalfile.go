package telemetry

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

const (
	// maxJournalFile is how large the file of a journal gets before it is renamed to NAME.1, in place of
	// the one that has that name. It holds more than 20,000 usual events.
	maxJournalFile = 4 << 20
	// maxJournalTail is how much of the end of a file is read at the start.
	maxJournalTail = 2 << 20
	// maxEventID is the largest id that is believed: programs read it as a number of JSON.
	maxEventID      = 1 << 53
	journalFileMode = 0o600
	journalDirMode  = 0o700
)

// rotatingFile appends to a file and bounds its size. It is used by one goroutine at a time.
type rotatingFile struct {
	path string
	most int64
	file *os.File
	size int64
}

// openJournalFile opens the file of a journal and returns the last events in it and in the one before it.
func openJournalFile(path string) (*rotatingFile, []Event, error) {
	if err := os.MkdirAll(filepath.Dir(path), journalDirMode); err != nil {
		return nil, nil, err
	}
	var kept []Event
	torn := false
	for _, name := range []string{path + ".1", path} {
		tail, err := readTail(name, maxJournalTail)
		if err != nil {
			return nil, nil, err
		}
		kept = appendEvents(kept, tail)
		torn = len(tail) > 0 && tail[len(tail)-1] != '\n'
	}
	r := &rotatingFile{path: path, most: maxJournalFile}
	if err := r.open(); err != nil {
		return nil, nil, err
	}
	if torn {
		// The next line must not become a part of the torn one.
		if _, err := r.Write([]byte{'\n'}); err != nil {
			return nil, nil, errors.Join(err, r.Close())
		}
	}
	return r, kept[max(0, len(kept)-JournalSize):], nil
}

// noWait and noLink are flags of open(2): a pipe is not waited for, and the last step of a path is no link, so
// that whoever could write in the directory does not say where events go.
const (
	noWait = syscall.O_NONBLOCK
	noLink = syscall.O_NOFOLLOW
)

// open opens the file at path, made if it is not there.
func (r *rotatingFile) open() error {
	f, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|noLink|noWait, journalFileMode)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", r.path)
	}
	if err == nil && info.Mode().Perm() != journalFileMode {
		err = f.Chmod(journalFileMode)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.file, r.size = f, info.Size()
	return nil
}

// Write appends whole lines, to a new file if they would make this one too large.
func (r *rotatingFile) Write(lines []byte) (int, error) {
	if r.size > 0 && r.size+int64(len(lines)) > r.most {
		if err := r.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := r.file.Write(lines)
	r.size += int64(n)
	return n, err
}

// rotate makes the file the one before it and begins another one. On an error the file stays open.
func (r *rotatingFile) rotate() error {
	if err := os.Rename(r.path, r.path+".1"); err != nil {
		return err
	}
	old := r.file
	if err := r.open(); err != nil {
		return errors.Join(err, os.Rename(r.path+".1", r.path))
	}
	return old.Close()
}

// Close closes the file.
func (r *rotatingFile) Close() error { return r.file.Close() }

// readTail returns the last bytes of a file from the beginning of a line on; nothing if there is no file.
func readTail(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noLink|noWait, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing can be lost
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	from := max(0, info.Size()-most)
	tail, err := io.ReadAll(io.NewSectionReader(f, from, most))
	if err != nil {
		return nil, err
	}
	if from > 0 {
		_, tail, _ = bytes.Cut(tail, []byte{'\n'})
	}
	return tail, nil
}

// appendEvents adds the events in lines to those before them, in the order of their ids: two processes may
// have written at the same time. What is no event, and what is there already, is left out.
func appendEvents(events []Event, lines []byte) []Event {
	for line := range bytes.Lines(lines) {
		var e Event
		if json.Unmarshal(line, &e) == nil && e.ID != 0 && e.ID <= maxEventID && e.Kind != "" {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(events, func(a, b Event) bool { return a.ID == b.ID })
}
