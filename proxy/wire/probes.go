package wire

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// keepaliveProbes is how many keep-alive probes go unanswered before a connection is given up.
const keepaliveProbes = 9

// Keepalive probes the connection when nothing has come for d, and as often again; 0: never. It is
// in whole seconds, at least one. The owner calls it.
func (c *Conn) Keepalive(d time.Duration) error {
	if d <= 0 {
		return c.set(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
	}
	seconds := int(max(d, time.Second) / time.Second)
	// On first: only while it is, the time since something has come counts.
	for _, o := range [...]struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepaliveProbes},
	} {
		if err := c.set(o.level, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

// UserTimeout gives the connection up when what was sent has not been acknowledged for d, in whole
// milliseconds; 0: as the system does. The owner calls it.
func (c *Conn) UserTimeout(d time.Duration) error {
	return c.set(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d/time.Millisecond))
}

// set sets an option of the socket.
func (c *Conn) set(level, name, value int) error {
	if c.fd == closedFD {
		return ErrClosed
	}
	if e := setOption(c.fd, level, name, value); e != 0 {
		return os.NewSyscallError("setsockopt", e)
	}
	return nil
}
