package http1

import (
	"bytes"

	"weir/proxy/message"
)

const (
	maxChunkDigits    = 15       // of the size, so that it fits 63 bits
	maxChunkExtension = 256      // bytes of one chunk's extensions
	maxExtensions     = 16 << 10 // bytes of all extensions of a body
	maxTrailer        = 8 << 10
	maxTrailerFields  = 64
)

type chunkState uint8

const (
	chunkSize  chunkState = iota
	chunkSpace            // before the first extension
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	chunkLast // after the line of the last chunk
	chunkEndLF
	chunkTrailer
	chunkDone
)

// Chunked checks a body in chunked coding (RFC 9112, section 7.1) piece by piece. The zero value is
// ready for a body.
type Chunked struct {
	state      chunkState
	digits     int
	left       int64 // of the current chunk
	extension  int   // bytes of the current chunk's extensions
	extensions int
	trailer    []byte
	fields     []message.Field // of the trailer, kept for their memory
	withheld   [2][]string
	data       int64
}

// Withhold keeps fields of these names, given in lower case, and what a server could take for them
// (message.Resembles) out of what is forwarded of the trailer: the names of fields that a proxy answers
// for, and those that the rules for the head take out. The lists, which may be nil, are not changed.
func (c *Chunked) Withhold(own, claimed []string) { c.withheld = [2][]string{own, claimed} }

// Done reports whether the body is complete.
func (c *Chunked) Done() bool { return c.state == chunkDone }

// Data is the number of bytes of content so far.
func (c *Chunked) Data() int64 { return c.data }

// Tail is what remains to be forwarded once the body is done: nothing, or a trailer section with
// the empty line after it. It is valid until the next use of c.
func (c *Chunked) Tail() []byte { return c.trailer }

// Reset makes c ready for another body, of which nothing is withheld.
func (c *Chunked) Reset() { *c = Chunked{trailer: c.trailer[:0], fields: c.fields[:0]} }

// Scan consumes bytes of the body from b. It returns the next run of bytes to forward, a slice of
// b that may be empty, and how many bytes of b have been consumed; call it until all are, or Done.
// Bytes behind the body are not consumed. With content, only the content of the chunks is
// forwarded, for a receiver that does not know the coding.
func (c *Chunked) Scan(b []byte, content bool) (run []byte, n int, err error) {
	start := -1
	for n < len(b) && c.state != chunkDone {
		size, forward, err := c.piece(b[n:], content)
		if err != nil {
			return nil, n, err
		}
		if forward && start < 0 {
			start = n
		}
		if !forward && size > 0 && start >= 0 {
			return b[start:n], n + size, nil
		}
		n += size
	}
	if start < 0 {
		return nil, n, nil
	}
	return b[start:n], n, nil
}

// piece consumes a part of b that is either forwarded as a whole or not at all.
func (c *Chunked) piece(b []byte, content bool) (n int, forward bool, err error) {
	switch c.state {
	case chunkData:
		n = len(b)
		if int64(n) > c.left {
			n = int(c.left)
		}
		c.data += int64(n)
		if c.left -= int64(n); c.left == 0 {
			c.state = chunkDataCR
		}
		return n, true, nil
	case chunkSize:
		n, err = c.size(b)
		return n, !content, err
	case chunkSpace:
		n, err = c.space(b)
		return n, false, err
	case chunkExt:
		n, err = c.ext(b)
		return n, false, err
	case chunkLast:
		if b[0] != '\r' {
			c.state = chunkTrailer
			return 0, false, nil
		}
	case chunkTrailer:
		n, err = c.section(b)
		return n, false, err
	}
	return 1, !content, c.delimiter(b[0])
}

