package wire

import (
	"net/netip"
	"os"

	"weir/internal/sniff"
)

// ReadProxy takes the PROXY header off the beginning of the connection, waiting for all of it until due
// (0: without bound). src is the client of the peer, dst where that connected to; neither is valid if
// the header says nothing. What follows the header stays where it is. It fails with ErrTimeout, with
// io.EOF or io.ErrUnexpectedEOF if the stream ends before, and with a [sniff.Error] if what comes is no
// good header.
func (c *Conn) ReadProxy(due int64) (src, dst netip.AddrPort, err error) {
	var size int
	var bad error
	err = c.Peek(sniff.MaxProxy, due, func(b []byte) bool {
		h, n, state, err := sniff.ParseProxy(b)
		src, dst, size, bad = h.Src, h.Dst, n, err // the rest of h points into b
		return state != sniff.More
	})
	if err == nil {
		err = bad
	}
	if err == nil {
		err = c.discard(size)
	}
	if err != nil {
		return netip.AddrPort{}, netip.AddrPort{}, err
	}
	return src, dst, nil
}

// discard receives n bytes that are there.
func (c *Conn) discard(n int) error {
	b := GetBuffer(n)
	defer b.Put()
	got, e := c.Receive(b.B[:n])
	switch {
	case e != 0:
		return os.NewSyscallError("recv", e)
	case got != n:
		return ErrClosed // somebody has reset it since it was peeked at
	}
	return nil
}
