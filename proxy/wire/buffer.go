package wire

import (
	"sync"
	"sync/atomic"
)

const (
	// SmallSize holds most message heads with their bodies.
	SmallSize = 16 << 10
	// LargeSize is for bodies in transit: the cost of a system call is spread over more bytes. What is
	// sent at once fits into one segment, which holds 65,483 bytes on loopback and not much less where
	// the kernel cuts it later. More would be followed by a small segment, with a wake-up of the peer
	// of its own: 64 KiB at a time cost twice the CPU time of 60. It is three whole records of TLS.
	LargeSize = 48 << 10
	// HugeSize is for large bodies that are received plain and sent encrypted: the pieces that are sent
	// are records in any case, and the fewer receives there are, the more seldom their sender is woken.
	HugeSize = 256 << 10
	// maxHuge bounds the huge buffers in use, to 64 MiB: clients that read slowly keep theirs.
	maxHuge = 256
)

// Buffer is memory for one direction of one message. Get it when a socket becomes readable and put
// it back when the connection goes idle, so that idle connections hold none.
type Buffer struct {
	B    []byte
	huge bool
}

var (
	smallBuffers = sync.Pool{New: func() any { return &Buffer{B: make([]byte, SmallSize)} }}
	largeBuffers = sync.Pool{New: func() any { return &Buffer{B: make([]byte, LargeSize)} }}
	hugeBuffers  = sync.Pool{New: func() any { return &Buffer{B: make([]byte, HugeSize), huge: true} }}
	hugeInUse    atomic.Int64
)

// GetBuffer returns a buffer of at least size bytes; its content is arbitrary.
func GetBuffer(size int) *Buffer {
	switch {
	case size <= SmallSize:
		return smallBuffers.Get().(*Buffer)
	case size <= LargeSize:
		return largeBuffers.Get().(*Buffer)
	}
	return &Buffer{B: make([]byte, size)}
}

// GetHugeBuffer returns a buffer of HugeSize, or nil if too many of them are in use.
func GetHugeBuffer() *Buffer {
	if hugeInUse.Add(1) > maxHuge {
		hugeInUse.Add(-1)
		return nil
	}
	return hugeBuffers.Get().(*Buffer)
}

// Put gives the buffer back. Nobody may use it, or a slice of it, afterwards. Buffers of unusual
// size are left to the collector.
func (b *Buffer) Put() {
	if b.huge {
		b.B = b.B[:HugeSize]
		hugeBuffers.Put(b)
		hugeInUse.Add(-1)
		return
	}
	switch cap(b.B) {
	case SmallSize:
		b.B = b.B[:SmallSize]
		smallBuffers.Put(b)
	case LargeSize:
		b.B = b.B[:LargeSize]
		largeBuffers.Put(b)
	}
}
