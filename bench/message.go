package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// maxMessage bounds a message of a tcp or udp load: a socket takes it whole.
const maxMessage = 16 << 10

// messageBuffer is how much of a reply is received at once.
const messageBuffer = 64 << 10

var errWrongReply = errors.New("the reply differs from what it should be")

// messenger sends a message and receives a known reply, over one TCP connection or UDP socket.
type messenger struct {
	*link
	message []byte
	want    []byte
	fresh   bool

	ready func(fd uintptr) bool // the method value of step, made once
	buf   []byte

	// State of the exchange under way.
	sent bool
	got  int // bytes of the reply
	err  error
}

func newMessenger(network, addr string, o LoadOptions) *messenger {
	m := &messenger{
		link:    newLink(network, addr, o),
		message: o.Body,
		want:    o.Reply,
		fresh:   o.Fresh,
		buf:     make([]byte, messageBuffer),
	}
	m.ready = m.step
	return m
}

func (m *messenger) connect(ctx context.Context) error {
	_, err := m.link.connect(ctx)
	return err
}

// exchange sends the message and receives the reply. Nothing is sent twice: a lost datagram is a
// failure of kind "timeout". After an error the connection is closed.
func (m *messenger) exchange(ctx context.Context, now time.Time) (rep reply, resent bool, err error) {
	if err := m.connect(ctx); err != nil {
		return reply{}, false, err
	}
	if err := m.attempt(now); err != nil {
		m.close()
		return reply{}, false, err
	}
	m.served++
	if m.fresh {
		m.close()
	}
	return reply{size: m.got}, false, nil
}

func (m *messenger) attempt(now time.Time) error {
	if err := m.arm(now); err != nil {
		return classify(err)
	}
	m.sent, m.got, m.err = false, 0, nil
	if err := m.raw.Read(m.ready); err != nil {
		return classify(err)
	}
	switch {
	case errors.Is(m.err, errWrongReply):
		return &failure{FailedCheck, fmt.Errorf("%w, within its first %d bytes", m.err, m.got)}
	case m.err != nil:
		return classify(m.err)
	case m.fresh && m.network == "tcp":
		return m.awaitEnd()
	}
	return nil
}

// step runs inside RawConn.Read: it sends, waits, and receives until the reply is whole. A reply
// that is whole needs no look behind it: what comes next is the reply to the next message.
func (m *messenger) step(fd uintptr) bool {
	if !m.sent {
		m.sent = true
		m.err = sendWhole(int(fd), m.message)
		return m.err != nil
	}
	for {
		n, err := unix.Read(int(fd), m.buf)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return false
		case err != nil:
			m.err = err
			return true
		case n == 0 && m.network == "tcp":
			m.err = io.ErrUnexpectedEOF
			return true
		}
		rest := m.want[m.got:]
		m.got += n
		if n > len(rest) || !bytes.Equal(m.buf[:n], rest[:n]) || n < len(rest) && m.network == "udp" {
			m.err = errWrongReply
			return true
		}
		if m.got == len(m.want) {
			return true
		}
	}
}

// sendWhole sends a message to a socket that owes nothing, and so takes it whole.
func sendWhole(fd int, message []byte) error {
	for {
		n, err := unix.Write(fd, message)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n < len(message):
			return fmt.Errorf("the socket took %d of %d bytes", n, len(message))
		}
		return nil
	}
}
