package exchange

// records follows the records that crypto/tls is given (RFC 8446, section 5.1: five bytes, of which
// the last two are the length of what follows) and what is read of them, to know when there can be
// nothing left in it without asking: it allocates for every answer. The zero value is that of a
// connection on which nothing has come.
type records struct {
	at    int // bytes of an unfinished header
	left  int // bytes of a record that are still to come
	fresh int // whole records that it may not have read to the end
}

// given takes note of bytes that crypto/tls gets.
func (r *records) given(b []byte) {
	for len(b) > 0 {
		if r.left > 0 {
			n := min(r.left, len(b))
			r.left -= n
			b = b[n:]
			if r.left == 0 {
				r.fresh++
			}
			continue
		}
		r.header(b[0])
		b = b[1:]
	}
}

// header takes the next byte of a header.
func (r *records) header(c byte) {
	switch r.at++; r.at {
	case 4:
		r.left = -int(c) << 8 // negative: the length is not whole
	case 5:
		r.at = 0
		if r.left = int(c) - r.left; r.left == 0 {
			r.fresh++
		}
	}
}

// read takes note of data that came out; whole says that its record has been read to the end. If that
// was the only one nothing is left.
func (r *records) read(whole bool) {
	if whole && r.fresh == 1 {
		r.fresh = 0
	}
}

// asked takes note that crypto/tls wanted more than there was: it has read all whole records.
func (r *records) asked() { r.fresh = 0 }

// none reports whether crypto/tls holds nothing: no record, and no part of one.
func (r *records) none() bool { return r.fresh == 0 && r.at == 0 && r.left == 0 }
