package bench

import (
	"errors"
	"fmt"
	"io"
)

// tee reads the bytes that were received already and then the socket, and keeps what it gave.
type tee struct {
	head      []byte
	rest      io.Reader
	seen      []byte // the first receiveBuffer bytes
	size      int    // all bytes
	truncated bool   // there were more than seen
	ended     bool   // the stream is at its end
}

func (t *tee) reset(head []byte, rest io.Reader) {
	*t = tee{head: head, rest: rest, seen: t.seen[:0]}
}

func (t *tee) Read(p []byte) (int, error) {
	if len(t.head) > 0 {
		n := copy(p, t.head)
		t.head = t.head[n:]
		t.keep(p[:n])
		return n, nil
	}
	n, err := t.rest.Read(p)
	t.keep(p[:n])
	if err != nil {
		t.ended = errors.Is(err, io.EOF)
		if !t.ended {
			return n, fmt.Errorf("receive: %w", err)
		}
	}
	return n, err
}

func (t *tee) keep(p []byte) {
	t.size += len(p)
	if room := receiveBuffer - len(t.seen); len(p) > room {
		t.truncated, p = true, p[:room]
	}
	t.seen = append(t.seen, p...)
}