// size reads digits of a chunk size and what ends them.
func (c *Chunked) size(b []byte) (int, error) {
	for i, ch := range b {
		d := unhex(ch)
		switch {
		case d >= 0:
			if c.digits++; c.digits > maxChunkDigits {
				return i, ErrChunkSize
			}
			c.left = c.left<<4 | int64(d)
		case c.digits == 0:
			return i, ErrChunkSize
		case ch == '\r':
			c.state = chunkSizeLF
			return i + 1, nil
		case ch == ';':
			c.state, c.extension = chunkExt, 0
			return i, nil
		case ch == ' ' || ch == '\t':
			c.state, c.extension = chunkSpace, 0
			return i, nil
		default:
			return i, ErrChunkSize
		}
	}
	return len(b), nil
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// space consumes white space behind a size. It is there by mistake, but must be accepted before an
// extension (BWS: RFC 9112, section 7.1.1), and only there: without one, readers differ.
func (c *Chunked) space(b []byte) (int, error) {
	n := 0
	for n < len(b) && (b[n] == ' ' || b[n] == '\t') {
		n++
	}
	if err := c.extend(n); err != nil || n == len(b) {
		return n, err
	}
	if b[n] != ';' {
		return 0, ErrChunkSize
	}
	c.state = chunkExt
	return n, nil
}

// extend counts n more bytes of the line of a chunk.
func (c *Chunked) extend(n int) error {
	c.extension += n
	c.extensions += n
	if c.extension > maxChunkExtension || c.extensions > maxExtensions {
		return ErrChunkExtension
	}
	return nil
}

// ext consumes extensions up to, and without, the CR that ends the line. What ends them is the size
// state's business, with digits that are already there.
func (c *Chunked) ext(b []byte) (int, error) {
	end := bytes.IndexByte(b, '\r')
	n := end
	if end < 0 {
		n = len(b)
	}
	if err := c.extend(n); err != nil {
		return 0, err
	}
	if !validValue(b[:n]) {
		return 0, ErrChunkExtension
	}
	if end >= 0 {
		c.state = chunkSize
	}
	return n, nil
}

// delimiter takes one byte of the CRLFs around chunks.
func (c *Chunked) delimiter(ch byte) error {
	switch {
	case c.state == chunkSizeLF && ch == '\n':
		c.state = chunkData
		if c.left == 0 {
			c.state = chunkLast
		}
		c.digits = 0
	case c.state == chunkSizeLF:
		return ErrChunkSize
	case c.state == chunkDataCR && ch == '\r':
		c.state = chunkDataLF
	case c.state == chunkDataLF && ch == '\n':
		c.state = chunkSize
	case c.state == chunkLast && ch == '\r':
		c.state = chunkEndLF
	case c.state == chunkEndLF && ch == '\n':
		c.state = chunkDone
	default:
		return ErrChunkEnd
	}
	return nil
}

// section collects a trailer section and, when it is complete, leaves in c.trailer what may be
// forwarded. Only a line end can complete it, so a section that drips in is not parsed at each byte.
func (c *Chunked) section(b []byte) (int, error) {
	before := len(c.trailer)
	b = b[:min(len(b), maxTrailer+1-before)]
	c.trailer = append(c.trailer, b...)
	full := len(c.trailer) > maxTrailer
	lf := bytes.LastIndexByte(b, '\n')
	if lf < 0 && !full {
		return len(b), nil
	}
	lines := c.trailer[:before+lf+1]
	h := message.Head{Buf: lines, Fields: c.fields[:0], ContentLength: -1}
	size, err := parseFields(&h, lines, 0, maxTrailerFields)
	c.fields = h.Fields
	if err != nil || (size == 0 && full) {
		return 0, ErrTrailer
	}
	if size == 0 {
		return len(b), nil
	}
	kept := c.trailer[:0] // lines only move forward
	for i := range h.Fields {
		if f := &h.Fields[i]; trailerAllowed(h.NameBytes(f), f.Name) && !c.withholds(h.NameBytes(f)) {
			kept = append(kept, h.Line(f)...)
		}
	}
	c.trailer = append(kept, '\r', '\n')
	c.state = chunkDone
	return size - before, nil
}

func (c *Chunked) withholds(name []byte) bool {
	for _, list := range c.withheld {
		for _, lower := range list {
			if message.Resembles(name, lower) {
				return true
			}
		}
	}
	return false
}

// trailerAllowed refuses fields that would change framing, routing, authentication or the meaning
// of the content after the fact (RFC 9110, section 6.5.1).
func trailerAllowed(name []byte, n message.Name) bool {
	if n != message.Other {
		return false
	}
	if len(name) == 13 {
		return !message.Equal(name, "authorization") && !message.Equal(name, "cache-control")
	}
	return len(name) < 8 || !message.Equal(name[:8], "content-")
}
