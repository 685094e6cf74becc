package wire

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is what recvmmsg and sendmmsg work on; x/sys does not export it.
type mmsghdr struct {
	hdr  unix.Msghdr
	size uint32 // bytes received or sent
}

const (
	// MaxDatagram is the most payload that a datagram has, of IPv4; that of IPv6 has 20 bytes more.
	MaxDatagram = 65507
	// datagramSize is the room for what one receive yields: a datagram, or several of one size that the
	// kernel has put together.
	datagramSize = 1 << 16

	cmsgHeader  = unix.SizeofCmsghdr
	segmentRoom = cmsgHeader + 8 // control message with a segment size, padded
	infoRoom    = cmsgHeader + 24
	// controlRoom is for all that can come with a datagram: of one over IPv4 to a socket of IPv6, its
	// address twice.
	controlRoom = segmentRoom + 2*infoRoom
)

// Control messages differ in their two numbers alone; the word of an Msghdr is as long as a pointer.
func putControl(b []byte, level, kind, data int) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(unsafe.SliceData(b)))
	h.SetLen(cmsgHeader + data)
	h.Level, h.Type = int32(level), int32(kind)
}

// UDPPeer is a client of a listening socket, as the kernel is told of it: where replies go, and from
// which address of this machine. It is immutable.
type UDPPeer struct {
	name       [unix.SizeofSockaddrInet6]byte
	nameLen    uint32
	controlLen uint32 // 0: the socket is bound to one address, which is the source of what it sends
	control    [infoRoom]byte
}

// segmentControl is a control message that tells how much of a payload is one datagram.
func segmentControl(b []byte, size int) {
	putControl(b, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2)
	binary.NativeEndian.PutUint16(b[cmsgHeader:], uint16(size))
}

// source notes which address replies are sent from.
func (p *UDPPeer) source(local netip.Addr, index uint32, family uint16) {
	if !local.IsValid() || local.IsMulticast() || local.IsUnspecified() {
		return
	}
	if family == unix.AF_INET {
		putControl(p.control[:], unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		a := local.As4()
		copy(p.control[cmsgHeader+4:], a[:]) // behind the index: the source
		p.controlLen = cmsgHeader + 16
		return
	}
	putControl(p.control[:], unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	a := local.As16()
	copy(p.control[cmsgHeader:], a[:])
	if local.IsLinkLocalUnicast() {
		binary.NativeEndian.PutUint32(p.control[cmsgHeader+16:], index)
	}
	p.controlLen = cmsgHeader + 24
}

// port is the one in a socket address, which is big endian in all of them.
func port(name []byte) uint16 { return binary.BigEndian.Uint16(name[2:]) }
