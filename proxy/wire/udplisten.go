package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udpBuffer is what is asked for as receive and send buffer of a listening socket: it carries what
// comes while its reader is busy. The kernel may give less (net.core.rmem_max).
const udpBuffer = 4 << 20

// UDPListener receives the datagrams of all clients on one address, and sends them theirs.
type UDPListener struct {
	file     *os.File
	raw      syscall.RawConn
	addr     netip.AddrPort
	family   uint16
	wildcard bool // it is told which address a datagram was sent to
	ending   atomic.Bool
	paused   atomic.Bool

	close sync.Once
	err   error
}

// ListenUDP binds address, host:port; an empty host is every address of the machine, IPv4 and IPv6.
// SO_REUSEPORT is not used: it would hide that another process has the port. What the kernel refuses
// is a *net.OpError with the address, as from net.ListenPacket.
func ListenUDP(address string) (*UDPListener, error) { return ListenUDPBeside(address, nil) }

// ListenUDPBeside is ListenUDP for an address that overlaps those of others, which are this process's
// own and will be closed: see ListenBeside.
func ListenUDPBeside(address string, others []*UDPListener) (*UDPListener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil { // nothing would be any port
		return nil, err
	}
	resolved, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", address, err)
	}
	var raws []syscall.RawConn
	for _, o := range others {
		raws = append(raws, o.raw)
	}
	var l *UDPListener
	err = sharingPort(raws, func() (err error) {
		l, err = listenUDP(resolved, len(raws) > 0)
		return err
	})
	if err != nil {
		if l != nil {
			err = errors.Join(err, l.Close())
		}
		return nil, &net.OpError{Op: "listen", Net: "udp", Addr: resolved, Err: err}
	}
	return l, nil
}

// sharingPort runs f while the sockets share their port with whoever of the same user wants that too.
func sharingPort(others []syscall.RawConn, f func() error) error {
	if len(others) == 0 {
		return f()
	}
	set := func(value int) (err error) {
		for _, raw := range others {
			err = errors.Join(err, setReusePort(raw, value))
		}
		return err
	}
	err := set(1)
	if err == nil {
		err = f()
	}
	return errors.Join(err, set(0))
}

// listenUDP binds; shared says that the port is shared with others while that is done.
func listenUDP(resolved *net.UDPAddr, shared bool) (*UDPListener, error) {
	addr := resolved.AddrPort()
	switch {
	case resolved.IP == nil:
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())
	case addr.Addr().Is4In6():
		addr = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	fd, err := bindUDP(addr, shared)
	if err == unix.EAFNOSUPPORT && resolved.IP == nil { // a kernel without IPv6
		addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		fd, err = bindUDP(addr, shared)
	}
	if err != nil {
		return nil, err
	}
	f, raw, err := adopt(fd, "datagrams")
	if err != nil {
		return nil, err
	}
	if shared {
		if err := setReusePort(raw, 0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("getsockname", err), f.Close())
	}
	l := &UDPListener{file: f, raw: raw, addr: fromSockaddr(sa), family: unix.AF_INET, wildcard: addr.Addr().IsUnspecified()}
	if addr.Addr().Is6() {
		l.family = unix.AF_INET6
	}
	return l, nil
}

