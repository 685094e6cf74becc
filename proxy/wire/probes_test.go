package wire

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestProbes(t *testing.T) {
	c, _ := dialed(t)
	option := func(level, name, want int) {
		t.Helper()
		if got, err := unix.GetsockoptInt(int(c.fd), level, name); err != nil || got != want {
			t.Errorf("option %d is %d, %v, want %d", name, got, err, want)
		}
	}
	must(t, c.Keepalive(20*time.Second))
	must(t, c.UserTimeout(1500*time.Millisecond))
	option(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 20)
	option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 20)
	option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepaliveProbes)
	option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1500)
	must(t, c.Keepalive(time.Millisecond))
	option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 1)
	must(t, c.Keepalive(0))
	option(unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0)
	must(t, c.Close())
	if c.Keepalive(time.Second) != ErrClosed || c.UserTimeout(0) != ErrClosed {
		t.Error("a closed connection is probed")
	}
}
