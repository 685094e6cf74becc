package wire

import (
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrPeekFull is returned when what was peeked at has reached its limit and is not enough.
var ErrPeekFull = errors.New("the beginning of the stream is too long")

// Peek shows f what has come so far, the first limit bytes of it at most, each time that there is
// more, until f returns true. The bytes stay where they are. It fails with ErrTimeout at due (0: never),
// io.EOF if the stream ends before its first byte, io.ErrUnexpectedEOF if it ends before f has enough,
// ErrPeekFull if limit bytes are not enough. f must not keep the bytes.
func (c *Conn) Peek(limit int, due int64, f func(b []byte) bool) error {
	var (
		seen   int
		result error
	)
	err := c.await(func(fd uintptr) bool {
		buffer := GetBuffer(limit) // held while f looks and not while more is waited for
		defer buffer.Put()
		n, e := peek(fd, buffer.B[:limit])
		switch {
		case e == syscall.EAGAIN:
			return false
		case e != 0:
			result = os.NewSyscallError("recv", e)
			return true
		case n == 0:
			result = io.EOF
			return true
		case n == seen: // nothing has come; but perhaps the end
			if ended(fd) {
				result = io.ErrUnexpectedEOF
			}
			return result != nil
		}
		seen = n
		if f(buffer.B[:n]) {
			return true
		}
		switch {
		case n == limit:
			result = ErrPeekFull
		case ended(fd): // with the last bytes: they are one edge
			result = io.ErrUnexpectedEOF
		}
		return result != nil
	}, due)
	if err != nil {
		return err
	}
	return result
}

// peek is Recv that leaves the bytes where they are.
func peek(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, fd,
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_PEEK, 0, 0)
		if e == 0 {
			raceWrite(p[:n])
			return int(n), 0
		}
		if e != syscall.EINTR {
			return 0, e
		}
	}
}

// ended reports whether the peer has ended what it sends, though there may be bytes to receive.
func ended(fd uintptr) bool {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	n, err := unix.Poll(p, 0)
	return err == nil && n > 0
}