// bindUDP makes a listening socket, with SO_REUSEPORT set if it is shared. Its errors wrap errno values.
func bindUDP(addr netip.AddrPort, shared bool) (int, error) {
	sa, family := toSockaddr(addr)
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = setUDPOptions(fd, addr.Addr(), shared)
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func setUDPOptions(fd int, addr netip.Addr, shared bool) error {
	type option struct{ level, name, value int }
	options := []option{{unix.SOL_SOCKET, unix.SO_RCVBUF, udpBuffer}, {unix.SOL_SOCKET, unix.SO_SNDBUF, udpBuffer}}
	if shared {
		options = append(options, option{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}
	if addr.Is6() {
		only := 1
		if addr.IsUnspecified() {
			only = 0
			// Of a broadcast over IPv4 the first names the address that everybody has, the second the one of
			// this machine, which replies are sent from.
			options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1}, option{unix.IPPROTO_IP, unix.IP_PKTINFO, 1})
		}
		options = append(options, option{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only})
	} else if addr.IsUnspecified() {
		options = append(options, option{unix.IPPROTO_IP, unix.IP_PKTINFO, 1})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	joinSegments(fd)
	return nil
}

// joinSegments asks the kernel to hand over datagrams of one peer and size together. Kernels before
// 5.0 cannot, and hand them over one by one.
func joinSegments(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1) }

// Addr is the bound address, with the port that the kernel chose for port 0.
func (l *UDPListener) Addr() netip.AddrPort { return l.addr }

// Receive waits for datagrams and calls serve with how many are in b, again and again, until the
// listener is closed: then it returns ErrClosed, or paused: ErrPaused. A lack of memory is reported as it is, and the caller
// paces itself. serve must not close the listener; it may send on it.
func (l *UDPListener) Receive(b *UDPBatch, serve func(n int)) error {
	var failure syscall.Errno
	err := l.raw.Read(func(fd uintptr) bool {
		for !l.ending.Load() && !l.paused.Load() {
			n, e := b.receive(fd, 0, b.Slots())
			if e == unix.EAGAIN {
				return false
			}
			if e != 0 {
				failure = e
				return true
			}
			serve(n)
			if n < b.Slots() {
				return false
			}
		}
		return true
	})
	if l.paused.Load() && !l.ending.Load() && failure == 0 {
		return ErrPaused
	}
	if err != nil || failure == 0 {
		return ErrClosed
	}
	return os.NewSyscallError("recvmmsg", failure)
}

// Take fills b with what is there, without waiting, and returns how many datagrams that is: 0 also where
// nothing can be received. It may be called while Receive waits, with another batch.
func (l *UDPListener) Take(b *UDPBatch) (n int) {
	_ = l.raw.Control(func(fd uintptr) { n, _ = b.receive(fd, 0, b.Slots()) }) // closed: there is nothing
	return n
}

// UDPFrom is where a datagram came from and went to.
type UDPFrom struct {
	client  [16]byte // address, IPv4 mapped
	local   [16]byte
	scope   uint32 // interface of a link-local client
	index   uint32 // interface that it came in on, of a link-local address of this machine
	ports   uint32 // of the client, and of this machine
	Segment int    // the payload is datagrams of that size; 0: it is one
}

// From reads where the datagram in slot i came from.
func (l *UDPListener) From(b *UDPBatch, i int) (f UDPFrom) {
	c := b.look(i)
	name := b.names[i][:]
	f.Segment = c.segment
	if f.Segment >= int(b.headers[i].size) {
		f.Segment = 0
	}
	if l.family == unix.AF_INET {
		f.client[10], f.client[11] = 0xff, 0xff
		copy(f.client[12:], name[4:8])
	} else {
		copy(f.client[:], name[8:24])
		f.scope = binary.NativeEndian.Uint32(name[24:])
	}
	f.ports = uint32(port(name))<<16 | uint32(l.addr.Port())
	if !l.wildcard || !c.local.IsValid() {
		f.local = l.addr.Addr().As16()
		return f
	}
	f.local = c.local.As16()
	if c.local.IsLinkLocalUnicast() {
		f.index = c.index
	}
	return f
}

// UDPKey is what tells two clients of a process apart: both addresses and both ports.
type UDPKey struct {
	Client, Local [16]byte
	Scopes        uint64
	Ports         uint32
}

// Key is the client and the address that it has used.
func (f *UDPFrom) Key() UDPKey {
	return UDPKey{f.client, f.local, uint64(f.scope)<<32 | uint64(f.index), f.ports}
}

// Client is who sent the datagram; of a link-local address without the interface.
func (f *UDPFrom) Client() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(f.client).Unmap(), uint16(f.ports>>16))
}

// Local is the address that the client has used.
func (f *UDPFrom) Local() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(f.local).Unmap(), uint16(f.ports))
}

// Covers reports whether the listener receives what is sent to the address that the client has used.
func (l *UDPListener) Covers(f *UDPFrom) bool {
	local := f.Local()
	if local.Port() != l.addr.Port() {
		return false
	}
	return local.Addr() == l.addr.Addr() || l.wildcard && (l.family == unix.AF_INET6 || local.Addr().Is4())
}

// Peer is where replies go.
func (l *UDPListener) Peer(f *UDPFrom) *UDPPeer {
	p := &UDPPeer{}
	p.nameLen = unix.SizeofSockaddrInet6
	binary.NativeEndian.PutUint16(p.name[:], l.family)
	binary.BigEndian.PutUint16(p.name[2:], uint16(f.ports>>16))
	if l.family == unix.AF_INET {
		copy(p.name[4:], f.client[12:])
		p.nameLen = unix.SizeofSockaddrInet4
	} else {
		copy(p.name[8:], f.client[:])
		binary.NativeEndian.PutUint32(p.name[24:], f.scope)
	}
	if l.wildcard {
		local := netip.AddrFrom16(f.local)
		if l.family == unix.AF_INET {
			local = local.Unmap()
		}
		p.source(local, f.index, l.family)
	}
	return p
}

// Control runs f with the descriptor, unless the listener is closed. It is how [UDPOut.Send] gets it.
func (l *UDPListener) Control(f func(fd uintptr)) error {
	if err := l.raw.Control(f); err != nil {
		return ErrClosed
	}
	return nil
}

// Lost is how many datagrams the kernel has thrown away since the socket was made, most of them because
// its buffer was full; it wraps around. ok is false if the kernel does not say (before Linux 4.12), or the
// listener is closed.
func (l *UDPListener) Lost() (n uint32, ok bool) {
	var counters [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(counters))
	err := l.raw.Control(func(fd uintptr) {
		_, _, e := syscall.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&counters)), uintptr(unsafe.Pointer(&size)), 0)
		ok = e == 0 && size > 4*unix.SK_MEMINFO_DROPS
	})
	return counters[unix.SK_MEMINFO_DROPS], ok && err == nil
}

// End ends Receive, once serve has returned. The socket stays open.
func (l *UDPListener) End() {
	l.ending.Store(true)
	_ = l.file.SetReadDeadline(time.Unix(1, 0)) // closed: Receive has ended
}

// Close ends Receive and closes the socket. It waits for serve to return, so serve must not call it.
func (l *UDPListener) Close() error {
	l.close.Do(func() {
		l.ending.Store(true)
		l.err = l.file.Close()
	})
	return l.err
}
