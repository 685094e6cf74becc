package wire

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reset ends the connection at once and tells the peer by a reset that it was cut off, which
// Shutdown does not. Whoever waits on the Conn is woken with an error. Anybody may call it at any
// time; it does not close.
func (c *Conn) Reset() {
	_ = c.poll.control(func(fd uintptr) {
		// Connecting to no address dissolves a connection: connect(2).
		none := unix.RawSockaddr{Family: unix.AF_UNSPEC}
		_, _, e := syscall.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&none)), unsafe.Sizeof(none))
		if e != 0 {
			_ = shutdown(fd, unix.SHUT_RDWR)
		}
	})
}
