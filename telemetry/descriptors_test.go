package telemetry

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDescriptorsAreCounted(t *testing.T) {
	_, limit, ok := readDescriptors()
	if !ok {
		t.Skip("/proc is not mounted")
	}
	var bounds unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &bounds); err != nil || bounds.Cur != limit {
		t.Errorf("limit %d, want %d (%v)", limit, bounds.Cur, err)
	}
	// Sockets of other tests may be on their way to being closed, so one bad count proves nothing.
	for range 100 {
		if before, after, listed, sized := countTenMore(t); after == before+10 &&
			listed == after+1 && (sized == listed || sized == 0) {
			return
		}
	}
	before, after, listed, sized := countTenMore(t)
	t.Errorf("%d open, then %d (want 10 more); with the directory %d by list and %d by size",
		before, after, listed, sized)
}

// countTenMore counts the descriptors, opens ten and counts again: as a scrape does, by list and by
// size.
func countTenMore(t *testing.T) (before, after, listed, sized uint64) {
	t.Helper()
	before, _, _ = readDescriptors()
	for range 10 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	after, _, _ = readDescriptors()
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	listed, err = entriesByList(dir)
	if err != nil {
		t.Fatal(err)
	}
	sized, err = entriesBySize(dir)
	if err != nil {
		t.Fatal(err)
	}
	return before, after, listed, sized
}
