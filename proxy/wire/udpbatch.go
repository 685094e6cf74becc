package wire

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// UDPBatch is room for what is received from sockets of datagrams. Its slots are filled in order, by
// one goroutine; nothing here allocates. The memory is that of the slots which have been in use: a
// page for small datagrams, 64 KiB at most.
type UDPBatch struct {
	headers  []mmsghdr
	vectors  []unix.Iovec
	names    [][unix.SizeofSockaddrInet6]byte
	controls [][controlRoom]byte
	payload  []byte
	named    bool // who sent a datagram is asked for
}

// NewUDPBatch makes a batch of n slots. named batches tell who sent a datagram, which those of
// connected sockets need not.
func NewUDPBatch(n int, named bool) *UDPBatch {
	b := &UDPBatch{
		headers: make([]mmsghdr, n), vectors: make([]unix.Iovec, n), names: make([][unix.SizeofSockaddrInet6]byte, n),
		controls: make([][controlRoom]byte, n), payload: make([]byte, n*datagramSize), named: named,
	}
	for i := range b.headers {
		v := &b.vectors[i]
		v.Base = &b.payload[i*datagramSize]
		v.SetLen(datagramSize)
		h := &b.headers[i].hdr
		h.Iov, h.Control = v, &b.controls[i][0]
		h.SetIovlen(1)
		if named {
			h.Name = &b.names[i][0]
		}
	}
	return b
}

// Slots is how many datagrams fit.
func (b *UDPBatch) Slots() int { return len(b.headers) }

// prepare undoes what a receive has left in the header of a slot, or what ReceiveOne has.
func (b *UDPBatch) prepare(i int) {
	h := &b.headers[i].hdr
	h.SetControllen(len(b.controls[i]))
	if b.named {
		h.Namelen = unix.SizeofSockaddrInet6
	}
}

// receive fills at most n slots from slot i on with what is there. Fewer than n prove that nothing is
// left. An error is that of a socket that has received nothing.
func (b *UDPBatch) receive(fd uintptr, i, n int) (int, syscall.Errno) {
	for k := i; k < i+n; k++ {
		b.prepare(k)
	}
	for {
		got, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.headers[i])), uintptr(n),
			unix.MSG_DONTWAIT, 0, 0)
		if e == syscall.EINTR {
			continue
		}
		if e != 0 {
			return 0, e
		}
		for k := i; k < i+int(got); k++ {
			b.filled(k)
		}
		return int(got), 0
	}
}

// filled tells the race detector what the kernel wrote.
func (b *UDPBatch) filled(i int) {
	raceWrite(b.Payload(i))
	raceWrite(b.names[i][:])
	raceWrite(b.controls[i][:])
}

// Payload is what slot i has received, valid until it is filled again.
func (b *UDPBatch) Payload(i int) []byte {
	at := i * datagramSize
	return b.payload[at : at+int(b.headers[i].size)]
}

// control is what came with a datagram.
type control struct {
	local   netip.Addr // that it was sent to; invalid if it was not told
	index   uint32     // of the interface it came in on
	segment int        // size of the datagrams that were put together; 0: it is one
}

// look reads the control messages of slot i.
func (b *UDPBatch) look(i int) (c control) {
	h := &b.headers[i].hdr
	rest := b.controls[i][:min(int(h.Controllen), len(b.controls[i]))]
	for len(rest) >= cmsgHeader {
		m := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(rest)))
		size := int(m.Len)
		if size < cmsgHeader || size > len(rest) {
			break
		}
		c.read(m.Level, m.Type, rest[cmsgHeader:size])
		rest = rest[min((size+7)&^7, len(rest)):]
	}
	return c
}

func (c *control) read(level, kind int32, data []byte) {
	switch {
	case level == unix.IPPROTO_UDP && kind == unix.UDP_GRO && len(data) >= 4:
		c.segment = int(binary.NativeEndian.Uint32(data))
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		// The second address is the one in the header, the first the one of this machine: they differ
		// for a broadcast.
		c.index, c.local = binary.NativeEndian.Uint32(data), netip.AddrFrom4([4]byte(data[4:8]))
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		c.local, c.index = netip.AddrFrom16([16]byte(data[:16])), binary.NativeEndian.Uint32(data[16:])
	}
}
