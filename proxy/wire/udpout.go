package wire

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// UDPOut gathers datagrams for one socket and sends them with as few system calls as there can be. It
// belongs to one goroutine, and allocates nothing. Payloads are not copied: they must stay as they
// are until they have been sent.
type UDPOut struct {
	headers  []mmsghdr
	vectors  []unix.Iovec
	controls [][infoRoom + segmentRoom]byte
	segments []int // sizes; 0: one datagram
	head, n  int   // what is left to be sent
	split    int   // bytes of the first that were sent, which goes out segment by segment
}

// NewUDPOut makes room for n messages.
func NewUDPOut(n int) *UDPOut {
	o := &UDPOut{
		headers: make([]mmsghdr, n), vectors: make([]unix.Iovec, n), controls: make([][infoRoom + segmentRoom]byte, n),
		segments: make([]int, n),
	}
	for i := range o.headers {
		h := &o.headers[i].hdr
		h.Iov = &o.vectors[i]
		h.SetIovlen(1)
	}
	return o
}

// Len is how many messages are left to be sent.
func (o *UDPOut) Len() int { return o.n - o.head }

// Full reports whether no other message fits.
func (o *UDPOut) Full() bool { return o.n == len(o.headers) }

// Add adds a message to peer, nil on a connected socket. With segment it is several datagrams of that
// size, the last one of any size up to it.
func (o *UDPOut) Add(payload []byte, peer *UDPPeer, segment int) {
	i := o.n
	o.n++
	o.vectors[i].Base = unsafe.SliceData(payload)
	o.vectors[i].SetLen(len(payload))
	h := &o.headers[i].hdr
	h.Name, h.Namelen = nil, 0
	length := 0
	if peer != nil {
		h.Name, h.Namelen = &peer.name[0], peer.nameLen
		length = copy(o.controls[i][:], peer.control[:peer.controlLen])
	}
	o.segments[i] = 0
	if segment > 0 && segment < len(payload) {
		o.segments[i] = segment
		segmentControl(o.controls[i][length:], segment)
		length += segmentRoom
	}
	h.Control = nil
	if length > 0 {
		h.Control = &o.controls[i][0]
	}
	h.SetControllen(length)
}

// First is the first message: what is left of it, and the size of the datagrams that it is; 0: it is one.
func (o *UDPOut) First() (payload []byte, segment int) {
	v := &o.vectors[o.head]
	return unsafe.Slice(v.Base, int(v.Len))[o.split:], o.segments[o.head]
}

// Drop forgets the first message and returns how many datagrams of it were not sent.
func (o *UDPOut) Drop() int {
	i := o.head
	left := int(o.vectors[i].Len) - o.split
	o.next(1)
	if o.segments[i] == 0 {
		return 1
	}
	return (left + o.segments[i] - 1) / o.segments[i]
}

// next goes on behind k messages.
func (o *UDPOut) next(k int) {
	o.split = 0
	if o.head += k; o.head == o.n {
		o.head, o.n = 0, 0
	}
}

// Send sends what it can. An error is about the first message that is left: the caller drops it, or
// tries again. On a connected socket it may be about an earlier one, and nothing of this one was
// sent.
func (o *UDPOut) Send(fd uintptr) syscall.Errno {
	for o.Len() > 0 {
		if o.split > 0 {
			if e := o.sendSplit(fd); e != 0 {
				return e
			}
			continue
		}
		sent, e := o.sendMany(fd)
		if e == 0 {
			o.next(sent)
			continue
		}
		if o.segments[o.head] == 0 || !refusesSegments(e) {
			return e
		}
		if e := o.sendSplit(fd); e != 0 {
			return e
		}
	}
	return 0
}

// refusesSegments lists what a kernel answers that cannot cut a message: it does not know how (EINVAL,
// also for segments above the path's MTU, which are to be fragmented), or the device does not
// (EIO).
func refusesSegments(e syscall.Errno) bool {
	return e == unix.EINVAL || e == unix.EIO || e == unix.EMSGSIZE || e == unix.EOPNOTSUPP
}

func (o *UDPOut) sendMany(fd uintptr) (int, syscall.Errno) {
	for i := o.head; i < o.n; i++ {
		raceRead(unsafe.Slice(o.vectors[i].Base, int(o.vectors[i].Len)))
	}
	for {
		var n uintptr
		var e syscall.Errno
		switch h := &o.headers[o.head].hdr; {
		case o.Len() == 1 && h.Name == nil && h.Control == nil: // the cheapest of the three
			_, _, e = syscall.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(h.Iov.Base)), uintptr(h.Iov.Len),
				unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
			n = 1
		case o.Len() == 1:
			_, _, e = syscall.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(h)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			n = 1
		default:
			n, _, e = syscall.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&o.headers[o.head])), uintptr(o.Len()),
				unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		}
		if e != syscall.EINTR {
			return int(n), e
		}
	}
}

// sendSplit sends the first message segment by segment, from where that was broken off.
func (o *UDPOut) sendSplit(fd uintptr) syscall.Errno {
	i := o.head
	payload := unsafe.Slice(o.vectors[i].Base, int(o.vectors[i].Len))
	var v unix.Iovec
	h := o.headers[i].hdr // without the control message of the segments, which is the last one
	h.SetControllen(int(h.Controllen) - segmentRoom)
	if h.Controllen == 0 {
		h.Control = nil
	}
	h.Iov = &v
	for o.split < len(payload) {
		part := payload[o.split:min(o.split+o.segments[i], len(payload))]
		v.Base = unsafe.SliceData(part)
		v.SetLen(len(part))
		_, _, e := syscall.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if e == syscall.EINTR {
			continue
		}
		if e != 0 {
			return e
		}
		o.split += len(part)
	}
	o.next(1)
	return 0
}
