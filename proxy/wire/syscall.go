package wire

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below never block, because every socket here is non-blocking. They go past the
// scheduler's bookkeeping of system calls for that reason, which saves about 60 ns each. The race
// detector does not see what the kernel reads and writes, and is told.

// Recv receives what is there, at most len(p) bytes. 0 and no error is the end of the stream;
// syscall.EAGAIN means that nothing is there yet. p must not be empty.
func Recv(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		if e == 0 {
			raceWrite(p[:n])
			return int(n), 0
		}
		if e != syscall.EINTR {
			return 0, e
		}
	}
}

// silent reports whether there is nothing to receive: no byte, no end, no error. Unlike a receive that
// peeks, a poll takes no lock on the socket.
func silent(fd uintptr) bool { return look(fd, unix.POLLIN|unix.POLLRDHUP) == 0 }

// look returns what there is of events, and of errors and hang-ups, and does not wait.
func look(fd uintptr, events int16) int16 {
	p := unix.PollFd{Fd: int32(fd), Events: events}
	for {
		_, _, e := syscall.RawSyscall(unix.SYS_POLL, uintptr(unsafe.Pointer(&p)), 1, 0)
		if e == 0 {
			return p.Revents
		}
		if e != syscall.EINTR {
			return unix.POLLNVAL
		}
	}
}

// Send sends what the socket takes, possibly less than p. syscall.EAGAIN means that it is full.
func Send(fd uintptr, p []byte) (int, syscall.Errno) { return sendWith(fd, p, 0) }

// sendWith is Send with flags of send(2).
func sendWith(fd uintptr, p []byte, flags int) (int, syscall.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	raceRead(p)
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(unix.MSG_NOSIGNAL|flags), 0, 0)
		if e == 0 {
			return int(n), 0
		}
		if e != syscall.EINTR {
			return 0, e
		}
	}
}

// shutdown ends one direction of a connection, or both: unix.SHUT_WR, SHUT_RDWR.
func shutdown(fd uintptr, how int) error {
	if _, _, e := syscall.RawSyscall(unix.SYS_SHUTDOWN, fd, uintptr(how), 0); e != 0 {
		return os.NewSyscallError("shutdown", e)
	}
	return nil
}

// setOption sets an option of a socket.
func setOption(fd uintptr, level, name, value int) syscall.Errno {
	v := int32(value)
	_, _, e := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, fd, uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0)
	return e
}

// resetOnClose makes a close drop what has not been sent yet, and reset the connection.
func resetOnClose(fd uintptr) syscall.Errno {
	l := unix.Linger{Onoff: 1}
	_, _, e := syscall.RawSyscall6(unix.SYS_SETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&l)), unsafe.Sizeof(l), 0)
	return e
}
