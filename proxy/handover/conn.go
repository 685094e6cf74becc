package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Version is the version of the protocol. Both sides must speak the same; a field more in a message is no
// other version.
const Version = 1

// MaxFiles is how many descriptors one message carries at most; the kernel takes 253 (SCM_MAX_FD).
const MaxFiles = 250

// maxPayload bounds what is taken from a peer, in bytes.
const maxPayload = 64 << 20

// kind is what a message is about.
type kind uint8

const (
	kindHello kind = iota + 1
	kindOffer
	kindPrepared
	kindSection
	kindReady
	kindGo
	kindServing
	kindRefusal
)

// headerSize is that of a frame: "weir", version, kind, descriptors (2 bytes), length of the payload (4),
// big endian. It is the same in all versions, and so are hello and refusal.
const headerSize = 12

var magic = [4]byte{'w', 'e', 'i', 'r'}

// ErrGone is a peer that closed the connection, or has died, without a word.
var ErrGone = errors.New("the other process is gone")

// message is one frame.
type message struct {
	version uint8
	kind    kind
	payload []byte
	files   []int // belong to the receiver
}

// closeFiles closes what nobody wants.
func (m *message) closeFiles() {
	CloseAll(m.files)
	m.files = nil
}

// CloseAll closes descriptors.
func CloseAll(files []int) {
	for _, fd := range files {
		_ = unix.Close(fd)
	}
}

// Conn is a connection between two processes of one machine.
type Conn struct {
	unix    *net.UnixConn
	pending []int // descriptors that came before the frame that they belong to was read
}

// NewConn owns c.
func NewConn(c *net.UnixConn) *Conn { return &Conn{unix: c} }

// Inherit takes over the connection whose descriptor a parent process has left at fd.
func Inherit(fd int) (*Conn, error) {
	f := os.NewFile(uintptr(fd), "handover")
	if f == nil {
		return nil, fmt.Errorf("descriptor %d is not open", fd)
	}
	defer f.Close() // FileConn has a duplicate
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("descriptor %d is not a unix socket", fd), c.Close())
	}
	return NewConn(u), nil
}

// Pair makes two ends; the second is for a child process, and is closed here once that has started.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "handover")
	ours, err := Inherit(fds[0])
	if err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return ours, theirs, nil
}

// SetDeadline bounds what follows.
func (c *Conn) SetDeadline(t time.Time) error { return c.unix.SetDeadline(t) }

// Close closes the connection, and descriptors that nobody has asked for.
func (c *Conn) Close() error {
	CloseAll(c.pending)
	c.pending = nil
	return c.unix.Close()
}

// PeerPID is the process at the other end, as the kernel knows it; 0: it does not say.
func (c *Conn) PeerPID() int {
	raw, err := c.unix.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// inFlightPause is how long to wait when as many descriptors are on their way as may be.
const inFlightPause = time.Millisecond

// send sends one frame with at most MaxFiles descriptors.
func (c *Conn) send(k kind, payload []byte, files []int) error {
	if len(files) > MaxFiles || len(payload) > maxPayload {
		panic(fmt.Sprintf("handover: a message of %d descriptors and %d bytes", len(files), len(payload)))
	}
	frame := make([]byte, headerSize, headerSize+len(payload))
	copy(frame, magic[:])
	frame[4], frame[5] = Version, byte(k)
	binary.BigEndian.PutUint16(frame[6:], uint16(len(files)))
	binary.BigEndian.PutUint32(frame[8:], uint32(len(payload)))
	frame = append(frame, payload...)
	var rights []byte
	if len(files) > 0 {
		rights = unix.UnixRights(files...)
	}
	n, _, err := c.unix.WriteMsgUnix(frame, rights, nil)
	for errors.Is(err, syscall.ETOOMANYREFS) { // until the peer has taken some
		time.Sleep(inFlightPause)
		n, _, err = c.unix.WriteMsgUnix(frame, rights, nil)
	}
	if err == nil && n < len(frame) {
		_, err = c.unix.Write(frame[n:])
	}
	return gone(err)
}

// receive waits for one frame. Its descriptors are closed on exec.
func (c *Conn) receive() (*message, error) {
	var header [headerSize]byte
	if err := c.read(header[:]); err != nil {
		return nil, err
	}
	if [4]byte(header[:4]) != magic {
		return nil, errors.New("the other process does not speak the protocol of the hand-over")
	}
	m := &message{version: header[4], kind: kind(header[5])}
	files, size := int(binary.BigEndian.Uint16(header[6:])), binary.BigEndian.Uint32(header[8:])
	if files > MaxFiles || size > maxPayload {
		return nil, fmt.Errorf("the other process announces %d descriptors and %d bytes in one message", files, size)
	}
	m.payload = make([]byte, size)
	if err := c.read(m.payload); err != nil {
		return nil, err
	}
	if len(c.pending) < files {
		return nil, fmt.Errorf("%d of %d descriptors have come: the limit of open files may be too low", len(c.pending), files)
	}
	m.files, c.pending = c.pending[:files:files], c.pending[files:]
	return m, nil
}

// read fills b, and keeps the descriptors that come with it.
func (c *Conn) read(b []byte) error {
	oob := make([]byte, unix.CmsgSpace(4*(MaxFiles+3)))
	for len(b) > 0 {
		n, oobn, flags, _, err := c.unix.ReadMsgUnix(b, oob)
		if err != nil {
			return gone(err)
		}
		if oobn > 0 {
			if err := c.keep(oob[:oobn]); err != nil {
				return err
			}
		}
		if flags&unix.MSG_CTRUNC != 0 {
			return errors.New("descriptors did not arrive: the limit of open files is reached")
		}
		if n == 0 {
			return ErrGone
		}
		b = b[n:]
	}
	return nil
}

// keep takes the descriptors out of a control message.
func (c *Conn) keep(oob []byte) error {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return fmt.Errorf("control message: %w", err)
	}
	for _, m := range messages {
		files, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fmt.Errorf("control message: %w", err)
		}
		c.pending = append(c.pending, files...)
	}
	return nil
}

// gone makes one error of the ways in which a peer can be missed.
func gone(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return ErrGone
	}
	return err
}
