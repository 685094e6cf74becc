package sniff

import "encoding/binary"

const (
	recordHead  = 5 // type, version, length
	messageHead = 4 // type, length
	maxRecord   = 1 << 14
	// maxRecords is enough for MaxHello in the smallest records that an extension of TLS can ask for (64
	// bytes; RFC 8449, section 4). Without it, a hello that comes byte by byte in records of one byte
	// costs up to 0.1 ms each time.
	maxRecords    = 256
	typeHandshake = 22
	typeHello     = 1
)

// opening tells TLS from other protocols by the first bytes. Done means that b begins like a record
// of TLS with a handshake in it.
func opening(b []byte) (State, error) {
	switch {
	case len(b) == 0:
		return More, nil
	case b[0] == typeHandshake:
		if len(b) > 1 && b[1] != 3 {
			return Foreign, ErrNotTLS
		}
		return Done, nil
	case b[0]&0x80 != 0:
		return openingV2(b)
	}
	return Foreign, ErrNotTLS
}

// openingV2 finds the hello of SSL 2.0, in which old clients also offered SSL 3.0 and TLS 1.0: two
// bytes of length, the type, the version (RFC 5246, appendix E.2). It may not be accepted any more
// (RFC 8446, appendix D.5), and is too much like TLS to go where other protocols go.
func openingV2(b []byte) (State, error) {
	if len(b) > 2 && b[2] != typeHello || len(b) > 3 && b[3] != 0 && b[3] != 3 {
		return Foreign, ErrNotTLS
	}
	if len(b) < 5 {
		return More, nil
	}
	if b[3] == 0 && b[4] != 2 {
		return Foreign, ErrNotTLS
	}
	return Malformed, ErrSSLv2
}

// firstMessage finds the first handshake message, which must be a ClientHello, and returns its body
// and how many bytes of b there are up to its end.
func firstMessage(b []byte) (body []byte, size int, state State, err error) {
	var head [messageHead]byte
	got, want := 0, messageHead // bytes of the message, of which want is known when its head is there
	at, records := 0, 0
	for ; got < want; records++ {
		if records == maxRecords {
			return nil, 0, Malformed, ErrHelloTooLong
		}
		length, state, err := record(b[at:])
		if state != Done {
			return nil, 0, state, err
		}
		at += recordHead
		if got < messageHead {
			n := copy(head[got:], b[at:min(at+length, len(b))])
			if want, err = announced(head[:got+n]); err != nil {
				return nil, 0, Malformed, err
			}
		}
		part := min(length, want-got)
		if at+part > MaxHello {
			return nil, 0, Malformed, ErrHelloTooLong
		}
		if at+part > len(b) {
			return nil, 0, More, nil
		}
		got += part
		at += part
	}
	if records == 1 {
		return b[recordHead+messageHead : at : at], at, Done, nil
	}
	return join(b[:at], want)[messageHead:], at, Done, nil
}

// announced reads the head of the message, as far as it is there, and returns how long the message
// is with its head; the length of the head if that cannot be known yet.
func announced(head []byte) (int, error) {
	if len(head) > 0 && head[0] != typeHello {
		return 0, ErrNotClientHello
	}
	if len(head) < messageHead {
		return messageHead, nil
	}
	n := messageHead + int(head[1])<<16 + int(binary.BigEndian.Uint16(head[2:]))
	if recordHead+n > MaxHello {
		return 0, ErrHelloTooLong
	}
	return n, nil
}

// record reads the header of a record of the handshake and returns the length of its content. The
// version says nothing (RFC 8446, section 5.1), but for its first byte.
func record(b []byte) (length int, state State, err error) {
	if len(b) > 0 && b[0] != typeHandshake || len(b) > 1 && b[1] != 3 {
		return 0, Malformed, ErrRecord
	}
	if len(b) < recordHead {
		return 0, More, nil
	}
	length = int(binary.BigEndian.Uint16(b[3:]))
	if length == 0 || length > maxRecord {
		return 0, Malformed, ErrRecord
	}
	return length, Done, nil
}

// join copies the n bytes of a message out of its records, which firstMessage has checked. The last
// one may be cut off behind the message.
func join(b []byte, n int) []byte {
	message := make([]byte, 0, n)
	for len(b) > 0 {
		end := min(recordHead+int(binary.BigEndian.Uint16(b[3:])), len(b))
		message = append(message, b[recordHead:end]...)
		b = b[end:]
	}
	return message
}
