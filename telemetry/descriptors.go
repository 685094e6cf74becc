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
	open, err = entriesBySize(dir)
	if err != nil || open == 0 {
		open, err = entriesByList(dir)
	}
	return open - 1, bounds.Cur, err == nil && open > 0 // dir itself is among them
}

// entriesBySize counts without listing. Since Linux 6.2 the size of the directory is the number of
// its entries; before, it is 0.
func entriesBySize(dir *os.File) (uint64, error) {
	info, err := dir.Stat()
	if err != nil {
		return 0, err
	}
	return uint64(info.Size()), nil
}

func entriesByList(dir *os.File) (uint64, error) {
	names, err := dir.Readdirnames(-1)
	return uint64(len(names)), err
}
