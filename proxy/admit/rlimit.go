package admit

import (
	"os"

	"golang.org/x/sys/unix"
)

// DescriptorLimit is how many descriptors the process may have open: the soft limit of
// RLIMIT_NOFILE, which the Go runtime raises to the hard one at start.
func DescriptorLimit() (uint64, error) {
	var bounds unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &bounds); err != nil {
		return 0, os.NewSyscallError("getrlimit", err)
	}
	return bounds.Cur, nil
}
