package bench

import (
	"net"

	"golang.org/x/sys/unix"
)

// cork holds what is written to c back until it is closed, so that the last bytes and the FIN go
// out in one segment.
func cork(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1)
	}); err != nil {
		return err
	}
	return failed
}
