package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Control sequences of terminals: the alternate screen, the cursor, and home with what follows erased.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	home        = "\x1b[H"
	eraseLine   = "\x1b[K"
	eraseRest   = "\x1b[J"
)

// The keys that top knows.
const (
	keyNone = iota // the time is over
	keyQuit
	keyUp
	keyDown
	keyPageUp
	keyPageDown
	keyOther
)

// look is how long a key is waited for between two looks at the context.
const look = 100 * time.Millisecond

// screen is a terminal in full-screen mode. It belongs to one goroutine.
type screen struct {
	in, out *os.File
	former  unix.Termios
	colours bool
	height  int // of the last picture
}

// terminal reports whether f is one.
func terminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// openScreen takes the terminal over. close gives it back.
func openScreen(in, out *os.File) (*screen, error) {
	former, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	raw := *former
	raw.Lflag &^= unix.ICANON | unix.ECHO | unix.ISIG // ^C is a key here: the screen has to be left first
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 0, 0
	if err := unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, &raw); err != nil {
		return nil, err
	}
	s := &screen{in: in, out: out, former: *former, colours: colourful(out)}
	if _, err := out.WriteString(enterScreen); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// close leaves the terminal as it was.
func (s *screen) close() error {
	_, err := s.out.WriteString(leaveScreen)
	return errors.Join(err, unix.IoctlSetTermios(int(s.in.Fd()), unix.TCSETS, &s.former))
}

// size is that of the terminal, 80 × 24 if it does not say.
func (s *screen) size() (width, height int) {
	ws, err := unix.IoctlGetWinsize(int(s.out.Fd()), unix.TIOCGWINSZ)
	if err != nil || ws.Col == 0 || ws.Row == 0 {
		return 80, 24
	}
	return int(ws.Col), int(ws.Row)
}

// draw shows the heading and as many of the other lines as fit, from scroll on, which it returns, held
// within what there is.
func (s *screen) draw(lines []line, scroll int) (int, error) {
	width, height := s.size()
	s.height = height
	picture, scroll := frame(lines, width, height, scroll, s.colours)
	_, err := s.out.Write(picture)
	return scroll, err
}

// frame is the bytes of one screen.
func frame(lines []line, width, height, scroll int, colours bool) ([]byte, int) {
	scroll = max(min(scroll, len(lines)-height), 0)
	shown := lines
	if len(lines) > height {
		shown = append(append([]line{}, lines[:min(heading, height)]...), lines[min(heading, height)+scroll:]...)
		shown = shown[:height]
	}
	var b bytes.Buffer
	b.WriteString(home)
	for i, l := range shown {
		if i > 0 {
			b.WriteString("\r\n")
		}
		// Erased first: after a character in the last column that could go with it.
		b.WriteString(eraseLine + l.cut(width, colours))
	}
	if len(shown) < height {
		b.WriteString("\r\n" + eraseRest)
	}
	return b.Bytes(), scroll
}

// scrolled is by how many lines a key moves.
func (s *screen) scrolled(key int) int {
	page := max(s.height-heading-1, 1)
	return map[int]int{keyUp: -1, keyDown: 1, keyPageUp: -page, keyPageDown: page}[key]
}

// key waits for a key until due. The end of ctx, or of the input, is keyQuit.
func (s *screen) key(ctx context.Context, due time.Time) (int, error) {
	for ctx.Err() == nil {
		wait := min(time.Until(due), look)
		if wait <= 0 {
			return keyNone, nil
		}
		fds := []unix.PollFd{{Fd: int32(s.in.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(wait.Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return keyQuit, err
		}
		if n <= 0 {
			continue
		}
		var b [16]byte
		n, err = unix.Read(int(s.in.Fd()), b[:])
		if err != nil && !errors.Is(err, unix.EINTR) {
			return keyQuit, err
		}
		if n <= 0 {
			return keyQuit, nil
		}
		return keyOf(string(b[:n])), nil
	}
	return keyQuit, nil
}

// keyOf names what a terminal sends.
func keyOf(text string) int {
	switch text {
	case "q", "Q", "\x03", "\x1b", "\x04":
		return keyQuit
	case "\x1b[A", "\x1bOA", "k":
		return keyUp
	case "\x1b[B", "\x1bOB", "j":
		return keyDown
	case "\x1b[5~":
		return keyPageUp
	case "\x1b[6~", " ":
		return keyPageDown
	}
	return keyOther
}
