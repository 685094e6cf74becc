package telemetry

import (
	"os"

	"golang.org/x/sys/unix"
)

// readDescriptors returns how many descriptors the process has open and how many it may have. ok is
// false where /proc is not mounted.
func readDescriptors() (open, limit uint64, ok bool) {
	var bounds unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &bounds) != nil {
		return 0, 0, false
	}
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, 0, false
	}
	defer dir.Close()
	// Since Linux 6.2 the size of the directory is the number; before, it is 0.
	if info, err := dir.Stat(); err == nil && info.Size() > 0 {
		return uint64(info.Size()) - 1, bounds.Cur, true
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0, 0, false
	}
	return uint64(len(names)) - 1, bounds.Cur, true // dir itself is among them
}
